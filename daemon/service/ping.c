#include "service/ping.h"

#include <assert.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/random.h"
#include "service/peer_json.h"
#include "util/alloc.h"
#include "util/bucket.h"
#include "util/map.h"
#include "wire/ping_frame.h"

#define SECTION       "ping"
#define MAX_SLOTS     10
#define MAX_PENDING   1024 /* ping.send calls of all clients together */
#define ANSWERS_BURST 50   /* pongs to one peer ... */
#define ANSWERS_PER_S 10
#define DEFAULT_MS    5000 /* to wait for a pong */

static const struct config_item ping_config[] = {
    {
        .key = "interval",
        .type = CONFIG_SECONDS,
        .default_text = "10",
        .max = 3600,
        .reloadable = true,
        .summary = "How often every peer is pinged; 0 is never.",
    },
    {
        .key = "liveness",
        .type = CONFIG_BOOL,
        .default_text = "no",
        .reloadable = true,
        .summary = "Whether a peer that answers no pings is disconnected; peers of other programs "
                   "may lack the service.",
    },
    {
        .key = "missed",
        .type = CONFIG_UINT,
        .default_text = "3",
        .min = 1,
        .max = 100,
        .reloadable = true,
        .summary = "Pings in a row without an answer, nor any other message, after which a peer is "
                   "disconnected.",
    },
    {.key = NULL},
};

struct ping_metrics {
    uint64_t sent;
    uint64_t answered;
    uint64_t refused;
    uint64_t received;
    uint64_t unmatched;
    uint64_t missed;
};

#define ROW(member, text)                                                                          \
    {                                                                                              \
        .name = "ping_" #member, .kind = METRIC_COUNTER,                                           \
        .offset = offsetof(struct ping_metrics, member), .help = (text),                           \
    }

static const struct metric_row ping_metric_rows[] = {
    ROW(sent, "Pings sent."),
    ROW(answered, "Pings of peers answered."),
    ROW(refused, "Pings of peers not answered because there were too many."),
    ROW(received, "Answers to our pings."),
    ROW(unmatched, "Answers to pings that were not out."),
    ROW(missed, "Pings without an answer in time."),
    {.name = NULL},
};

struct ping {
    struct host *host;
    struct map peers; /* struct pinged by id */
    struct list slots[MAX_SLOTS];
    size_t slot_count;
    size_t slot;      /* the next one due */
    size_t next_slot; /* for the next newcomer */
    int64_t slot_ms;
    int64_t interval_ms; /* 0 = never */
    bool liveness;
    unsigned missed_max;
    struct timer timer;
    size_t pending_count;
    struct ping_metrics counts;
};

/* A ping that is out. */
struct probe {
    uint8_t token[PING_TOKEN_SIZE];
    int64_t sent_us;
};

struct pinged {
    struct list node; /* in its slot */
    struct peer_id id;
    struct bucket answers;
    bool is_out;
    struct probe probe;
    uint64_t messages_in; /* of the peer when the probe left */
    unsigned missed;
    bool overdue;        /* to be disconnected */
    struct list pending; /* ping.send calls */
};

/* A ping.send that waits for its pong. */
struct pending {
    struct list node;
    struct ping *ping;
    struct request *request;
    struct peer_id peer;
    struct probe probe;
    struct timer timer;
    int64_t timeout_ms;
};

static struct bytes id_view(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof(id->bytes));
}

static struct pinged *find(const struct ping *ping, const struct peer_id *id)
{
    return map_find(&ping->peers, id_view(id));
}

/* ---- sending ---- */

/* 0, or what peer_send() says. */
static int send_probe(struct ping *ping, struct peer *peer, struct probe *ret_probe)
{
    struct loop *loop = host_loop(ping->host);
    struct ping_frame frame = {.tag = PING_ASK};
    uint8_t encoded[PING_FRAME_SIZE];
    uint64_t token = random_u64();
    memcpy(frame.token, &token, sizeof(frame.token));
    ping_frame_encode(&frame, encoded);
    int result = peer_send(peer, WIRE_PING, 0, bytes_make(encoded, sizeof(encoded)));
    if (result < 0) {
        return result;
    }
    ping->counts.sent++;
    memcpy(ret_probe->token, frame.token, sizeof(frame.token));
    ret_probe->sent_us = loop_clock_us(loop);
    return 0;
}

/* The ping that belongs to the interval. Behind a full queue it would measure that. */
static void send_own(struct ping *ping, struct pinged *entry, struct peer *peer)
{
    entry->is_out = !peer_is_congested(peer) && send_probe(ping, peer, &entry->probe) == 0;
    entry->messages_in = peer_messages_in(peer);
}

/* The last ping is still out when the next is due. A peer that says anything else, or whom we do
 * not read at the moment, is not missed: it lacks the service, or cannot help it. */
static void note_missed(struct ping *ping, struct pinged *entry, const struct peer *peer)
{
    ping->counts.missed++;
    if (peer_messages_in(peer) != entry->messages_in || peer_is_held(peer)) {
        entry->missed = 0;
        return;
    }
    entry->missed++;
    entry->overdue = ping->liveness && entry->missed >= ping->missed_max;
}

static void ping_slot(struct ping *ping, struct list *slot)
{
    LIST_EACH(slot, node)
    {
        struct pinged *entry = CONTAINER_OF(node, struct pinged, node);
        struct peer *peer = mesh_find(host_mesh(ping->host), &entry->id);
        if (peer == NULL) {
            continue;
        }
        if (entry->is_out) {
            note_missed(ping, entry, peer);
        } else {
            entry->missed = 0;
        }
        if (!entry->overdue) {
            send_own(ping, entry, peer);
        }
    }
}

static struct pinged *find_overdue(const struct list *slot)
{
    LIST_EACH(slot, node)
    {
        struct pinged *entry = CONTAINER_OF(node, struct pinged, node);
        if (entry->overdue) {
            return entry;
        }
    }
    return NULL;
}

/* Others may end with each of them, so the search begins anew. */
static void drop_overdue(struct ping *ping, const struct list *slot)
{
    for (struct pinged *entry; (entry = find_overdue(slot)) != NULL;) {
        struct peer_id id = entry->id;
        entry->overdue = false;
        log_info(SECTION, "peer %s has answered no pings: disconnecting it",
                 peer_id_format_short(&id).text);
        (void)mesh_drop(host_mesh(ping->host), &id, MESH_DROP_SILENT);
    }
}

/* ---- the slots ---- */

/* Waits for the next slot that has peers; for none when nobody is there. */
static void wait_for_slot(struct ping *ping)
{
    timer_stop(&ping->timer);
    if (ping->interval_ms == 0 || map_count(&ping->peers) == 0) {
        return;
    }
    int64_t delay_ms = ping->slot_ms;
    for (size_t i = 0; i < ping->slot_count && list_is_empty(&ping->slots[ping->slot]); i++) {
        ping->slot = (ping->slot + 1) % ping->slot_count;
        delay_ms += ping->slot_ms;
    }
    timer_start(&ping->timer, delay_ms);
}

static void on_timer(void *arg)
{
    struct ping *ping = arg;
    struct list *slot = &ping->slots[ping->slot];
    ping->slot = (ping->slot + 1) % ping->slot_count;
    ping_slot(ping, slot);
    drop_overdue(ping, slot);
    wait_for_slot(ping);
}

static void give_slot(struct ping *ping, struct pinged *entry)
{
    list_append(&ping->slots[ping->next_slot++ % ping->slot_count], &entry->node);
}

static void read_config(struct ping *ping)
{
    const struct config *config = host_config(ping->host);
    size_t interval_s = config_size(config, SECTION, "interval");
    ping->interval_ms = (int64_t)interval_s * 1000;
    ping->slot_count = interval_s == 0 ? 1 : interval_s < MAX_SLOTS ? interval_s : MAX_SLOTS;
    ping->slot_ms = ping->interval_ms / (int64_t)ping->slot_count;
    ping->slot = 0;
    ping->liveness = config_bool(config, SECTION, "liveness");
    ping->missed_max = (unsigned)config_uint(config, SECTION, "missed");
}

static void ping_on_reload(void *self)
{
    struct ping *ping = self;
    read_config(ping);
    size_t cursor = 0;
    for (struct pinged *entry; (entry = map_next(&ping->peers, &cursor)) != NULL;) {
        entry->missed = 0;
        list_remove(&entry->node);
        give_slot(ping, entry);
    }
    wait_for_slot(ping);
}

/* ---- ping.send ---- */

static void pending_free(struct pending *pending)
{
    pending->ping->pending_count--;
    timer_stop(&pending->timer);
    list_remove(&pending->node);
    free(pending);
}

static void on_pending_timer(void *arg)
{
    struct pending *pending = arg;
    struct request *request = pending->request;
    struct peer_id_text peer = peer_id_format(&pending->peer);
    int64_t timeout_ms = pending->timeout_ms;
    pending_free(pending);
    request_fail(request, E_TIMEOUT,
                 "peer %s did not answer within %lld ms; it may lack the service", peer.text,
                 (long long)timeout_ms);
}

static void on_pending_cancel(void *arg)
{
    pending_free(arg);
}

/* Those who wait for a peer that is gone, or for a daemon that stops. */
static void fail_pending(struct pinged *entry, enum proto_error error, const char *text)
{
    LIST_EACH(&entry->pending, node)
    {
        struct pending *pending = CONTAINER_OF(node, struct pending, node);
        struct request *request = pending->request;
        pending_free(pending);
        request_fail(request, error, "%s", text);
    }
}

static void on_send(void *self, struct request *request)
{
    struct ping *ping = self;
    const json_t *timeout = json_object_get(request_params(request), "timeout_ms");
    struct peer_id id = peer_param(request);
    struct peer *peer = mesh_find(host_mesh(ping->host), &id);
    struct pinged *entry = find(ping, &id);
    struct probe probe;
    if (peer == NULL || entry == NULL) {
        fail_not_connected(request, &id);
        return;
    }
    if (ping->pending_count >= MAX_PENDING) {
        request_fail(request, E_LIMIT, "%d pings are out already; try again later", MAX_PENDING);
        return;
    }
    int result = send_probe(ping, peer, &probe);
    if (result < 0) {
        request_fail_errno(request, result, "the ping could not be queued to the peer");
        return;
    }
    struct pending *pending = xalloc(sizeof(*pending));
    pending->ping = ping;
    pending->request = request;
    pending->peer = id;
    pending->probe = probe;
    pending->timeout_ms = timeout == NULL ? DEFAULT_MS : json_integer_value(timeout);
    timer_init(&pending->timer, host_loop(ping->host), on_pending_timer, pending);
    timer_start(&pending->timer, pending->timeout_ms);
    list_append(&entry->pending, &pending->node);
    ping->pending_count++;
    request_defer(request, on_pending_cancel, pending);
}

static void on_rtt(void *self, struct request *request)
{
    struct ping *ping = self;
    struct peer_id id = peer_param(request);
    const struct peer *peer = mesh_find(host_mesh(ping->host), &id);
    if (peer == NULL) {
        fail_not_connected(request, &id);
        return;
    }
    json_t *result = json_object();
    if (peer_rtt_us(peer) >= 0) {
        (void)json_object_set_new(result, "rtt_us", json_integer(peer_rtt_us(peer)));
    }
    request_reply(request, result);
}

/* ---- receiving ---- */

static void answer(struct ping *ping, struct pinged *entry, struct peer *peer,
                   struct ping_frame *frame)
{
    uint8_t encoded[PING_FRAME_SIZE];
    int64_t now_ms = loop_now_ms(host_loop(ping->host));
    if (!bucket_take(&entry->answers, now_ms) || peer_is_congested(peer)) {
        ping->counts.refused++;
        return;
    }
    frame->tag = PING_ANSWER;
    ping_frame_encode(frame, encoded);
    if (peer_send(peer, WIRE_PING, 0, bytes_make(encoded, sizeof(encoded))) >= 0) {
        ping->counts.answered++;
    }
}

static bool matches(const struct probe *probe, const struct ping_frame *frame)
{
    return memcmp(probe->token, frame->token, sizeof(frame->token)) == 0;
}

static struct pending *find_pending(const struct pinged *entry, const struct ping_frame *frame)
{
    LIST_EACH(&entry->pending, node)
    {
        struct pending *pending = CONTAINER_OF(node, struct pending, node);
        if (matches(&pending->probe, frame)) {
            return pending;
        }
    }
    return NULL;
}

static void on_pong(struct ping *ping, struct pinged *entry, struct peer *peer,
                    const struct ping_frame *frame)
{
    int64_t now_us = loop_clock_us(host_loop(ping->host));
    struct pending *pending = find_pending(entry, frame);
    if (pending != NULL) {
        struct request *request = pending->request;
        int64_t rtt_us = now_us - pending->probe.sent_us;
        ping->counts.received++;
        pending_free(pending);
        request_reply(request, json_pack("{s:I}", "rtt_us", (json_int_t)rtt_us));
        peer_set_rtt_us(peer, rtt_us);
    } else if (entry->is_out && matches(&entry->probe, frame)) {
        ping->counts.received++;
        entry->is_out = false;
        entry->missed = 0;
        peer_set_rtt_us(peer, now_us - entry->probe.sent_us);
    } else {
        ping->counts.unmatched++;
    }
}

static void ping_on_message(void *self, struct peer *from, const struct message *message)
{
    struct ping *ping = self;
    struct pinged *entry = find(ping, peer_id_of(from));
    struct ping_frame frame;
    if (entry == NULL || ping_frame_decode(message->payload, &frame) != 0) {
        return;
    }
    if (frame.tag == PING_ASK) {
        answer(ping, entry, from, &frame);
    } else {
        on_pong(ping, entry, from, &frame);
    }
}

/* ---- peers ---- */

static void add(struct ping *ping, struct peer *peer)
{
    struct pinged *entry = try_alloc(sizeof(*entry));
    if (entry == NULL) {
        return; /* it stays without a round-trip time */
    }
    entry->id = *peer_id_of(peer);
    if (map_insert(&ping->peers, id_view(&entry->id), entry) != 0) {
        free(entry);
        return;
    }
    bucket_init(&entry->answers, ANSWERS_PER_S, ANSWERS_BURST, loop_now_ms(host_loop(ping->host)));
    list_init(&entry->node);
    list_init(&entry->pending);
    give_slot(ping, entry);
    if (ping->interval_ms > 0) {
        send_own(ping, entry, peer);
    }
    if (!timer_is_running(&ping->timer)) { /* the first: its turn comes in a whole interval */
        ping->slot = ping->next_slot % ping->slot_count;
        wait_for_slot(ping);
    }
}

static void entry_free(struct ping *ping, struct pinged *entry)
{
    (void)map_remove(&ping->peers, id_view(&entry->id));
    list_remove(&entry->node);
    free(entry);
}

static void ping_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    struct ping *ping = self;
    struct pinged *entry = find(ping, peer_id_of(peer));
    if (event == PEER_UP) {
        add(ping, peer);
    } else if (event == PEER_REPLACED && entry != NULL) {
        /* Another link, another round trip; what was out on the old one may never come. */
        entry->missed = 0;
        entry->is_out = false;
        if (ping->interval_ms > 0) {
            send_own(ping, entry, peer);
        }
    } else if (event == PEER_DOWN && entry != NULL) {
        fail_pending(entry, E_PEER_NOT_FOUND, "the peer disconnected before it answered");
        entry_free(ping, entry);
        if (map_count(&ping->peers) == 0) {
            timer_stop(&ping->timer);
        }
    }
}

/* ---- life ---- */

static int ping_open(struct host *host, void **ret_self)
{
    struct ping *ping = xalloc(sizeof(*ping));
    const uint64_t seed[2] = {random_u64(), random_u64()};
    ping->host = host;
    map_init(&ping->peers, seed);
    for (size_t i = 0; i < MAX_SLOTS; i++) {
        list_init(&ping->slots[i]);
    }
    timer_init(&ping->timer, host_loop(host), on_timer, ping);
    read_config(ping);
    metrics_add(host_metrics(host), ping_metric_rows, &ping->counts);
    *ret_self = ping;
    return 0;
}

static void ping_stop(void *self)
{
    struct ping *ping = self;
    timer_stop(&ping->timer);
    size_t cursor = 0;
    for (struct pinged *entry; (entry = map_next(&ping->peers, &cursor)) != NULL;) {
        fail_pending(entry, E_NOT_RUNNING, "the daemon is stopping");
    }
}

static void ping_close(void *self)
{
    struct ping *ping = self;
    size_t cursor = 0;
    for (struct pinged *entry; (entry = map_next(&ping->peers, &cursor)) != NULL;) {
        entry_free(ping, entry);
    }
    map_fini(&ping->peers);
    metrics_remove(host_metrics(ping->host), &ping->counts);
    free(ping);
}

static const struct method_handler ping_methods[] = {
    {M_PING_SEND, on_send},
    {M_PING_RTT, on_rtt},
    {0},
};

const struct service ping_service = {
    .name = SECTION,
    .type = WIRE_PING,
    .config = ping_config,
    .methods = ping_methods,
    .open = ping_open,
    .on_peer = ping_on_peer,
    .on_message = ping_on_message,
    .on_reload = ping_on_reload,
    .stop = ping_stop,
    .close = ping_close,
};
