#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/transfer.h"

static const char *directory;

/* Encodes what was decoded, with the parts that follow. */
static struct bytes encode_again(const struct transfer_frame *frame, uint8_t *out, size_t room)
{
    struct writer writer;
    writer_init(&writer, out, room);
    transfer_frame_encode(frame, &writer);
    if (frame->op == TRANSFER_CHUNK) {
        writer_bytes(&writer, frame->data);
    }
    struct reader reader;
    reader_init(&reader, frame->files);
    for (uint32_t i = 0; frame->op == TRANSFER_OFFER && i < frame->file_count; i++) {
        struct transfer_file file;
        transfer_file_decode(&reader, &file);
        transfer_file_encode(&file, &writer);
    }
    assert_true(writer_ok(&writer) && reader_left(&reader) == 0);
    return writer_view(&writer);
}

static void check_frame(struct bytes payload)
{
    struct transfer_frame frame;
    uint8_t out[512];
    assert_int_equal(transfer_frame_decode(payload, &frame), 0);
    assert_true(bytes_equal(encode_again(&frame, out, sizeof out), payload));
}

static void everything_upstream_sends_is_read_and_written_back(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "file_transfer.json");
    size_t i;
    json_t *step;
    unsigned count = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        size_t at;
        json_t *row;
        json_array_foreach(json_object_get(step, "sent"), at, row)
        {
            check_frame(vectors_hex(vectors, row, "payload"));
            count++;
        }
    }
    assert_true(count >= 18);
    vectors_close(vectors);
}

static void a_count_the_payload_cannot_hold_is_refused(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "file_transfer.json");
    size_t i;
    json_t *step;
    struct transfer_frame frame;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        if (strstr(vectors_text(step, "step"), "can hold") != NULL) {
            assert_int_equal(transfer_frame_decode(vectors_hex(vectors, step, "input"), &frame),
                             -EPROTO);
        }
    }
    vectors_close(vectors);
}

static void no_beginning_of_an_offer_passes_for_one(void **state)
{
    (void)state;
    static const uint8_t offer[] = {1, 0,   0,   0,   0, 0, 0, 0,   2, 1, 0, 0, 0,
                                    0, 0,   0,   0,   3, 0, 1, 'd', 0, 0, 0, 1, 0,
                                    3, 's', '/', 'e', 0, 0, 0, 0,   0, 0, 0, 3};
    struct transfer_frame frame;
    for (size_t size = 0; size < sizeof offer; size++) {
        uint8_t *copy = malloc(size + 1);
        assert_non_null(copy);
        memcpy(copy, offer, size);
        assert_int_equal(transfer_frame_decode(bytes_make(copy, size), &frame), -EPROTO);
        free(copy);
    }
    assert_int_equal(transfer_frame_decode(bytes_make(offer, sizeof offer), &frame), 0);
    assert_int_equal(frame.file_count, 1);
    assert_int_equal(frame.total, 3);
    assert_true(frame.is_directory);
}

static void a_refusal_says_why_and_is_cut_at_a_character(void **state)
{
    (void)state;
    uint8_t text[TRANSFER_MAX_REASON + 3];
    uint8_t out[TRANSFER_MAX_CONTROL];
    struct writer writer;
    struct transfer_frame back;
    memset(text, 'x', sizeof text);
    text[TRANSFER_MAX_REASON - 1] = 0xc3;
    text[TRANSFER_MAX_REASON] = 0xa9;
    struct transfer_frame frame = {
        .op = TRANSFER_RESPONSE, .id = 7, .reason = bytes_make(text, sizeof text)};
    writer_init(&writer, out, sizeof out);
    transfer_frame_encode(&frame, &writer);
    assert_true(writer_ok(&writer));
    assert_int_equal(transfer_frame_decode(writer_view(&writer), &back), 0);
    assert_int_equal(back.reason.size, TRANSFER_MAX_REASON - 1);
    assert_false(back.ok);
}

static void unknown_opcodes_and_short_frames_are_ignored(void **state)
{
    (void)state;
    uint8_t frame[TRANSFER_END_SIZE] = {0};
    static const size_t least[] = {0, 0, 10, 21, 45, 17, 10, 9, 9, 9};
    struct transfer_frame decoded;
    for (unsigned op = 0; op < 256; op++) {
        frame[0] = (uint8_t)op;
        for (size_t size = 0; size <= sizeof frame; size++) {
            bool known = op >= 2 && op <= 9 && size >= least[op < 10 ? op : 0];
            int rc = transfer_frame_decode(bytes_make(frame, size), &decoded);
            if (op != 1) {
                assert_int_equal(rc, known ? 0 : -EPROTO);
            }
        }
    }
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    directory = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_upstream_sends_is_read_and_written_back),
        cmocka_unit_test(a_count_the_payload_cannot_hold_is_refused),
        cmocka_unit_test(no_beginning_of_an_offer_passes_for_one),
        cmocka_unit_test(a_refusal_says_why_and_is_cut_at_a_character),
        cmocka_unit_test(unknown_opcodes_and_short_frames_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
