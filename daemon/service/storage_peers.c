#include "service/storage_peers.h"

#include <stdlib.h>

#include "core/log.h"
#include "core/random.h"
#include "util/alloc.h"
#include "util/map.h"

#define TOPIC    "storage"
#define RETRY_MS 1000  /* after a page could not be read or sent */
#define REASK_MS 60000 /* after something a peer sent could not be kept */
#define NOT_DUE  INT64_MAX
/* After an entry from the future the clock is looked at so often, for so long: it may be ours that
 * is wrong, as on a machine that starts without knowing the time. Then it is set in one step. */
#define LOOK_MS       5000
#define LOOK_FOR_MS   600000
#define CLOCK_STEP_MS 10000 /* more than any clock drifts meanwhile */

struct follower {
    struct list node;
    struct peer_id id;
    uint64_t place;  /* it has been sent every change up to this one */
    uint64_t serial; /* of the reading in progress; another means that it is out of date */
    bool reading;
    bool asked; /* it asked for everything and has not got the end of it */
    bool asked_again;
    bool held;
    bool ahead;          /* something it sent was from the future */
    int64_t snapshot_ms; /* when its last snapshot began; loop time */
    int64_t resume_ms;   /* pages again from then on */
    int64_t ask_ms;      /* when we ask it again; NOT_DUE */
};

struct storage_peers {
    struct storage_peers_options options;
    struct list followers;
    struct map by_id;
    uint64_t head;
    bool head_known; /* false until the file has been opened */
    uint64_t serial;
    int64_t interval_ms;
    int64_t resync_ms; /* when some peer is asked next */
    int64_t look_ms;   /* when the clock is looked at; NOT_DUE */
    int64_t look_until_ms;
    int64_t wall_ms; /* wall clock minus loop time, when something was from the future */
    struct timer timer;
    struct storage_peers_values values;
    struct log_limit log_refused;
    struct log_limit log_dropped;
};

#define ROW(member, metric_kind, text)                                                             \
    {                                                                                              \
        .name = "storage_" #member, .kind = (metric_kind),                                         \
        .offset = offsetof(struct storage_peers_values, member), .help = (text),                   \
    }

const struct metric_row storage_peers_metrics[] = {
    ROW(entries_in, METRIC_COUNTER, "Entries received from peers."),
    ROW(entries_out, METRIC_COUNTER, "Changes sent to peers, each to each."),
    ROW(entries_taken, METRIC_COUNTER, "Entries of peers that were newer than what was here."),
    ROW(refused, METRIC_COUNTER, "Entries of peers refused by a limit or for their clock."),
    ROW(malformed, METRIC_COUNTER, "Entries and messages of peers that are none, or damaged."),
    ROW(snapshots, METRIC_COUNTER, "Times a peer was sent everything."),
    ROW(behind, METRIC_GAUGE, "Peers that have not been sent everything yet."),
    {.name = NULL},
};

static int64_t now_ms(const struct storage_peers *peers)
{
    return loop_now_ms(peers->options.loop);
}

static struct follower *find(const struct storage_peers *peers, const struct peer_id *id)
{
    return map_find(&peers->by_id, bytes_make(id->bytes, sizeof(id->bytes)));
}

/* ---- when something is due ---- */

static void plan(struct storage_peers *peers)
{
    int64_t due_ms = peers->resync_ms < peers->look_ms ? peers->resync_ms : peers->look_ms;
    LIST_EACH(&peers->followers, node)
    {
        const struct follower *follower = CONTAINER_OF(node, struct follower, node);
        due_ms = follower->ask_ms < due_ms ? follower->ask_ms : due_ms;
        if (follower->resume_ms > now_ms(peers)) {
            due_ms = follower->resume_ms < due_ms ? follower->resume_ms : due_ms;
        }
    }
    timer_stop(&peers->timer);
    if (due_ms != NOT_DUE) {
        int64_t delay_ms = due_ms - now_ms(peers);
        timer_start(&peers->timer, delay_ms < 0 ? 0 : delay_ms);
    }
}

/* Some time within a quarter of the interval around it, so that nodes do not ask in step. */
static void plan_resync(struct storage_peers *peers)
{
    int64_t quarter = peers->interval_ms / 4;
    peers->resync_ms = NOT_DUE;
    if (peers->interval_ms > 0 && !list_is_empty(&peers->followers)) {
        uint64_t spread = random_u64() % (uint64_t)(2 * quarter + 1);
        peers->resync_ms = now_ms(peers) + peers->interval_ms - quarter + (int64_t)spread;
    }
}

/* ---- asking ---- */

static void ask(struct storage_peers *peers, struct follower *follower)
{
    static const uint8_t request = STORE_SYNC_REQUEST;
    int result = mesh_send(peers->options.mesh, &follower->id, WIRE_STORAGE, 0,
                           bytes_make(&request, sizeof(request)));
    follower->ask_ms = result < 0 ? now_ms(peers) + REASK_MS : NOT_DUE;
}

size_t storage_peers_ask_all(struct storage_peers *peers)
{
    size_t count = 0;
    LIST_EACH(&peers->followers, node)
    {
        ask(peers, CONTAINER_OF(node, struct follower, node));
        count++;
    }
    plan(peers);
    return count;
}

static int64_t wall_ms(const struct storage_peers *peers)
{
    return loop_unix_ms(peers->options.loop) - now_ms(peers);
}

static void note_ahead(struct storage_peers *peers, struct follower *follower)
{
    if (peers->look_ms == NOT_DUE) {
        peers->wall_ms = wall_ms(peers);
        peers->look_ms = now_ms(peers) + LOOK_MS;
    }
    follower->ahead = true;
    peers->look_until_ms = now_ms(peers) + LOOK_FOR_MS;
    plan(peers);
}

/* Once the clock has been set, whoever seemed ahead of it is asked again. */
static void look_at_clock(struct storage_peers *peers)
{
    int64_t step_ms = wall_ms(peers) - peers->wall_ms;
    bool was_set = step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS;
    bool goes_on = !was_set && now_ms(peers) < peers->look_until_ms;
    peers->look_ms = goes_on ? now_ms(peers) + LOOK_MS : NOT_DUE;
    LIST_EACH(&peers->followers, node)
    {
        struct follower *follower = CONTAINER_OF(node, struct follower, node);
        if (follower->ahead && was_set) {
            ask(peers, follower);
        }
        follower->ahead = follower->ahead && goes_on;
    }
}

static void ask_somebody(struct storage_peers *peers)
{
    uint64_t chosen = random_u64() % map_count(&peers->by_id);
    LIST_EACH(&peers->followers, node)
    {
        if (chosen-- == 0) {
            ask(peers, CONTAINER_OF(node, struct follower, node));
        }
    }
}

/* ---- sending ---- */

static bool is_behind(const struct storage_peers *peers, const struct follower *follower)
{
    return peers->head_known && (follower->asked || follower->place < peers->head);
}

static void on_page(void *arg, struct storage_op *op);

/* Reads on for a peer, if it lacks something and its link has room. */
static void pump(struct storage_peers *peers, struct follower *follower)
{
    struct peer *peer = mesh_find(peers->options.mesh, &follower->id);
    if (follower->reading || !is_behind(peers, follower) || peer == NULL ||
        peer_is_congested(peer) || follower->resume_ms > now_ms(peers)) {
        return;
    }
    struct storage_op *op = storage_op_new(STORAGE_PAGE);
    if (follower->place == 0) {
        follower->snapshot_ms = now_ms(peers);
        peers->values.snapshots++;
    }
    follower->reading = true;
    op->on_done = on_page;
    op->arg = peers;
    op->peer = follower->id;
    op->peer_serial = follower->serial;
    op->after_seq = follower->place;
    storage_queue_add(peers->options.queue, STORAGE_REMOTE, op);
}

/* From the beginning: what was on its way to the peer may be lost, or it has lost what it had. */
static void restart(struct storage_peers *peers, struct follower *follower)
{
    int64_t earliest_ms = follower->snapshot_ms + STORAGE_PAUSE_MS;
    follower->place = 0;
    follower->asked = true;
    follower->asked_again = false;
    follower->serial = ++peers->serial;
    follower->reading = false; /* a page that is being read is out of date */
    follower->resume_ms = earliest_ms > now_ms(peers) ? earliest_ms : now_ms(peers);
    pump(peers, follower);
    plan(peers);
}

static void retry_later(struct storage_peers *peers, struct follower *follower)
{
    follower->resume_ms = now_ms(peers) + RETRY_MS;
    plan(peers);
}

/* The page went out, or there was nothing in it. */
static void page_sent(struct storage_peers *peers, struct follower *follower,
                      const struct storage_op *op)
{
    follower->place = op->seq;
    peers->values.entries_out += op->count;
    if (!op->more) {
        follower->asked = false;
        if (follower->asked_again) {
            restart(peers, follower);
        }
    }
}

static void on_page(void *arg, struct storage_op *op)
{
    struct storage_peers *peers = arg;
    struct follower *follower = find(peers, &op->peer);
    if (follower != NULL && follower->serial == op->peer_serial) {
        struct peer *peer = mesh_find(peers->options.mesh, &op->peer);
        follower->reading = false;
        if (op->result < 0) {
            retry_later(peers, follower);
        } else if (op->count == 0 && !follower->asked) {
            page_sent(peers, follower, op);
        } else if (peer != NULL && peer_may_send(peer, buf_size(&op->value))) {
            /* else it is read again once there is room */
            int result = peer_send(peer, WIRE_STORAGE, 0, buf_view(&op->value));
            if (result < 0) {
                retry_later(peers, follower);
            } else {
                page_sent(peers, follower, op);
            }
        }
    }
    storage_op_free(op);
}

/* The change as a message of its own; free(). NULL when out of memory. */
static uint8_t *encode_change(const struct entry *entry, size_t *ret_size)
{
    size_t size = 1 + entry_size(entry);
    uint8_t *payload = try_alloc(size);
    if (payload != NULL) {
        struct writer writer;
        writer_init(&writer, payload, size);
        writer_u8(&writer, STORE_ENTRY);
        entry_encode(entry, &writer);
        *ret_size = writer.size;
    }
    return payload;
}

/* A change that was just stored, to whoever has everything before it. What cannot go now is read
 * from disk later: the place stays where it is. */
static void tell_change(struct storage_peers *peers, const struct storage_change *change,
                        const struct peer_id *from, bool forward)
{
    size_t size = 0;
    uint8_t *payload = forward ? encode_change(&change->entry, &size) : NULL;
    LIST_EACH(&peers->followers, node)
    {
        struct follower *follower = CONTAINER_OF(node, struct follower, node);
        bool is_source = from != NULL && peer_id_equal(from, &follower->id);
        if (follower->asked || follower->place + 1 != change->seq) {
            continue;
        }
        if (!forward || is_source) {
            follower->place = change->seq;
            continue;
        }
        struct peer *peer = mesh_find(peers->options.mesh, &follower->id);
        if (payload != NULL && peer != NULL && peer_may_send(peer, size) &&
            peer_send(peer, WIRE_STORAGE, 0, bytes_make(payload, size)) >= 0) {
            follower->place = change->seq;
            peers->values.entries_out++;
        }
    }
    free(payload);
}

void storage_peers_tell(struct storage_peers *peers, const struct storage_change *changes,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tell_change(peers, &changes[i], NULL, true);
    }
}

void storage_peers_on_drained(struct storage_peers *peers, const struct peer_id *id)
{
    struct follower *follower = find(peers, id);
    if (follower != NULL) {
        pump(peers, follower);
    }
}

/* Peers that came before the file was open get what it holds only if they ask. */
void storage_peers_set_head(struct storage_peers *peers, uint64_t before, uint64_t head)
{
    LIST_EACH(&peers->followers, node)
    {
        struct follower *follower = CONTAINER_OF(node, struct follower, node);
        if (!peers->head_known && !follower->asked) {
            follower->place = before;
        }
    }
    peers->head = head;
    peers->head_known = true;
}

/* ---- receiving ---- */

static void note_refusals(struct storage_peers *peers, const struct storage_op *op)
{
    peers->values.malformed += op->malformed;
    for (unsigned i = LWW_AHEAD; i < LWW_VERDICT_COUNT; i++) {
        peers->values.refused += op->refused[i];
        if (op->refused[i] > 0) {
            log_limited(&peers->log_refused, now_ms(peers), LOG_LEVEL_WARN, TOPIC,
                        "refused %u entries from peer %s: %s%s", op->refused[i],
                        peer_id_format_short(&op->peer).text, lww_verdict_name(i),
                        i == LWW_AHEAD ? "; a clock is wrong, here or there"
                                       : "; see the limits in [storage]");
        }
    }
}

static void on_merge(void *arg, struct storage_op *op)
{
    struct storage_peers *peers = arg;
    struct follower *follower = find(peers, &op->peer);
    if (op->result < 0 && follower != NULL) {
        follower->ask_ms = now_ms(peers) + REASK_MS;
        plan(peers);
    }
    note_refusals(peers, op);
    if (op->refused[LWW_AHEAD] > 0 && follower != NULL) {
        note_ahead(peers, follower);
    }
    peers->values.entries_taken += op->change_count;
    for (size_t i = 0; i < op->change_count; i++) {
        tell_change(peers, &op->changes[i], &op->peer, op->forward);
    }
    peers->options.on_merged(peers->options.arg, &op->peer, op->changes, op->change_count);
    if (op->result == 0 && op->count > 0) {
        memset(op->refused, 0, sizeof(op->refused));
        op->malformed = 0;
        storage_queue_add_first(peers->options.queue, STORAGE_REMOTE, op);
    } else {
        storage_op_free(op);
    }
}

static void drop_message(struct storage_peers *peers, struct follower *follower)
{
    log_limited(&peers->log_dropped, now_ms(peers), LOG_LEVEL_WARN, TOPIC,
                "dropped entries of peer %s, since too much waits for the disk; asking again",
                peer_id_format_short(&follower->id).text);
    follower->ask_ms = now_ms(peers) + REASK_MS;
    plan(peers);
}

static void take_entries(struct storage_peers *peers, struct follower *follower,
                         struct bytes payload, const struct store_message *message)
{
    size_t held = storage_queue_held(peers->options.queue, STORAGE_REMOTE);
    struct storage_op *op = storage_op_new(STORAGE_MERGE);
    if (held + payload.size > STORAGE_REMOTE_MOST || buf_append(&op->data, payload) < 0) {
        storage_op_free(op);
        drop_message(peers, follower);
        return;
    }
    op->on_done = on_merge;
    op->arg = peers;
    op->peer = follower->id;
    op->offset = message->offset;
    op->count = message->count;
    op->forward = message->opcode == STORE_ENTRY;
    peers->values.entries_in += message->count;
    storage_queue_add(peers->options.queue, STORAGE_REMOTE, op);
    if (!follower->held &&
        storage_queue_held(peers->options.queue, STORAGE_REMOTE) > STORAGE_HOLD_MARK) {
        follower->held = true;
        mesh_hold(peers->options.mesh, &follower->id);
    }
}

void storage_peers_on_message(struct storage_peers *peers, struct peer *from, struct bytes payload)
{
    struct store_message message;
    struct follower *follower = find(peers, peer_id_of(from));
    if (follower == NULL || store_message_decode(payload, &message) < 0) {
        peers->values.malformed += follower == NULL ? 0 : 1;
    } else if (message.opcode == STORE_SYNC_REQUEST) {
        follower->asked_again = follower->asked;
        if (!follower->asked) {
            restart(peers, follower);
        }
    } else if (message.count > 0) {
        take_entries(peers, follower, payload, &message);
    }
}

/* ---- peers ---- */

static void release_held(struct storage_peers *peers)
{
    if (storage_queue_held(peers->options.queue, STORAGE_REMOTE) > STORAGE_HOLD_MARK / 2) {
        return;
    }
    LIST_EACH(&peers->followers, node)
    {
        struct follower *follower = CONTAINER_OF(node, struct follower, node);
        if (follower->held) {
            follower->held = false;
            mesh_release(peers->options.mesh, &follower->id);
        }
    }
}

static void count_behind(struct storage_peers *peers)
{
    uint64_t behind = 0;
    LIST_EACH(&peers->followers, node)
    {
        behind += is_behind(peers, CONTAINER_OF(node, struct follower, node)) ? 1 : 0;
    }
    peers->values.behind = behind;
}

void storage_peers_settle(struct storage_peers *peers)
{
    LIST_EACH(&peers->followers, node)
    {
        pump(peers, CONTAINER_OF(node, struct follower, node));
    }
    count_behind(peers);
    release_held(peers);
}

static void add_follower(struct storage_peers *peers, const struct peer_id *id)
{
    struct follower *follower = xalloc(sizeof(*follower));
    follower->id = *id;
    follower->place = peers->head;
    follower->serial = ++peers->serial;
    follower->snapshot_ms = now_ms(peers) - STORAGE_PAUSE_MS;
    follower->ask_ms = NOT_DUE;
    if (map_insert(&peers->by_id, bytes_make(follower->id.bytes, sizeof(follower->id.bytes)),
                   follower) < 0) {
        free(follower); /* no memory for it, and none for what it would send */
        return;
    }
    list_init(&follower->node);
    list_append(&peers->followers, &follower->node);
    if (peers->resync_ms == NOT_DUE) {
        plan_resync(peers);
    }
    ask(peers, follower);
    plan(peers);
}

static void drop_follower(struct storage_peers *peers, struct follower *follower)
{
    (void)map_remove(&peers->by_id, bytes_make(follower->id.bytes, sizeof(follower->id.bytes)));
    list_remove(&follower->node);
    free(follower); /* its hold ends with the peer */
    if (list_is_empty(&peers->followers)) {
        peers->resync_ms = NOT_DUE;
    }
    count_behind(peers);
    plan(peers);
}

void storage_peers_on_peer(struct storage_peers *peers, struct peer *peer, enum peer_event event)
{
    struct follower *follower = find(peers, peer_id_of(peer));
    switch (event) {
    case PEER_UP:
        add_follower(peers, peer_id_of(peer));
        break;
    case PEER_REPLACED:
        if (follower != NULL) {
            ask(peers, follower);
            restart(peers, follower);
        }
        break;
    case PEER_DOWN:
        if (follower != NULL) {
            drop_follower(peers, follower);
        }
        break;
    case PEER_UPDATED:
        break;
    }
}

static void on_timer(void *arg)
{
    struct storage_peers *peers = arg;
    int64_t now = now_ms(peers);
    if (peers->look_ms <= now) {
        look_at_clock(peers);
    }
    if (peers->resync_ms <= now) {
        ask_somebody(peers);
        plan_resync(peers);
    }
    LIST_EACH(&peers->followers, node)
    {
        struct follower *follower = CONTAINER_OF(node, struct follower, node);
        if (follower->ask_ms <= now) {
            ask(peers, follower);
        }
        pump(peers, follower);
    }
    plan(peers);
}

void storage_peers_set_interval(struct storage_peers *peers, int64_t interval_ms)
{
    if (peers->interval_ms != interval_ms) {
        peers->interval_ms = interval_ms;
        plan_resync(peers);
        plan(peers);
    }
}

struct storage_peers *storage_peers_new(const struct storage_peers_options *options)
{
    struct storage_peers *peers = xalloc(sizeof(*peers));
    uint64_t seed[2] = {random_u64(), random_u64()};
    peers->options = *options;
    peers->resync_ms = NOT_DUE;
    peers->look_ms = NOT_DUE;
    list_init(&peers->followers);
    map_init(&peers->by_id, seed);
    timer_init(&peers->timer, options->loop, on_timer, peers);
    return peers;
}

void storage_peers_free(struct storage_peers *peers)
{
    if (peers == NULL) {
        return;
    }
    timer_stop(&peers->timer);
    LIST_EACH(&peers->followers, node)
    {
        free(CONTAINER_OF(node, struct follower, node));
    }
    map_fini(&peers->by_id);
    free(peers);
}

const struct storage_peers_values *storage_peers_values(const struct storage_peers *peers)
{
    return &peers->values;
}
