/* The handshake block of plaintext mode: u16 blob_len, blob, peer_id (wire-core 4). */
#ifndef RATSD_WIRE_PLAINTEXT_H
#define RATSD_WIRE_PLAINTEXT_H

#include "util/peer_id.h"
#include "wire/protocol_id.h"

#define PLAINTEXT_MAX_SIZE (2 + PROTOCOL_ID_MAX_BLOB + PEER_ID_SIZE)

/* out has PLAINTEXT_MAX_SIZE bytes; returns the size written. */
size_t plaintext_encode(const struct protocol_id *id, const struct peer_id *self, uint8_t *out);
/* 0; -EPROTO when short or of another protocol. Trailing bytes are ignored. */
int plaintext_decode(struct bytes from, const struct protocol_id *id, struct peer_id *ret_peer);

#endif
