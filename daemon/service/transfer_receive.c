/* Frames of a peer. Whatever it says counts only for transfers with itself (wire-services 3, a). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/transfer_private.h"
#include "util/text.h"

/* ---- offers ---- */

static void answer_no(struct transfer_engine *engine, const struct peer_id *from, uint64_t id,
                      const char *reason)
{
    uint8_t out[TRANSFER_MAX_CONTROL];
    struct writer writer;
    struct transfer_frame frame = {
        .op = TRANSFER_RESPONSE, .id = id, .reason = bytes_from_string(reason)};
    writer_init(&writer, out, sizeof out);
    transfer_frame_encode(&frame, &writer);
    engine->counts.refused++;
    (void)engine->callbacks->send(engine->arg, from, writer_view(&writer));
}

static const char *fault_text(int rc, const char *fault)
{
    switch (rc) {
    case -EINVAL:
        return fault;
    case -EFBIG:
        return "is larger than any file can be";
    case -EMSGSIZE:
        return "has more files than are taken here";
    default:
        return "finds no memory here";
    }
}

/* What this client had asked for, or an offer nobody waits for. NULL when out of memory. */
static struct transfer *find_place(struct transfer_engine *engine, const struct peer_id *from,
                                   const struct transfer_frame *frame, struct transfer *wanted,
                                   int64_t now_ms)
{
    char *name = transfer_shown_name(frame->name);
    struct transfer *transfer =
        name == NULL || wanted != NULL ? wanted : transfer_new(engine, from, false, now_ms);
    if (name == NULL || transfer == NULL ||
        (wanted == NULL && transfer_put_on_wire(engine, transfer, frame->id) < 0)) {
        free(name);
        if (wanted == NULL && transfer != NULL) {
            transfer_discard(engine, transfer);
        }
        return NULL;
    }
    free(transfer->name);
    transfer->name = name;
    return transfer;
}

static void take_offer(struct transfer_engine *engine, struct transfer *transfer,
                       struct transfer_manifest *manifest, const struct transfer_frame *frame,
                       int64_t now_ms)
{
    transfer->manifest = *manifest;
    transfer->offered = true;
    transfer->created_ms = now_ms;
    transfer->state = TRANSFER_PENDING;
    if (transfer->pulled && transfer->directory != frame->is_directory) {
        transfer_fail(engine, transfer, "the peer offers something of another kind", now_ms);
        return;
    }
    transfer->directory = frame->is_directory;
    engine->callbacks->on_offer(engine->arg, transfer);
    if (transfer->unseen && transfer_has_ended(transfer)) {
        transfer_forget(engine, transfer); /* or a flood of them would have to be looked through */
    }
}

/* An offer that is not even shown to anybody; whoever asked for it is told. */
static void turn_down(struct transfer_engine *engine, const struct peer_id *from, uint64_t id,
                      struct transfer *wanted, const char *reason, int64_t now_ms)
{
    answer_no(engine, from, id, reason);
    if (wanted != NULL) {
        transfer_end(engine, wanted, TRANSFER_FAILED, reason, now_ms);
    }
}

/* Whether one more offer may wait for an answer: how many do, and what the lists of all that have
 * not ended take. */
static bool has_room(const struct transfer_engine *engine, const struct peer_id *from, size_t size)
{
    size_t count = 0;
    size_t bytes = 0;
    size_t bytes_all = 0;
    LIST_EACH(&engine->all, node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (!transfer->sending && !transfer_has_ended(transfer)) {
            bool is_theirs = peer_id_equal(&transfer->peer, from);
            count += is_theirs && transfer->state == TRANSFER_PENDING;
            bytes += is_theirs ? transfer->manifest.size : 0;
            bytes_all += transfer->manifest.size;
        }
    }
    return count < engine->limits.pending_per_peer &&
           (bytes == 0 || bytes + size <= engine->limits.list_bytes / 4) &&
           (bytes_all == 0 || bytes_all + size <= engine->limits.list_bytes);
}

/* Whether an offer is looked at at all; what was wanted of the peer, and it may answer. */
static bool admits(struct transfer_engine *engine, const struct peer_id *from, uint64_t id,
                   size_t size, struct transfer **ret_wanted)
{
    const struct transfer_limits *limits = &engine->limits;
    struct transfer *wanted = transfer_engine_find_wire(engine, from, id, false);
    if (wanted != NULL && wanted->offered) {
        return false; /* a second one with a live id */
    }
    engine->counts.offers++;
    if (wanted == NULL && (!has_room(engine, from, size) ||
                           transfer_engine_active(engine, from) >= limits->active_per_peer)) {
        answer_no(engine, from, id, "too many offers at once");
        return false;
    }
    *ret_wanted = wanted;
    return true;
}

void transfer_engine_receive_offer(struct transfer_engine *engine, const struct peer_id *from,
                                   const struct transfer_frame *frame, int rc,
                                   struct transfer_manifest *manifest, const char *fault,
                                   int64_t now_ms)
{
    char reason[160];
    struct transfer *wanted = NULL;
    if (!admits(engine, from, frame->id, manifest->size, &wanted)) {
        transfer_manifest_fini(manifest);
        return;
    }
    if (rc < 0) {
        (void)snprintf(reason, sizeof reason, "what was offered, or a path in it, %s",
                       fault_text(rc, fault));
        turn_down(engine, from, frame->id, wanted, reason, now_ms);
        return;
    }
    struct transfer *transfer = find_place(engine, from, frame, wanted, now_ms);
    if (transfer == NULL) {
        transfer_manifest_fini(manifest);
        turn_down(engine, from, frame->id, wanted, "out of memory", now_ms);
        return;
    }
    take_offer(engine, transfer, manifest, frame, now_ms);
    *manifest = (struct transfer_manifest){0};
}

static void on_offer(struct transfer_engine *engine, const struct peer_id *from,
                     const struct transfer_frame *frame, int64_t now_ms)
{
    struct transfer_manifest manifest = {0};
    const char *fault = NULL;
    int rc = transfer_manifest_from_offer(frame, engine->limits.max_files, engine->options.seed,
                                          &manifest, &fault);
    transfer_engine_receive_offer(engine, from, frame, rc, &manifest, fault, now_ms);
}

/* ---- to the sender ---- */

static void on_response(struct transfer_engine *engine, struct transfer *transfer,
                        const struct transfer_frame *frame, int64_t now_ms)
{
    if (transfer->state != TRANSFER_STARTING) {
        return;
    }
    if (!frame->ok) {
        char reason[TRANSFER_ERROR_SIZE] = "the peer refused it";
        if (frame->reason.size > 0) {
            (void)text_escape(frame->reason, reason, sizeof reason);
        }
        transfer_end(engine, transfer, TRANSFER_CANCELLED, reason, now_ms);
        return;
    }
    transfer->started_ms = now_ms;
    transfer->active_ms = now_ms;
    transfer->rate_ms = now_ms;
    transfer_set_state(engine, transfer, TRANSFER_RUNNING, now_ms);
    if (transfer->state == TRANSFER_RUNNING) {
        engine->callbacks->on_start(engine->arg, transfer);
    }
}

/* What it says it has, within what we know: never less than before, never more than was sent. */
static void on_progress(struct transfer_engine *engine, struct transfer *transfer,
                        const struct transfer_frame *frame, int64_t now_ms)
{
    uint64_t received = frame->received;
    if (!transfer_is_open(transfer) || transfer->lost || received <= transfer->acked) {
        return;
    }
    transfer->acked = received < transfer->moved ? received : transfer->moved;
    transfer->active_ms = now_ms;
    while (transfer->files_done < transfer->file &&
           transfer->covered + transfer->manifest.files[transfer->files_done].size <=
               transfer->acked) {
        transfer->covered += transfer->manifest.files[transfer->files_done++].size;
    }
    engine->callbacks->on_window(engine->arg, transfer);
    transfer_progress(engine, transfer, now_ms);
}

/* ---- to the receiver ---- */

static void on_chunk(struct transfer_engine *engine, struct transfer *transfer,
                     const struct transfer_frame *frame, int64_t now_ms)
{
    const struct transfer_manifest *manifest = &transfer->manifest;
    if (!transfer_is_open(transfer) || transfer->lost) {
        return;
    }
    bool is_next = frame->file == transfer->file && frame->offset == transfer->offset;
    if (!is_next && transfer->resumed) {
        return; /* of the link before, which another took over: it may still be read, in its turn */
    }
    if (!is_next || frame->file >= manifest->count ||
        frame->data.size > manifest->files[frame->file].size - transfer->offset) {
        transfer_fail(engine, transfer,
                      "the peer sent data that does not follow what it sent before", now_ms);
        return;
    }
    if (transfer->moved - transfer->acked >= TRANSFER_WINDOW ||
        frame->data.size > TRANSFER_WINDOW) {
        transfer_fail(engine, transfer, "the peer sent more than the window allows", now_ms);
        return;
    }
    transfer->offset += frame->data.size;
    transfer->moved += frame->data.size;
    transfer->active_ms = now_ms;
    if (frame->data.size > 0) {
        engine->callbacks->on_data(engine->arg, transfer, frame->file, frame->offset, frame->data);
    }
}

static void on_file_end(struct transfer_engine *engine, struct transfer *transfer,
                        const struct transfer_frame *frame, int64_t now_ms)
{
    const struct transfer_manifest *manifest = &transfer->manifest;
    if (!transfer_is_open(transfer) || transfer->lost) {
        return;
    }
    bool is_next = frame->file == transfer->file && frame->file < manifest->count &&
                   transfer->offset == manifest->files[frame->file].size;
    if (!is_next && transfer->resumed) {
        return; /* of the link before */
    }
    if (!is_next) {
        transfer_fail(engine, transfer, "the peer ended a file before all of it had come", now_ms);
        return;
    }
    transfer->file++;
    transfer->offset = 0;
    transfer->active_ms = now_ms;
    engine->callbacks->on_file_end(engine->arg, transfer, frame->file, frame->data.data);
}

/* ---- to either ---- */

static void on_complete(struct transfer_engine *engine, struct transfer *transfer, bool ok,
                        int64_t now_ms)
{
    if (!ok) {
        transfer_end(engine, transfer, TRANSFER_FAILED, "the peer gave it up", now_ms);
    } else if (!transfer->sending) {
        return; /* only we know when what we receive is complete */
    } else if (!transfer_is_open(transfer) || transfer->file < transfer->manifest.count) {
        transfer_fail(engine, transfer, "the peer says it has all of it before all was sent",
                      now_ms);
    } else {
        transfer->acked = transfer->moved;
        transfer->files_done = transfer->manifest.count;
        transfer_end(engine, transfer, TRANSFER_COMPLETED, "", now_ms);
    }
}

static void on_control(struct transfer_engine *engine, struct transfer *transfer,
                       const struct transfer_frame *frame, int64_t now_ms)
{
    switch (frame->op) {
    case TRANSFER_COMPLETE:
        on_complete(engine, transfer, frame->ok, now_ms);
        break;
    case TRANSFER_CANCEL:
        transfer_end(engine, transfer, TRANSFER_CANCELLED, "the peer cancelled it", now_ms);
        break;
    case TRANSFER_PAUSE:
        if (transfer->state == TRANSFER_RUNNING) {
            transfer->paused = true;
            transfer->word = TRANSFER_WORD_PEER;
            transfer_set_state(engine, transfer, TRANSFER_PAUSED, now_ms);
        }
        break;
    case TRANSFER_RESUME:
        if (transfer->paused) {
            transfer->word = TRANSFER_WORD_PEER;
            transfer_unpause(engine, transfer, now_ms);
        }
        break;
    case TRANSFER_OFFER:
    case TRANSFER_RESPONSE:
    case TRANSFER_CHUNK:
    case TRANSFER_FILE_END:
    case TRANSFER_PROGRESS:
        break;
    }
}

void transfer_engine_receive(struct transfer_engine *engine, const struct peer_id *from,
                             struct bytes payload, int64_t now_ms)
{
    struct transfer_frame frame;
    if (transfer_frame_decode(payload, &frame) < 0) {
        engine->counts.malformed++;
        return;
    }
    if (frame.op == TRANSFER_OFFER) {
        on_offer(engine, from, &frame, now_ms);
        return;
    }
    struct transfer *ours = transfer_engine_find_wire(engine, from, frame.id, true);
    struct transfer *theirs = transfer_engine_find_wire(engine, from, frame.id, false);
    bool to_sender = frame.op == TRANSFER_RESPONSE || frame.op == TRANSFER_PROGRESS;
    bool to_receiver = frame.op == TRANSFER_CHUNK || frame.op == TRANSFER_FILE_END;
    struct transfer *meant = to_sender ? ours : to_receiver || ours == NULL ? theirs : ours;
    if (meant == NULL) {
        engine->counts.strangers++;
    } else if (meant->landed) {
        return; /* too late for anything: it hears COMPLETE soon */
    } else if (frame.op == TRANSFER_RESPONSE) {
        on_response(engine, meant, &frame, now_ms);
    } else if (frame.op == TRANSFER_PROGRESS) {
        on_progress(engine, meant, &frame, now_ms);
    } else if (frame.op == TRANSFER_CHUNK) {
        on_chunk(engine, meant, &frame, now_ms);
    } else if (frame.op == TRANSFER_FILE_END) {
        on_file_end(engine, meant, &frame, now_ms);
    } else {
        on_control(engine, meant, &frame, now_ms);
    }
}
