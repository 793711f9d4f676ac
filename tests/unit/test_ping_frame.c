#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/ping_frame.h"

static const char *directory;

/* What our service does with each of upstream's inputs: an answer to a ping, nothing else. */
static void pings_are_answered_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "ping.json");
    size_t i;
    json_t *step;
    unsigned answered = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "steps"), i, step)
    {
        struct ping_frame frame;
        json_t *sent = json_array_get(json_object_get(step, "sent"), 0);
        int result = ping_frame_decode(vectors_hex(vectors, step, "input"), &frame);
        if (sent != NULL) {
            uint8_t out[PING_FRAME_SIZE];
            assert_int_equal(result, 0);
            assert_int_equal(frame.tag, PING_ASK);
            frame.tag = PING_ANSWER;
            ping_frame_encode(&frame, out);
            assert_true(
                bytes_equal(bytes_make(out, sizeof out), vectors_hex(vectors, sent, "payload")));
            answered++;
        } else {
            assert_true(result == -EPROTO || frame.tag == PING_ANSWER);
        }
    }
    assert_int_equal(answered, 1);
    vectors_close(vectors);
}

static void anything_but_nine_bytes_is_ignored(void **state)
{
    (void)state;
    static const uint8_t bytes[32];
    for (size_t size = 0; size <= sizeof bytes; size++) {
        struct ping_frame frame;
        int expected = size == PING_FRAME_SIZE ? 0 : -EPROTO;
        assert_int_equal(ping_frame_decode(bytes_make(bytes, size), &frame), expected);
    }
}

static void other_tags_are_ignored(void **state)
{
    (void)state;
    for (unsigned tag = 0; tag < 256; tag++) {
        const uint8_t bytes[PING_FRAME_SIZE] = {(uint8_t)tag};
        struct ping_frame frame;
        assert_int_equal(ping_frame_decode(bytes_make(bytes, sizeof bytes), &frame),
                         tag < 2 ? 0 : -EPROTO);
    }
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : "tests/vectors";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pings_are_answered_as_upstream_does),
        cmocka_unit_test(anything_but_nine_bytes_is_ignored),
        cmocka_unit_test(other_tags_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
