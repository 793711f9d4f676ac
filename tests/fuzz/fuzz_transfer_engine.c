/* The transfer engine, driven by peers that say anything and by clients and disks that do anything
 * they are allowed to. The input is a script: u8 what, u8 which peer or transfer, u8 how much, and
 * for frames u8 size and so many bytes. Three peers, of which the last takes nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/transfer_engine.h"

#define PEERS     3u
#define MAX_STEPS 4096u
#define MAX_FILES 20u
#define SOME      8u /* of each limit */

enum step {
    RECEIVE,
    RECEIVE_MORE,
    ACCEPT,
    REFUSE,
    CANCEL,
    FAIL,
    PAUSE,
    RESUME,
    WROTE,
    PLACED,
    SENT,
    LOST,
    GO_ON,
    TICK,
    OFFER,
    WANT,
    EXPECT,
    ASKED,
    SERVE,
    STEPS
};

struct story {
    struct transfer_engine *engine;
    int64_t now_ms;
    size_t ends;
    size_t forgotten;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct peer_id peer_of(uint8_t number)
{
    return (struct peer_id){{(uint8_t)(1 + number % PEERS)}};
}

/* ---- what the engine tells ---- */

static int on_send(void *arg, const struct peer_id *to, struct bytes bytes)
{
    struct transfer_frame frame;
    (void)arg;
    require(transfer_frame_decode(bytes, &frame) == 0);
    require(frame.op != TRANSFER_CHUNK && frame.op != TRANSFER_FILE_END);
    return to->bytes[0] == PEERS ? -ENOBUFS : 0;
}

static void on_offer(void *arg, struct transfer *transfer)
{
    (void)arg;
    require(transfer->state == TRANSFER_PENDING && !transfer->sending && transfer->offered);
    require(transfer->manifest.count <= MAX_FILES);
}

static void on_start(void *arg, struct transfer *transfer)
{
    (void)arg;
    require(transfer->sending && transfer->state == TRANSFER_RUNNING);
}

static void on_window(void *arg, struct transfer *transfer)
{
    (void)arg;
    require(transfer->sending && !transfer_has_ended(transfer));
}

static void on_data(void *arg, struct transfer *transfer, uint32_t file, uint64_t offset,
                    struct bytes data)
{
    (void)arg;
    require(transfer_is_open(transfer) && !transfer->sending && file < transfer->manifest.count);
    uint64_t size = transfer->manifest.files[file].size;
    require(offset <= size && data.size <= size - offset);
}

static void on_file_end(void *arg, struct transfer *transfer, uint32_t file,
                        const uint8_t hash[TRANSFER_HASH_SIZE])
{
    (void)arg;
    require(transfer_is_open(transfer) && file < transfer->manifest.count && hash != NULL);
}

static void on_change(void *arg, struct transfer *transfer)
{
    (void)arg;
    require(!transfer_has_ended(transfer));
}

static void on_end(void *arg, struct transfer *transfer)
{
    struct story *story = arg;
    require(transfer_has_ended(transfer) && transfer->owner == NULL);
    transfer->owner = transfer; /* never twice */
    story->ends++;
}

static void on_forget(void *arg, struct transfer *transfer)
{
    (void)transfer;
    ((struct story *)arg)->forgotten++;
}

static const struct transfer_callbacks callbacks = {
    on_send, on_offer, on_start, on_window, on_data, on_file_end, on_change, on_end, on_forget,
};

/* ---- the other side of it ---- */

static struct transfer *pick(const struct story *story, uint8_t which)
{
    const struct list *all = transfer_engine_all(story->engine);
    size_t count = 0;
    LIST_EACH(all, node)
    {
        count++;
    }
    size_t at = count == 0 ? 0 : which % count;
    LIST_EACH(all, node)
    {
        if (at-- == 0) {
            return CONTAINER_OF(node, struct transfer, node);
        }
    }
    return NULL;
}

static bool make_list(uint8_t count, struct transfer_manifest *ret_manifest)
{
    static const uint64_t seed[2] = {3, 4};
    uint8_t body[SOME * 11] = {0};
    const char *fault = NULL;
    count = (uint8_t)(count % SOME);
    for (uint8_t i = 0; i < count; i++) {
        body[i * 11] = (uint8_t)(i * 7);
        body[i * 11 + 8] = 1;
        body[i * 11 + 10] = (uint8_t)('a' + i);
    }
    return transfer_manifest_from_body(bytes_make(body, count * 11U), MAX_FILES, seed, ret_manifest,
                                       &fault) == 0;
}

static void begin(struct story *story, enum step step, uint8_t who, uint8_t how)
{
    struct transfer_offer offer = {.peer = peer_of(who),
                                   .session = 1,
                                   .name = bytes_from_string("name"),
                                   .directory = step != WANT || how % 2 == 0};
    struct transfer_manifest manifest;
    struct transfer *transfer = NULL;
    if (step == WANT) {
        (void)transfer_want(story->engine, &offer, story->now_ms, &transfer);
    } else if (step == ASKED) {
        (void)transfer_asked(story->engine, &offer, story->now_ms, &transfer);
    } else if (make_list(how, &manifest) &&
               transfer_offer(story->engine, &offer, &manifest, story->now_ms, &transfer) < 0) {
        transfer_manifest_fini(&manifest);
    }
}

static void send_some(struct story *story, struct transfer *transfer, uint8_t how)
{
    if (!transfer_may_send(transfer) || transfer->file == transfer->manifest.count) {
        return;
    }
    uint64_t left = transfer->manifest.files[transfer->file].size - transfer->offset;
    if (left == 0) {
        transfer_sent_end(transfer, story->now_ms);
    } else {
        transfer_sent(story->engine, transfer, left < how ? (size_t)left : how, story->now_ms);
    }
}

static void serve(struct story *story, struct transfer *transfer, uint8_t how)
{
    struct transfer_manifest manifest;
    if (make_list(how, &manifest) && transfer_serve(story->engine, transfer, bytes_from_string("n"),
                                                    &manifest, story->now_ms) < 0) {
        transfer_manifest_fini(&manifest);
    }
}

static void write_some(struct story *story, struct transfer *transfer, uint8_t how)
{
    uint64_t waiting = transfer->moved - transfer->written;
    if (!transfer->sending && !transfer_has_ended(transfer) && waiting > 0) {
        transfer_wrote(story->engine, transfer, waiting < how ? waiting : how, how % 2 == 0,
                       story->now_ms);
    }
}

static void place_some(struct story *story, struct transfer *transfer)
{
    if (!transfer->sending && transfer_is_open(transfer) && transfer->files_done < transfer->file) {
        transfer_placed(story->engine, transfer, 1, story->now_ms);
    }
}

static void steer(struct story *story, enum step step, struct transfer *transfer, uint8_t how)
{
    struct transfer_engine *engine = story->engine;
    int64_t now_ms = story->now_ms;
    switch (step) {
    case ACCEPT:
        transfer_accept(engine, transfer, now_ms);
        break;
    case REFUSE:
        transfer_refuse(engine, transfer, "no", now_ms);
        break;
    case CANCEL:
        transfer_cancel(engine, transfer, "", now_ms);
        break;
    case FAIL:
        transfer_fail(engine, transfer, "why", now_ms);
        break;
    case PAUSE:
        (void)transfer_pause(engine, transfer, now_ms);
        break;
    case RESUME:
        (void)transfer_resume(engine, transfer, now_ms);
        break;
    case WROTE:
        write_some(story, transfer, how);
        break;
    case PLACED:
        place_some(story, transfer);
        break;
    case SENT:
        send_some(story, transfer, how);
        break;
    case EXPECT:
        (void)transfer_expect(engine, transfer, how % SOME);
        break;
    case SERVE:
        serve(story, transfer, how);
        break;
    default: /* GO_ON */
        (void)transfer_go_on(engine, transfer, how % SOME, how / SOME, now_ms);
        break;
    }
}

/* ---- what must hold ---- */

static void check(const struct story *story)
{
    const struct transfer_counts *counts = transfer_engine_counts(story->engine);
    size_t active = 0;
    LIST_EACH(transfer_engine_all(story->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        require(transfer_engine_find(story->engine, transfer->key) == transfer);
        require(transfer->acked <= transfer->moved || !transfer->sending);
        require(transfer->moved <= transfer->manifest.total);
        require(transfer->file <= transfer->manifest.count);
        require(transfer->files_done <= transfer->manifest.count);
        active += !transfer_has_ended(transfer);
        if (transfer->on_wire) {
            require(transfer_engine_find_wire(story->engine, &transfer->peer, transfer->id,
                                              transfer->sending) == transfer);
        }
    }
    require(counts->active == active);
    require(counts->completed + counts->failed + counts->cancelled == story->ends);
}

static void receive(struct story *story, struct reader *reader, uint8_t who, size_t size)
{
    struct peer_id from = peer_of(who);
    struct bytes frame = reader_bytes(reader, size);
    if (reader_ok(reader)) {
        transfer_engine_receive(story->engine, &from, frame, story->now_ms);
    }
}

static void run_step(struct story *story, struct reader *reader)
{
    enum step step = (enum step)(reader_u8(reader) % STEPS);
    uint8_t who = reader_u8(reader);
    uint8_t how = reader_u8(reader);
    struct peer_id peer = peer_of(who);
    struct transfer *transfer = pick(story, who);
    story->now_ms += how / SOME;
    if (step == RECEIVE || step == RECEIVE_MORE) {
        receive(story, reader, who, how);
    } else if (step == TICK) {
        story->now_ms += (int64_t)how * 1000;
        (void)transfer_engine_tick(story->engine, story->now_ms);
    } else if (step == LOST) {
        transfer_engine_lost(story->engine, &peer, how % 2 == 0, story->now_ms);
    } else if (step == OFFER || step == WANT || step == ASKED) {
        begin(story, step, who, how);
    } else if (transfer != NULL) {
        steer(story, step, transfer, how);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct transfer_options options = {.first_id = 1, .seed = {1, 2}};
    static const struct transfer_limits limits = {
        .pending_per_peer = SOME,
        .asked_per_peer = SOME,
        .list_bytes = 4096,
        .wanted_per_peer = SOME,
        .active_per_peer = SOME + SOME,
        .max_files = MAX_FILES,
        .offer_ms = 60000,
        .wanted_ms = 120000,
        .idle_ms = 60000,
        .resume_ms = 60000,
    };
    struct story story = {.now_ms = 1000};
    struct reader reader;
    reader_init(&reader, bytes_make(data, size));
    require(transfer_engine_new(&options, &limits, &callbacks, &story, &story.engine) == 0);
    for (size_t i = 0; i < MAX_STEPS && reader_left(&reader) > 0; i++) {
        run_step(&story, &reader);
        if (i % SOME == 0) {
            check(&story);
        }
    }
    check(&story);
    transfer_engine_free(story.engine);
    return 0;
}
