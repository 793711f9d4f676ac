#include "service/topics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/random.h"
#include "service/client_message.h"
#include "service/topics_private.h"
#include "util/alloc.h"
#include "util/text.h"

#define SECTION         "topic"
#define SHOWN_NAME_SIZE 128
#define KIB             UINT64_C(1024)
#define MIB             (1024 * KIB)

static const struct config_item topics_config[] = {
    {
        .key = "flood",
        .type = CONFIG_UINT,
        .default_text = "64",
        .max = GOSSIP_MAX_FLOOD,
        .summary = "Subscribers that a message published here is sent to directly; others get it "
                   "from those. 0 leaves it to the few peers of the mesh.",
    },
    {
        .key = "cache",
        .type = CONFIG_SIZE,
        .default_text = "16M",
        .max = 4096 * MIB,
        .summary = "Bytes of messages kept, for five seconds at most, for peers that missed one.",
    },
    {
        .key = "seen",
        .type = CONFIG_UINT,
        .default_text = "131072",
        .min = 8192,
        .max = 16 * MIB,
        .summary = "Messages remembered so that none is delivered twice; 48 bytes each when busy.",
    },
    {
        .key = "max_topics",
        .type = CONFIG_UINT,
        .default_text = "16384",
        .max = 16 * MIB,
        .summary = "Topics remembered that only peers subscribe to, of all peers together.",
    },
    {
        .key = "max_topics_per_peer",
        .type = CONFIG_UINT,
        .default_text = "1024",
        .max = 16 * MIB,
        .summary = "Topics remembered of one peer, besides those that are subscribed to here.",
    },
    {
        .key = "resend",
        .type = CONFIG_SIZE,
        .default_text = "4M",
        .max = 1024 * MIB,
        .summary = "Bytes sent again to one peer in one second when it says it missed messages.",
    },
    {.key = NULL},
};

#define GOSSIP_ROW(member, metric_kind, text)                                                      \
    {                                                                                              \
        .name = "topic_" #member, .kind = (metric_kind),                                           \
        .offset = offsetof(struct gossip_counts, member), .help = (text),                          \
    }
#define VALUE_ROW(member, text)                                                                    \
    {                                                                                              \
        .name = "topic_" #member, .kind = METRIC_COUNTER,                                          \
        .offset = offsetof(struct topics_values, member), .help = (text),                          \
    }

static const struct metric_row gossip_rows[] = {
    GOSSIP_ROW(published, METRIC_COUNTER, "Messages published by sessions."),
    GOSSIP_ROW(received, METRIC_COUNTER, "New messages from peers."),
    GOSSIP_ROW(forwarded, METRIC_COUNTER, "Messages of others sent on, once for each peer."),
    GOSSIP_ROW(duplicates, METRIC_COUNTER, "Messages that came again."),
    GOSSIP_ROW(dropped, METRIC_COUNTER, "Messages not sent to a peer because its link was full."),
    GOSSIP_ROW(rejected, METRIC_COUNTER, "Messages a validator refused."),
    GOSSIP_ROW(forged, METRIC_COUNTER, "Messages of others that named this instance as publisher."),
    GOSSIP_ROW(corrected, METRIC_COUNTER, "Messages delivered although others bytes came first."),
    GOSSIP_ROW(asked, METRIC_COUNTER, "Missed messages asked for."),
    GOSSIP_ROW(recovered, METRIC_COUNTER, "Missed messages that came."),
    GOSSIP_ROW(resent, METRIC_COUNTER, "Messages sent again because a peer missed them."),
    GOSSIP_ROW(refused, METRIC_COUNTER, "Requests ignored because a peer was over a limit."),
    GOSSIP_ROW(malformed, METRIC_COUNTER, "Frames that cannot be read."),
    GOSSIP_ROW(topics, METRIC_GAUGE, "Topics known."),
    GOSSIP_ROW(subscribed, METRIC_GAUGE, "Topics that sessions subscribe to."),
    GOSSIP_ROW(cached_bytes, METRIC_GAUGE, "Bytes of messages kept for peers that missed one."),
    {.name = NULL},
};

static const struct metric_row value_rows[] = {
    VALUE_ROW(delivered, "Messages handed to sessions, once for each that subscribes."),
    VALUE_ROW(waits, "Times a publisher waited for a slow link."),
    VALUE_ROW(given_up, "Times a link was no longer waited for."),
    {.name = NULL},
};

static int64_t now_ms(const struct topics *topics)
{
    return loop_now_ms(host_loop(topics->host));
}

/* ---- what the engine does ---- */

static int on_send(void *arg, const struct peer_id *to, struct bytes payload, bool is_message)
{
    struct topics *topics = arg;
    struct peer *peer = mesh_find(host_mesh(topics->host), to);
    if (peer == NULL) {
        return -ENOTCONN;
    }
    if (is_message && topics->owed != NULL) {
        peer_set_append(topics->owed, to);
        return 0;
    }
    if (is_message && peer_is_congested(peer) &&
        patience_is_over(&topics->patience, to, now_ms(topics))) {
        return -EAGAIN;
    }
    int result = peer_send(peer, WIRE_GOSSIP, 0, payload);
    return result > 0 ? 0 : result;
}

static void on_deliver(void *arg, const struct gossip_delivery *received)
{
    struct topics *topics = arg;
    const struct registration *topic = registry_find(&topics->registry, received->topic);
    if (topic == NULL) {
        return;
    }
    struct delivery delivery = {
        .plane = PLANE_TOPIC,
        .peer = &received->origin,
        .forwarder = received->from,
        .link = received->from,
        .name = registration_name(topic),
        .payload = received->data,
    };
    topics->values.delivered += topic->count;
    host_deliver(topics->host, topic->sessions, topic->count, &delivery);
}

static void on_member(void *arg, struct bytes name, const struct peer_id *peer, bool joined)
{
    struct topics *topics = arg;
    const struct registration *topic = registry_find(&topics->registry, name);
    if (topic != NULL) {
        struct peer *member = mesh_find(host_mesh(topics->host), peer);
        if (member != NULL) { /* else it leaves because it is gone */
            peer_made_news(member, 1);
        }
        host_emit_to(topics->host, topic->sessions, topic->count,
                     joined ? EV_TOPIC_JOINED : EV_TOPIC_LEFT,
                     json_pack("{s:s, s:s%}", "peer", peer_id_format(peer).text, "topic",
                               topic->name, topic->name_size),
                     peer);
    }
}

static const struct gossip_callbacks callbacks = {
    .send = on_send,
    .deliver = on_deliver,
    .on_member = on_member,
};

/* ---- time ---- */

/* The heart beats only while there is something to do. */
static void keep_beating(struct topics *topics)
{
    if (!timer_is_running(&topics->beat) && !gossip_is_idle(topics->gossip)) {
        timer_start(&topics->beat, GOSSIP_HEARTBEAT_MS);
    }
}

static void on_beat(void *arg)
{
    struct topics *topics = arg;
    gossip_heartbeat(topics->gossip, now_ms(topics));
    keep_beating(topics);
}

/* Sessions that wait for the peer go on, as if its link had drained. */
static void on_given_up(void *arg, const struct peer_id *id)
{
    struct topics *topics = arg;
    topics->values.given_up++;
    host_peer_drained(topics->host, id);
}

static void on_expiry(void *arg)
{
    struct topics *topics = arg;
    int64_t now = now_ms(topics);
    int64_t next = patience_expire(&topics->patience, now, on_given_up, topics);
    if (next >= 0) {
        timer_start(&topics->expiry, next - now);
    }
}

/* ---- life ---- */

static void on_registration_gone(void *arg, struct registration *gone)
{
    struct topics *topics = arg;
    (void)gossip_unsubscribe(topics->gossip, registration_name(gone));
}

static int topics_open(struct host *host, void **ret_self)
{
    const struct config *config = host_config(host);
    struct topics *topics = xalloc(sizeof(*topics));
    struct gossip_options options = {
        .self = mesh_identity(host_mesh(host))->id,
        .first_number = random_u64(),
        .seed = {random_u64(), random_u64()},
        .flood = config_size(config, SECTION, "flood"),
        .cache_bytes = config_size(config, SECTION, "cache"),
        .seen_ids = config_size(config, SECTION, "seen"),
        .topics = config_size(config, SECTION, "max_topics"),
        .topics_per_peer = config_size(config, SECTION, "max_topics_per_peer"),
        .resend_bytes = config_size(config, SECTION, "resend"),
    };
    int result = gossip_new(&options, &callbacks, topics, &topics->gossip);
    if (result < 0) {
        free(topics);
        return result;
    }
    topics->host = host;
    registry_init(&topics->registry, options.seed, on_registration_gone, topics);
    patience_init(&topics->patience, options.seed);
    timer_init(&topics->beat, host_loop(host), on_beat, topics);
    timer_init(&topics->expiry, host_loop(host), on_expiry, topics);
    metrics_add(host_metrics(host), gossip_rows, gossip_counts(topics->gossip));
    metrics_add(host_metrics(host), value_rows, &topics->values);
    *ret_self = topics;
    return 0;
}

static void topics_stop(void *self)
{
    struct topics *topics = self;
    timer_stop(&topics->beat);
    timer_stop(&topics->expiry);
}

static void topics_close(void *self)
{
    struct topics *topics = self;
    metrics_remove(host_metrics(topics->host), gossip_counts(topics->gossip));
    metrics_remove(host_metrics(topics->host), &topics->values);
    registry_fini(&topics->registry);
    patience_fini(&topics->patience);
    gossip_free(topics->gossip);
    free(topics);
}

/* ---- peers ---- */

static void topics_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    struct topics *topics = self;
    const struct peer_id *id = peer_id_of(peer);
    switch (event) {
    case PEER_UP:
        (void)gossip_peer_up(topics->gossip, id); /* without memory it has no part in topics */
        break;
    case PEER_REPLACED:
        gossip_peer_replaced(topics->gossip, id);
        break;
    case PEER_DOWN:
        gossip_peer_down(topics->gossip, id);
        patience_settle(&topics->patience, id, now_ms(topics), true);
        break;
    case PEER_UPDATED:
        break;
    }
    keep_beating(topics);
}

static void topics_on_message(void *self, struct peer *from, const struct message *message)
{
    struct topics *topics = self;
    gossip_receive(topics->gossip, peer_id_of(from), message->payload, now_ms(topics));
    keep_beating(topics);
}

/* ---- sessions ---- */

struct bytes topics_requested(const struct request *request)
{
    const json_t *name = json_object_get(request_params(request), "topic");
    return bytes_make(json_string_value(name), json_string_length(name));
}

static void fail_to_subscribe(struct request *request, int result)
{
    if (result == -EDQUOT) {
        request_fail(request, E_LIMIT,
                     "a session may subscribe to at most %u topics, with at most %u bytes of names "
                     "together; give up some, or attach a second session",
                     REGISTRY_MAX_NAMES, REGISTRY_MAX_BYTES);
    } else {
        request_fail_errno(request, result, "out of memory");
    }
}

static void on_subscribe(void *self, struct request *request)
{
    struct topics *topics = self;
    struct bytes name = topics_requested(request);
    uint64_t session = request_session(request);
    struct registration *topic = registry_find(&topics->registry, name);
    bool already = registration_has(topic, session);
    int result = registry_add(&topics->registry, name, session, &topic);
    if (result < 0) {
        fail_to_subscribe(request, result);
        return;
    }
    result = gossip_subscribe(topics->gossip, name, now_ms(topics));
    if (result < 0) {
        (void)registry_remove(&topics->registry, name, session);
        fail_to_subscribe(request, result);
        return;
    }
    keep_beating(topics);
    json_t *members = topics_peers_json(topics, name, GOSSIP_JOINED); /* events tell the rest */
    request_reply(request, json_pack("{s:b, s:I, s:s%, s:o}", "already", (int)already, "peers",
                                     (json_int_t)json_array_size(members), "topic",
                                     (const char *)name.data, name.size, "members", members));
}

static void on_unsubscribe(void *self, struct request *request)
{
    struct topics *topics = self;
    struct bytes name = topics_requested(request);
    if (!registry_remove(&topics->registry, name, request_session(request))) {
        char shown[SHOWN_NAME_SIZE];
        request_fail(request, E_NOT_FOUND, "this session does not subscribe to topic '%s'",
                     text_escape(name, shown, sizeof(shown)));
        return;
    }
    keep_beating(topics);
    request_reply(request, NULL);
}

static void topics_on_session_end(void *self, uint64_t session)
{
    struct topics *topics = self;
    registry_drop_session(&topics->registry, session);
    keep_beating(topics);
}

static void topics_on_describe_session(void *self, uint64_t session, json_t *row)
{
    const struct topics *topics = self;
    (void)json_object_set_new(row, "topics",
                              json_integer((json_int_t)registry_count(&topics->registry, session)));
}

/* ---- publishing ---- */

/* Whether the session waits for this link, NULL when it is gone, before so many bytes go out on it.
 * Patience is for what its peer does not read: that there is no room for a large message is not
 * that peer's doing. */
static bool waits_for(struct topics *topics, uint64_t session, const struct peer_id *id,
                      struct peer *peer, size_t size)
{
    int64_t now = now_ms(topics);
    if (peer == NULL || peer_may_send(peer, size)) {
        patience_settle(&topics->patience, id, now, false);
        return false;
    }
    if (peer_is_congested(peer)) {
        if (!patience_waits(&topics->patience, id, now)) {
            return false;
        }
        if (!timer_is_running(&topics->expiry)) {
            timer_start(&topics->expiry, PATIENCE_MS);
        }
    }
    host_session_wait(topics->host, session, id);
    return true;
}

/* True when the session waits for links on which the message would go out. */
static bool must_wait(struct topics *topics, uint64_t session, struct bytes name, size_t size)
{
    const struct peer_id *const *targets = NULL;
    size_t count = gossip_targets(topics->gossip, name, now_ms(topics), &targets);
    bool waits = false;
    for (size_t i = 0; i < count; i++) {
        struct peer *peer = mesh_find(host_mesh(topics->host), targets[i]);
        waits = waits_for(topics, session, targets[i], peer, size) || waits;
    }
    topics->values.waits += waits;
    return waits;
}

/* To whoever is owed a message that is large, or to those that there is room for. True when the
 * session waits for the others. */
static bool send_owed(struct topics *topics, const struct client_message *message)
{
    struct broadcast *broadcast = message->broadcast;
    bool waits = false;
    for (size_t i = broadcast->owed.count; i-- > 0;) {
        const struct peer_id id = broadcast->owed.ids[i];
        struct peer *peer = mesh_find(host_mesh(topics->host), &id);
        if (waits_for(topics, message->session, &id, peer, message->payload.size)) {
            waits = true;
            if (!peer_is_congested(peer)) {
                break; /* it is not this link that has no room */
            }
            continue;
        }
        broadcast->reached += gossip_publish_again(topics->gossip, broadcast->number, message->name,
                                                   message->payload, &id) == 0;
        peer_set_remove_at(&broadcast->owed, i);
    }
    topics->values.waits += waits;
    return waits;
}

/* To the sessions here, which know us as the publisher; the one that published only on request
 * (api.md D22). */
static void deliver_here(struct topics *topics, const struct registration *topic,
                         const struct client_message *message)
{
    const struct peer_id *self = &mesh_identity(host_mesh(topics->host))->id;
    struct peer_id link = host_session_link(message->session);
    struct delivery delivery = {
        .plane = PLANE_TOPIC,
        .flags = MESSAGE_FLAG_LOCAL,
        .peer = self,
        .forwarder = self,
        .link = &link,
        .name = message->name,
        .payload = message->payload,
    };
    size_t skipped = topic->count;
    if ((message->flags & MESSAGE_FLAG_ECHO) == 0) {
        for (skipped = 0; skipped < topic->count; skipped++) {
            if (topic->sessions[skipped] == message->session) {
                break;
            }
        }
    }
    host_deliver(topics->host, topic->sessions, skipped, &delivery);
    topics->values.delivered += skipped;
    if (skipped < topic->count) {
        size_t rest = topic->count - skipped - 1;
        host_deliver(topics->host, topic->sessions + skipped + 1, rest, &delivery);
        topics->values.delivered += rest;
    }
}

static int fail_to_publish(const struct client_message *message, int result, char *error,
                           size_t error_size)
{
    if (result == -EMSGSIZE) {
        return client_message_too_large(
            GOSSIP_PUBLISH_MIN + message->name.size + message->payload.size, error, error_size);
    }
    (void)snprintf(error, error_size, "%s",
                   result == -EINVAL ? "the name of a topic has 1 to 65535 bytes"
                                     : "out of memory");
    return result;
}

/* A large message is published to nobody at first, and everybody is owed it. */
static int publish(struct topics *topics, const struct client_message *message, size_t *ret_peers)
{
    struct broadcast *broadcast = message->broadcast;
    bool is_large = mesh_is_large(message->payload.size);
    if (!is_large && must_wait(topics, message->session, message->name, message->payload.size)) {
        return -EAGAIN;
    }
    topics->owed = is_large ? &broadcast->owed : NULL;
    int result =
        gossip_publish(topics->gossip, message->name, message->payload, now_ms(topics), ret_peers);
    topics->owed = NULL;
    if (is_large && result == 0) {
        broadcast->begun = true;
        broadcast->number = gossip_last_number(topics->gossip);
    }
    return result;
}

static int topics_on_client_message(void *self, const struct client_message *message,
                                    size_t *ret_peers, char *error, size_t error_size)
{
    struct topics *topics = self;
    struct broadcast *broadcast = message->broadcast;
    const struct registration *topic = registry_find(&topics->registry, message->name);
    if (!broadcast->begun) {
        if (topic != NULL &&
            host_session_held(topics->host, message->session, topic->sessions, topic->count)) {
            return -EAGAIN;
        }
        int result = publish(topics, message, ret_peers);
        if (result < 0) {
            return result == -EAGAIN ? result : fail_to_publish(message, result, error, error_size);
        }
        if (topic != NULL) {
            deliver_here(topics, topic, message);
        }
        keep_beating(topics);
    }
    if (broadcast->begun) {
        bool waits = send_owed(topics, message);
        *ret_peers = broadcast->reached;
        return waits ? -EAGAIN : 0;
    }
    return 0;
}

static const struct method_handler topics_methods[] = {
    {M_TOPIC_SUBSCRIBE, on_subscribe}, {M_TOPIC_UNSUBSCRIBE, on_unsubscribe},
    {M_TOPIC_LIST, topics_on_list},    {M_TOPIC_PEERS, topics_on_peers},
    {M_TOPIC_MESH, topics_on_mesh},    {M_TOPIC_STATISTICS, topics_on_statistics},
    {M_TOPIC_ALL, topics_on_all},      {0},
};

const struct service topics_service = {
    .name = SECTION,
    .type = WIRE_GOSSIP,
    .plane = PLANE_TOPIC,
    .config = topics_config,
    .methods = topics_methods,
    .open = topics_open,
    .on_peer = topics_on_peer,
    .on_message = topics_on_message,
    .on_client_message = topics_on_client_message,
    .on_describe_session = topics_on_describe_session,
    .on_session_end = topics_on_session_end,
    .stop = topics_stop,
    .close = topics_close,
};
