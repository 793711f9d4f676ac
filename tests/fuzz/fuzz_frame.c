/* frame_decode() over arbitrary bytes, frame after frame, as a session reads them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    for (;;) {
        struct frame frame;
        size_t total = 0;
        const enum frame_status status = frame_decode(data + at, size - at, &frame, &total);
        if (status < 0) {
            (void)frame_status_text(status);
            return 0;
        }
        if (status == FRAME_INCOMPLETE) {
            if (total != 0 && total <= size - at) {
                abort();
            }
            return 0;
        }
        if (total < FRAME_HEADER_SIZE || total > size - at ||
            frame.head + frame.head_size != frame.body ||
            frame.body + frame.body_size != data + at + total) {
            abort();
        }
        uint8_t again[FRAME_HEADER_SIZE];
        frame_encode_header(again, frame.kind, frame.fds, frame.id, frame.head_size,
                            frame.body_size);
        if (memcmp(again, data + at, sizeof again) != 0) {
            abort();
        }
        at += total;
    }
}
