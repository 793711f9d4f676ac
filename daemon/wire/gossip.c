#include "wire/gossip.h"

#include <assert.h>
#include <errno.h>

#include "util/reader.h"

static struct bytes read_topic(struct reader *reader)
{
    return reader_bytes(reader, reader_u16(reader));
}

static struct bytes read_ids(struct reader *reader)
{
    return reader_bytes(reader, (size_t)reader_u16(reader) * GOSSIP_ID_SIZE);
}

int gossip_decode(struct bytes from, struct gossip_frame *ret_frame)
{
    struct reader reader;
    reader_init(&reader, from);
    struct gossip_frame frame = {.op = (enum gossip_op)reader_u8(&reader)};
    switch (frame.op) {
    case GOSSIP_PUBLISH:
        frame.id = reader_bytes(&reader, GOSSIP_ID_SIZE);
        frame.topic = read_topic(&reader);
        frame.data = reader_rest(&reader);
        break;
    case GOSSIP_SUBSCRIBE:
    case GOSSIP_UNSUBSCRIBE:
    case GOSSIP_GRAFT:
    case GOSSIP_PRUNE:
        frame.topic = read_topic(&reader);
        break;
    case GOSSIP_IHAVE:
        frame.topic = read_topic(&reader);
        frame.ids = read_ids(&reader);
        break;
    case GOSSIP_IWANT:
        frame.ids = read_ids(&reader);
        break;
    default:
        return -EPROTO;
    }
    bool needs_topic = frame.op != GOSSIP_PUBLISH && frame.op != GOSSIP_IWANT;
    if (!reader_ok(&reader) || (needs_topic && frame.topic.size == 0)) {
        return -EPROTO;
    }
    *ret_frame = frame;
    return 0;
}

struct peer_id gossip_origin(struct bytes id)
{
    struct peer_id origin = {{0}};
    struct reader reader;
    reader_init(&reader, id);
    struct bytes bytes = reader_bytes(&reader, PEER_ID_SIZE);
    assert(reader_ok(&reader));
    memcpy(origin.bytes, bytes.data, PEER_ID_SIZE);
    return origin;
}

void gossip_make_id(const struct peer_id *origin, uint64_t number, uint8_t out[GOSSIP_ID_SIZE])
{
    struct writer writer;
    writer_init(&writer, out, GOSSIP_ID_SIZE);
    writer_bytes(&writer, bytes_make(origin->bytes, PEER_ID_SIZE));
    writer_u64(&writer, number);
}

static void write_name(struct writer *writer, struct bytes topic)
{
    assert(topic.size <= GOSSIP_MAX_TOPIC);
    writer_u16(writer, (uint16_t)topic.size);
    writer_bytes(writer, topic);
}

static void write_ids(struct writer *writer, struct bytes ids)
{
    assert(ids.size % GOSSIP_ID_SIZE == 0 && ids.size / GOSSIP_ID_SIZE <= GOSSIP_MAX_IDS);
    writer_u16(writer, (uint16_t)(ids.size / GOSSIP_ID_SIZE));
    writer_bytes(writer, ids);
}

void gossip_write_publish(struct writer *writer, const uint8_t id[GOSSIP_ID_SIZE],
                          struct bytes topic, struct bytes data)
{
    writer_u8(writer, GOSSIP_PUBLISH);
    writer_bytes(writer, bytes_make(id, GOSSIP_ID_SIZE));
    write_name(writer, topic);
    writer_bytes(writer, data);
}

void gossip_write_topic(struct writer *writer, enum gossip_op op, struct bytes topic)
{
    writer_u8(writer, (uint8_t)op);
    write_name(writer, topic);
}

void gossip_write_ihave(struct writer *writer, struct bytes topic, struct bytes ids)
{
    gossip_write_topic(writer, GOSSIP_IHAVE, topic);
    write_ids(writer, ids);
}

void gossip_write_iwant(struct writer *writer, struct bytes ids)
{
    writer_u8(writer, GOSSIP_IWANT);
    write_ids(writer, ids);
}
