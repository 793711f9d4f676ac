#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/reader.h"

static void integers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct reader reader;
    reader_init(&reader, bytes_make(data, sizeof data));
    assert_int_equal(reader_u8(&reader), 0x01);
    assert_int_equal(reader_u16(&reader), 0x0203);
    assert_int_equal(reader_u32(&reader), 0x04050607);
    assert_true(reader_u64(&reader) == UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(reader_left(&reader), 1);
    assert_true(bytes_equal(reader_rest(&reader), bytes_make(data + 15, 1)));
    assert_true(reader_ok(&reader));
    assert_int_equal(reader_rest(&reader).size, 0);
    assert_true(reader_ok(&reader));
}

static void a_failed_reader_stays_failed(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3};
    struct reader reader;
    reader_init(&reader, bytes_make(data, sizeof data));
    assert_int_equal(reader_u32(&reader), 0);
    assert_false(reader_ok(&reader));
    assert_int_equal(reader_u8(&reader), 0);
    assert_int_equal(reader_left(&reader), 0);
    assert_int_equal(reader_bytes(&reader, 1).size, 0);
    assert_int_equal(reader_rest(&reader).size, 0);
    assert_false(reader_ok(&reader));
}

static void a_size_beyond_the_end_is_a_failure_however_large(void **state)
{
    (void)state;
    static const uint8_t data[] = {1, 2, 3};
    struct reader reader;
    reader_init(&reader, bytes_make(data, sizeof data));
    assert_int_equal(reader_bytes(&reader, SIZE_MAX).size, 0);
    assert_false(reader_ok(&reader));
    reader_init(&reader, bytes_make(NULL, 0));
    assert_int_equal(reader_bytes(&reader, 0).size, 0);
    assert_true(reader_ok(&reader));
    assert_int_equal(reader_u8(&reader), 0);
    assert_false(reader_ok(&reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(a_size_beyond_the_end_is_a_failure_however_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
