#include "wire/message.h"

#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

int message_decode(struct bytes from, struct message *ret_message)
{
    struct reader reader;
    reader_init(&reader, from);
    struct message message = {0};
    message.type = reader_u8(&reader);
    message.flags = reader_u8(&reader);
    message.channel = reader_u16(&reader);
    message.payload = reader_rest(&reader);
    if (!reader_ok(&reader)) {
        return -EPROTO;
    }
    *ret_message = message;
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
