/* The inner message: u8 type, u8 flags, u16 channel, payload (wire-core 5.2). flags is sent 0 and
 * ignored on receipt. */
#ifndef RATSD_WIRE_MESSAGE_H
#define RATSD_WIRE_MESSAGE_H

#include "util/bytes.h"
#include "wire/wire.h"

struct message {
    uint8_t type;
    uint8_t flags;
    uint16_t channel;
    struct bytes payload; /* a view into what was decoded */
};

/* 0, or -EPROTO when from is shorter than the header. */
int message_decode(struct bytes from, struct message *ret_message);
void message_encode_header(uint8_t type, uint16_t channel, uint8_t out[MESSAGE_HEADER_SIZE]);

#endif
