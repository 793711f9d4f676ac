/* message_decode() over arbitrary bytes; the header it read is the one it would write. */
#include <stdlib.h>

#include "wire/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message message;
    int rc = message_decode(bytes_make(data, size), &message);
    if ((rc == 0) != (size >= MESSAGE_HEADER_SIZE)) {
        abort();
    }
    if (rc != 0) {
        return 0;
    }
    uint8_t header[MESSAGE_HEADER_SIZE];
    message_encode_header(message.type, message.channel, header);
    header[1] = message.flags;
    if (memcmp(header, data, sizeof header) != 0 ||
        message.payload.size != size - MESSAGE_HEADER_SIZE) {
        abort();
    }
    return 0;
}
