/* ping_frame_decode() over arbitrary bytes; what it accepts is written back as it was. */
#include <stdlib.h>

#include "wire/ping_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ping_frame frame;
    uint8_t out[PING_FRAME_SIZE];
    if (ping_frame_decode(bytes_make(data, size), &frame) == 0) {
        ping_frame_encode(&frame, out);
        if (size != sizeof out || memcmp(out, data, size) != 0) {
            abort();
        }
    }
    return 0;
}
