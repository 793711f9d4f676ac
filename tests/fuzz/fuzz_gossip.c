/* gossip_decode() and the engine behind it. The input is a script: u8 what, u8 who and when, and
 * for frames and names u8 size and so many bytes. Four peers, of which the last takes nothing. */
#include <errno.h>
#include <stdlib.h>

#include "service/gossip_engine.h"
#include "util/reader.h"

#define PEERS    4u
#define CACHE    1024u
#define PER_PEER 8u
#define MAX_SIZE 2048u /* small stories tell all there is, and many of them can be told */

enum step {
    RECEIVE,
    RECEIVE_MORE,
    BEAT,
    UP,
    DOWN,
    REPLACED,
    SUBSCRIBE,
    UNSUBSCRIBE,
    PUBLISH,
    STEPS
};

static const struct peer_id self = {{0xee}};
static size_t sent;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct peer_id peer_of(uint8_t number)
{
    return (struct peer_id){{(uint8_t)(number % PEERS)}};
}

static int on_send(void *arg, const struct peer_id *to, struct bytes payload, bool is_message)
{
    (void)arg;
    struct gossip_frame frame;
    require(gossip_decode(payload, &frame) == 0);
    require((frame.op == GOSSIP_PUBLISH) == is_message);
    sent++;
    return to->bytes[0] == PEERS - 1 ? -ENOBUFS : 0;
}

static void on_deliver(void *arg, const struct gossip_delivery *delivery)
{
    (void)arg;
    require(!peer_id_equal(&delivery->origin, &self));
    require(delivery->topic.size > 0);
}

static void on_member(void *arg, struct bytes topic, const struct peer_id *peer, bool joined)
{
    (void)arg;
    (void)joined;
    require(topic.size > 0 && peer->bytes[0] < PEERS);
}

static bool validate(void *arg, const struct gossip_delivery *delivery)
{
    (void)arg;
    return delivery->data.size == 0 || delivery->data.data[0] != 'r';
}

static void verify_members(const struct gossip *gossip, const struct gossip_topic_facts *facts)
{
    struct peer_id ids[PEERS];
    require(gossip_topic_peers(gossip, facts->name, GOSSIP_IN_MESH, ids, PEERS) == facts->mesh);
    require(gossip_topic_peers(gossip, facts->name, GOSSIP_SUBSCRIBERS, ids, PEERS) ==
            facts->subscribers);
}

/* After every step all topics are looked at, and one of them by its name; that costs most. */
static void verify(const struct gossip *gossip, size_t step)
{
    struct gossip_topic_facts facts;
    size_t cursor = 0;
    size_t topics = 0;
    size_t known = (size_t)gossip_counts(gossip)->topics;
    while (gossip_next_topic(gossip, &cursor, &facts)) {
        require(facts.subscribers <= PEERS && facts.mesh <= PEERS && facts.fanout <= PEERS);
        if (topics++ == step % known) {
            verify_members(gossip, &facts);
        }
    }
    require(topics == known);
    require(gossip_counts(gossip)->cached_bytes <= CACHE);
}

static void verify_all(const struct gossip *gossip)
{
    struct gossip_topic_facts facts;
    size_t cursor = 0;
    while (gossip_next_topic(gossip, &cursor, &facts)) {
        verify_members(gossip, &facts);
    }
}

static void run_step(struct gossip *gossip, struct reader *reader, int64_t *now_ms)
{
    enum step step = (enum step)(reader_u8(reader) % STEPS);
    uint8_t who = reader_u8(reader);
    struct peer_id id = peer_of(who);
    size_t peers = 0;
    *now_ms += who / PEERS * 10;
    switch (step) {
    case BEAT:
        gossip_heartbeat(gossip, *now_ms);
        return;
    case UP:
        (void)gossip_peer_up(gossip, &id);
        return;
    case DOWN:
        gossip_peer_down(gossip, &id);
        return;
    case REPLACED:
        gossip_peer_replaced(gossip, &id);
        return;
    default:
        break;
    }
    struct bytes bytes = reader_bytes(reader, reader_u8(reader));
    switch (step) {
    case SUBSCRIBE:
        (void)gossip_subscribe(gossip, bytes, *now_ms);
        break;
    case UNSUBSCRIBE:
        (void)gossip_unsubscribe(gossip, bytes);
        break;
    case PUBLISH:
        (void)gossip_publish(gossip, bytes, bytes, *now_ms, &peers);
        require(peers <= PEERS);
        break;
    default:
        gossip_receive(gossip, &id, bytes, *now_ms);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gossip_callbacks callbacks = {
        .send = on_send,
        .deliver = on_deliver,
        .on_member = on_member,
        .validate = validate,
    };
    const struct gossip_options options = {
        .self = self,
        .flood = 2,
        .cache_bytes = CACHE,
        .seen_ids = 16,
        .topics = 10,
        .topics_per_peer = PER_PEER,
        .resend_bytes = 1000,
    };
    struct gossip *gossip = NULL;
    struct reader reader;
    int64_t now_ms = 0;
    if (size > MAX_SIZE) {
        return -1;
    }
    if (gossip_new(&options, &callbacks, NULL, &gossip) != 0) {
        abort();
    }
    for (uint8_t i = 0; i < PEERS; i++) {
        struct peer_id id = peer_of(i);
        (void)gossip_peer_up(gossip, &id);
    }
    reader_init(&reader, bytes_make(data, size));
    for (size_t i = 0; reader_left(&reader) > 0; i++) {
        run_step(gossip, &reader, &now_ms);
        verify(gossip, i);
    }
    verify_all(gossip);
    for (uint8_t i = 0; i < PEERS; i++) {
        struct peer_id id = peer_of(i);
        gossip_peer_down(gossip, &id);
    }
    for (int i = 0; i < 6; i++) {
        gossip_heartbeat(gossip, now_ms += GOSSIP_HEARTBEAT_MS);
    }
    require(gossip_is_idle(gossip));
    require(gossip_counts(gossip)->topics == gossip_counts(gossip)->subscribed);
    gossip_free(gossip);
    return 0;
}
