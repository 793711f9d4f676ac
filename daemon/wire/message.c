#include "wire/message.h"

#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

int message_decode(struct bytes from, struct message *ret_message)
{
    struct reader reader;
    reader_init(&reader, from);
    uint8_t type = reader_u8(&reader);
    uint8_t flags = reader_u8(&reader);
    uint16_t channel = reader_u16(&reader);
    struct bytes payload = reader_rest(&reader);
    if (!reader_ok(&reader)) {
        return -EPROTO;
    }
    /* Member by member: made whole on the side and copied, it is loaded in one piece before its
     * narrow stores have left the processor's queue, which is a pause on every message. */
    ret_message->type = type;
    ret_message->flags = flags;
    ret_message->channel = channel;
    ret_message->payload = payload;
    return 0;
}

void message_encode_header(uint8_t type, uint16_t channel, uint8_t out[MESSAGE_HEADER_SIZE])
{
    struct writer writer;
    writer_init(&writer, out, MESSAGE_HEADER_SIZE);
    writer_u8(&writer, type);
    writer_u8(&writer, 0);
    writer_u16(&writer, channel);
}
