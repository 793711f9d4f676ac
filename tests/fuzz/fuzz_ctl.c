/* ctl_decode() over arbitrary bytes: what is accepted is an object with a text as "op". */
#include <stdlib.h>

#include "service/ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *message = ctl_decode(bytes_make(data, size));
    if (message != NULL) {
        const char *op = ctl_text(message, "op", CTL_MAX_SIZE);
        if (op == NULL || size > CTL_MAX_SIZE || !json_is_object(message)) {
            abort();
        }
    }
    json_decref(message);
    return 0;
}
