#include "wire/protocol_id.h"

#include <errno.h>

#include "util/writer.h"

int protocol_id_init(struct protocol_id *id, struct bytes name)
{
    if (name.size > PROTOCOL_ID_MAX_NAME) {
        return -EINVAL;
    }
    struct writer writer;
    writer_init(&writer, id->data, sizeof id->data);
    writer_bytes(&writer, bytes_from_string("librats-proto\x1f"));
    writer_bytes(&writer, name);
    id->size = writer.size;
    return 0;
}
