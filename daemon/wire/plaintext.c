#include "wire/plaintext.h"

#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

size_t plaintext_encode(const struct protocol_id *id, const struct peer_id *self, uint8_t *out)
{
    struct writer writer;
    writer_init(&writer, out, PLAINTEXT_MAX_SIZE);
    writer_u16(&writer, (uint16_t)id->size);
    writer_bytes(&writer, protocol_id_view(id));
    writer_bytes(&writer, bytes_make(self->bytes, sizeof self->bytes));
    return writer.size;
}

int plaintext_decode(struct bytes from, const struct protocol_id *id, struct peer_id *ret_peer)
{
    struct reader reader;
    reader_init(&reader, from);
    struct bytes blob = reader_bytes(&reader, reader_u16(&reader));
    struct bytes peer = reader_bytes(&reader, PEER_ID_SIZE);
    if (!reader_ok(&reader) || !bytes_equal(blob, protocol_id_view(id))) {
        return -EPROTO;
    }
    memcpy(ret_peer->bytes, peer.data, sizeof ret_peer->bytes);
    return 0;
}
