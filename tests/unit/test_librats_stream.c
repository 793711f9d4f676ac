/* libratsclient/stream and inbox: bytes to frames to slices, whatever the cuts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stream.h"

static struct inbox inbox;
static struct stream stream;

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(inbox_init(&inbox), 0);
    stream_init(&stream);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stream_fini(&stream, &inbox);
    inbox_fini(&inbox);
    return 0;
}

/* A MESSAGE frame with size bytes of body, all of which are `fill`. free(). */
static uint8_t *make_frame(size_t body, uint8_t fill, size_t *ret_size)
{
    uint8_t *frame = malloc(FRAME_HEADER_SIZE + body + 1);
    assert_non_null(frame);
    frame_encode_header(frame, FRAME_MESSAGE, 0, fill, 0, body);
    memset(frame + FRAME_HEADER_SIZE, fill, body);
    *ret_size = FRAME_HEADER_SIZE + body;
    return frame;
}

/* Gives the stream bytes as a socket would, at most `step` at a time, and hands over. */
static void feed(const uint8_t *data, size_t size, size_t step, unsigned epoch, bool wanted)
{
    while (size > 0) {
        size_t space = 0;
        uint8_t *room = stream_room(&stream, &inbox, &space);
        assert_non_null(room);
        assert_true(space > 0);
        size_t part = size < step ? size : step;
        part = part < space ? part : space;
        memcpy(room, data, part);
        stream_filled(&stream, part);
        data += part;
        size -= part;
        struct frame frame;
        enum frame_status status;
        while ((status = stream_next(&stream, &frame)) == FRAME_OK) {
            assert_int_equal(frame.kind, FRAME_MESSAGE);
        }
        assert_int_equal(status, FRAME_INCOMPLETE);
        assert_int_equal(stream_hand_over(&stream, &inbox, stream.parsed, epoch, wanted), 0);
    }
}

/* Takes all slices; each must hold whole frames with bodies of one byte value, counting up from
 * *next. Writes behind every slice as the dispatcher does. Returns the number of slices. */
static size_t take_all(uint8_t *next)
{
    size_t slices = 0;
    struct slice *slice;
    while ((slice = inbox_take(&inbox)) != NULL) {
        slices++;
        uint8_t *data = slice_data(slice);
        size_t at = 0;
        while (at < slice->size) {
            struct frame frame;
            size_t size = 0;
            assert_int_equal(frame_decode(data + at, slice->size - at, &frame, &size), FRAME_OK);
            assert_int_equal(frame.id, *next);
            for (size_t i = 0; i < frame.body_size; i++) {
                assert_int_equal(frame.body[i], *next);
            }
            (*next)++;
            at += size;
        }
        data[slice->size] = 0xee;
        inbox_release(&inbox, slice);
    }
    return slices;
}

static uint8_t *make_frames(const size_t *sizes, size_t count, size_t *ret_size)
{
    uint8_t *all = NULL;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        uint8_t *frame = make_frame(sizes[i], (uint8_t)i, &size);
        all = realloc(all, used + size);
        assert_non_null(all);
        memcpy(all + used, frame, size);
        used += size;
        free(frame);
    }
    *ret_size = used;
    return all;
}

static void frames_survive_any_cut(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 50, 0, 1000, 3, 70000, 2, 300000, 5, 0};
    const size_t count = sizeof sizes / sizeof sizes[0];
    const size_t steps[] = {1, 2, 15, 16, 17, 1000, 65536, 262144, 1000000};
    size_t size;
    uint8_t *all = make_frames(sizes, count, &size);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        uint8_t next = 0;
        feed(all, size, steps[i], 1, true);
        (void)take_all(&next);
        assert_int_equal(next, count);
        assert_int_equal(inbox.bytes, 0);
    }
    free(all);
}

static void slices_taken_between_reads_do_not_disturb_what_follows(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20, 30, 40, 50, 60, 70, 80, 90, 100};
    size_t size;
    uint8_t *all = make_frames(sizes, 10, &size);
    for (size_t step = 1; step < 130; step++) {
        uint8_t next = 0;
        for (size_t at = 0; at < size; at += step) {
            feed(all + at, size - at < step ? size - at : step, step, 1, true);
            (void)take_all(&next); /* writes behind each slice */
        }
        assert_int_equal(next, 10);
    }
    free(all);
}

static void what_waits_grows_into_one_slice(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20, 30, 40, 50};
    size_t size;
    uint8_t *all = make_frames(sizes, 5, &size);
    feed(all, size, 26, 1, true); /* several hand-overs, with and without a tail */
    assert_int_equal(inbox.bytes, size);
    uint8_t next = 0;
    assert_int_equal(take_all(&next), 1);
    assert_int_equal(next, 5);
    free(all);
}

static void slices_of_different_starts_are_kept_apart(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20};
    size_t size;
    uint8_t *all = make_frames(sizes, 2, &size);
    feed(all, 26, 26, 1, true);
    feed(all + 26, size - 26, 100, 2, true);
    struct slice *first = inbox_take(&inbox);
    struct slice *second = inbox_take(&inbox);
    assert_int_equal(first->epoch, 1);
    assert_int_equal(second->epoch, 2);
    assert_ptr_equal(inbox_find_held(&inbox, slice_data(second)), second);
    inbox_release(&inbox, second);
    inbox_release(&inbox, first);
    assert_null(inbox_take(&inbox));
    free(all);
}

static void unwanted_frames_leave_nothing(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20, 100000, 5};
    size_t size;
    uint8_t *all = make_frames(sizes, 4, &size);
    feed(all, size, 33, 0, false);
    assert_int_equal(inbox.bytes, 0);
    assert_null(inbox_take(&inbox));
    free(all);
}

static void a_large_frame_is_read_to_its_end_and_no_further(void **state)
{
    (void)state;
    const size_t sizes[] = {1000000, 1000000, 7};
    size_t size;
    uint8_t *all = make_frames(sizes, 3, &size);
    feed(all, 4096, 4096, 1, true);
    size_t space = 0;
    (void)stream_room(&stream, &inbox, &space);
    assert_int_equal(space, 1000016 - 4096);
    feed(all + 4096, 1000016 - 4096, SIZE_MAX, 1, true);
    (void)stream_room(&stream, &inbox, &space);
    assert_in_range(space, 1, 65536); /* careful: another large one may follow */
    feed(all + 1000016, size - 1000016, SIZE_MAX, 1, true);
    uint8_t next = 0;
    (void)take_all(&next);
    assert_int_equal(next, 3);
    free(all);
}

static void part_of_what_was_parsed_may_be_handed_over_first(void **state)
{
    (void)state;
    const size_t sizes[] = {10, 20, 30};
    size_t size;
    uint8_t *all = make_frames(sizes, 3, &size);
    size_t space = 0;
    uint8_t *room = stream_room(&stream, &inbox, &space);
    memcpy(room, all, size - 5);
    stream_filled(&stream, size - 5);
    struct frame frame;
    assert_int_equal(stream_next(&stream, &frame), FRAME_OK);
    assert_int_equal(stream_next(&stream, &frame), FRAME_OK);
    const size_t second = stream_frame_start(&stream, &frame);
    assert_int_equal(second, 26);
    assert_int_equal(stream_hand_over(&stream, &inbox, second, 1, true), 0);
    assert_int_equal(stream_next(&stream, &frame), FRAME_INCOMPLETE);
    assert_int_equal(stream_hand_over(&stream, &inbox, stream.parsed, 2, true), 0);
    feed(all + size - 5, 5, 5, 2, true);
    uint8_t next = 0;
    assert_true(take_all(&next) >= 2);
    assert_int_equal(next, 3);
    free(all);
}

static void bytes_that_are_no_frame_are_told(void **state)
{
    (void)state;
    size_t space = 0;
    uint8_t *room = stream_room(&stream, &inbox, &space);
    memcpy(room, "GET / HTTP/1.1\r\n\r\n", 18);
    stream_filled(&stream, 18);
    struct frame frame;
    assert_true(stream_next(&stream, &frame) < 0);
}

static void chunks_are_used_again(void **state)
{
    (void)state;
    size_t size;
    uint8_t *frame = make_frame(200000, 0, &size);
    for (int i = 0; i < 20; i++) {
        uint8_t next = 0;
        feed(frame, size, 65536, 1, true);
        (void)take_all(&next);
        assert_int_equal(next, 1);
    }
    assert_in_range(inbox.spare_count, 1, INBOX_SPARES);
    free(frame);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_survive_any_cut),
        TEST(slices_taken_between_reads_do_not_disturb_what_follows),
        TEST(what_waits_grows_into_one_slice),
        TEST(slices_of_different_starts_are_kept_apart),
        TEST(unwanted_frames_leave_nothing),
        TEST(a_large_frame_is_read_to_its_end_and_no_further),
        TEST(part_of_what_was_parsed_may_be_handed_over_first),
        TEST(bytes_that_are_no_frame_are_told),
        TEST(chunks_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
