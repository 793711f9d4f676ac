/* pex_frame_decode() over arbitrary bytes; what it accepts survives a second round. */
#include <stdlib.h>

#include "wire/pex_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pex_frame first;
    struct pex_frame second;
    uint8_t out[PEX_MAX_SIZE];
    if (pex_frame_decode(bytes_make(data, size), &first) != 0) {
        return 0;
    }
    size_t encoded = pex_frame_encode(&first, out);
    require(encoded <= sizeof out);
    require(pex_frame_decode(bytes_make(out, encoded), &second) == 0);
    require(second.op == first.op && second.max == first.max);
    require(second.entry_count == first.entry_count && first.entry_count <= PEX_MAX_ENTRIES);
    for (size_t i = 0; i < first.entry_count; i++) {
        require(endpoint_equal(&first.entries[i].address, &second.entries[i].address));
        require(peer_id_equal(&first.entries[i].id, &second.entries[i].id));
        require(first.entries[i].address.ip_size == 4 || first.entries[i].address.ip_size == 16);
        (void)endpoint_realm(&first.entries[i].address);
    }
    return 0;
}
