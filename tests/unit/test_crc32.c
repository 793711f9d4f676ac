#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/crc32.h"

static void the_known_values_come_out(void **state)
{
    (void)state;
    assert_int_equal(crc32_add(0, bytes_make(NULL, 0)), 0);
    assert_int_equal(crc32_add(0, bytes_from_string("123456789")), 0xcbf43926);
    assert_int_equal(crc32_add(0, bytes_from_string("a")), 0xe8b7be43);
    assert_int_equal(crc32_add(0, bytes_make("\0\0\0\0", 4)), 0x2144df1c);
}

static void pieces_give_what_the_whole_gives(void **state)
{
    (void)state;
    uint8_t data[256];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    uint32_t whole = crc32_add(0, bytes_make(data, sizeof data));
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        uint32_t part = crc32_add(0, bytes_make(data, cut));
        assert_int_equal(crc32_add(part, bytes_make(data + cut, sizeof data - cut)), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_values_come_out),
        cmocka_unit_test(pieces_give_what_the_whole_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
