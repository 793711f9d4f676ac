/* json_head_parse() over arbitrary bytes. */
#include <stdlib.h>
#include <string.h>

#include "proto/json_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[128] = "";
    json_t *head = json_head_parse(data, size, error, sizeof error);
    if ((head == NULL) != (error[0] != '\0') || (head != NULL && !json_is_object(head))) {
        abort();
    }
    json_decref(head);
    return 0;
}
