/* typed_json_decode() over arbitrary bytes; what it took apart is written back the same. */
#include <stdlib.h>

#include "wire/typed_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct typed_json typed;
    if (typed_json_decode(bytes_make(data, size), &typed) != 0) {
        return 0;
    }
    if (typed_json_size(&typed) != size) {
        abort();
    }
    uint8_t *written = malloc(size);
    if (written == NULL) {
        return 0;
    }
    typed_json_encode(&typed, written);
    if (memcmp(written, data, size) != 0) {
        abort();
    }
    free(written);
    return 0;
}
