#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/hex.h"

static void bytes_are_written_in_lower_case(void **state)
{
    (void)state;
    static const uint8_t data[] = {0x00, 0x9a, 0xff};
    char text[2 * sizeof data + 1];
    hex_format(bytes_make(data, sizeof data), text);
    assert_string_equal(text, "009aff");
    hex_format(bytes_make(NULL, 0), text);
    assert_string_equal(text, "");
}

static void either_case_is_read(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xab, 0xcd, 0xef, 0x09};
    uint8_t data[sizeof expected];
    assert_int_equal(hex_parse("aBCdEf09", data, sizeof data), 0);
    assert_memory_equal(data, expected, sizeof data);
}

static void anything_else_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "0",    "000",  "00000", "000g",
                                      "g000", "00 0", "-000", "0x00",  "00\xffg",
                                      "@000", "000`", "0/00", "00:0",  "[000"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t data[2] = {1, 2};
        assert_int_equal(hex_parse(bad[i], data, sizeof data), -EINVAL);
        assert_int_equal(data[0], 1);
        assert_int_equal(data[1], 2);
    }
    assert_int_equal(hex_parse("", NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_written_in_lower_case),
        cmocka_unit_test(either_case_is_read),
        cmocka_unit_test(anything_else_is_refused_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
