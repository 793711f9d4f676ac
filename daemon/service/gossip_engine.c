/* Life, peers, what we subscribe to and publish. */
#include "service/gossip_engine.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "service/gossip_private.h"
#include "util/alloc.h"
#include "wire/wire.h"

#define FRAME_KEEP ((size_t)64 * 1024) /* of the encoding buffer between frames */
#define ASKED_IDS  4096u

/* ---- life ---- */

static struct bytes id_view(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof id->bytes);
}

int gossip_new(const struct gossip_options *options, const struct gossip_callbacks *callbacks,
               void *arg, struct gossip **ret_gossip)
{
    assert(options->flood <= GOSSIP_MAX_FLOOD && options->seen_ids > 0);
    struct gossip *gossip = xalloc(sizeof *gossip);
    gossip->options = *options;
    gossip->callbacks = callbacks;
    gossip->arg = arg;
    gossip->next_number = options->first_number;
    gossip->random = options->seed[0] ^ options->seed[1];
    gossip->target_room = options->flood + GOSSIP_MESH_MAX;
    gossip->pool = xalloc(IHAVE_POOL * sizeof(struct gossip_cached *));
    gossip->targets = xalloc(gossip->target_room * sizeof(struct gossip_member *));
    gossip->target_ids = xalloc(gossip->target_room * sizeof(struct peer_id *));
    map_init(&gossip->peers, options->seed);
    map_init(&gossip->topics, options->seed);
    map_init(&gossip->members, options->seed);
    list_init(&gossip->busy);
    list_init(&gossip->resync);
    buf_init(&gossip->frame);
    gossip_cache_init(&gossip->cache, options->cache_bytes, options->seed);
    gossip->seen = gossip_seen_new(options->seen_ids, options->seed);
    gossip->asked = gossip_seen_new(ASKED_IDS, options->seed);
    if (gossip->seen == NULL || gossip->asked == NULL) {
        gossip_free(gossip);
        return -ENOMEM;
    }
    *ret_gossip = gossip;
    return 0;
}

static void peer_free(struct gossip_peer *peer)
{
    list_remove(&peer->resync);
    free(peer);
}

void gossip_free(struct gossip *gossip)
{
    if (gossip == NULL) {
        return;
    }
    size_t cursor = 0;
    for (void *member; (member = map_next(&gossip->members, &cursor)) != NULL;) {
        free(member);
    }
    cursor = 0;
    for (struct gossip_peer *peer; (peer = map_next(&gossip->peers, &cursor)) != NULL;) {
        peer_free(peer);
    }
    gossip_cache_fini(&gossip->cache);
    cursor = 0;
    for (struct gossip_topic *topic; (topic = map_next(&gossip->topics, &cursor)) != NULL;) {
        free(topic->members);
        free(topic);
    }
    map_fini(&gossip->members);
    map_fini(&gossip->peers);
    map_fini(&gossip->topics);
    gossip_seen_free(gossip->seen);
    gossip_seen_free(gossip->asked);
    buf_fini(&gossip->frame);
    free(gossip->target_ids);
    free(gossip->targets);
    free(gossip->pool);
    free(gossip);
}

uint64_t gossip_random(struct gossip *gossip, uint64_t below) /* splitmix64 */
{
    uint64_t z = gossip->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

/* ---- frames out ---- */

bool gossip_begin_frame(struct gossip *gossip, size_t size, struct writer *ret_writer)
{
    uint8_t *room = NULL;
    if (buf_reserve(&gossip->frame, size, &room) != 0) {
        return false;
    }
    writer_init(ret_writer, room, size);
    return true;
}

void gossip_end_frame(struct gossip *gossip)
{
    buf_trim(&gossip->frame, FRAME_KEEP);
}

static void resync_later(struct gossip *gossip, struct gossip_peer *peer)
{
    if (!list_is_linked(&peer->resync)) {
        list_append(&gossip->resync, &peer->resync);
    }
}

bool gossip_tell_name(struct gossip *gossip, struct gossip_peer *peer, enum gossip_op op,
                      struct bytes name)
{
    struct writer writer;
    if (!gossip_begin_frame(gossip, 3 + name.size, &writer)) {
        return false;
    }
    gossip_write_topic(&writer, op, name);
    return gossip->callbacks->send(gossip->arg, &peer->id, writer_view(&writer), false) == 0;
}

void gossip_tell(struct gossip *gossip, struct gossip_peer *peer, enum gossip_op op,
                 const struct gossip_topic *topic)
{
    if (!gossip_tell_name(gossip, peer, op, topic_name(topic))) {
        resync_later(gossip, peer);
    }
}

void gossip_tell_all(struct gossip *gossip, struct gossip_peer *peer)
{
    LIST_EACH(&gossip->busy, node) /* the topics we subscribe to are all there */
    {
        const struct gossip_topic *topic = CONTAINER_OF(node, struct gossip_topic, busy);
        if (topic->subscribed) {
            gossip_tell(gossip, peer, GOSSIP_SUBSCRIBE, topic);
        }
    }
    LIST_EACH(&peer->members, node)
    {
        const struct gossip_member *member = CONTAINER_OF(node, struct gossip_member, by_peer);
        const struct gossip_topic *topic = member->key.topic;
        if (!topic->subscribed) {
            gossip_tell(gossip, peer, GOSSIP_UNSUBSCRIBE, topic);
        } else if (member->direct) {
            gossip_tell(gossip, peer, GOSSIP_GRAFT, topic);
        }
    }
}

bool gossip_send_message(struct gossip *gossip, struct gossip_member *member, struct bytes payload)
{
    if (gossip->callbacks->send(gossip->arg, &member->key.peer->id, payload, true) == 0) {
        return true;
    }
    gossip->counts.dropped++;
    member->owed_until = gossip->beat + GOSSIP_OVERHEARD_BEATS;
    return false;
}

/* ---- peers ---- */

struct gossip_peer *gossip_find_peer(const struct gossip *gossip, const struct peer_id *id)
{
    return map_find(&gossip->peers, id_view(id));
}

int gossip_peer_up(struct gossip *gossip, const struct peer_id *id)
{
    if (gossip_find_peer(gossip, id) != NULL) {
        return 0;
    }
    struct gossip_peer *peer = try_alloc(sizeof *peer);
    if (peer == NULL) {
        return -ENOMEM;
    }
    peer->id = *id;
    peer->second = INT64_MIN;
    list_init(&peer->members);
    list_init(&peer->resync);
    if (map_insert(&gossip->peers, id_view(&peer->id), peer) != 0) {
        free(peer);
        return -ENOMEM;
    }
    gossip->counts.peers = map_count(&gossip->peers);
    gossip_tell_all(gossip, peer);
    return 0;
}

void gossip_peer_replaced(struct gossip *gossip, const struct peer_id *id)
{
    struct gossip_peer *peer = gossip_find_peer(gossip, id);
    if (peer == NULL) {
        return;
    }
    gossip_tell_all(gossip, peer);
    LIST_EACH(&peer->members, node)
    {
        struct gossip_member *member = CONTAINER_OF(node, struct gossip_member, by_peer);
        member->owed_until = gossip->beat + GOSSIP_OVERHEARD_BEATS;
    }
}

/* A topic without members needs no heartbeat to look at them. */
static void drop_if_alone(struct gossip *gossip, struct gossip_topic *topic)
{
    if (topic->count == 0) {
        topic->dirty = false;
        topic_settle(gossip, topic);
    }
}

void gossip_peer_down(struct gossip *gossip, const struct peer_id *id)
{
    struct gossip_peer *peer = gossip_find_peer(gossip, id);
    if (peer == NULL) {
        return;
    }
    LIST_EACH(&peer->members, node)
    {
        struct gossip_member *member = CONTAINER_OF(node, struct gossip_member, by_peer);
        struct gossip_topic *topic = member->key.topic;
        member_free(gossip, member);
        drop_if_alone(gossip, topic);
    }
    (void)map_remove(&gossip->peers, id_view(&peer->id));
    gossip->counts.peers = map_count(&gossip->peers);
    peer_free(peer);
}

/* ---- what we want ---- */

static bool is_name(struct bytes name)
{
    return name.size > 0 && name.size <= GOSSIP_MAX_TOPIC;
}

static void tell_everybody(struct gossip *gossip, enum gossip_op op,
                           const struct gossip_topic *topic)
{
    size_t cursor = 0;
    for (struct gossip_peer *peer; (peer = map_next(&gossip->peers, &cursor)) != NULL;) {
        gossip_tell(gossip, peer, op, topic);
    }
}

int gossip_subscribe(struct gossip *gossip, struct bytes name, int64_t now_ms)
{
    if (!is_name(name)) {
        return -EINVAL;
    }
    struct gossip_topic *topic = topic_find(gossip, name);
    if (topic != NULL && topic->subscribed) {
        return 0;
    }
    topic = topic_get_own(gossip, name);
    if (topic == NULL) {
        return -ENOMEM;
    }
    tell_everybody(gossip, GOSSIP_SUBSCRIBE, topic);
    mesh_fill(gossip, topic, now_ms);
    return 0;
}

int gossip_unsubscribe(struct gossip *gossip, struct bytes name)
{
    if (!is_name(name)) {
        return -EINVAL;
    }
    struct gossip_topic *topic = topic_find(gossip, name);
    if (topic == NULL || !topic->subscribed) {
        return 0;
    }
    tell_everybody(gossip, GOSSIP_UNSUBSCRIBE, topic);
    for (size_t i = 0; i < topic->direct; i++) {
        gossip_tell(gossip, topic->members[i]->key.peer, GOSSIP_PRUNE, topic);
    }
    topic_set_subscribed(gossip, topic, false);
    drop_if_alone(gossip, topic);
    return 0;
}

/* ---- publishing ---- */

void gossip_keep(struct gossip *gossip, struct gossip_topic *topic, const uint8_t *id,
                 struct bytes payload, bool genuine)
{
    struct gossip_cached *entry =
        gossip_cache_add(&gossip->cache, &topic->cached, id, payload, gossip->beat);
    if (entry != NULL) {
        entry->genuine = genuine;
        topic_touch(gossip, topic, false);
    }
    gossip->counts.cached_bytes = gossip->cache.bytes;
}

/* Mesh or fanout first, then other subscribers in turn up to the bound: the direct ones alone do
 * not reach those that are connected to nobody but us. */
static size_t choose_targets(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms)
{
    if (!topic->subscribed) {
        fanout_fill(gossip, topic, now_ms);
    }
    size_t count = 0;
    for (; count < topic->direct; count++) {
        gossip->targets[count] = topic->members[count];
    }
    size_t others = topic->count - topic->direct;
    for (size_t i = 0; i < others && count < gossip->options.flood; i++) {
        size_t place = topic->direct + (topic->flooded + i) % others;
        if (topic->members[place]->subscribed) {
            gossip->targets[count++] = topic->members[place];
        }
    }
    return count;
}

size_t gossip_targets(struct gossip *gossip, struct bytes name, int64_t now_ms,
                      const struct peer_id *const **ret_peers)
{
    struct gossip_topic *topic = topic_find(gossip, name);
    size_t count = topic == NULL ? 0 : choose_targets(gossip, topic, now_ms);
    for (size_t i = 0; i < count; i++) {
        gossip->target_ids[i] = &gossip->targets[i]->key.peer->id;
    }
    *ret_peers = gossip->target_ids;
    return count;
}

static size_t send_to_targets(struct gossip *gossip, struct gossip_topic *topic,
                              struct bytes payload, int64_t now_ms)
{
    size_t reached = 0;
    size_t count = choose_targets(gossip, topic, now_ms);
    for (size_t i = 0; i < count; i++) {
        reached += gossip_send_message(gossip, gossip->targets[i], payload);
    }
    topic->flooded += count - topic->direct;
    return reached;
}

int gossip_publish(struct gossip *gossip, struct bytes name, struct bytes data, int64_t now_ms,
                   size_t *ret_peers)
{
    if (!is_name(name)) {
        return -EINVAL;
    }
    size_t size = GOSSIP_PUBLISH_MIN + name.size + data.size;
    if (data.size > WIRE_MAX_PAYLOAD || size > WIRE_MAX_PAYLOAD) {
        return -EMSGSIZE;
    }
    struct gossip_topic *topic = topic_find(gossip, name);
    size_t reached = 0;
    uint8_t id[GOSSIP_ID_SIZE];
    gossip_make_id(&gossip->options.self, gossip->next_number, id);
    if (topic != NULL && (topic->subscribed || topic->count > 0)) {
        struct writer writer;
        if (!gossip_begin_frame(gossip, size, &writer)) {
            return -ENOMEM;
        }
        gossip_write_publish(&writer, id, name, data);
        (void)gossip_seen_add(gossip->seen, id);
        gossip_keep(gossip, topic, id, writer_view(&writer), true);
        reached = send_to_targets(gossip, topic, writer_view(&writer), now_ms);
        gossip_end_frame(gossip);
    }
    gossip->next_number++;
    gossip->counts.published++;
    *ret_peers = reached;
    return 0;
}

uint64_t gossip_last_number(const struct gossip *gossip)
{
    return gossip->next_number - 1;
}

int gossip_publish_again(struct gossip *gossip, uint64_t number, struct bytes name,
                         struct bytes data, const struct peer_id *to)
{
    uint8_t id[GOSSIP_ID_SIZE];
    struct writer writer;
    gossip_make_id(&gossip->options.self, number, id);
    if (!gossip_begin_frame(gossip, GOSSIP_PUBLISH_MIN + name.size + data.size, &writer)) {
        return -ENOMEM;
    }
    gossip_write_publish(&writer, id, name, data);
    int result = gossip->callbacks->send(gossip->arg, to, writer_view(&writer), true);
    gossip->counts.dropped += result < 0;
    gossip_end_frame(gossip);
    return result;
}

/* ---- questions ---- */

const struct gossip_counts *gossip_counts(const struct gossip *gossip)
{
    return &gossip->counts;
}

static void describe(const struct gossip_topic *topic, struct gossip_topic_facts *ret_facts)
{
    *ret_facts = (struct gossip_topic_facts){
        .name = topic_name(topic),
        .subscribed = topic->subscribed,
        .subscribers = topic->subscribers,
        .mesh = topic->subscribed ? topic->direct : 0,
        .fanout = topic->subscribed ? 0 : topic->direct,
        .members = topic->count,
    };
}

bool gossip_find_topic(const struct gossip *gossip, struct bytes name,
                       struct gossip_topic_facts *ret_facts)
{
    const struct gossip_topic *topic = topic_find(gossip, name);
    if (topic == NULL) {
        return false;
    }
    describe(topic, ret_facts);
    return true;
}

bool gossip_next_topic(const struct gossip *gossip, size_t *cursor,
                       struct gossip_topic_facts *ret_facts)
{
    const struct gossip_topic *topic = map_next(&gossip->topics, cursor);
    if (topic == NULL) {
        return false;
    }
    describe(topic, ret_facts);
    return true;
}

size_t gossip_topic_peers(const struct gossip *gossip, struct bytes name, enum gossip_who who,
                          struct peer_id *ret_ids, size_t capacity)
{
    const struct gossip_topic *topic = topic_find(gossip, name);
    size_t count = 0;
    if (topic == NULL || (who == GOSSIP_IN_MESH && !topic->subscribed)) {
        return 0;
    }
    size_t end = who == GOSSIP_IN_MESH ? topic->direct : topic->count;
    for (size_t i = 0; i < end && count < capacity; i++) {
        const struct gossip_member *member = topic->members[i];
        if (who == GOSSIP_JOINED ? member->announced : member->subscribed) {
            ret_ids[count++] = member->key.peer->id;
        }
    }
    return count;
}
