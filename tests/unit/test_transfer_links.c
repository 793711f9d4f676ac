#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transfer_story.h"

#define CHUNK 65536u

#define LEFT 10u /* of the first file when the link is taken over */

static const uint64_t sizes[] = {5 * CHUNK + LEFT, 100, 5};

/* Some of the first file is there when another link takes over; what a has under way on the old one
 * is b's to read after both went on. */
static struct transfer *take_over(void)
{
    struct transfer *transfer = story_offer(3, sizes);
    (void)story_deliver();
    (void)story_deliver();
    (void)story_stream(&story_a, transfer, CHUNK, 5);
    (void)story_deliver();
    transfer_engine_lost(story_a.engine, &story_b.id, true, story_now_ms);
    transfer_engine_lost(story_b.engine, &story_a.id, true, story_now_ms);
    story_lose_all();
    const uint64_t from = story_b.offered->offset;
    assert_int_equal(from, 5 * CHUNK);
    assert_int_equal(transfer_go_on(story_b.engine, story_b.offered, 0, from, story_now_ms), 0);
    assert_int_equal(transfer_go_on(story_a.engine, transfer, 0, from, story_now_ms), 0);
    return transfer;
}

static void data_of_the_old_link_is_passed_over(void **state)
{
    (void)state;
    static const uint8_t junk[16];
    struct transfer *transfer = take_over();
    struct transfer_frame frame = {
        .op = TRANSFER_CHUNK,
        .id = transfer->id,
        .data = bytes_make(junk, sizeof junk),
    };
    for (frame.offset = 0; frame.offset < 9 * CHUNK; frame.offset += CHUNK) {
        if (frame.offset != 5 * CHUNK) {
            story_inject(&story_b, &story_a.id, &frame);
        }
    }
    frame.file = 1;
    frame.offset = 0;
    story_inject(&story_b, &story_a.id, &frame);
    assert_int_equal(story_b.offered->state, TRANSFER_RUNNING);
    assert_int_equal(story_b.offered->offset, 5 * CHUNK);
    story_settle(transfer, CHUNK);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.offered->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.wrong, 0);
    assert_int_equal(story_b.written, 5 * CHUNK + LEFT + 105);
}

static void ends_of_files_on_the_old_link_are_passed_over(void **state)
{
    (void)state;
    static const uint8_t hash[TRANSFER_HASH_SIZE];
    struct transfer *transfer = take_over();
    struct transfer_frame frame = {
        .op = TRANSFER_FILE_END,
        .id = transfer->id,
        .data = bytes_make(hash, sizeof hash),
    };
    for (frame.file = 0; frame.file < 3; frame.file++) {
        story_inject(&story_b, &story_a.id, &frame);
    }
    assert_int_equal(story_b.offered->state, TRANSFER_RUNNING);
    assert_int_equal(story_b.files, 0);
    story_settle(transfer, CHUNK);
    assert_int_equal(transfer->state, TRANSFER_COMPLETED);
    assert_int_equal(story_b.files, 3);
}

static void more_than_the_file_has_is_a_fault_all_the_same(void **state)
{
    (void)state;
    static const uint8_t junk[LEFT + 1];
    struct transfer *transfer = take_over();
    const struct transfer_frame frame = {
        .op = TRANSFER_CHUNK,
        .id = transfer->id,
        .offset = 5 * CHUNK,
        .data = bytes_make(junk, sizeof junk),
    };
    story_inject(&story_b, &story_a.id, &frame);
    assert_int_equal(story_b.offered->state, TRANSFER_FAILED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, story_begin, story_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_of_the_old_link_is_passed_over),
        TEST(ends_of_files_on_the_old_link_are_passed_over),
        TEST(more_than_the_file_has_is_a_fault_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
