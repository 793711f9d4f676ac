#include "transfer_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct frame {
    struct list node;
    struct story_side *to;
    size_t size;
    uint8_t data[];
};

struct story_side story_a;
struct story_side story_b;
int64_t story_now_ms;
static struct list wire;

/* What the byte at a place of a file is. */
static uint8_t byte_at(uint32_t file, uint64_t offset)
{
    return (uint8_t)(file * 31 + offset * 7 + (offset >> 11));
}

static int on_send(void *arg, const struct peer_id *to, struct bytes bytes)
{
    struct story_side *side = arg;
    struct frame *frame = malloc(sizeof *frame + bytes.size);
    assert_non_null(frame);
    frame->to = side->other;
    frame->size = bytes.size;
    memcpy(frame->data, bytes.data, bytes.size);
    if (side->sent_count < STORY_MAX_FRAMES) {
        side->sent[side->sent_count++] = (enum transfer_op)bytes.data[0];
    }
    if (!peer_id_equal(to, &side->other->id)) {
        free(frame); /* to a stranger */
        return 0;
    }
    list_append(&wire, &frame->node);
    return 0;
}

static void on_offer(void *arg, struct transfer *transfer)
{
    struct story_side *side = arg;
    side->offers++;
    side->offered = transfer;
    if (side->ignores) {
        transfer->unseen = true;
        transfer_refuse(side->engine, transfer, "nobody is there", story_now_ms);
    } else if (side->accepts) {
        transfer_accept(side->engine, transfer, story_now_ms);
    }
}

static void on_start(void *arg, struct transfer *transfer)
{
    struct story_side *side = arg;
    (void)transfer;
    side->starts++;
}

static void on_window(void *arg, struct transfer *transfer)
{
    struct story_side *side = arg;
    (void)transfer;
    side->windows++;
}

static void on_data(void *arg, struct transfer *transfer, uint32_t file, uint64_t offset,
                    struct bytes data)
{
    struct story_side *side = arg;
    for (size_t i = 0; i < data.size; i++) {
        side->wrong += data.data[i] != byte_at(file, offset + i);
    }
    side->written += data.size;
    side->unwritten += data.size;
    if (!side->slow_disk) {
        story_write(side, transfer);
    }
}

static void on_file_end(void *arg, struct transfer *transfer, uint32_t file,
                        const uint8_t hash[TRANSFER_HASH_SIZE])
{
    struct story_side *side = arg;
    side->wrong += hash[0] != (uint8_t)file;
    side->files++;
    transfer_placed(side->engine, transfer, 1, story_now_ms);
}

static void on_change(void *arg, struct transfer *transfer)
{
    struct story_side *side = arg;
    side->changes++;
    side->states[transfer->state]++;
}

static void on_end(void *arg, struct transfer *transfer)
{
    struct story_side *side = arg;
    side->ends++;
    side->ended = transfer;
    side->states[transfer->state]++;
}

static void on_forget(void *arg, struct transfer *transfer)
{
    struct story_side *side = arg;
    side->forgotten++;
    if (side->offered == transfer) {
        side->offered = NULL;
    }
    if (side->ended == transfer) {
        side->ended = NULL;
    }
}

static const struct transfer_callbacks callbacks = {
    on_send, on_offer, on_start, on_window, on_data, on_file_end, on_change, on_end, on_forget,
};

static void begin_side(struct story_side *side, struct story_side *other, uint8_t seed)
{
    struct transfer_options options = {.first_id = TRANSFER_FIRST_ID_MIN + seed * 1000U,
                                       .seed = {seed, 99}};
    struct transfer_limits limits = {
        .pending_per_peer = 4,
        .asked_per_peer = 4,
        .wanted_per_peer = 3,
        .active_per_peer = 64,
        .max_files = 1000,
        .list_bytes = STORY_LIST_BYTES,
        .offer_ms = 60000,
        .wanted_ms = 120000,
        .idle_ms = 60000,
        .resume_ms = 120000,
    };
    memset(side, 0, sizeof *side);
    memset(side->id.bytes, seed, sizeof side->id.bytes);
    side->other = other;
    side->accepts = true;
    assert_int_equal(transfer_engine_new(&options, &limits, &callbacks, side, &side->engine), 0);
}

int story_begin(void **state)
{
    (void)state;
    list_init(&wire);
    story_now_ms = 1000000;
    begin_side(&story_a, &story_b, 1);
    begin_side(&story_b, &story_a, 2);
    return 0;
}

void story_lose_all(void)
{
    LIST_EACH(&wire, node)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct frame, node));
    }
}

int story_end(void **state)
{
    (void)state;
    story_lose_all();
    transfer_engine_free(story_a.engine);
    transfer_engine_free(story_b.engine);
    return 0;
}

size_t story_deliver(void)
{
    size_t count = 0;
    struct list *node;
    while ((node = list_first(&wire)) != NULL) {
        struct frame *frame = CONTAINER_OF(node, struct frame, node);
        list_remove(node);
        transfer_engine_receive(frame->to->engine, &frame->to->other->id,
                                bytes_make(frame->data, frame->size), story_now_ms);
        free(frame);
        count++;
    }
    return count;
}

struct transfer *story_offer(uint32_t count, const uint64_t *sizes)
{
    uint8_t body[4096];
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        char path[16];
        int length = snprintf(path, sizeof path, "d/f%u", i);
        for (int at = 0; at < 8; at++) {
            body[size++] = (uint8_t)(sizes[i] >> (8 * at));
        }
        body[size++] = (uint8_t)length;
        body[size++] = 0;
        memcpy(body + size, path, (size_t)length);
        size += (size_t)length;
    }
    static const uint64_t seed[2] = {5, 6};
    struct transfer_manifest manifest;
    const char *fault = NULL;
    assert_int_equal(
        transfer_manifest_from_body(bytes_make(body, size), 1000, seed, &manifest, &fault), 0);
    struct transfer_offer offer = {
        .peer = story_b.id, .session = 7, .name = bytes_from_string("tree"), .directory = true};
    struct transfer *transfer = NULL;
    assert_int_equal(transfer_offer(story_a.engine, &offer, &manifest, story_now_ms, &transfer), 0);
    return transfer;
}

static void send_chunk(struct story_side *side, struct transfer *transfer, size_t size)
{
    uint8_t *out = malloc(TRANSFER_CHUNK_HEADER + size);
    assert_non_null(out);
    struct writer writer;
    struct transfer_frame frame = {.op = TRANSFER_CHUNK,
                                   .id = transfer->id,
                                   .file = transfer->file,
                                   .offset = transfer->offset};
    writer_init(&writer, out, TRANSFER_CHUNK_HEADER + size);
    transfer_frame_encode(&frame, &writer);
    for (size_t i = 0; i < size; i++) {
        out[TRANSFER_CHUNK_HEADER + i] = byte_at(frame.file, frame.offset + i);
    }
    (void)on_send(side, &side->other->id, bytes_make(out, TRANSFER_CHUNK_HEADER + size));
    free(out);
    transfer_sent(side->engine, transfer, size, story_now_ms);
}

static void send_end(struct story_side *side, struct transfer *transfer)
{
    uint8_t hash[TRANSFER_HASH_SIZE] = {(uint8_t)transfer->file};
    uint8_t out[TRANSFER_END_SIZE];
    struct writer writer;
    struct transfer_frame frame = {.op = TRANSFER_FILE_END,
                                   .id = transfer->id,
                                   .file = transfer->file,
                                   .data = bytes_make(hash, sizeof hash)};
    writer_init(&writer, out, sizeof out);
    transfer_frame_encode(&frame, &writer);
    (void)on_send(side, &side->other->id, writer_view(&writer));
    transfer_sent_end(transfer, story_now_ms);
}

size_t story_stream(struct story_side *side, struct transfer *transfer, size_t chunk, size_t most)
{
    size_t frames = 0;
    while (frames < most && transfer_may_send(transfer) &&
           transfer->file < transfer->manifest.count) {
        uint64_t left = transfer->manifest.files[transfer->file].size - transfer->offset;
        if (left == 0) {
            send_end(side, transfer);
        } else {
            send_chunk(side, transfer, left < chunk ? (size_t)left : chunk);
        }
        frames++;
    }
    return frames;
}

void story_write(struct story_side *side, struct transfer *transfer)
{
    uint64_t size = side->unwritten;
    side->unwritten = 0;
    if (size > 0) {
        bool whole = !transfer_has_ended(transfer) && transfer->file < transfer->manifest.count &&
                     transfer->offset == transfer->manifest.files[transfer->file].size;
        transfer_wrote(side->engine, transfer, size, whole, story_now_ms);
    }
}

void story_settle(struct transfer *sending, size_t chunk)
{
    size_t moved;
    do {
        moved = story_deliver();
        if (!transfer_has_ended(sending)) {
            moved += story_stream(&story_a, sending, chunk, SIZE_MAX);
        }
    } while (moved > 0);
}

void story_inject(struct story_side *to, const struct peer_id *from,
                  const struct transfer_frame *frame)
{
    uint8_t out[1024];
    struct writer writer;
    writer_init(&writer, out, sizeof out);
    transfer_frame_encode(frame, &writer);
    if (frame->op == TRANSFER_CHUNK) {
        writer_bytes(&writer, frame->data);
    } else if (frame->op == TRANSFER_OFFER) {
        writer_bytes(&writer, frame->files);
    }
    assert_true(writer_ok(&writer));
    transfer_engine_receive(to->engine, from, writer_view(&writer), story_now_ms);
}

size_t story_count_sent(const struct story_side *side, enum transfer_op op)
{
    size_t count = 0;
    for (size_t i = 0; i < side->sent_count; i++) {
        count += side->sent[i] == op;
    }
    return count;
}
