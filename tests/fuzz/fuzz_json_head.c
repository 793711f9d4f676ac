/* json_head_parse() over arbitrary bytes: what it accepts jansson reads as the same, and what it
 * refuses within its own limits jansson refuses, too. */
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
    json_t *theirs = size == 0 || memchr(data, '\0', size) != NULL
                         ? NULL
                         : json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (head != NULL && !json_equal(head, theirs)) {
        abort();
    }
    if (head == NULL && json_is_object(theirs) && strstr(error, "valid") != NULL) {
        abort();
    }
    json_decref(theirs);
    json_decref(head);
    return 0;
}
