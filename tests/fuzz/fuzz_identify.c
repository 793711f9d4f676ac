/* identify_decode() over arbitrary bytes; what it accepts survives a second round. */
#include <stdlib.h>

#include "wire/identify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct identify first;
    struct identify second;
    uint8_t out[IDENTIFY_MAX_SIZE];
    uint8_t again[IDENTIFY_MAX_SIZE];
    if (identify_decode(bytes_make(data, size), &first) != 0) {
        return 0;
    }
    require(first.address_count <= IDENTIFY_MAX_ADDRESSES);
    for (size_t i = 0; i < first.address_count; i++) {
        require(first.addresses[i].ip_size == 4 || first.addresses[i].ip_size == 16);
    }
    size_t encoded = identify_encode(&first, out);
    require(encoded <= sizeof out);
    require(identify_decode(bytes_make(out, encoded), &second) == 0);
    require(identify_encode(&second, again) == encoded);
    require(memcmp(out, again, encoded) == 0);
    require(second.listen_port == first.listen_port && second.transports == first.transports);
    require(endpoint_equal(&second.observed, &first.observed));
    return 0;
}
