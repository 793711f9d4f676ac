/* validate_fields() with the rows of every method over an arbitrary head. The first byte picks the
 * method, so that the corpus reaches all of them. */
#include <stdlib.h>
#include <string.h>

#include "proto/json_head.h"
#include "proto/methods.h"
#include "proto/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct method_row *row = &proto_methods[data[0] % METHOD_COUNT];
    char error[256] = "";
    json_t *head = json_head_parse(data + 1, size - 1, error, sizeof error);
    if (head == NULL) {
        return 0;
    }
    const struct field *const sides[] = {row->params, row->result};
    for (size_t i = 0; i < 2; i++) {
        const char *field = NULL;
        error[0] = '\0';
        const int result = validate_fields(sides[i], head, &field, error, sizeof error);
        if ((result != 0) != (field != NULL) || (result != 0) != (error[0] != '\0')) {
            abort();
        }
    }
    json_decref(head);
    return 0;
}
