#include "wire/ping_frame.h"

#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

void ping_frame_encode(const struct ping_frame *frame, uint8_t out[PING_FRAME_SIZE])
{
    struct writer writer;
    writer_init(&writer, out, PING_FRAME_SIZE);
    writer_u8(&writer, (uint8_t)frame->tag);
    writer_bytes(&writer, bytes_make(frame->token, sizeof frame->token));
}

int ping_frame_decode(struct bytes from, struct ping_frame *ret_frame)
{
    struct reader reader;
    reader_init(&reader, from);
    uint8_t tag = reader_u8(&reader);
    struct bytes token = reader_bytes(&reader, PING_TOKEN_SIZE);
    if (!reader_ok(&reader) || reader_left(&reader) != 0 || tag > PING_ANSWER) {
        return -EPROTO;
    }
    ret_frame->tag = (enum ping_tag)tag;
    memcpy(ret_frame->token, token.data, sizeof ret_frame->token);
    return 0;
}
