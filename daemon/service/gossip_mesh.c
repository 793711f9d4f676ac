/* The heartbeat: mesh upkeep, fanout, and telling others what they may have missed. */
#include <stdlib.h>

#include "service/gossip_private.h"

/* ---- mesh and fanout ---- */

static bool is_candidate(const struct gossip_member *member, int64_t now_ms)
{
    return member->subscribed && !member->direct && now_ms >= member->backoff_until_ms;
}

/* Makes members direct, chosen at random, until so many are. graft says whether to tell them. */
static void choose_direct(struct gossip *gossip, struct gossip_topic *topic, size_t wanted,
                          bool graft, int64_t now_ms)
{
    while (topic->direct < wanted) {
        struct gossip_member *chosen = NULL;
        uint64_t candidates = 0;
        for (size_t i = topic->direct; i < topic->count; i++) { /* reservoir sampling, one of n */
            if (is_candidate(topic->members[i], now_ms) &&
                gossip_random(gossip, ++candidates) == 0) {
                chosen = topic->members[i];
            }
        }
        if (chosen == NULL) {
            return;
        }
        member_set_direct(chosen, true);
        if (graft) {
            gossip_tell(gossip, chosen->key.peer, GOSSIP_GRAFT, topic);
        }
    }
}

void mesh_fill(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms)
{
    if (topic->subscribed && topic->direct < GOSSIP_MESH_LOW) {
        choose_direct(gossip, topic, GOSSIP_MESH_WANTED, true, now_ms);
    }
}

void fanout_fill(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms)
{
    choose_direct(gossip, topic, GOSSIP_MESH_WANTED, false, now_ms);
    topic->fanout_until_ms = now_ms + GOSSIP_FANOUT_MS;
    if (topic->direct > 0) {
        topic_touch(gossip, topic, false);
    }
}

static void mesh_trim(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms)
{
    if (topic->direct <= GOSSIP_MESH_HIGH) {
        return;
    }
    while (topic->direct > GOSSIP_MESH_WANTED) {
        struct gossip_member *member = topic->members[gossip_random(gossip, topic->direct)];
        member_set_direct(member, false);
        member->backoff_until_ms = now_ms + GOSSIP_BACKOFF_MS;
        gossip_tell(gossip, member->key.peer, GOSSIP_PRUNE, topic);
    }
}

static void fanout_expire(struct gossip_topic *topic, int64_t now_ms)
{
    while (now_ms >= topic->fanout_until_ms && topic->direct > 0) {
        member_set_direct(topic->members[0], false);
    }
}

/* ---- IHAVE ---- */

/* Newest first, at most IHAVE_POOL. */
static size_t collect_ids(struct gossip *gossip, const struct gossip_topic *topic)
{
    size_t count = 0;
    for (struct list *node = topic->cached.prev; node != &topic->cached && count < IHAVE_POOL;
         node = node->prev) {
        const struct gossip_cached *entry = CONTAINER_OF(node, struct gossip_cached, by_topic);
        if (entry->beat + GOSSIP_OVERHEARD_BEATS <= gossip->beat) {
            break;
        }
        gossip->pool[count++] = entry;
    }
    return count;
}

/* Oldest first. From a large pool each peer is told of another part. */
static void tell_ids(struct gossip *gossip, const struct gossip_topic *topic,
                     const struct gossip_member *member, size_t pool_size)
{
    size_t count = pool_size < IHAVE_IDS ? pool_size : IHAVE_IDS;
    size_t first = pool_size == count ? 0 : (size_t)gossip_random(gossip, pool_size);
    struct writer writer;
    if (!gossip_begin_frame(gossip, 5 + topic->name_size + count * GOSSIP_ID_SIZE, &writer)) {
        return;
    }
    gossip_write_topic(&writer, GOSSIP_IHAVE, topic_name(topic));
    writer_u16(&writer, (uint16_t)count);
    for (size_t i = count; i-- > 0;) {
        writer_bytes(&writer,
                     bytes_make(gossip->pool[(first + i) % pool_size]->id, GOSSIP_ID_SIZE));
    }
    (void)gossip->callbacks->send(gossip->arg, &member->key.peer->id, writer_view(&writer), false);
}

/* Tells those behind the first so many members, from where it stopped last time; how many there
 * are is not 0. */
static void tell_in_turn(struct gossip *gossip, struct gossip_topic *topic, size_t skipped,
                         size_t others, size_t pool_size)
{
    size_t turn = (others + GOSSIP_OVERHEARD_BEATS - 1) / GOSSIP_OVERHEARD_BEATS;
    turn = turn < IHAVE_PEERS ? IHAVE_PEERS : turn;
    size_t told = 0;
    size_t walked = 0;
    for (; walked < others && told < turn; walked++) {
        struct gossip_member *member = topic->members[skipped + (topic->told + walked) % others];
        if (member->subscribed && member->owed_until <= gossip->beat) {
            tell_ids(gossip, topic, member, pool_size);
            told++;
        }
    }
    topic->told = (topic->told + walked) % others;
}

/* Every subscriber that messages are not sent to hears of each at least once: they take turns, a
 * third of them at each of the three heartbeats a message is told of (libp2p draws lots, and some
 * hear nothing). Those who are owed one hear of it in any case. */
static void overhear(struct gossip *gossip, struct gossip_topic *topic)
{
    size_t pool_size = list_is_empty(&topic->cached) ? 0 : collect_ids(gossip, topic);
    size_t skipped = topic->subscribed ? topic->direct : 0;
    size_t others = topic->count - skipped;
    if (pool_size == 0) {
        return;
    }
    for (size_t i = 0; i < topic->count; i++) {
        struct gossip_member *member = topic->members[i];
        if (member->subscribed && member->owed_until > gossip->beat) {
            tell_ids(gossip, topic, member, pool_size);
        }
    }
    if (others > 0) {
        tell_in_turn(gossip, topic, skipped, others, pool_size);
    }
    gossip_end_frame(gossip);
}

/* ---- the heartbeat ---- */

/* Tells of changes that came too fast, and frees members that are of no use any more. */
static void sweep_members(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms)
{
    topic->dirty = false;
    for (size_t i = topic->count; i-- > 0;) {
        struct gossip_member *member = topic->members[i];
        if (!member_announce(gossip, member, now_ms)) {
            topic->dirty = true;
        } else if (!member->subscribed) {
            if (now_ms < member->backoff_until_ms ||
                (member->was_announced && now_ms - member->announced_ms < GOSSIP_HEARTBEAT_MS)) {
                topic->dirty = true;
            } else {
                member_free(gossip, member);
            }
        }
    }
}

static void beat_topic(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms)
{
    if (topic->dirty) {
        sweep_members(gossip, topic, now_ms);
    }
    if (topic->subscribed) {
        mesh_fill(gossip, topic, now_ms);
        mesh_trim(gossip, topic, now_ms);
    } else {
        fanout_expire(topic, now_ms);
    }
    overhear(gossip, topic);
}

void gossip_heartbeat(struct gossip *gossip, int64_t now_ms)
{
    struct list lost; /* what is lost again is for the next heartbeat */
    list_init(&lost);
    for (struct list *node; (node = list_first(&gossip->resync)) != NULL;) {
        list_remove(node);
        list_append(&lost, node);
    }
    for (struct list *node; (node = list_first(&lost)) != NULL;) {
        list_remove(node);
        gossip_tell_all(gossip, CONTAINER_OF(node, struct gossip_peer, resync));
    }
    LIST_EACH(&gossip->busy, node)
    {
        beat_topic(gossip, CONTAINER_OF(node, struct gossip_topic, busy), now_ms);
    }
    gossip->beat++;
    if (gossip->beat >= GOSSIP_KEPT_BEATS) {
        gossip_cache_expire(&gossip->cache, gossip->beat - GOSSIP_KEPT_BEATS + 1);
        gossip->counts.cached_bytes = gossip->cache.bytes;
    }
    LIST_EACH(&gossip->busy, node)
    {
        topic_settle(gossip, CONTAINER_OF(node, struct gossip_topic, busy));
    }
}

bool gossip_is_idle(const struct gossip *gossip)
{
    if (!list_is_empty(&gossip->cache.by_age) || !list_is_empty(&gossip->resync)) {
        return false;
    }
    return map_count(&gossip->peers) == 0 || list_is_empty(&gossip->busy);
}
