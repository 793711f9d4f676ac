#include "service/transfer_engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/transfer_private.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/siphash.h"
#include "util/text.h"

/* ---- life ---- */

int transfer_engine_new(const struct transfer_options *options,
                        const struct transfer_limits *limits,
                        const struct transfer_callbacks *callbacks, void *arg,
                        struct transfer_engine **ret_engine)
{
    struct transfer_engine *engine = try_alloc(sizeof *engine);
    if (engine == NULL) {
        return -ENOMEM;
    }
    engine->options = *options;
    engine->limits = *limits;
    engine->callbacks = callbacks;
    engine->arg = arg;
    engine->next_id = options->first_id;
    list_init(&engine->all);
    map_init(&engine->by_wire, options->seed);
    map_init(&engine->by_key, options->seed);
    *ret_engine = engine;
    return 0;
}

static void transfer_free(struct transfer *transfer)
{
    transfer_manifest_fini(&transfer->manifest);
    free(transfer->name);
    free(transfer);
}

static struct bytes wire_key(const struct transfer *transfer)
{
    return bytes_make(transfer->map_key, sizeof transfer->map_key);
}

void transfer_take_off_wire(struct transfer_engine *engine, struct transfer *transfer)
{
    if (transfer->on_wire) {
        (void)map_remove(&engine->by_wire, wire_key(transfer));
        transfer->on_wire = false;
    }
}

void transfer_forget(struct transfer_engine *engine, struct transfer *transfer)
{
    list_remove(&transfer->node);
    (void)map_remove(&engine->by_key, bytes_from_string(transfer->key));
    if (transfer_has_ended(transfer)) {
        engine->ended--;
    } else {
        transfer_take_off_wire(engine, transfer);
        engine->counts.active--;
    }
    engine->callbacks->on_forget(engine->arg, transfer);
    transfer_free(transfer);
}

void transfer_engine_free(struct transfer_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    LIST_EACH(&engine->all, node)
    {
        transfer_forget(engine, CONTAINER_OF(node, struct transfer, node));
    }
    map_fini(&engine->by_wire);
    map_fini(&engine->by_key);
    free(engine);
}

void transfer_engine_set_limits(struct transfer_engine *engine,
                                const struct transfer_limits *limits)
{
    engine->limits = *limits;
}

const struct transfer_counts *transfer_engine_counts(const struct transfer_engine *engine)
{
    return &engine->counts;
}

const struct list *transfer_engine_all(const struct transfer_engine *engine)
{
    return &engine->all;
}

static void fill_wire_key(uint8_t *key, const struct peer_id *peer, uint64_t id, bool sending)
{
    struct writer writer;
    writer_init(&writer, key, PEER_ID_SIZE + 9);
    writer_bytes(&writer, bytes_make(peer->bytes, PEER_ID_SIZE));
    writer_u64(&writer, id);
    writer_u8(&writer, sending);
}

/* Nobody can tell the next from those he has seen. */
static void make_key(struct transfer_engine *engine, char ret_key[TRANSFER_KEY_SIZE])
{
    uint8_t key[16];
    struct writer writer;
    writer_init(&writer, key, sizeof key);
    for (int half = 0; half < 2; half++) {
        engine->serial++;
        writer_u64(&writer, siphash13(engine->options.seed,
                                      bytes_make(&engine->serial, sizeof engine->serial)));
    }
    hex_format(writer_view(&writer), ret_key);
}

struct transfer *transfer_new(struct transfer_engine *engine, const struct peer_id *peer,
                              bool sending, int64_t now_ms)
{
    struct transfer *transfer = try_alloc(sizeof *transfer);
    if (transfer == NULL) {
        return NULL;
    }
    transfer->peer = *peer;
    transfer->sending = sending;
    transfer->created_ms = now_ms;
    transfer->active_ms = now_ms;
    transfer->rate_ms = now_ms;
    make_key(engine, transfer->key);
    if (map_insert(&engine->by_key, bytes_from_string(transfer->key), transfer) < 0) {
        free(transfer);
        return NULL;
    }
    list_append(&engine->all, &transfer->node);
    engine->counts.active++;
    return transfer;
}

int transfer_put_on_wire(struct transfer_engine *engine, struct transfer *transfer, uint64_t id)
{
    fill_wire_key(transfer->map_key, &transfer->peer, id, transfer->sending);
    int rc = map_insert(&engine->by_wire, wire_key(transfer), transfer);
    transfer->id = rc < 0 ? transfer->id : id;
    transfer->on_wire = rc == 0;
    return rc;
}

void transfer_discard(struct transfer_engine *engine, struct transfer *transfer)
{
    list_remove(&transfer->node);
    (void)map_remove(&engine->by_key, bytes_from_string(transfer->key));
    transfer_take_off_wire(engine, transfer);
    engine->counts.active--;
    transfer_free(transfer);
}

struct transfer *transfer_engine_find(const struct transfer_engine *engine, const char *key)
{
    return map_find(&engine->by_key, bytes_from_string(key));
}

struct transfer *transfer_engine_find_wire(const struct transfer_engine *engine,
                                           const struct peer_id *peer, uint64_t id, bool sending)
{
    uint8_t key[PEER_ID_SIZE + 9];
    fill_wire_key(key, peer, id, sending);
    return map_find(&engine->by_wire, bytes_make(key, sizeof key));
}

size_t transfer_engine_active(const struct transfer_engine *engine, const struct peer_id *peer)
{
    size_t count = 0;
    LIST_EACH(&engine->all, node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        count += !transfer_has_ended(transfer) && peer_id_equal(&transfer->peer, peer);
    }
    return count;
}

/* ---- what is told ---- */

void transfer_say(struct transfer_engine *engine, const struct transfer *transfer,
                  enum transfer_op op, bool ok)
{
    uint8_t out[TRANSFER_MAX_CONTROL];
    struct writer writer;
    struct transfer_frame frame = {.op = op, .id = transfer->id, .ok = ok};
    if (!transfer->offered) {
        return;
    }
    if (op == TRANSFER_RESPONSE && !ok) {
        frame.reason = bytes_from_string(transfer->error);
    }
    frame.received = transfer->written;
    writer_init(&writer, out, sizeof out);
    transfer_frame_encode(&frame, &writer);
    (void)engine->callbacks->send(engine->arg, &transfer->peer, writer_view(&writer));
}

static void measure_rate(struct transfer *transfer, int64_t now_ms)
{
    uint64_t done = transfer->sending ? transfer->acked : transfer->written;
    int64_t elapsed_ms = now_ms - transfer->rate_ms;
    if (elapsed_ms >= 1000 || (transfer->rate == 0 && elapsed_ms >= TRANSFER_PROGRESS_MS)) {
        uint64_t bytes = done > transfer->rate_bytes ? done - transfer->rate_bytes : 0;
        transfer->rate = bytes * 1000 / (uint64_t)elapsed_ms;
        transfer->rate_ms = now_ms;
        transfer->rate_bytes = done;
    }
}

void transfer_tell(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    transfer->told_ms = now_ms;
    transfer->untold = false;
    engine->callbacks->on_change(engine->arg, transfer);
}

void transfer_set_state(struct transfer_engine *engine, struct transfer *transfer,
                        enum transfer_state state, int64_t now_ms)
{
    transfer->state = state;
    transfer_tell(engine, transfer, now_ms);
}

void transfer_progress(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    if (transfer_has_ended(transfer)) {
        return;
    }
    measure_rate(transfer, now_ms);
    if (now_ms - transfer->told_ms >= TRANSFER_PROGRESS_MS) {
        transfer_tell(engine, transfer, now_ms);
    } else {
        transfer->untold = true;
    }
}

void transfer_end(struct transfer_engine *engine, struct transfer *transfer,
                  enum transfer_state state, const char *why, int64_t now_ms)
{
    if (transfer_has_ended(transfer)) {
        return;
    }
    transfer_take_off_wire(engine, transfer);
    transfer->state = state;
    transfer->ended_ms = now_ms;
    transfer->untold = false;
    transfer->rate = 0;
    (void)text_escape(bytes_from_string(why), transfer->error, sizeof transfer->error);
    engine->counts.active--;
    engine->ended++;
    engine->counts.completed += state == TRANSFER_COMPLETED;
    engine->counts.failed += state == TRANSFER_FAILED;
    engine->counts.cancelled += state == TRANSFER_CANCELLED;
    engine->callbacks->on_end(engine->arg, transfer);
    transfer_manifest_fini(&transfer->manifest); /* of which the sums stay */
}

/* ---- answers ---- */

void transfer_accept(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    if (transfer->state != TRANSFER_PENDING || transfer->sending) {
        return;
    }
    transfer->started_ms = now_ms;
    transfer->active_ms = now_ms;
    transfer->rate_ms = now_ms;
    transfer_say(engine, transfer, TRANSFER_RESPONSE, true);
    transfer_set_state(engine, transfer, TRANSFER_RUNNING, now_ms);
    if (transfer->manifest.count == 0) {
        transfer_placed(engine, transfer, 0, now_ms);
    }
}

void transfer_refuse(struct transfer_engine *engine, struct transfer *transfer, const char *reason,
                     int64_t now_ms)
{
    if (transfer->state != TRANSFER_PENDING) {
        return;
    }
    (void)snprintf(transfer->error, sizeof transfer->error, "%s", reason);
    transfer_say(engine, transfer, TRANSFER_RESPONSE, false);
    transfer_end(engine, transfer, TRANSFER_CANCELLED, reason, now_ms);
}

void transfer_cancel(struct transfer_engine *engine, struct transfer *transfer, const char *why,
                     int64_t now_ms)
{
    if (transfer->state == TRANSFER_PENDING) {
        transfer_refuse(engine, transfer, why, now_ms);
    } else if (!transfer_has_ended(transfer)) {
        transfer_say(engine, transfer, TRANSFER_CANCEL, false);
        transfer_end(engine, transfer, TRANSFER_CANCELLED, why, now_ms);
    }
}

void transfer_fail(struct transfer_engine *engine, struct transfer *transfer, const char *why,
                   int64_t now_ms)
{
    if (transfer->state == TRANSFER_PENDING) {
        (void)text_escape(bytes_from_string(why), transfer->error, sizeof transfer->error);
        transfer_say(engine, transfer, TRANSFER_RESPONSE, false);
    } else if (!transfer_has_ended(transfer)) {
        transfer_say(engine, transfer, TRANSFER_COMPLETE, false);
    }
    transfer_end(engine, transfer, TRANSFER_FAILED, why, now_ms);
}

int transfer_pause(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    if (transfer->state != TRANSFER_RUNNING) {
        return -EINVAL;
    }
    transfer->paused = true;
    transfer->word = TRANSFER_WORD_OURS;
    transfer_say(engine, transfer, TRANSFER_PAUSE, false);
    transfer_set_state(engine, transfer, TRANSFER_PAUSED, now_ms);
    return 0;
}

void transfer_unpause(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    transfer->paused = false;
    transfer->active_ms = now_ms;
    if (transfer->lost) {
        return;
    }
    transfer_set_state(engine, transfer, TRANSFER_RESUMING, now_ms);
    if (transfer->state == TRANSFER_RESUMING) {
        transfer_set_state(engine, transfer, TRANSFER_RUNNING, now_ms);
    }
}

int transfer_resume(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    if (transfer->state != TRANSFER_PAUSED || !transfer->paused) {
        return -EINVAL;
    }
    transfer->word = transfer->lost ? TRANSFER_WORD_LATER : TRANSFER_WORD_OURS;
    transfer_say(engine, transfer, TRANSFER_RESUME, false);
    transfer_unpause(engine, transfer, now_ms);
    return 0;
}

/* ---- a sender's chunks, a receiver's disk ---- */

bool transfer_may_send(const struct transfer *transfer)
{
    return transfer->sending && transfer->state == TRANSFER_RUNNING && !transfer->paused &&
           !transfer->lost && transfer->moved - transfer->acked < TRANSFER_WINDOW;
}

void transfer_sent(struct transfer_engine *engine, struct transfer *transfer, size_t size,
                   int64_t now_ms)
{
    transfer->offset += size;
    transfer->moved += size;
    transfer->active_ms = now_ms;
    engine->counts.bytes_sent += size;
}

void transfer_sent_end(struct transfer *transfer, int64_t now_ms)
{
    transfer->file++;
    transfer->offset = 0;
    transfer->active_ms = now_ms;
}

size_t transfer_chunk_size(const struct transfer *transfer, size_t least)
{
    uint64_t size = transfer->rate / 1000;
    size = size < TRANSFER_CHUNK_MOST ? size : TRANSFER_CHUNK_MOST;
    return size > least ? (size_t)size : least;
}

void transfer_wrote(struct transfer_engine *engine, struct transfer *transfer, uint64_t size,
                    bool file_is_whole, int64_t now_ms)
{
    if (!transfer_is_open(transfer) || transfer->lost) {
        return;
    }
    transfer->written += size;
    transfer->active_ms = now_ms;
    engine->counts.bytes_received += size;
    if (transfer->written - transfer->acked >= TRANSFER_ACK_BYTES ||
        (file_is_whole && transfer->written > transfer->acked)) {
        transfer->acked = transfer->written;
        transfer_say(engine, transfer, TRANSFER_PROGRESS, false);
    }
    transfer_progress(engine, transfer, now_ms);
}

void transfer_landed(struct transfer *transfer)
{
    transfer->landed = true;
}

void transfer_placed(struct transfer_engine *engine, struct transfer *transfer, uint32_t count,
                     int64_t now_ms)
{
    if (!transfer_is_open(transfer)) {
        return;
    }
    transfer->files_done += count;
    transfer->active_ms = now_ms;
    if (transfer->files_done < transfer->manifest.count) {
        transfer_progress(engine, transfer, now_ms);
        return;
    }
    transfer_say(engine, transfer, TRANSFER_COMPLETE, true);
    transfer_end(engine, transfer, TRANSFER_COMPLETED, "", now_ms);
}

/* ---- links that break ---- */

void transfer_engine_lost(struct transfer_engine *engine, const struct peer_id *peer,
                          bool can_resume, int64_t now_ms)
{
    LIST_EACH(&engine->all, node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (transfer_has_ended(transfer) || transfer->landed ||
            !peer_id_equal(&transfer->peer, peer)) {
            continue;
        }
        if (!can_resume || engine->limits.resume_ms == 0 || !transfer_is_open(transfer)) {
            transfer_end(engine, transfer, TRANSFER_FAILED, "the peer disconnected", now_ms);
        } else if (!transfer->lost) {
            transfer->lost = true;
            transfer->resumed = true;
            transfer->lost_ms = now_ms;
            transfer_set_state(engine, transfer, TRANSFER_PAUSED, now_ms);
        }
    }
}

void transfer_touch(struct transfer *transfer, int64_t now_ms)
{
    transfer->active_ms = now_ms;
    transfer->lost_ms = now_ms; /* of no meaning while it is not lost */
}

/* Bytes of the files before one. */
static uint64_t bytes_before(const struct transfer *transfer, uint32_t file)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < file; i++) {
        sum += transfer->manifest.files[i].size;
    }
    return sum;
}

void transfer_hear_word(struct transfer *transfer, bool paused, enum transfer_word word)
{
    if (word > transfer->word || (word == transfer->word && paused)) {
        transfer->paused = paused;
        transfer->word = TRANSFER_WORD_PEER;
    }
}

bool transfer_may_go_on(const struct transfer *transfer, uint32_t file, uint64_t offset)
{
    const struct transfer_manifest *manifest = &transfer->manifest;
    bool at_end = file == manifest->count && offset == 0;
    if (!transfer_is_open(transfer) || !transfer->lost || file > manifest->count ||
        (!at_end && (file == manifest->count || offset > manifest->files[file].size))) {
        return false;
    }
    /* A receiver cannot have what was never sent. */
    return !transfer->sending ||
           (file <= transfer->file && bytes_before(transfer, file) + offset <= transfer->moved);
}

int transfer_go_on(struct transfer_engine *engine, struct transfer *transfer, uint32_t file,
                   uint64_t offset, int64_t now_ms)
{
    if (!transfer_may_go_on(transfer, file, offset)) {
        return -EINVAL;
    }
    uint64_t moved = bytes_before(transfer, file) + offset;
    transfer->file = file;
    transfer->offset = offset;
    transfer->moved = moved;
    transfer->acked = moved;
    transfer->written = transfer->sending ? 0 : moved;
    transfer->rate_bytes = moved;
    transfer->rate_ms = now_ms;
    transfer->lost = false;
    transfer->active_ms = now_ms;
    engine->counts.resumed++;
    if (transfer->sending) { /* whatever the peer heard of it */
        transfer_say(engine, transfer, transfer->paused ? TRANSFER_PAUSE : TRANSFER_RESUME, false);
    }
    if (transfer->paused) {
        transfer_tell(engine, transfer, now_ms);
    } else {
        transfer_unpause(engine, transfer, now_ms);
    }
    return 0;
}

/* ---- time ---- */

/* When it ends if nothing happens; INT64_MAX: never. */
static int64_t deadline(const struct transfer_engine *engine, const struct transfer *transfer)
{
    const struct transfer_limits *limits = &engine->limits;
    if (transfer_has_ended(transfer)) {
        return transfer->ended_ms + TRANSFER_KEEP_MS;
    }
    if (transfer->lost) {
        return transfer->lost_ms + limits->resume_ms;
    }
    if (transfer->state == TRANSFER_PENDING || transfer->state == TRANSFER_STARTING) {
        bool is_wanted = !transfer->offered && !transfer->sending;
        return is_wanted ? transfer->active_ms + limits->wanted_ms
                         : transfer->created_ms + limits->offer_ms;
    }
    /* One that has landed is for its program to end, which may have done it already. */
    return transfer->paused || transfer->landed ? INT64_MAX : transfer->active_ms + limits->idle_ms;
}

static void expire(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms)
{
    if (transfer_has_ended(transfer)) {
        transfer_forget(engine, transfer);
    } else if (transfer->lost) {
        transfer_end(engine, transfer, TRANSFER_FAILED, "the peer did not come back in time",
                     now_ms);
    } else if (transfer->state == TRANSFER_PENDING) {
        transfer_refuse(engine, transfer, "nobody answered in time", now_ms);
    } else if (transfer->state == TRANSFER_STARTING) {
        transfer_say(engine, transfer, TRANSFER_COMPLETE, false);
        transfer_end(engine, transfer, TRANSFER_FAILED, "the peer did not answer in time", now_ms);
    } else {
        transfer_fail(engine, transfer, "nothing moved for too long", now_ms);
    }
}

int64_t transfer_engine_tick(struct transfer_engine *engine, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    LIST_EACH(&engine->all, node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        bool crowded = engine->ended > TRANSFER_KEEP_COUNT && transfer_has_ended(transfer);
        if (crowded || deadline(engine, transfer) <= now_ms) {
            bool had_ended = transfer_has_ended(transfer);
            expire(engine, transfer, now_ms);
            if (had_ended) {
                continue; /* it is gone */
            }
        }
        if (transfer->untold && !transfer_has_ended(transfer)) {
            transfer_progress(engine, transfer, now_ms);
        }
        int64_t due_ms = deadline(engine, transfer);
        if (transfer->untold && transfer->told_ms + TRANSFER_PROGRESS_MS < due_ms) {
            due_ms = transfer->told_ms + TRANSFER_PROGRESS_MS;
        }
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms;
}
