#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/buf.h"

static void an_empty_buf_owns_no_memory(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    assert_int_equal(buf_append(&buf, bytes_make(NULL, 0)), 0);
    assert_null(buf.data);
    assert_int_equal(buf_view(&buf).size, 0);
    buf_consume(&buf, 10);
    buf_trim(&buf, 0);
    buf_fini(&buf);
    buf_fini(NULL);
}

static void bytes_come_out_in_the_order_they_went_in(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    uint32_t random = 1;
    for (int i = 0; i < 20000; i++) {
        uint8_t chunk[700];
        random = random * 1664525 + 1013904223;
        size_t size = (random >> 8) % sizeof chunk;
        for (size_t j = 0; j < size; j++) {
            chunk[j] = next_in++;
        }
        assert_int_equal(buf_append(&buf, bytes_make(chunk, size)), 0);
        random = random * 1664525 + 1013904223;
        size_t taken = (random >> 8) % (sizeof chunk + 1);
        struct bytes view = buf_view(&buf);
        taken = taken < view.size ? taken : view.size;
        for (size_t j = 0; j < taken; j++) {
            assert_int_equal(view.data[j], next_out++);
        }
        buf_consume(&buf, taken);
        if (i % 100 == 0) {
            buf_trim(&buf, 0);
        }
        assert_true(buf_size(&buf) <= buf.capacity);
    }
    buf_fini(&buf);
}

static void a_steady_queue_does_not_grow(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    static const uint8_t chunk[100];
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(buf_append(&buf, bytes_make(chunk, sizeof chunk)), 0);
        if (i >= 10) {
            buf_consume(&buf, sizeof chunk);
        }
    }
    assert_int_equal(buf_size(&buf), 1000);
    assert_true(buf.capacity <= 4096);
    buf_fini(&buf);
}

static void a_size_that_cannot_be_had_changes_nothing(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    uint8_t *room = NULL;
    assert_int_equal(buf_append(&buf, bytes_from_string("abc")), 0);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX, &room), -ENOMEM);
    assert_int_equal(buf_reserve(&buf, SIZE_MAX - 2, &room), -ENOMEM);
    assert_null(room);
    assert_true(bytes_equal(buf_view(&buf), bytes_from_string("abc")));
    buf_fini(&buf);
}

static void reserved_room_counts_only_when_committed(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    uint8_t *room = NULL;
    assert_int_equal(buf_reserve(&buf, 1000, &room), 0);
    assert_true(buf_room(&buf) >= 1000);
    static const uint8_t hello[] = {'h', 'e', 'l', 'l', 'o'};
    memcpy(room, hello, sizeof hello);
    assert_int_equal(buf_size(&buf), 0);
    buf_commit(&buf, 5);
    assert_true(bytes_equal(buf_view(&buf), bytes_from_string("hello")));
    buf_fini(&buf);
    assert_int_equal(buf_size(&buf), 0);
    assert_int_equal(buf_append(&buf, bytes_from_string("again")), 0);
    buf_fini(&buf);
}

static void trimming_gives_back_what_is_not_needed(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf);
    uint8_t *room = NULL;
    assert_int_equal(buf_reserve(&buf, 1 << 20, &room), 0);
    memset(room, 'x', 1 << 20);
    buf_commit(&buf, 1 << 20);
    buf_trim(&buf, 0);
    assert_int_equal(buf_size(&buf), 1 << 20);
    buf_consume(&buf, (1 << 20) - 3);
    buf_trim(&buf, 0);
    assert_true(bytes_equal(buf_view(&buf), bytes_from_string("xxx")));
    assert_true(buf.capacity < 8192);
    assert_int_equal(buf_reserve(&buf, 100000, &room), 0);
    buf_consume(&buf, 3);
    buf_trim(&buf, 1000);
    assert_int_equal(buf.capacity, 1000);
    buf_trim(&buf, 0);
    assert_null(buf.data);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buf_owns_no_memory),
        cmocka_unit_test(bytes_come_out_in_the_order_they_went_in),
        cmocka_unit_test(a_steady_queue_does_not_grow),
        cmocka_unit_test(a_size_that_cannot_be_had_changes_nothing),
        cmocka_unit_test(reserved_room_counts_only_when_committed),
        cmocka_unit_test(trimming_gives_back_what_is_not_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
