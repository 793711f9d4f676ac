#include "service/storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "core/random.h"
#include "service/registry.h"
#include "service/storage_answer.h"
#include "service/storage_file.h"
#include "service/storage_peers.h"
#include "service/storage_queue.h"
#include "service/storage_reader.h"
#include "util/alloc.h"

#define SECTION    "storage"
#define COLLECT_MS (int64_t)(3600 * 1000) /* between two looks for old tombstones */

struct storage {
    struct host *host;
    struct storage_queue *queue; /* NULL: the service is off */
    struct storage_peers *peers;
    struct storage_reader *reader;
    struct registry watches; /* prefixes */
    struct lww_totals totals;
    struct timer collect_timer;
    uint64_t changes; /* made here */
    bool failing;     /* the file could not be opened */
    bool opening;     /* it was begun with: at the start, or with the first peer */
};

static const struct config_item storage_config[] = {
    {.key = "enabled",
     .type = CONFIG_BOOL,
     .default_text = "yes",
     .summary = "Whether there is a store; without it entries of peers are dropped."},
    {.key = "write",
     .type = CONFIG_CHOICE,
     .default_text = "use",
     .choices = "use|control",
     .reloadable = true,
     .summary = "Permission a program needs to put or remove; any peer may write all the same."},
    {.key = "max_key",
     .type = CONFIG_SIZE,
     .default_text = "1K",
     .min = 1,
     .max = 8192,
     .reloadable = true,
     .summary = "Bytes of one key."},
    {.key = "max_value",
     .type = CONFIG_SIZE,
     .default_text = "4M",
     .min = 8,
     .max = 32ULL * 1024 * 1024,
     .reloadable = true,
     .summary = "Bytes of one value."},
    {.key = "max_keys",
     .type = CONFIG_UINT,
     .default_text = "1000000",
     .min = 1,
     .max = 1000000000,
     .reloadable = true,
     .summary = "Keys stored, those that were removed and are still remembered included."},
    {.key = "max_total",
     .type = CONFIG_SIZE,
     .default_text = "1G",
     .min = 1024,
     .max = 1024ULL * 1024 * 1024 * 1024,
     .reloadable = true,
     .summary = "Bytes of all keys and values together."},
    {.key = "max_clock_ahead",
     .type = CONFIG_SECONDS,
     .default_text = "5m",
     .min = 1,
     .max = 86400,
     .reloadable = true,
     .summary = "How far the clock of whoever wrote an entry may be ahead; beyond that it is "
                "refused."},
    {.key = "tombstone_age",
     .type = CONFIG_SECONDS,
     .default_text = "720h",
     .min = 60,
     .max = 3650ULL * 86400,
     .reloadable = true,
     .summary = "How long a removal is remembered; a peer that was away for longer brings the key "
                "back."},
    {.key = "resync_interval",
     .type = CONFIG_SECONDS,
     .default_text = "10m",
     .max = 30ULL * 86400,
     .reloadable = true,
     .summary = "How often one peer is asked for everything, beside when it connects; 0 is never."},
    {0},
};

static const struct config *config_of(const struct storage *storage)
{
    return host_config(storage->host);
}

static struct lww_limits limits_of(const struct storage *storage)
{
    const struct config *config = config_of(storage);
    return (struct lww_limits){
        .max_key = config_size(config, SECTION, "max_key"),
        .max_value = config_size(config, SECTION, "max_value"),
        .max_keys = config_uint(config, SECTION, "max_keys"),
        .max_total = config_uint(config, SECTION, "max_total"),
        .ahead_ms = config_uint(config, SECTION, "max_clock_ahead") * 1000,
        .tombstone_ms = config_uint(config, SECTION, "tombstone_age") * 1000,
    };
}

/* ---- who hears of a change ---- */

/* Each session once, however many of its prefixes fit. */
static void watch_all(const struct storage *storage, struct bytes key, uint64_t **ret_sessions,
                      size_t *ret_count)
{
    uint64_t *sessions = NULL;
    size_t count = 0;
    LIST_EACH(&storage->watches.all, node)
    {
        const struct registration *watch = CONTAINER_OF(node, struct registration, node);
        if (!bytes_begin_with(key, registration_name(watch))) {
            continue;
        }
        sessions = xrealloc(sessions, (count + watch->count) * sizeof(*sessions));
        for (size_t i = 0; i < watch->count; i++) {
            size_t at = 0;
            while (at < count && sessions[at] != watch->sessions[i]) {
                at++;
            }
            sessions[at] = watch->sessions[i];
            count += at == count ? 1 : 0;
        }
    }
    *ret_sessions = sessions;
    *ret_count = count;
}

static void emit_change(struct storage *storage, const struct storage_change *change,
                        const struct peer_id *from)
{
    uint64_t *sessions = NULL;
    size_t count = 0;
    watch_all(storage, change->entry.key, &sessions, &count);
    if (count > 0) {
        host_emit_body(storage->host, sessions, count, EV_STORAGE_CHANGED,
                       storage_change_json(&change->entry, from != NULL), change->entry.data, from);
    }
    free(sessions);
}

static void on_merged(void *arg, const struct peer_id *from, const struct storage_change *changes,
                      size_t count)
{
    struct storage *storage = arg;
    for (size_t i = 0; i < count && !list_is_empty(&storage->watches.all); i++) {
        emit_change(storage, &changes[i], from);
    }
}

/* ---- batches ---- */

static void collect(void *arg);

/* The file is there, or is made, once somebody asks. */
static void open_once(struct storage *storage)
{
    if (!storage->opening) {
        collect(storage);
    }
}

static void on_prepare(void *arg, struct storage_batch *batch)
{
    struct storage *storage = arg;
    struct mesh *mesh = host_mesh(storage->host);
    batch->limits = limits_of(storage);
    batch->now_ms = (uint64_t)loop_unix_ms(host_loop(storage->host));
    memcpy(batch->origin, peer_id_format(&mesh_identity(mesh)->id).text, sizeof(batch->origin));
    storage_peers_set_interval(
        storage->peers,
        (int64_t)config_uint(config_of(storage), SECTION, "resync_interval") * 1000);
}

static void on_batch(void *arg, const struct storage_batch *batch, const char *problem)
{
    struct storage *storage = arg;
    bool failing = *problem != '\0';
    if (failing != storage->failing) {
        storage->failing = failing;
        if (failing) {
            log_error("storage", "%s; until then nothing can be stored", problem);
        } else {
            log_info("storage", "the store can be used again");
        }
    }
    if (!failing) {
        storage->totals = batch->totals;
        storage_peers_set_head(storage->peers, batch->head_before, batch->head);
    }
}

static void on_idle(void *arg)
{
    struct storage *storage = arg;
    storage_peers_settle(storage->peers);
}

/* ---- calls ---- */

/* The request is failed when the service is off. */
static bool is_on(const struct storage *storage, struct request *request)
{
    if (storage->queue == NULL) {
        request_fail(request, E_NOT_SUPPORTED,
                     "this instance runs without a store; 'enabled = yes' in [storage] of its "
                     "configuration starts it with one");
        return false;
    }
    return true;
}

static bool may_write(const struct storage *storage, struct request *request)
{
    if (!is_on(storage, request)) {
        return false;
    }
    if (strcmp(config_text(config_of(storage), SECTION, "write"), "control") == 0 &&
        !request_may_control(request)) {
        request_fail(request, E_NOT_PERMITTED,
                     "writing to the store needs control permission here; 'write = use' in "
                     "[storage] of the configuration would give it to everybody");
        return false;
    }
    return true;
}

static struct bytes text_param(const struct request *request, const char *name)
{
    const json_t *value = json_object_get(request_params(request), name);
    return bytes_make(json_string_value(value), json_string_length(value));
}

static void on_cancel(void *arg)
{
    struct storage_op *op = arg;
    op->request = NULL;
}

/* Queues the operation, which has all it needs but the key. */
static void begin(struct storage *storage, struct request *request, struct storage_op *op,
                  struct bytes key, storage_done_fn on_done, void *arg)
{
    open_once(storage);
    if (!storage_queue_admits(storage->queue, request_session(request),
                              storage_op_held(op) + key.size)) {
        request_fail(request, E_LIMIT,
                     "%zu bytes of changes wait for the disk already; wait for the answers to "
                     "earlier calls",
                     storage_queue_held(storage->queue, STORAGE_LOCAL));
        storage_op_free(op);
        return;
    }
    if (buf_append(&op->key, key) < 0) {
        request_fail_errno(request, -ENOMEM, "out of memory");
        storage_op_free(op);
        return;
    }
    op->session = request_session(request);
    op->request = request;
    op->on_done = on_done;
    op->arg = arg;
    request_defer(request, on_cancel, op);
    storage_queue_add(storage->queue, STORAGE_LOCAL, op);
}

/* The request's failure by what came of the operation. */
static void fail(void *arg, struct storage_op *op)
{
    const struct storage *storage = arg;
    struct lww_limits limits = limits_of(storage);
    storage_answer_fail(op, &limits, storage->failing);
}

static void on_changed(void *arg, struct storage_op *op)
{
    struct storage *storage = arg;
    if (op->result == 0) {
        storage->changes++;
        storage_peers_tell(storage->peers, op->changes, op->change_count);
        emit_change(storage, &op->changes[0], NULL);
    }
    if (op->request != NULL && op->result == 0) {
        request_reply(op->request, json_pack("{s:I}", "timestamp_ms",
                                             (json_int_t)op->changes[0].entry.timestamp_ms));
    } else if (op->request != NULL) {
        fail(storage, op);
    }
    storage_op_free(op);
}

static void on_put(void *self, struct request *request)
{
    struct storage *storage = self;
    struct bytes key = text_param(request, "key");
    struct bytes value = request_body(request);
    if (!may_write(storage, request)) {
        return;
    }
    struct storage_op *op = storage_op_new(STORAGE_PUT);
    struct lww_limits limits = limits_of(storage);
    op->type = storage_type_find(json_object_get(request_params(request), "type"));
    op->request = request;
    if (!entry_fits_type(op->type, value.size)) {
        request_fail_details(request, E_INVALID_PARAMETER, json_pack("{s:s}", "field", "body"),
                             "a value of type %s has 8 bytes, big-endian; this one has %zu",
                             storage_type_name(op->type), value.size);
        storage_op_free(op);
    } else if (key.size > limits.max_key || value.size > limits.max_value) {
        op->verdict = key.size > limits.max_key ? LWW_KEY_SIZE : LWW_VALUE_SIZE;
        storage_answer_sizes(op, &limits, key.size, value.size);
        storage_op_free(op);
    } else if (buf_append(&op->data, value) < 0) {
        request_fail_errno(request, -ENOMEM, "out of memory");
        storage_op_free(op);
    } else {
        begin(storage, request, op, key, on_changed, storage);
    }
}

static void on_remove(void *self, struct request *request)
{
    struct storage *storage = self;
    if (may_write(storage, request)) {
        begin(storage, request, storage_op_new(STORAGE_REMOVE), text_param(request, "key"),
              on_changed, storage);
    }
}

static void on_get(void *self, struct request *request)
{
    struct storage *storage = self;
    if (is_on(storage, request)) {
        begin(storage, request, storage_op_new(STORAGE_GET), text_param(request, "key"),
              storage_reader_on_got, storage->reader);
    }
}

static void on_listed(void *arg, struct storage_op *op)
{
    if (op->request != NULL && op->result == 0) {
        request_reply(op->request, storage_keys_json(buf_view(&op->value), op->more));
    } else if (op->request != NULL) {
        fail(arg, op);
    }
    storage_op_free(op);
}

static void on_keys(void *self, struct request *request)
{
    struct storage *storage = self;
    const json_t *limit = json_object_get(request_params(request), "limit");
    if (!is_on(storage, request)) {
        return;
    }
    struct storage_op *op = storage_op_new(STORAGE_KEYS);
    op->limit = limit == NULL ? 1000 : (size_t)json_integer_value(limit);
    if (buf_append(&op->after, text_param(request, "after")) < 0) {
        request_fail_errno(request, -ENOMEM, "out of memory");
        storage_op_free(op);
        return;
    }
    begin(storage, request, op, text_param(request, "prefix"), on_listed, storage);
}

static void on_sync(void *self, struct request *request)
{
    struct storage *storage = self;
    if (is_on(storage, request)) {
        size_t peers = storage_peers_ask_all(storage->peers);
        request_reply(request, json_pack("{s:I}", "peers", (json_int_t)peers));
    }
}

static json_t *statistics_json(const struct storage *storage)
{
    struct lww_limits limits = limits_of(storage);
    const struct storage_peers_values *values = storage_peers_values(storage->peers);
    size_t watchers = 0;
    LIST_EACH(&storage->watches.all, node)
    {
        watchers += CONTAINER_OF(node, struct registration, node)->count;
    }
    size_t queued = storage_queue_held(storage->queue, STORAGE_LOCAL) +
                    storage_queue_held(storage->queue, STORAGE_REMOTE);
    json_t *result = storage_limits_json(&storage->totals, &limits);
    json_t *more = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "queued_bytes", (json_int_t)queued,
        "peers_behind", (json_int_t)values->behind, "changes", (json_int_t)storage->changes,
        "entries_in", (json_int_t)values->entries_in, "entries_taken",
        (json_int_t)values->entries_taken, "entries_out", (json_int_t)values->entries_out,
        "refused", (json_int_t)values->refused, "watchers", (json_int_t)watchers);
    (void)json_object_update(result, more);
    json_decref(more);
    return result;
}

static void on_looked(void *arg, struct storage_op *op)
{
    if (op->request != NULL && op->result == 0) {
        request_reply(op->request, statistics_json(arg));
    } else if (op->request != NULL) {
        fail(arg, op);
    }
    storage_op_free(op);
}

/* In its turn: what was answered before is counted. */
static void on_statistics(void *self, struct request *request)
{
    struct storage *storage = self;
    if (is_on(storage, request)) {
        begin(storage, request, storage_op_new(STORAGE_LOOK), bytes_make(NULL, 0), on_looked,
              storage);
    }
}

static void on_watch(void *self, struct request *request)
{
    struct storage *storage = self;
    struct registration *watch = NULL;
    if (!is_on(storage, request)) {
        return;
    }
    int result = registry_add(&storage->watches, text_param(request, "prefix"),
                              request_session(request), &watch);
    if (result == -EDQUOT) {
        request_fail(request, E_LIMIT,
                     "a session may watch at most %u prefixes, with at most %u bytes together; "
                     "watch shorter ones that cover several",
                     REGISTRY_MAX_NAMES, REGISTRY_MAX_BYTES);
    } else if (result < 0) {
        request_fail_errno(request, result, "out of memory");
    } else {
        request_reply(request, NULL);
    }
}

static void on_unwatch(void *self, struct request *request)
{
    struct storage *storage = self;
    if (!is_on(storage, request)) {
        return;
    }
    if (registry_remove(&storage->watches, text_param(request, "prefix"),
                        request_session(request))) {
        request_reply(request, NULL);
    } else {
        request_fail(request, E_NOT_FOUND, "this session does not watch that prefix");
    }
}

/* ---- peers ---- */

static void storage_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    struct storage *storage = self;
    if (storage->queue != NULL) {
        open_once(storage);
        storage_peers_on_peer(storage->peers, peer, event);
    }
}

static void storage_on_message(void *self, struct peer *from, const struct message *message)
{
    struct storage *storage = self;
    if (storage->queue != NULL) {
        storage_peers_on_message(storage->peers, from, message->payload);
    }
}

static void on_drained(void *arg, const struct peer_id *peer)
{
    struct storage *storage = arg;
    storage_peers_on_drained(storage->peers, peer);
}

/* ---- life ---- */

static void on_collected(void *arg, struct storage_op *op)
{
    struct storage *storage = arg;
    bool more = op->result == 0 && op->more;
    storage_op_free(op);
    if (more) {
        collect(storage);
    }
}

/* Also the first thing of all: it opens the file, or makes it. */
static void collect(void *arg)
{
    struct storage *storage = arg;
    struct storage_op *op = storage_op_new(STORAGE_COLLECT);
    storage->opening = true;
    op->on_done = on_collected;
    op->arg = storage;
    storage_queue_add(storage->queue, STORAGE_REMOTE, op);
    timer_start(&storage->collect_timer, COLLECT_MS);
}

static int storage_open(struct host *host, void **ret_self)
{
    struct storage *storage = xalloc(sizeof(*storage));
    uint64_t seed[2] = {random_u64(), random_u64()};
    storage->host = host;
    registry_init(&storage->watches, seed, NULL, NULL);
    *ret_self = storage;
    if (!config_bool(config_of(storage), SECTION, "enabled")) {
        return 0;
    }
    timer_init(&storage->collect_timer, host_loop(host), collect, storage);
    storage->queue =
        storage_queue_new(host_loop(host), host_worker(host), host_facts(host)->data_directory,
                          &(struct storage_queue_callbacks){
                              .prepare = on_prepare,
                              .on_batch = on_batch,
                              .on_idle = on_idle,
                              .arg = storage,
                          });
    storage->reader = storage_reader_new(host_loop(host), storage->queue, fail, storage);
    storage->peers = storage_peers_new(&(struct storage_peers_options){
        .loop = host_loop(host),
        .mesh = host_mesh(host),
        .queue = storage->queue,
        .on_merged = on_merged,
        .arg = storage,
    });
    metrics_add(host_metrics(host), storage_peers_metrics, storage_peers_values(storage->peers));
    mesh_on_drained(host_mesh(host), on_drained, storage);
    return 0;
}

static int storage_start(void *self)
{
    struct storage *storage = self;
    /* Without a peer or a program nobody asks for what is not there. */
    if (storage->queue != NULL && storage_file_exists(host_facts(storage->host)->data_directory)) {
        collect(storage);
    }
    return 0;
}

static void storage_on_session_end(void *self, uint64_t session)
{
    struct storage *storage = self;
    registry_drop_session(&storage->watches, session);
}

static void storage_close(void *self)
{
    struct storage *storage = self;
    if (storage->queue != NULL) {
        timer_stop(&storage->collect_timer);
        metrics_remove(host_metrics(storage->host), storage_peers_values(storage->peers));
    }
    storage_reader_free(storage->reader);
    storage_peers_free(storage->peers);
    storage_queue_free(storage->queue);
    registry_fini(&storage->watches);
    free(storage);
}

static const struct method_handler storage_methods[] = {
    {M_STORAGE_PUT, on_put},
    {M_STORAGE_GET, on_get},
    {M_STORAGE_REMOVE, on_remove},
    {M_STORAGE_KEYS, on_keys},
    {M_STORAGE_SYNC, on_sync},
    {M_STORAGE_STATISTICS, on_statistics},
    {M_STORAGE_WATCH, on_watch},
    {M_STORAGE_UNWATCH, on_unwatch},
    {0},
};

const struct service storage_service = {
    .name = SECTION,
    .type = WIRE_STORAGE,
    .config = storage_config,
    .methods = storage_methods,
    .open = storage_open,
    .start = storage_start,
    .on_peer = storage_on_peer,
    .on_message = storage_on_message,
    .on_session_end = storage_on_session_end,
    .close = storage_close,
};
