/* Topics, and what each peer has to do with them. */
#include <errno.h>
#include <stdlib.h>

#include "service/gossip_private.h"
#include "util/alloc.h"

#define ANNOUNCE_MS 1000

static struct bytes key_of(const struct gossip_member_key *key)
{
    return bytes_make(key, sizeof *key);
}

/* ---- topics ---- */

struct gossip_topic *topic_find(const struct gossip *gossip, struct bytes name)
{
    return map_find(&gossip->topics, name);
}

static void count_stranger(struct gossip *gossip, const struct gossip_topic *topic, bool more)
{
    if (more) {
        gossip->stranger_topics++;
        gossip->stranger_names += topic->name_size;
    } else {
        gossip->stranger_topics--;
        gossip->stranger_names -= topic->name_size;
    }
}

static struct gossip_topic *topic_make(struct gossip *gossip, struct bytes name)
{
    struct gossip_topic *topic = try_alloc(sizeof *topic + name.size);
    if (topic == NULL) {
        return NULL;
    }
    list_init(&topic->busy);
    list_init(&topic->cached);
    topic->name_size = name.size;
    memcpy(topic->name, name.data, name.size);
    if (map_insert(&gossip->topics, topic_name(topic), topic) != 0) {
        free(topic);
        return NULL;
    }
    count_stranger(gossip, topic, true);
    gossip->counts.topics = map_count(&gossip->topics);
    return topic;
}

struct gossip_topic *topic_get_own(struct gossip *gossip, struct bytes name)
{
    struct gossip_topic *topic = topic_find(gossip, name);
    if (topic == NULL) {
        topic = topic_make(gossip, name);
    }
    if (topic != NULL && !topic->subscribed) {
        topic_set_subscribed(gossip, topic, true);
    }
    return topic;
}

void topic_set_subscribed(struct gossip *gossip, struct gossip_topic *topic, bool subscribed)
{
    count_stranger(gossip, topic, !subscribed);
    topic->subscribed = subscribed;
    if (subscribed) {
        gossip->counts.subscribed++;
    } else {
        gossip->counts.subscribed--;
    }
    while (topic->direct > 0) { /* fanout becomes mesh or the other way round: chosen anew */
        member_set_direct(topic->members[0], false);
    }
    topic_touch(gossip, topic, true);
}

void topic_touch(struct gossip *gossip, struct gossip_topic *topic, bool dirty)
{
    topic->dirty = topic->dirty || dirty;
    if (!list_is_linked(&topic->busy)) {
        list_append(&gossip->busy, &topic->busy);
    }
}

void topic_free(struct gossip *gossip, struct gossip_topic *topic)
{
    (void)map_remove(&gossip->topics, topic_name(topic));
    if (!topic->subscribed) {
        count_stranger(gossip, topic, false);
    }
    gossip->counts.topics = map_count(&gossip->topics);
    list_remove(&topic->busy);
    free(topic->members);
    free(topic);
}

void topic_settle(struct gossip *gossip, struct gossip_topic *topic)
{
    if (topic->subscribed || topic->dirty || !list_is_empty(&topic->cached)) {
        return;
    }
    if (topic->count == 0) {
        topic_free(gossip, topic);
    } else if (topic->direct == 0) {
        list_remove(&topic->busy);
    }
}

/* ---- members ---- */

struct gossip_member *member_find(const struct gossip *gossip, struct gossip_peer *peer,
                                  struct gossip_topic *topic)
{
    struct gossip_member_key key = {.peer = peer, .topic = topic};
    return map_find(&gossip->members, key_of(&key));
}

/* Topics we subscribe to ourselves are as many as we like; what else a peer names is bounded. */
static bool is_allowed(const struct gossip *gossip, const struct gossip_peer *peer,
                       const struct gossip_topic *topic, struct bytes name)
{
    const struct gossip_options *options = &gossip->options;
    if (topic != NULL && topic->subscribed) {
        return true;
    }
    if (peer->topic_count >= options->topics_per_peer ||
        peer->name_bytes + name.size > GOSSIP_MAX_NAMES) {
        return false;
    }
    return topic != NULL || (gossip->stranger_topics < options->topics &&
                             gossip->stranger_names + name.size <= GOSSIP_MAX_ALL_NAMES);
}

static bool make_room(struct gossip_topic *topic)
{
    if (topic->count < topic->capacity) {
        return true;
    }
    size_t capacity = topic->capacity == 0 ? 4 : topic->capacity * 2;
    struct gossip_member **members = try_alloc(capacity * sizeof(struct gossip_member *));
    if (members == NULL) {
        return false;
    }
    for (size_t i = 0; i < topic->count; i++) {
        members[i] = topic->members[i];
    }
    free(topic->members);
    topic->members = members;
    topic->capacity = capacity;
    return true;
}

static struct gossip_member *member_make(struct gossip *gossip, struct gossip_peer *peer,
                                         struct gossip_topic *topic)
{
    struct gossip_member *member = try_alloc(sizeof *member);
    if (member == NULL || !make_room(topic)) {
        free(member);
        return NULL;
    }
    member->key = (struct gossip_member_key){.peer = peer, .topic = topic};
    if (map_insert(&gossip->members, key_of(&member->key), member) != 0) {
        free(member);
        return NULL;
    }
    member->place = topic->count;
    topic->members[topic->count++] = member;
    list_append(&peer->members, &member->by_peer);
    peer->topic_count++;
    peer->name_bytes += topic->name_size;
    return member;
}

struct gossip_member *member_get(struct gossip *gossip, struct gossip_peer *peer, struct bytes name)
{
    struct gossip_topic *topic = topic_find(gossip, name);
    struct gossip_member *member = topic == NULL ? NULL : member_find(gossip, peer, topic);
    if (member != NULL) {
        return member;
    }
    if (is_allowed(gossip, peer, topic, name)) {
        topic = topic == NULL ? topic_make(gossip, name) : topic;
        member = topic == NULL ? NULL : member_make(gossip, peer, topic);
    }
    if (member == NULL) {
        gossip->counts.refused++;
        if (topic != NULL) {
            topic_touch(gossip, topic, false);
        }
    }
    return member;
}

static void swap_places(struct gossip_topic *topic, size_t a, size_t b)
{
    struct gossip_member *member = topic->members[a];
    topic->members[a] = topic->members[b];
    topic->members[b] = member;
    topic->members[a]->place = a;
    topic->members[b]->place = b;
}

void member_set_direct(struct gossip_member *member, bool direct)
{
    struct gossip_topic *topic = member->key.topic;
    if (member->direct == direct) {
        return;
    }
    member->direct = direct;
    if (direct) {
        swap_places(topic, member->place, topic->direct++);
    } else {
        swap_places(topic, member->place, --topic->direct);
    }
}

bool member_announce(struct gossip *gossip, struct gossip_member *member, int64_t now_ms)
{
    const struct gossip_topic *topic = member->key.topic;
    if (!topic->subscribed) {
        member->announced = member->subscribed;
    }
    if (member->announced == member->subscribed) {
        return true;
    }
    if (member->was_announced && now_ms - member->announced_ms < ANNOUNCE_MS) {
        return false;
    }
    member->announced = member->subscribed;
    member->was_announced = true;
    member->announced_ms = now_ms;
    gossip->callbacks->on_member(gossip->arg, topic_name(topic), &member->key.peer->id,
                                 member->subscribed);
    return true;
}

void member_set_subscribed(struct gossip *gossip, struct gossip_member *member, bool subscribed,
                           int64_t now_ms)
{
    struct gossip_topic *topic = member->key.topic;
    if (member->subscribed == subscribed) {
        return;
    }
    member->subscribed = subscribed;
    if (subscribed) {
        topic->subscribers++;
    } else {
        topic->subscribers--;
        member_set_direct(member, false);
    }
    bool told = member_announce(gossip, member, now_ms);
    if (!told || !subscribed) {
        topic_touch(gossip, topic, true);
    }
}

/* The peer is gone, or the member is of no use any more. */
void member_free(struct gossip *gossip, struct gossip_member *member)
{
    struct gossip_topic *topic = member->key.topic;
    struct gossip_peer *peer = member->key.peer;
    if (member->announced && topic->subscribed) {
        gossip->callbacks->on_member(gossip->arg, topic_name(topic), &peer->id, false);
    }
    member_set_direct(member, false);
    if (member->subscribed) {
        topic->subscribers--;
    }
    swap_places(topic, member->place, topic->count - 1);
    topic->count--;
    list_remove(&member->by_peer);
    peer->topic_count--;
    peer->name_bytes -= topic->name_size;
    (void)map_remove(&gossip->members, key_of(&member->key));
    free(member);
}
