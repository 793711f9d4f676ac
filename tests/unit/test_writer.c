#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/writer.h"

static void integers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'x'};
    uint8_t data[sizeof expected];
    struct writer writer;
    writer_init(&writer, data, sizeof data);
    writer_u8(&writer, 0x01);
    writer_u16(&writer, 0x0203);
    writer_u32(&writer, 0x04050607);
    writer_u64(&writer, UINT64_C(0x08090a0b0c0d0e0f));
    writer_bytes(&writer, bytes_from_string("x"));
    writer_bytes(&writer, bytes_make(NULL, 0));
    assert_true(writer_ok(&writer));
    assert_true(bytes_equal(writer_view(&writer), bytes_make(expected, sizeof expected)));
}

static void what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    uint8_t data[4] = {0, 0, 9, 9};
    struct writer writer;
    writer_init(&writer, data, 3);
    writer_u16(&writer, 0x0102);
    writer_u16(&writer, 0x0304);
    assert_false(writer_ok(&writer));
    writer_u8(&writer, 5); /* would fit, but the writer has failed */
    assert_false(writer_ok(&writer));
    assert_int_equal(writer.size, 2);
    assert_int_equal(data[2], 9);
    assert_int_equal(data[3], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(what_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
