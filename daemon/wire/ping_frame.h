/* Ping and pong: u8 tag, 8-byte token, exactly 9 bytes (wire-services 4). The token means something
 * only to who sent the ping; the other end gives it back as it is. */
#ifndef RATSD_WIRE_PING_FRAME_H
#define RATSD_WIRE_PING_FRAME_H

#include "util/bytes.h"

#define PING_TOKEN_SIZE 8u
#define PING_FRAME_SIZE (1u + PING_TOKEN_SIZE)

enum ping_tag { PING_ASK = 0, PING_ANSWER = 1 };

struct ping_frame {
    enum ping_tag tag;
    uint8_t token[PING_TOKEN_SIZE];
};

void ping_frame_encode(const struct ping_frame *frame, uint8_t out[PING_FRAME_SIZE]);
/* 0, or -EPROTO: ignore the message, keep the link. */
int ping_frame_decode(struct bytes from, struct ping_frame *ret_frame);

#endif
