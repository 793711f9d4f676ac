#include "service/transfers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/log.h"
#include "core/random.h"
#include "service/transfers_private.h"
#include "util/alloc.h"

#define SECTION   TRANSFER_SECTION
#define NEWS_COST 2u /* of an event about a transfer, to one program or a few */
#define WAKE_MS   TRANSFER_PROGRESS_MS

static const struct config_item transfers_config[] = {
    {.key = "enabled",
     .type = CONFIG_BOOL,
     .default_text = "yes",
     .reloadable = true,
     .summary = "Whether files are sent and taken; without it offers of peers are refused."},
    {.key = "chunk",
     .type = CONFIG_SIZE,
     .default_text = "64K",
     .min = 4096,
     .max = 1024UL * 1024,
     .reloadable = true,
     .summary =
         "Bytes of a file in one message to a peer, at least; up to 240K when that many move "
         "in a millisecond."},
    {.key = "offer_timeout",
     .type = CONFIG_SECONDS,
     .default_text = "60",
     .min = 1,
     .max = 86400,
     .reloadable = true,
     .summary = "How long an offer, ours or a peer's, and a request of a peer wait for an answer."},
    {.key = "request_timeout",
     .type = CONFIG_SECONDS,
     .default_text = "2m",
     .min = 1,
     .max = 86400,
     .reloadable = true,
     .summary = "How long a request to a peer waits for what was asked for to be offered."},
    {.key = "idle_timeout",
     .type = CONFIG_SECONDS,
     .default_text = "60",
     .min = 1,
     .max = 86400,
     .reloadable = true,
     .summary = "After how long without a sign of life a transfer that is not paused fails."},
    {.key = "resume_time",
     .type = CONFIG_SECONDS,
     .default_text = "5m",
     .max = 7UL * 86400,
     .reloadable = true,
     .summary = "How long a transfer whose link was lost waits for the peer, if that is a ratsd "
                "too; 0 is not at all."},
    {.key = "max_pending_per_peer",
     .type = CONFIG_UINT,
     .default_text = "64",
     .min = 1,
     .max = 1024,
     .reloadable = true,
     .summary = "Offers of one peer that wait for an answer."},
    {.key = "max_active_per_peer",
     .type = CONFIG_UINT,
     .default_text = "256",
     .min = 1,
     .max = 65536,
     .reloadable = true,
     .summary = "Transfers with one peer that have not ended, both ways."},
    {.key = "max_active_per_session",
     .type = CONFIG_UINT,
     .default_text = "256",
     .min = 1,
     .max = 65536,
     .reloadable = true,
     .summary = "Transfers of one program that have not ended."},
    {.key = "max_files",
     .type = CONFIG_UINT,
     .default_text = "200000",
     .min = 1,
     .max = 5000000,
     .reloadable = true,
     .summary = "Files of one directory."},
    {.key = "max_list_bytes",
     .type = CONFIG_SIZE,
     .default_text = "256M",
     .min = 1,
     .max = UINT64_C(1) << 40,
     .reloadable = true,
     .summary = "Memory for the lists of files of what one program sends, and for those of what "
                "peers offer, of one peer a quarter; a list alone is always taken."},
    {0},
};

#define ROW(member, metric_kind, text)                                                             \
    {                                                                                              \
        .name = "transfer_" #member, .kind = (metric_kind),                                        \
        .offset = offsetof(struct transfer_counts, member), .help = (text),                        \
    }

static const struct metric_row transfers_metrics[] = {
    ROW(offered, METRIC_COUNTER, "Files and directories offered to peers."),
    ROW(offers, METRIC_COUNTER, "Files and directories offered by peers."),
    ROW(refused, METRIC_COUNTER, "Offers of peers refused without asking a program."),
    ROW(completed, METRIC_COUNTER, "Transfers that completed."),
    ROW(failed, METRIC_COUNTER, "Transfers that failed."),
    ROW(cancelled, METRIC_COUNTER, "Transfers cancelled or refused, here or by the peer."),
    ROW(resumed, METRIC_COUNTER, "Times a transfer went on after its link was lost."),
    ROW(strangers, METRIC_COUNTER, "Frames about transfers that the peer does not have."),
    ROW(malformed, METRIC_COUNTER, "Frames that cannot be read."),
    ROW(bytes_sent, METRIC_COUNTER, "Bytes of files sent."),
    ROW(bytes_received, METRIC_COUNTER, "Bytes of files written."),
    ROW(active, METRIC_GAUGE, "Transfers that have not ended."),
    {.name = NULL},
};

int64_t transfers_now_ms(const struct transfers *transfers)
{
    return loop_now_ms(host_loop(transfers->host));
}

/* ---- records ---- */

static struct bytes session_key(const uint64_t *session)
{
    return bytes_make(session, sizeof *session);
}

struct transfer_client *transfers_find_client(const struct transfers *transfers, uint64_t session)
{
    return map_find(&transfers->clients, session_key(&session));
}

struct transfer_client *transfers_client(struct transfers *transfers, uint64_t session)
{
    struct transfer_client *client = transfers_find_client(transfers, session);
    if (client == NULL) {
        client = xalloc(sizeof *client);
        client->session = session;
        if (map_insert(&transfers->clients, session_key(&client->session), client) < 0) {
            free(client);
            client = NULL;
        }
    }
    return client;
}

struct transfer_peer *transfers_peer(const struct transfers *transfers, const struct peer_id *id)
{
    return map_find(&transfers->peers, bytes_make(id->bytes, sizeof id->bytes));
}

void transfers_news(struct transfers *transfers, const struct peer_id *id)
{
    struct peer *peer = mesh_find(host_mesh(transfers->host), id);
    if (peer != NULL) {
        peer_made_news(peer, NEWS_COST);
    }
}

struct errand *errand_new(struct transfers *transfers, struct transfer *transfer)
{
    struct errand *errand = xalloc(sizeof *errand);
    errand->transfers = transfers;
    errand->transfer = transfer;
    errand->fd = -1;
    list_init(&errand->ready);
    transfer->owner = errand;
    transfers_wake(transfers);
    return errand;
}

void errand_give(struct errand *errand, uint64_t session)
{
    errand->transfer->session = session;
    transfers_client(errand->transfers, session)->active++;
}

/* ---- what the engine tells ---- */

static int on_send(void *arg, const struct peer_id *to, struct bytes frame)
{
    return pump_control(arg, to, frame);
}

static void on_offer(void *arg, struct transfer *transfer)
{
    struct transfers *transfers = arg;
    struct errand *errand = errand_of(transfer);
    if (errand == NULL) {
        errand = errand_new(transfers, transfer);
    }
    const char *why = NULL;
    if (!transfers->enabled || transfers->stopping) {
        why = "no files are taken there";
    } else if (!pull_may_be_shown(transfers, transfer)) {
        why = "nobody waits for it any more";
    } else if (!shown_begin(errand, EV_TRANSFER_OFFERED, transfers_offered_json(transfer))) {
        why = "no program there takes it";
    }
    if (why != NULL) {
        transfer->unseen = transfer->session == 0;
        transfer_refuse(transfers->engine, transfer, why, transfers_now_ms(transfers));
    }
    pull_ask_next(transfers, &transfer->peer);
}

static void on_start(void *arg, struct transfer *transfer)
{
    struct transfers *transfers = arg;
    if (files_begin(errand_of(transfer)) < 0) {
        transfer_fail(transfers->engine, transfer, "out of memory", transfers_now_ms(transfers));
        return;
    }
    files_ask(errand_of(transfer));
}

static void on_window(void *arg, struct transfer *transfer)
{
    (void)arg;
    pump_now(errand_of(transfer));
}

static void on_data(void *arg, struct transfer *transfer, uint32_t file, uint64_t offset,
                    struct bytes data)
{
    struct transfers *transfers = arg;
    if (transfer_disk_write(errand_of(transfer)->disk, file, offset, data) < 0) {
        transfer_fail(transfers->engine, transfer, "out of memory", transfers_now_ms(transfers));
        return;
    }
    flow_add(errand_of(transfer), TRANSFER_ITEM_COST + data.size);
}

static void on_file_end(void *arg, struct transfer *transfer, uint32_t file,
                        const uint8_t hash[TRANSFER_HASH_SIZE])
{
    struct transfers *transfers = arg;
    if (transfer_disk_end(errand_of(transfer)->disk, file, hash) < 0) {
        transfer_fail(transfers->engine, transfer, "out of memory", transfers_now_ms(transfers));
        return;
    }
    flow_add(errand_of(transfer), TRANSFER_ITEM_COST);
}

static void tell(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    const struct transfer *transfer = errand->transfer;
    if (transfer->session == 0) {
        shown_tell(errand);
        return;
    }
    if (shown_has(errand, transfer->session) && !shown_is_open(errand, transfer->session)) {
        return; /* it declined what it had asked for, and was told */
    }
    host_emit_to(transfers->host, &transfer->session, 1, EV_TRANSFER_CHANGED,
                 transfers_json(transfer, transfer->session, transfers_now_ms(transfers)),
                 &transfer->peer);
}

static void on_change(void *arg, struct transfer *transfer)
{
    struct errand *errand = errand_of(transfer);
    if (transfer->state == TRANSFER_PAUSED || transfer->state == TRANSFER_RESUMING) {
        transfers_news(arg, &transfer->peer);
    }
    sums_measure(errand);
    pump_now(errand);
    tell(errand);
}

static void log_end(struct transfers *transfers, const struct transfer *transfer)
{
    struct peer_id_text peer = peer_id_format_short(&transfer->peer);
    const char *way = transfer->sending ? "to" : "from";
    int64_t now_ms = transfers_now_ms(transfers);
    if (transfer->started_ms == 0) {
        log_debug(SECTION, "'%s' %s peer %s came to nothing: %s", transfer->name, way, peer.text,
                  transfer->error);
    } else if (transfer->state == TRANSFER_COMPLETED) {
        log_limited(&transfers->log, now_ms, LOG_LEVEL_INFO, SECTION,
                    "'%s' %s peer %s is complete, %llu bytes in %u files", transfer->name, way,
                    peer.text, (unsigned long long)transfer->manifest.total,
                    transfer->manifest.count);
    } else {
        log_limited(&transfers->log, now_ms, LOG_LEVEL_INFO, SECTION, "'%s' %s peer %s ended: %s",
                    transfer->name, way, peer.text, transfer->error);
    }
}

static void on_end(void *arg, struct transfer *transfer)
{
    struct errand *errand = errand_of(transfer);
    sums_measure(errand);
    sums_settle(errand);
    files_end(errand);
    if (!transfer->offered) {
        pull_tell_end(errand);
    }
    log_end(arg, transfer);
    tell(errand);
    pull_ask_next(arg, &transfer->peer);
}

static void on_forget(void *arg, struct transfer *transfer)
{
    struct errand *errand = errand_of(transfer);
    (void)arg;
    if (errand != NULL) {
        check_drop(errand->check);
        files_end(errand);
        free(errand->shown);
        free(errand);
    }
}

static const struct transfer_callbacks engine_callbacks = {
    .send = on_send,
    .on_offer = on_offer,
    .on_start = on_start,
    .on_window = on_window,
    .on_data = on_data,
    .on_file_end = on_file_end,
    .on_change = on_change,
    .on_end = on_end,
    .on_forget = on_forget,
};

/* ---- time ---- */

static void on_timer(void *arg)
{
    struct transfers *transfers = arg;
    int64_t now_ms = transfers_now_ms(transfers);
    int64_t flow_ms = flow_tick(transfers);
    int64_t next_ms = transfer_engine_tick(transfers->engine, now_ms);
    next_ms = flow_ms < next_ms ? flow_ms : next_ms;
    if (next_ms != INT64_MAX) {
        timer_start(&transfers->timer, next_ms > now_ms ? next_ms - now_ms : 0);
    }
}

void transfers_wake(struct transfers *transfers)
{
    int64_t due_ms = transfers_now_ms(transfers) + WAKE_MS;
    if (!timer_is_running(&transfers->timer) || transfers->timer.due_ms > due_ms) {
        timer_start(&transfers->timer, WAKE_MS);
    }
}

/* ---- peers ---- */

static void on_up(struct transfers *transfers, const struct peer_id *id)
{
    struct transfer_peer *peer = xalloc(sizeof *peer);
    peer->id = *id;
    list_init(&peer->ready);
    list_init(&peer->unsent);
    if (map_insert(&transfers->peers, bytes_make(peer->id.bytes, sizeof peer->id.bytes), peer) <
        0) {
        free(peer);
        log_warn(SECTION, "out of memory: no files to and from peer %s",
                 peer_id_format_short(id).text);
        return;
    }
    ctl_greet(transfers, id);
}

static void on_lost(struct transfers *transfers, struct transfer_peer *peer)
{
    bool can_resume = (peer->caps & CAP_RESUME) != 0 && !transfers->stopping;
    pump_drop(peer);
    lists_drop(transfers, peer);
    peer->caps = 0;
    transfer_engine_lost(transfers->engine, &peer->id, can_resume, transfers_now_ms(transfers));
    transfers_wake(transfers);
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        struct errand *errand = errand_of(transfer);
        if (transfer->lost && !transfer->sending && errand->disk != NULL &&
            peer_id_equal(&transfer->peer, &peer->id)) {
            errand->rewound = false;
            flow_forget(errand);
            transfer_disk_rewind(errand->disk);
        }
    }
}

static void transfers_on_peer(void *self, struct peer *mesh_peer, enum peer_event event)
{
    struct transfers *transfers = self;
    const struct peer_id *id = peer_id_of(mesh_peer);
    struct transfer_peer *peer = transfers_peer(transfers, id);
    if (event == PEER_UP) {
        on_up(transfers, id);
    } else if (event == PEER_REPLACED && peer != NULL) {
        on_lost(transfers, peer);
        ctl_greet(transfers, id);
    } else if (event == PEER_DOWN && peer != NULL) {
        on_lost(transfers, peer);
        (void)map_remove(&transfers->peers, bytes_make(peer->id.bytes, sizeof peer->id.bytes));
        free(peer);
    }
}

static void transfers_on_message(void *self, struct peer *from, const struct message *message)
{
    struct transfers *transfers = self;
    struct peer_id id = *peer_id_of(from);
    struct transfer_peer *peer = transfers_peer(transfers, &id);
    if (peer == NULL || !lists_take(transfers, peer, message->payload)) {
        transfer_engine_receive(transfers->engine, &id, message->payload,
                                transfers_now_ms(transfers));
        transfers_wake(transfers);
    }
}

/* ---- sessions ---- */

/* What the session had ends, what it was shown is another's to answer. */
static void leave_all(struct transfers *transfers, uint64_t session)
{
    int64_t now_ms = transfers_now_ms(transfers);
    pull_drop_unasked(transfers, session); /* or the end of others would ask for it */
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (transfer_has_ended(transfer)) {
            continue;
        }
        if (transfer->session == session) {
            transfer_cancel(transfers->engine, transfer, "the program that had it has ended",
                            now_ms);
        } else if (transfer->session == 0 && shown_has(errand_of(transfer), session) &&
                   shown_leave(errand_of(transfer), session)) {
            transfer_refuse(transfers->engine, transfer, "no program is left that might take it",
                            now_ms);
        }
    }
}

static void transfers_on_session_stop(void *self, uint64_t session)
{
    leave_all(self, session);
}

static void transfers_on_session_end(void *self, uint64_t session)
{
    struct transfers *transfers = self;
    leave_all(transfers, session);
    free(map_remove(&transfers->clients, session_key(&session)));
}

static void transfers_on_describe_session(void *self, uint64_t session, json_t *row)
{
    const struct transfers *transfers = self;
    const struct transfer_client *client = transfers_find_client(transfers, session);
    (void)json_object_set_new(row, "transfers",
                              json_integer(client == NULL ? 0 : (json_int_t)client->active));
}

/* ---- life ---- */

static struct transfer_limits limits_of(const struct transfers *transfers)
{
    const struct config *config = host_config(transfers->host);
    return (struct transfer_limits){
        .pending_per_peer = config_size(config, SECTION, "max_pending_per_peer"),
        .asked_per_peer = 16, /* both api.md 7.5 */
        .wanted_per_peer = 64,
        .active_per_peer = config_size(config, SECTION, "max_active_per_peer"),
        .max_files = config_size(config, SECTION, "max_files"),
        .list_bytes = config_size(config, SECTION, "max_list_bytes"),
        .offer_ms = (int64_t)config_uint(config, SECTION, "offer_timeout") * 1000,
        .wanted_ms = (int64_t)config_uint(config, SECTION, "request_timeout") * 1000,
        .idle_ms = (int64_t)config_uint(config, SECTION, "idle_timeout") * 1000,
        .resume_ms = (int64_t)config_uint(config, SECTION, "resume_time") * 1000,
    };
}

static void read_config(struct transfers *transfers)
{
    const struct config *config = host_config(transfers->host);
    struct rlimit files;
    transfers->max_descriptors =
        getrlimit(RLIMIT_NOFILE, &files) == 0 ? (size_t)files.rlim_cur : 1024;
    transfers->enabled = config_bool(config, SECTION, "enabled");
    transfers->chunk_size = config_size(config, SECTION, "chunk");
    transfers->active_per_session = config_size(config, SECTION, "max_active_per_session");
    transfers->max_files = config_size(config, SECTION, "max_files");
    transfers->list_bytes = config_size(config, SECTION, "max_list_bytes");
}

static void transfers_on_reload(void *self)
{
    struct transfers *transfers = self;
    struct transfer_limits limits = limits_of(transfers);
    read_config(transfers);
    transfer_engine_set_limits(transfers->engine, &limits);
    transfers_wake(transfers);
}

static int transfers_open(struct host *host, void **ret_self)
{
    struct transfers *transfers = xalloc(sizeof *transfers);
    transfers->host = host;
    random_bytes(transfers->seed, sizeof transfers->seed);
    struct transfer_options options = {
        /* far from those of others, and with room to count up */
        .first_id = TRANSFER_FIRST_ID_MIN + (random_u64() >> 2),
        .seed = {transfers->seed[0], transfers->seed[1]},
    };
    struct transfer_limits limits = limits_of(transfers);
    int rc =
        transfer_engine_new(&options, &limits, &engine_callbacks, transfers, &transfers->engine);
    if (rc < 0) {
        free(transfers);
        return rc;
    }
    map_init(&transfers->clients, transfers->seed);
    map_init(&transfers->peers, transfers->seed);
    timer_init(&transfers->timer, host_loop(host), on_timer, transfers);
    read_config(transfers);
    metrics_add(host_metrics(host), transfers_metrics, transfer_engine_counts(transfers->engine));
    mesh_on_room(host_mesh(host), pump_on_room, transfers);
    *ret_self = transfers;
    return 0;
}

static void transfers_stop(void *self)
{
    struct transfers *transfers = self;
    transfers->stopping = true;
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (!transfer_has_ended(transfer)) {
            transfer_cancel(transfers->engine, transfer, "the daemon ends",
                            transfers_now_ms(transfers));
        }
    }
}

static void free_all(struct map *map)
{
    size_t cursor = 0;
    void *value;
    while ((value = map_next(map, &cursor)) != NULL) {
        free(value);
    }
    map_fini(map);
}

static void transfers_close(void *self)
{
    struct transfers *transfers = self;
    size_t cursor = 0;
    struct transfer_peer *peer;
    mesh_on_room(host_mesh(transfers->host), NULL, NULL);
    metrics_remove(host_metrics(transfers->host), transfer_engine_counts(transfers->engine));
    timer_stop(&transfers->timer);
    while ((peer = map_next(&transfers->peers, &cursor)) != NULL) {
        pump_drop(peer);
        lists_drop(transfers, peer);
    }
    transfer_engine_free(transfers->engine);
    free_all(&transfers->clients);
    free_all(&transfers->peers);
    free(transfers);
}

const struct service transfer_service = {
    .name = SECTION,
    .type = WIRE_FILE_CHUNK,
    .config = transfers_config,
    .methods = transfers_methods,
    .open = transfers_open,
    .on_peer = transfers_on_peer,
    .on_message = transfers_on_message,
    .on_control = transfers_on_control,
    .on_reload = transfers_on_reload,
    .on_describe_session = transfers_on_describe_session,
    .on_session_stop = transfers_on_session_stop,
    .on_session_end = transfers_on_session_end,
    .stop = transfers_stop,
    .close = transfers_close,
};
