/* Frames in: what peers say, within what each of them may cause. */
#include "service/gossip_private.h"

static void renew_budget(struct gossip_peer *peer, int64_t now_ms)
{
    if (peer->second != now_ms / 1000) {
        peer->second = now_ms / 1000;
        peer->replies = 0;
        peer->lookups = 0;
        peer->asks = 0;
        peer->resent_bytes = 0;
    }
}

static void reply_prune(struct gossip *gossip, struct gossip_peer *peer, struct bytes name)
{
    if (peer->replies++ < REPLIES_PER_SECOND) {
        (void)gossip_tell_name(gossip, peer, GOSSIP_PRUNE, name); /* lost: it will GRAFT again */
    } else {
        gossip->counts.refused++;
    }
}

static void on_subscribe(struct gossip *gossip, struct gossip_peer *peer, struct bytes name,
                         int64_t now_ms)
{
    struct gossip_member *member = member_get(gossip, peer, name);
    if (member != NULL) {
        member_set_subscribed(gossip, member, true, now_ms);
        mesh_fill(gossip, member->key.topic, now_ms);
    }
}

/* The member of a topic that is known, or NULL. */
static struct gossip_member *known_member(const struct gossip *gossip, struct gossip_peer *peer,
                                          struct bytes name)
{
    struct gossip_topic *topic = topic_find(gossip, name);
    return topic == NULL ? NULL : member_find(gossip, peer, topic);
}

static void on_unsubscribe(struct gossip *gossip, struct gossip_peer *peer, struct bytes name,
                           int64_t now_ms)
{
    struct gossip_member *member = known_member(gossip, peer, name);
    if (member != NULL) {
        member_set_subscribed(gossip, member, false, now_ms);
    }
}

static void on_graft(struct gossip *gossip, struct gossip_peer *peer, struct bytes name,
                     int64_t now_ms)
{
    const struct gossip_topic *topic = topic_find(gossip, name);
    if (topic == NULL || !topic->subscribed) {
        reply_prune(gossip, peer, name);
        return;
    }
    struct gossip_member *member = member_get(gossip, peer, name);
    if (member == NULL) {
        return;
    }
    member_set_subscribed(gossip, member, true, now_ms);
    if (!member->direct && topic->direct >= GOSSIP_MESH_MAX) {
        gossip->counts.refused++;
        reply_prune(gossip, peer, name);
        return;
    }
    member_set_direct(member, true);
}

/* The wire names no time: a peer that does not want us in its mesh is left alone for a while. */
static void on_prune(struct gossip *gossip, struct gossip_peer *peer, struct bytes name,
                     int64_t now_ms)
{
    struct gossip_member *member = known_member(gossip, peer, name);
    if (member != NULL && member->key.topic->subscribed) {
        member_set_direct(member, false);
        member->backoff_until_ms = now_ms + GOSSIP_BACKOFF_MS;
    }
}

static bool is_ours(const struct gossip *gossip, const uint8_t *id)
{
    return memcmp(id, gossip->options.self.bytes, PEER_ID_SIZE) == 0;
}

static void on_ihave(struct gossip *gossip, struct gossip_peer *peer,
                     const struct gossip_frame *frame)
{
    const struct gossip_topic *topic = topic_find(gossip, frame->topic);
    struct writer writer;
    if (topic == NULL || !topic->subscribed ||
        !gossip_begin_frame(gossip, 3 + frame->ids.size, &writer)) {
        return;
    }
    uint8_t *wanted = writer.data + 3; /* the ids, before it is known how many */
    size_t count = 0;
    for (size_t at = 0; at < frame->ids.size; at += GOSSIP_ID_SIZE) {
        const uint8_t *id = frame->ids.data + at;
        if (peer->lookups++ >= LOOKUPS_PER_SECOND || peer->asks >= ASKS_PER_SECOND) {
            gossip->counts.refused++;
            break;
        }
        if (!is_ours(gossip, id) && !gossip_seen_has(gossip->seen, id)) {
            memcpy(wanted + count++ * GOSSIP_ID_SIZE, id, GOSSIP_ID_SIZE);
            (void)gossip_seen_add(gossip->asked, id);
            peer->asks++;
        }
    }
    if (count > 0) {
        gossip->counts.asked += count;
        writer_u8(&writer, GOSSIP_IWANT);
        writer_u16(&writer, (uint16_t)count);
        writer.size += count * GOSSIP_ID_SIZE;
        /* When it is lost, the next IHAVE names them again. */
        (void)gossip->callbacks->send(gossip->arg, &peer->id, writer_view(&writer), false);
    }
    gossip_end_frame(gossip);
}

static void on_iwant(struct gossip *gossip, struct gossip_peer *peer, struct bytes ids)
{
    for (size_t at = 0; at < ids.size; at += GOSSIP_ID_SIZE) {
        if (peer->lookups++ >= LOOKUPS_PER_SECOND) {
            gossip->counts.refused++;
            return;
        }
        const struct gossip_cached *entry = gossip_cache_find(&gossip->cache, ids.data + at);
        if (entry == NULL) {
            continue;
        }
        /* A single message may be larger than what is allowed in a second. */
        if (peer->resent_bytes > 0 &&
            peer->resent_bytes + entry->size > gossip->options.resend_bytes) {
            gossip->counts.refused++;
            return;
        }
        peer->resent_bytes += entry->size;
        if (gossip->callbacks->send(gossip->arg, &peer->id, gossip_cached_payload(entry), true) !=
            0) {
            gossip->counts.dropped++;
            return; /* and so would be the rest */
        }
        gossip->counts.resent++;
    }
}

/* Whether it is new. Somebody may have published other bytes under the id before the message
 * itself came: what its origin sends us itself is what counts. */
static bool is_new(struct gossip *gossip, const struct gossip_peer *from,
                   const struct gossip_frame *frame, struct bytes payload)
{
    if (gossip_seen_add(gossip->seen, frame->id.data)) {
        return true;
    }
    gossip->counts.duplicates++;
    if (memcmp(frame->id.data, from->id.bytes, PEER_ID_SIZE) != 0) {
        return false;
    }
    struct gossip_cached *entry = gossip_cache_find(&gossip->cache, frame->id.data);
    if (entry == NULL || entry->genuine) {
        return false;
    }
    entry->genuine = true;
    if (bytes_equal(gossip_cached_payload(entry), payload)) {
        return false;
    }
    gossip_cache_remove(&gossip->cache, entry);
    gossip->counts.corrected++;
    return true;
}

static void on_publish(struct gossip *gossip, struct gossip_peer *from,
                       const struct gossip_frame *frame, struct bytes payload)
{
    struct gossip_topic *topic = topic_find(gossip, frame->topic);
    if (topic == NULL || !topic->subscribed) {
        return;
    }
    if (is_ours(gossip, frame->id.data)) {
        /* What we published comes back now and then; anything else is forged. */
        if (!gossip_seen_has(gossip->seen, frame->id.data)) {
            gossip->counts.forged++;
        } else {
            gossip->counts.duplicates++;
        }
        return;
    }
    if (!is_new(gossip, from, frame, payload)) {
        return;
    }
    struct gossip_delivery delivery = {
        .origin = gossip_origin(frame->id),
        .from = &from->id,
        .topic = frame->topic,
        .data = frame->data,
    };
    if (gossip->callbacks->validate != NULL &&
        !gossip->callbacks->validate(gossip->arg, &delivery)) {
        gossip->counts.rejected++;
        return;
    }
    gossip->counts.received++;
    gossip->counts.recovered += gossip_seen_has(gossip->asked, frame->id.data);
    gossip_keep(gossip, topic, frame->id.data, payload, peer_id_equal(&delivery.origin, &from->id));
    for (size_t i = 0; i < topic->direct; i++) {
        struct gossip_member *member = topic->members[i];
        if (member->key.peer != from) {
            gossip->counts.forwarded += gossip_send_message(gossip, member, payload);
        }
    }
    gossip->callbacks->deliver(gossip->arg, &delivery);
}

void gossip_receive(struct gossip *gossip, const struct peer_id *from, struct bytes payload,
                    int64_t now_ms)
{
    struct gossip_peer *peer = gossip_find_peer(gossip, from);
    struct gossip_frame frame;
    if (peer == NULL) {
        return;
    }
    if (gossip_decode(payload, &frame) != 0) {
        gossip->counts.malformed++;
        return;
    }
    renew_budget(peer, now_ms);
    switch (frame.op) {
    case GOSSIP_PUBLISH:
        on_publish(gossip, peer, &frame, payload);
        break;
    case GOSSIP_SUBSCRIBE:
        on_subscribe(gossip, peer, frame.topic, now_ms);
        break;
    case GOSSIP_UNSUBSCRIBE:
        on_unsubscribe(gossip, peer, frame.topic, now_ms);
        break;
    case GOSSIP_GRAFT:
        on_graft(gossip, peer, frame.topic, now_ms);
        break;
    case GOSSIP_PRUNE:
        on_prune(gossip, peer, frame.topic, now_ms);
        break;
    case GOSSIP_IHAVE:
        on_ihave(gossip, peer, &frame);
        break;
    case GOSSIP_IWANT:
        on_iwant(gossip, peer, frame.ids);
        break;
    }
}
