/* message_head_decode(); what it accepts must encode to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message_head head;
    if (message_head_decode(data, size, &head) < 0) {
        return 0;
    }
    if (message_head_size(&head) != size) {
        abort();
    }
    uint8_t again[MESSAGE_HEAD_FIXED + MESSAGE_HEAD_MAX_NAME + MESSAGE_PEER_SIZE];
    message_head_encode(&head, again);
    if (memcmp(again, data, size) != 0) {
        abort();
    }
    return 0;
}
