/* Outer framing: u32 length, then that many bytes (wire-core 5.1). */
#ifndef RATSD_WIRE_BLOCK_H
#define RATSD_WIRE_BLOCK_H

#include "util/bytes.h"
#include "wire/wire.h"

/* Looks at the front of from for one block of at most max_body bytes.
 * Returns 1 and the body (a view, no copy; the block took BLOCK_PREFIX_SIZE + body.size bytes);
 * 0 when more bytes are needed, with *ret_needed the total size of the block if the prefix is
 * there, else 0; -EMSGSIZE as soon as the prefix announces more than max_body. */
int block_take(struct bytes from, size_t max_body, struct bytes *ret_body, size_t *ret_needed);

/* Writes the prefix for a body of size bytes. */
void block_encode_prefix(size_t body_size, uint8_t out[BLOCK_PREFIX_SIZE]);

#endif
