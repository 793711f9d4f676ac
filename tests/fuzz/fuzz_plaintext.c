/* plaintext_decode() over arbitrary bytes; what it accepts starts as we would write it. */
#include <stdlib.h>

#include "wire/plaintext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct protocol_id id;
    struct peer_id peer;
    uint8_t out[PLAINTEXT_MAX_SIZE];
    if (protocol_id_init(&id, bytes_from_string("librats/1.0")) != 0) {
        abort();
    }
    if (plaintext_decode(bytes_make(data, size), &id, &peer) != 0) {
        return 0;
    }
    size_t encoded = plaintext_encode(&id, &peer, out);
    if (encoded > size || memcmp(out, data, encoded) != 0) {
        abort();
    }
    return 0;
}
