#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "transfer_story.h"

#define MB         (UINT64_C(1024) * 1024)
#define LIST_BYTES (STORY_LIST_BYTES / 4)
#define TEST(name) cmocka_unit_test_setup_teardown(name, story_begin, story_end)

static const struct peer_id stranger = {{3, 3, 3}};

static struct transfer *offer_one(uint64_t size)
{
    struct transfer *transfer = story_offer(1, &size);
    (void)story_deliver();
    (void)story_deliver();
    return transfer;
}

static struct transfer_frame frame_of(const struct transfer *transfer, enum transfer_op op, bool ok)
{
    return (struct transfer_frame){.op = op, .id = transfer->id, .ok = ok};
}

static void a_tree_arrives_whole(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 3, 5 * MB + 1, 0, 65536, 1};
    struct transfer *transfer = story_offer(6, sizes);
    story_settle(transfer, 40000);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.ended->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.files, 6);
    assert_int_equal(story_b.written, 5 * MB + 1 + 3 + 65537);
    assert_int_equal(story_a.wrong + story_b.wrong, 0);
    assert_int_equal(story_a.ends, 1);
    assert_int_equal(story_b.ends, 1);
    assert_int_equal(transfer->files_done, 6);
    assert_true(story_a.offered == NULL && transfer->id > TRANSFER_FIRST_ID_MIN);
}

static void an_empty_tree_is_complete_with_its_acceptance(void **state)
{
    (void)state;
    struct transfer *transfer = story_offer(0, NULL);
    story_settle(transfer, 1000);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.ended->state, TRANSFER_COMPLETED);
}

static void the_sender_stops_at_the_window(void **state)
{
    (void)state;
    story_b.slow_disk = true;
    struct transfer *transfer = offer_one(64 * MB);
    size_t frames = story_stream(&story_a, transfer, 65536, SIZE_MAX);
    assert_int_equal(frames, 64);
    assert_int_equal(transfer->moved, 4 * MB);
    (void)story_deliver();
    assert_int_equal(story_stream(&story_a, transfer, 65536, SIZE_MAX), 0);
    story_write(&story_b, story_b.offered);
    (void)story_deliver();
    assert_int_equal(transfer->acked, 4 * MB);
    assert_int_equal(story_stream(&story_a, transfer, 65536, SIZE_MAX), 64);
}

static void a_pause_holds_whatever_the_window_says(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(8 * MB);
    (void)story_stream(&story_a, transfer, 65536, 10);
    assert_int_equal(transfer_pause(story_b.engine, story_b.offered, story_now_ms), 0);
    (void)story_deliver();
    assert_int_equal(transfer->state, TRANSFER_PAUSED);
    assert_int_equal(story_stream(&story_a, transfer, 65536, SIZE_MAX), 0);
    assert_int_equal(transfer_pause(story_a.engine, transfer, story_now_ms), -EINVAL);
    story_now_ms += 3600 * 1000;
    (void)transfer_engine_tick(story_a.engine, story_now_ms);
    (void)transfer_engine_tick(story_b.engine, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_PAUSED); /* for an hour */
    assert_int_equal(transfer_resume(story_b.engine, story_b.offered, story_now_ms), 0);
    story_settle(transfer, 65536);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(story_a.states[TRANSFER_RESUMING], 1);
    assert_int_equal(story_b.states[TRANSFER_RESUMING], 1);
}

static void a_third_peer_has_no_say(void **state)
{
    (void)state;
    story_b.accepts = false;
    uint64_t size = 8 * MB;
    struct transfer *transfer = story_offer(1, &size);
    (void)story_deliver();
    struct transfer_frame accept = frame_of(transfer, TRANSFER_RESPONSE, true);
    story_inject(&story_a, &stranger, &accept);
    assert_int_equal(transfer->state, TRANSFER_STARTING);
    assert_int_equal(story_a.starts, 0);
    transfer_accept(story_b.engine, story_b.offered, story_now_ms);
    (void)story_deliver();
    (void)story_stream(&story_a, transfer, 65536, 4);
    struct transfer_frame progress = frame_of(transfer, TRANSFER_PROGRESS, false);
    progress.received = 255 * MB;
    story_inject(&story_a, &stranger, &progress);
    assert_int_equal(transfer->acked, 0);
    static const enum transfer_op ops[] = {TRANSFER_COMPLETE, TRANSFER_CANCEL, TRANSFER_PAUSE,
                                           TRANSFER_RESUME};
    for (size_t i = 0; i < 4; i++) {
        struct transfer_frame frame = frame_of(transfer, ops[i], true);
        story_inject(&story_a, &stranger, &frame);
        story_inject(&story_b, &stranger, &frame);
    }
    assert_int_equal(transfer->state, TRANSFER_RUNNING);
    assert_int_equal(story_b.offered->state, TRANSFER_RUNNING);
    assert_int_equal(transfer_engine_counts(story_a.engine)->strangers, 6);
    story_settle(transfer, 65536);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
}

static void progress_stays_between_what_was_said_and_what_was_sent(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(64 * MB);
    story_b.slow_disk = true;
    (void)story_stream(&story_a, transfer, 65536, 8);
    struct transfer_frame progress = frame_of(transfer, TRANSFER_PROGRESS, false);
    static const uint64_t values[] = {300000, UINT64_MAX, 0, INT64_MAX, 1};
    for (size_t i = 0; i < 5; i++) {
        progress.received = values[i];
        story_inject(&story_a, &story_b.id, &progress);
        assert_true(transfer->acked >= 300000 && transfer->acked <= transfer->moved);
    }
    (void)story_stream(&story_a, transfer, 65536, SIZE_MAX);
    assert_true(transfer->moved - transfer->acked <= TRANSFER_WINDOW);
}

static void success_before_the_end_is_a_failure(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(8 * MB);
    (void)story_stream(&story_a, transfer, 65536, 4);
    struct transfer_frame complete = frame_of(transfer, TRANSFER_COMPLETE, true);
    story_inject(&story_a, &story_b.id, &complete);
    assert_int_equal(transfer->state, TRANSFER_FAILED);
    story_inject(&story_b, &story_a.id, &complete); /* not the sender's to say */
    assert_int_equal(story_b.offered->state, TRANSFER_RUNNING);
}

static void chunks_that_do_not_follow_end_it(void **state)
{
    (void)state;
    static const struct {
        uint32_t file;
        uint64_t offset;
        size_t size;
    } wrong[] = {{0, 4, 2},  {1, 0, 2},          {0, UINT64_MAX, 2},
                 {0, 0, 11}, {UINT32_MAX, 0, 1}, {0, 1, 1}};
    static const uint8_t data[16];
    for (size_t i = 0; i < 6; i++) {
        struct transfer *transfer = offer_one(10);
        struct transfer_frame frame = {.op = TRANSFER_CHUNK,
                                       .id = transfer->id,
                                       .file = wrong[i].file,
                                       .offset = wrong[i].offset,
                                       .data = bytes_make(data, wrong[i].size)};
        story_inject(&story_b, &story_a.id, &frame);
        assert_int_equal(story_b.offered->state, TRANSFER_FAILED);
        (void)story_deliver();
        assert_int_equal(transfer->state, TRANSFER_FAILED);
    }
    assert_int_equal(story_b.written, 0);
}

static void an_end_before_all_has_come_ends_it(void **state)
{
    (void)state;
    static const uint8_t hash[TRANSFER_HASH_SIZE];
    struct transfer *transfer = offer_one(10);
    struct transfer_frame frame = {
        .op = TRANSFER_FILE_END, .id = transfer->id, .data = bytes_make(hash, sizeof hash)};
    story_inject(&story_b, &story_a.id, &frame);
    assert_int_equal(story_b.offered->state, TRANSFER_FAILED);
    assert_int_equal(story_b.files, 0);
}

static void a_sender_a_window_ahead_is_dropped(void **state)
{
    (void)state;
    story_b.slow_disk = true;
    struct transfer *transfer = offer_one(64 * MB);
    (void)story_stream(&story_a, transfer, 65536, SIZE_MAX);
    transfer->acked = transfer->moved; /* it does not care what was confirmed */
    (void)story_stream(&story_a, transfer, 65536, 1);
    (void)story_deliver();
    assert_int_equal(story_b.offered->state, TRANSFER_FAILED);
    assert_int_equal(story_b.written, 4 * MB);
}

static void offers_of_one_peer_are_limited(void **state)
{
    (void)state;
    uint64_t size = 1;
    story_b.accepts = false;
    for (unsigned i = 0; i < 6; i++) {
        (void)story_offer(1, &size);
    }
    (void)story_deliver();
    assert_int_equal(story_b.offers, 4);
    (void)story_deliver();
    assert_int_equal(story_a.ends, 2);
    assert_string_equal(story_a.ended->error, "too many offers at once");
}

/* An offer whose list takes so many bytes. Whether it is there to be answered. */
static bool offer_long(const struct peer_id *from, uint64_t id, size_t size)
{
    struct transfer_frame frame = {
        .op = TRANSFER_OFFER, .id = id, .is_directory = true, .name = bytes_from_string("long")};
    struct transfer_manifest manifest = {
        .files = calloc(1, sizeof *manifest.files), .count = 1, .size = size};
    transfer_engine_receive_offer(story_b.engine, from, &frame, 0, &manifest, NULL, story_now_ms);
    return transfer_engine_find_wire(story_b.engine, from, id, false) != NULL;
}

static void lists_of_files_are_limited(void **state)
{
    (void)state;
    story_b.accepts = false;
    assert_true(offer_long(&stranger, 1, LIST_BYTES * 2)); /* one alone */
    assert_false(offer_long(&stranger, 2, 1));
    transfer_refuse(story_b.engine, story_b.offered, "", story_now_ms);
    assert_true(offer_long(&stranger, 3, LIST_BYTES / 2));
    transfer_accept(story_b.engine, story_b.offered, story_now_ms); /* which is kept as long */
    assert_false(offer_long(&stranger, 4, LIST_BYTES / 2 + 1));
    assert_true(offer_long(&stranger, 5, LIST_BYTES / 2));
    for (uint8_t i = 10; i < 13; i++) { /* of others, until there is no room for anybody */
        assert_true(offer_long(&(struct peer_id){{i}}, 1, LIST_BYTES));
    }
    assert_false(offer_long(&(struct peer_id){{13}}, 1, LIST_BYTES));
}

static void offer_hostile(const char *path, uint64_t first_size, uint64_t second_size)
{
    uint8_t files[512];
    struct writer writer;
    struct transfer_file file = {.path = bytes_from_string("ok"), .size = first_size};
    writer_init(&writer, files, sizeof files);
    transfer_file_encode(&file, &writer);
    file = (struct transfer_file){.path = bytes_from_string(path), .size = second_size};
    transfer_file_encode(&file, &writer);
    struct transfer_frame frame = {.op = TRANSFER_OFFER,
                                   .id = 9,
                                   .is_directory = true,
                                   .total = 1,
                                   .name = bytes_from_string("\x1b[31m"),
                                   .file_count = 2,
                                   .files = writer_view(&writer)};
    story_inject(&story_b, &story_a.id, &frame);
}

static void offers_that_lie_are_refused_without_asking(void **state)
{
    (void)state;
    offer_hostile("../x", 1, 1);
    offer_hostile("ok", 1, 1);
    offer_hostile("x", UINT64_MAX, 2);
    offer_hostile("x", INT64_MAX, 1);
    assert_int_equal(story_b.offers, 0);
    assert_int_equal(story_count_sent(&story_b, TRANSFER_RESPONSE), 4);
    offer_hostile("x", 2, 3);
    assert_int_equal(story_b.offers, 1);
    assert_int_equal(story_b.offered->manifest.total, 5);
    assert_string_equal(story_b.offered->name, "\\x1b[31m");
    offer_hostile("x", 2, 3); /* a live id */
    assert_int_equal(story_b.offers, 1);
}

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    uint64_t size = 8 * MB;
    story_b.accepts = false;
    struct transfer *transfer = story_offer(1, &size);
    (void)story_deliver();
    story_now_ms += 59999;
    (void)transfer_engine_tick(story_a.engine, story_now_ms);
    (void)transfer_engine_tick(story_b.engine, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_STARTING);
    story_now_ms += 1;
    assert_true(transfer_engine_tick(story_b.engine, story_now_ms) > story_now_ms);
    assert_int_equal(story_b.offered->state, TRANSFER_CANCELLED);
    (void)story_deliver();
    assert_int_equal(transfer->state, TRANSFER_CANCELLED);

    story_b.accepts = true;
    transfer = offer_one(8 * MB);
    story_now_ms += 60000;
    (void)transfer_engine_tick(story_a.engine, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_FAILED);
    (void)story_deliver();
    assert_int_equal(story_b.offered->state, TRANSFER_FAILED);
    story_now_ms += TRANSFER_KEEP_MS;
    (void)transfer_engine_tick(story_a.engine, story_now_ms);
    assert_int_equal(story_a.forgotten, 2);
}

/* Its program may have put it into place, and only not said so. */
static void what_has_arrived_does_not_expire(void **state)
{
    (void)state;
    (void)offer_one(1000);
    struct transfer *received = story_b.offered;
    transfer_landed(received);
    story_now_ms += 3600 * 1000;
    (void)transfer_engine_tick(story_b.engine, story_now_ms);
    assert_int_equal(received->state, TRANSFER_RUNNING);
    transfer_placed(story_b.engine, received, 1, story_now_ms);
    assert_int_equal(received->state, TRANSFER_COMPLETED);
}

static void progress_is_told_ten_times_a_second(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(64 * MB);
    unsigned before = story_b.changes;
    for (int i = 0; i < 1000; i++) { /* a second */
        (void)story_stream(&story_a, transfer, 10000, 1);
        (void)story_deliver();
        story_now_ms++;
        (void)transfer_engine_tick(story_b.engine, story_now_ms);
    }
    assert_in_range(story_b.changes - before, 8, 11);
    assert_in_range(story_b.offered->rate, 9000000, 11000000);
}

/* Sends so many bytes a millisecond, until the rate is known. */
static size_t chunk_at(uint64_t bytes_a_ms)
{
    struct transfer *transfer = offer_one(64 * MB);
    assert_int_equal(transfer_chunk_size(transfer, 65536), 65536);
    for (int i = 0; i < TRANSFER_PROGRESS_MS + 20; i++) {
        (void)story_stream(&story_a, transfer, bytes_a_ms, 1);
        (void)story_deliver();
        story_now_ms++;
    }
    assert_int_equal(transfer_chunk_size(transfer, 1 * MB), 1 * MB);
    return transfer_chunk_size(transfer, 65536);
}

static void chunks_are_what_moves_in_a_millisecond(void **state)
{
    (void)state;
    assert_int_equal(chunk_at(60000), 65536);
    assert_in_range(chunk_at(150000), 140000, 160000);
    assert_int_equal(chunk_at(400000), TRANSFER_CHUNK_MOST);
}

/* In each state, by each side: both come to an end, once, and say the same. */
static void a_cancel_ends_it_in_every_state(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 8; at++) {
        struct story_side *side = at % 2 ? &story_a : &story_b;
        uint64_t size = 8 * MB;
        unsigned ends = story_a.ends + story_b.ends;
        story_b.accepts = at >= 2;
        struct transfer *transfer = story_offer(1, &size);
        (void)story_deliver();
        (void)story_deliver();
        if (at >= 4) {
            (void)story_stream(&story_a, transfer, 65536, at >= 6 ? 3 : 0);
        }
        if (at >= 6) {
            (void)transfer_pause(story_a.engine, transfer, story_now_ms);
        }
        transfer_cancel(side->engine, side == &story_a ? transfer : story_b.offered, "enough",
                        story_now_ms);
        story_settle(transfer, 65536);
        assert_int_equal(transfer->state, TRANSFER_CANCELLED);
        assert_int_equal(story_b.offered->state, TRANSFER_CANCELLED);
        assert_int_equal(story_a.ends + story_b.ends, ends + 2);
    }
    assert_int_equal(transfer_engine_counts(story_a.engine)->active, 0);
    assert_int_equal(transfer_engine_counts(story_b.engine)->active, 0);
}

static void a_lost_link_ends_it_with_a_peer_that_cannot_resume(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(8 * MB);
    (void)story_stream(&story_a, transfer, 65536, 3);
    transfer_engine_lost(story_a.engine, &story_b.id, false, story_now_ms);
    transfer_engine_lost(story_b.engine, &story_a.id, false, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_FAILED);
    assert_int_equal(story_b.offered->state, TRANSFER_FAILED);
}

static void a_lost_transfer_goes_on_where_it_was(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {100, 8 * MB, 5};
    struct transfer *transfer = story_offer(3, sizes);
    (void)story_deliver();
    (void)story_deliver();
    (void)story_stream(&story_a, transfer, 65536, 5);
    (void)story_deliver();
    (void)story_stream(&story_a, transfer, 65536, 7);
    story_lose_all();
    transfer_engine_lost(story_a.engine, &story_b.id, true, story_now_ms);
    transfer_engine_lost(story_b.engine, &story_a.id, true, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_PAUSED);
    assert_int_equal(story_stream(&story_a, transfer, 65536, SIZE_MAX), 0);
    struct transfer *other = story_b.offered;
    assert_int_equal(transfer_go_on(story_a.engine, transfer, 2, 0, story_now_ms), -EINVAL);
    assert_int_equal(transfer_go_on(story_a.engine, transfer, 1, 8 * MB, story_now_ms), -EINVAL);
    assert_int_equal(transfer_go_on(story_a.engine, transfer, 9, 0, story_now_ms), -EINVAL);
    assert_int_equal(other->file, 1);
    uint64_t from = other->offset;
    assert_int_equal(transfer_go_on(story_b.engine, other, 1, from, story_now_ms), 0);
    assert_int_equal(transfer_go_on(story_a.engine, transfer, 1, from, story_now_ms), 0);
    story_settle(transfer, 65536);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(other->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.wrong, 0);
    assert_int_equal(story_b.written, 8 * MB + 105);
}

static void a_peer_that_does_not_come_back_ends_it(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(8 * MB);
    transfer_engine_lost(story_a.engine, &story_b.id, true, story_now_ms);
    story_now_ms += 119999;
    (void)transfer_engine_tick(story_a.engine, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_PAUSED);
    story_now_ms++;
    (void)transfer_engine_tick(story_a.engine, story_now_ms);
    assert_int_equal(transfer->state, TRANSFER_FAILED);
}

static void a_refusal_brings_its_reason(void **state)
{
    (void)state;
    uint64_t size = 5;
    story_b.accepts = false;
    struct transfer *transfer = story_offer(1, &size);
    (void)story_deliver();
    transfer_refuse(story_b.engine, story_b.offered, "no room", story_now_ms);
    (void)story_deliver();
    assert_int_equal(transfer->state, TRANSFER_CANCELLED);
    assert_string_equal(transfer->error, "no room");
    assert_ptr_equal(transfer_engine_find(story_a.engine, transfer->key), transfer);
}

static void a_pause_is_said_again_on_the_new_link(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(8 * MB);
    (void)story_stream(&story_a, transfer, 65536, 10);
    (void)story_deliver();
    assert_int_equal(transfer_pause(story_b.engine, story_b.offered, story_now_ms), 0);
    story_lose_all(); /* a never hears of it */
    transfer_engine_lost(story_a.engine, &story_b.id, true, story_now_ms);
    transfer_engine_lost(story_b.engine, &story_a.id, true, story_now_ms);
    assert_false(transfer_may_go_on(transfer, 0, 8 * MB));
    assert_true(transfer_may_go_on(transfer, 0, 655360));
    transfer_hear_word(transfer, story_b.offered->paused, story_b.offered->word);
    assert_int_equal(transfer_go_on(story_a.engine, transfer, 0, 655360, story_now_ms), 0);
    assert_int_equal(transfer_go_on(story_b.engine, story_b.offered, 0, 655360, story_now_ms), 0);
    assert_false(transfer_may_go_on(transfer, 0, 0)); /* it is not lost any more */
    (void)story_deliver();
    assert_int_equal(transfer->state, TRANSFER_PAUSED);
    assert_int_equal(transfer_resume(story_a.engine, transfer, story_now_ms), 0);
    story_settle(transfer, 65536);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.wrong, 0);
}

static void progress_not_told_yet_is_nothing_to_wait_for_after_the_end(void **state)
{
    (void)state;
    struct transfer *transfer = offer_one(8 * MB);
    (void)story_stream(&story_a, transfer, 65536, 20);
    (void)story_deliver();
    (void)story_deliver();
    assert_true(transfer->untold);
    transfer_cancel(story_a.engine, transfer, "", story_now_ms);
    story_now_ms += 1000;
    assert_true(transfer_engine_tick(story_a.engine, story_now_ms) > story_now_ms + 500000);
}

static void what_nobody_was_told_of_is_forgotten_at_once(void **state)
{
    (void)state;
    uint64_t size = 5;
    story_b.ignores = true;
    for (int i = 0; i < 50; i++) {
        struct transfer *transfer = story_offer(1, &size);
        (void)story_deliver();
        assert_true(list_is_empty(transfer_engine_all(story_b.engine)));
        assert_int_equal(transfer->state, TRANSFER_CANCELLED);
    }
    assert_int_equal(story_b.forgotten, 50);
}

/* ---- pulling ---- */

static struct transfer_offer wish_of(const struct story_side *peer, bool directory)
{
    return (struct transfer_offer){
        .peer = peer->id, .session = 3, .name = bytes_from_string("x"), .directory = directory};
}

static struct transfer *want(bool directory)
{
    struct transfer_offer wish = wish_of(&story_a, directory);
    struct transfer *wanted = NULL;
    assert_int_equal(transfer_want(story_b.engine, &wish, story_now_ms, &wanted), 0);
    return wanted;
}

static void what_was_wanted_becomes_the_offer_that_answers(void **state)
{
    (void)state;
    struct transfer_offer wish = wish_of(&story_b, true);
    struct transfer *wanted = want(true);
    struct transfer *asked = NULL;
    struct transfer_manifest manifest;
    const char *fault = NULL;
    static const uint64_t seed[2] = {1, 2};
    static const uint8_t body[] = "\3\0\0\0\0\0\0\0\1\0f";
    wish.session = 0;
    assert_int_equal(transfer_asked(story_a.engine, &wish, story_now_ms, &asked), 0);
    assert_int_equal(wanted->state, TRANSFER_STARTING);
    assert_int_equal(asked->state, TRANSFER_PENDING);
    transfer_accept(story_a.engine, asked, story_now_ms); /* it is not an offer */
    assert_int_equal(asked->state, TRANSFER_PENDING);
    assert_int_equal(
        transfer_expect(story_b.engine, wanted, transfer_engine_next_id(story_a.engine)), 0);
    assert_int_equal(transfer_expect(story_b.engine, wanted, 7), -EINVAL);
    assert_int_equal(
        transfer_manifest_from_body(bytes_make(body, sizeof body - 1), 10, seed, &manifest, &fault),
        0);
    assert_int_equal(
        transfer_serve(story_a.engine, asked, bytes_from_string("shown"), &manifest, story_now_ms),
        0);
    assert_int_equal(
        transfer_serve(story_a.engine, asked, bytes_from_string("shown"), &manifest, story_now_ms),
        -EINVAL);
    story_settle(asked, 65536);
    assert_ptr_equal(story_b.offered, wanted);
    assert_string_equal(wanted->name, "shown");
    assert_int_equal(wanted->session, 3);
    assert_int_equal(asked->state, TRANSFER_COMPLETED);
    assert_int_equal(wanted->state, TRANSFER_COMPLETED);
}

static void nothing_is_sent_of_what_was_not_offered(void **state)
{
    (void)state;
    struct transfer_offer wish = wish_of(&story_b, false);
    struct transfer *asked = NULL;
    struct transfer *first = want(false);
    struct transfer *second = want(false);
    assert_int_equal(transfer_asked(story_a.engine, &wish, story_now_ms, &asked), 0);
    transfer_refuse(story_a.engine, asked, "no", story_now_ms);
    transfer_cancel(story_b.engine, first, "", story_now_ms);
    story_now_ms += 119999;
    (void)transfer_engine_tick(story_b.engine, story_now_ms);
    assert_int_equal(second->state, TRANSFER_STARTING);
    story_now_ms++;
    (void)transfer_engine_tick(story_b.engine, story_now_ms);
    assert_int_equal(second->state, TRANSFER_FAILED);
    assert_int_equal(story_a.sent_count + story_b.sent_count, 0);
}

static void wishes_and_requests_of_one_peer_are_limited(void **state)
{
    (void)state;
    struct transfer_offer wish = wish_of(&story_a, false);
    struct transfer *transfer = NULL;
    for (int i = 0; i < 3; i++) {
        (void)want(false);
    }
    assert_int_equal(transfer_want(story_b.engine, &wish, story_now_ms, &transfer), -EDQUOT);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(transfer_asked(story_b.engine, &wish, story_now_ms, &transfer), 0);
    }
    assert_int_equal(transfer_asked(story_b.engine, &wish, story_now_ms, &transfer), -EDQUOT);
}

static void an_offer_of_another_kind_fails_the_wish(void **state)
{
    (void)state;
    struct transfer *wanted = want(false);
    uint64_t size = 1;
    assert_int_equal(
        transfer_expect(story_b.engine, wanted, transfer_engine_next_id(story_a.engine)), 0);
    struct transfer *transfer = story_offer(1, &size); /* a directory */
    (void)story_deliver();
    assert_int_equal(wanted->state, TRANSFER_FAILED);
    assert_int_equal(transfer->state, TRANSFER_CANCELLED);
    assert_int_equal(story_b.offers, 0);
}

static void an_answer_that_lies_fails_the_wish(void **state)
{
    (void)state;
    struct transfer *wanted = want(true);
    assert_int_equal(transfer_expect(story_b.engine, wanted, 5), 0);
    struct transfer_frame frame = {.op = TRANSFER_OFFER,
                                   .id = 5,
                                   .is_directory = true,
                                   .name = bytes_from_string("x"),
                                   .file_count = 1,
                                   .files = bytes_make("\0\1/\0\0\0\0\0\0\0\1", 11)};
    story_inject(&story_b, &story_a.id, &frame);
    assert_int_equal(wanted->state, TRANSFER_FAILED);
    assert_int_equal(story_count_sent(&story_b, TRANSFER_RESPONSE), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tree_arrives_whole),
        TEST(an_empty_tree_is_complete_with_its_acceptance),
        TEST(the_sender_stops_at_the_window),
        TEST(a_pause_holds_whatever_the_window_says),
        TEST(a_third_peer_has_no_say),
        TEST(progress_stays_between_what_was_said_and_what_was_sent),
        TEST(success_before_the_end_is_a_failure),
        TEST(chunks_that_do_not_follow_end_it),
        TEST(an_end_before_all_has_come_ends_it),
        TEST(a_sender_a_window_ahead_is_dropped),
        TEST(offers_of_one_peer_are_limited),
        TEST(lists_of_files_are_limited),
        TEST(offers_that_lie_are_refused_without_asking),
        TEST(nobody_waits_for_ever),
        TEST(what_has_arrived_does_not_expire),
        TEST(progress_is_told_ten_times_a_second),
        TEST(chunks_are_what_moves_in_a_millisecond),
        TEST(a_cancel_ends_it_in_every_state),
        TEST(a_lost_link_ends_it_with_a_peer_that_cannot_resume),
        TEST(a_lost_transfer_goes_on_where_it_was),
        TEST(a_peer_that_does_not_come_back_ends_it),
        TEST(a_refusal_brings_its_reason),
        TEST(a_pause_is_said_again_on_the_new_link),
        TEST(progress_not_told_yet_is_nothing_to_wait_for_after_the_end),
        TEST(what_nobody_was_told_of_is_forgotten_at_once),
        TEST(what_was_wanted_becomes_the_offer_that_answers),
        TEST(nothing_is_sent_of_what_was_not_offered),
        TEST(wishes_and_requests_of_one_peer_are_limited),
        TEST(an_offer_of_another_kind_fails_the_wish),
        TEST(an_answer_that_lies_fails_the_wish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
