/* json_text_check() must accept all that jansson does (up to its depth), and what it accepts and
 * jansson does not may only be a number out of range or a text with a NUL in a key. */
#include <stdlib.h>
#include <string.h>

#include "proto/json_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    if (memchr(data, '\0', size) != NULL) { /* jansson takes it for the end of the input */
        if (json_text_check((const char *)data, size) == 0) {
            abort();
        }
        return 0;
    }
    const int result = json_text_check((const char *)data, size);
    json_error_t problem;
    json_t *value =
        json_loadb((const char *)data, size,
                   JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &problem);
    if (value != NULL && result != 0) {
        abort();
    }
    if (value == NULL && result == 0) {
        const enum json_error_code code = json_error_code(&problem);
        if (code != json_error_numeric_overflow && code != json_error_null_byte_in_key) {
            abort();
        }
    }
    json_decref(value);
    return 0;
}
