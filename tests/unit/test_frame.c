/* proto/frame: one frame, cut at every byte, and everything that is not a frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"

static void header(uint8_t out[16], uint32_t size, uint16_t head, uint8_t kind, uint8_t fds)
{
    memset(out, 0, 16);
    out[0] = (uint8_t)size;
    out[1] = (uint8_t)(size >> 8);
    out[2] = (uint8_t)(size >> 16);
    out[3] = (uint8_t)(size >> 24);
    out[4] = (uint8_t)head;
    out[5] = (uint8_t)(head >> 8);
    out[6] = kind;
    out[7] = fds;
}

static void the_header_is_little_endian_as_documented(void **state)
{
    (void)state;
    uint8_t out[FRAME_HEADER_SIZE];
    frame_encode_header(out, FRAME_MESSAGE, 2, 0x0102030405060708u, 0x1234, 0x10000);
    const uint8_t expected[16] = {0x34, 0x12, 0x01, 0x00, 0x34, 0x12, 5, 2, 8, 7, 6, 5, 4, 3, 2, 1};
    assert_memory_equal(out, expected, 16);
}

static void a_frame_is_incomplete_until_its_last_byte(void **state)
{
    (void)state;
    uint8_t data[16 + 5 + 7 + 3] = {0};
    frame_encode_header(data, FRAME_CALL, 0, 99, 5, 7);
    memcpy(data + 16, "HEAD!BODY...", 12);
    for (size_t size = 0; size < 28; size++) {
        /* A copy of exactly that size, so a sanitizer sees every byte read beyond it. */
        uint8_t *part = malloc(size + 1);
        memcpy(part, data, size);
        struct frame frame;
        size_t total = 12345;
        uint8_t *exact = realloc(part, size == 0 ? 1 : size);
        assert_int_equal(frame_decode(exact, size, &frame, &total), FRAME_INCOMPLETE);
        assert_int_equal(total, size < 16 ? 0 : 28);
        free(exact);
    }
    struct frame frame;
    size_t total;
    assert_int_equal(frame_decode(data, sizeof data, &frame, &total), FRAME_OK);
    assert_int_equal(total, 28);
    assert_int_equal(frame.kind, FRAME_CALL);
    assert_int_equal(frame.id, 99);
    assert_int_equal(frame.head_size, 5);
    assert_memory_equal(frame.head, "HEAD!", 5);
    assert_int_equal(frame.body_size, 7);
    assert_memory_equal(frame.body, "BODY...", 7);
}

static void an_empty_frame_is_whole(void **state)
{
    (void)state;
    uint8_t data[16];
    frame_encode_header(data, FRAME_CANCEL, 0, 7, 0, 0);
    struct frame frame;
    size_t total;
    assert_int_equal(frame_decode(data, 16, &frame, &total), FRAME_OK);
    assert_int_equal(total, 16);
    assert_int_equal(frame.head_size + frame.body_size, 0);
}

static void sizes_at_and_beyond_the_limits_are_told_by_the_header_alone(void **state)
{
    (void)state;
    const struct {
        uint32_t size;
        uint16_t head;
        uint8_t kind;
        uint8_t fds;
        enum frame_status status;
    } cases[] = {
        {FRAME_MAX_SIZE, 65535, FRAME_MESSAGE, 0, FRAME_INCOMPLETE},
        {FRAME_MAX_SIZE + 1, 0, FRAME_MESSAGE, 0, FRAME_TOO_LARGE},
        {UINT32_MAX, 0, FRAME_MESSAGE, 0, FRAME_TOO_LARGE},
        {10, 11, FRAME_CALL, 0, FRAME_BAD_HEAD},
        {0, 1, FRAME_CALL, 0, FRAME_BAD_HEAD},
        {10, 10, FRAME_CALL, 0, FRAME_INCOMPLETE},
        {1, 0, FRAME_CANCEL, 0, FRAME_BAD_HEAD},
        {1, 1, FRAME_CANCEL, 0, FRAME_BAD_HEAD},
        {0, 0, 0, 0, FRAME_BAD_KIND},
        {0, 0, 7, 0, FRAME_BAD_KIND},
        {0, 0, 255, 0, FRAME_BAD_KIND},
        {5, 5, FRAME_CALL, 16, FRAME_INCOMPLETE},
        {5, 5, FRAME_CALL, 17, FRAME_BAD_FDS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t data[16];
        header(data, cases[i].size, cases[i].head, cases[i].kind, cases[i].fds);
        struct frame frame;
        size_t total = 0;
        assert_int_equal(frame_decode(data, 16, &frame, &total), cases[i].status);
        if (cases[i].status == FRAME_INCOMPLETE) {
            assert_int_equal(total, 16 + (size_t)cases[i].size);
        } else {
            assert_true(strlen(frame_status_text(cases[i].status)) > 10);
        }
    }
}

static void a_browser_is_not_a_client(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct frame frame;
    size_t total;
    assert_true(frame_decode((const uint8_t *)text, sizeof text - 1, &frame, &total) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_is_little_endian_as_documented),
        cmocka_unit_test(a_frame_is_incomplete_until_its_last_byte),
        cmocka_unit_test(an_empty_frame_is_whole),
        cmocka_unit_test(sizes_at_and_beyond_the_limits_are_told_by_the_header_alone),
        cmocka_unit_test(a_browser_is_not_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
