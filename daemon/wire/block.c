#include "wire/block.h"

#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

int block_take(struct bytes from, size_t max_body, struct bytes *ret_body, size_t *ret_needed)
{
    struct reader reader;
    reader_init(&reader, from);
    size_t size = reader_u32(&reader);
    if (!reader_ok(&reader)) {
        *ret_needed = 0;
        return 0;
    }
    if (size > max_body) {
        return -EMSGSIZE;
    }
    struct bytes body = reader_bytes(&reader, size);
    if (!reader_ok(&reader)) {
        *ret_needed = BLOCK_PREFIX_SIZE + size;
        return 0;
    }
    *ret_body = body;
    return 1;
}

void block_encode_prefix(size_t body_size, uint8_t out[BLOCK_PREFIX_SIZE])
{
    struct writer writer;
    writer_init(&writer, out, BLOCK_PREFIX_SIZE);
    writer_u32(&writer, (uint32_t)body_size);
}
