/* block_take() over a stream that arrives whole, and again byte by byte. */
#include <stdlib.h>

#include "wire/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* What it said of the block is what it had said since the prefix was there. */
static void check_prefixes(struct bytes from, int result, size_t total)
{
    for (size_t size = 0; size < from.size && size < 64; size++) {
        struct bytes body = {0};
        size_t needed = 1;
        int rc = block_take(bytes_make(from.data, size), BLOCK_MAX_HANDSHAKE, &body, &needed);
        if (size < BLOCK_PREFIX_SIZE) {
            require(rc == 0 && needed == 0);
        } else if (result < 0) {
            require(rc == result);
        } else if (size < total) {
            require(rc == 0 && needed == total);
        } else {
            require(rc == 1 && body.size == total - BLOCK_PREFIX_SIZE);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes left = bytes_make(data, size);
    for (;;) {
        struct bytes body = {0};
        size_t needed = 0;
        int rc = block_take(left, BLOCK_MAX_HANDSHAKE, &body, &needed);
        size_t total = rc == 1 ? BLOCK_PREFIX_SIZE + body.size : needed;
        check_prefixes(left, rc, total);
        if (rc != 1) {
            require(rc < 0 || needed == 0 || needed > left.size);
            return 0;
        }
        require(total <= left.size);
        uint8_t prefix[BLOCK_PREFIX_SIZE];
        block_encode_prefix(body.size, prefix);
        require(memcmp(prefix, left.data, sizeof prefix) == 0);
        left = bytes_make(left.data + total, left.size - total);
    }
}
