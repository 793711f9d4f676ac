/* The blob both security modes bind: "librats-proto" 0x1f protocol (wire-core 2). */
#ifndef RATSD_WIRE_PROTOCOL_ID_H
#define RATSD_WIRE_PROTOCOL_ID_H

#include "util/bytes.h"

#define PROTOCOL_ID_MAX_NAME 255 /* ours; the plaintext handshake must fit a handshake block */
#define PROTOCOL_ID_MAX_BLOB (14 + PROTOCOL_ID_MAX_NAME)

struct protocol_id {
    uint8_t data[PROTOCOL_ID_MAX_BLOB];
    size_t size;
};

/* 0, or -EINVAL when the name is longer than PROTOCOL_ID_MAX_NAME. */
int protocol_id_init(struct protocol_id *id, struct bytes name);

static inline struct bytes protocol_id_view(const struct protocol_id *id)
{
    return bytes_make(id->data, id->size);
}

#endif
