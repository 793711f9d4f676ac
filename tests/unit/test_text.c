#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "util/text.h"

/* The texts below mislead on purpose. NOLINTBEGIN(misc-misleading-bidirectional) */

static void check_escape(struct bytes from, const char *expected)
{
    char text[256];
    assert_ptr_equal(text_escape(from, text, sizeof text), text);
    assert_string_equal(text, expected);
}

static void harmless_text_stays_as_it_is(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         "hello world ~!", "caf\xc3\xa9",      "\xe2\x82\xac", "\xf0\x9f\x90\x80",
        "\xc2\xa0", "\xef\xbf\xbd",   "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_escape(bytes_from_string(texts[i]), texts[i]);
    }
}

static void hostile_text_comes_out_readable(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        size_t size;
        const char *expected;
    } cases[] = {
        {"\x1b[2J", 4, "\\x1b[2J"},
        {"\x1b]0;t\a", 6, "\\x1b]0;t\\x07"},
        {"a\0b", 3, "a\\x00b"},
        {"a\r\n\tb\x7f", 6, "a\\x0d\\x0a\\x09b\\x7f"},
        {"\\x1b", 4, "\\\\x1b"},
        {"\xc2\x80\xc2\x9b\xc2\x9f", 6, "\\u{0080}\\u{009b}\\u{009f}"},
        {"\xe2\x80\xae"
         "gpj",
         6, "\\u{202e}gpj"},
        {"\xe2\x81\xa6\xe2\x81\xa9", 6, "\\u{2066}\\u{2069}"},
        {"\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", 8, "\\u{200e}\\u{200f}\\u{061c}"},
        {"\xe2\x80\xa8\xe2\x80\xa9", 6, "\\u{2028}\\u{2029}"},
        {"\xff\xfe", 2, "\\xff\\xfe"},
        {"\x80", 1, "\\x80"},
        {"\x9b"
         "31m",
         4, "\\x9b31m"},
        {"\xc3", 1, "\\xc3"},
        {"\xc3(", 2, "\\xc3("},
        {"\xe2\x82", 2, "\\xe2\\x82"},
        {"\xc0\xaf", 2, "\\xc0\\xaf"},
        {"\xc1\xbf", 2, "\\xc1\\xbf"},
        {"\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf"},
        {"\xf0\x80\x80\xaf", 4, "\\xf0\\x80\\x80\\xaf"},
        {"\xed\xa0\x80", 3, "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"},
        {"\xf8\x88\x80\x80\x80", 5, "\\xf8\\x88\\x80\\x80\\x80"},
        {"\xe2\x1b[m", 4, "\\xe2\\x1b[m"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_escape(bytes_make(cases[i].from, cases[i].size), cases[i].expected);
    }
}

static void every_byte_value_gives_one_safe_line(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            uint8_t from[] = {(uint8_t)first, (uint8_t)second, 'x'};
            char text[32];
            struct bytes safe = bytes_from_string(text_escape(bytes_make(from, 3), text, 32));
            assert_true(text_is_utf8(safe));
            for (size_t i = 0; i < safe.size; i++) {
                assert_true(safe.data[i] >= 0x20 && safe.data[i] != 0x7f);
            }
            assert_int_equal(text[safe.size - 1], 'x');
        }
    }
}

static void long_text_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(text_escape(bytes_from_string("1234567"), text, 8), "1234567");
    assert_string_equal(text_escape(bytes_from_string("12345678"), text, 8), "1234...");
    assert_string_equal(text_escape(bytes_from_string("123\xe2\x82\xac"
                                                      "45"),
                                    text, 8),
                        "123...");
    assert_string_equal(text_escape(bytes_from_string("1\xe2\x82\xac"
                                                      "4567"),
                                    text, 8),
                        "1\xe2\x82\xac...");
    assert_string_equal(text_escape(bytes_from_string("123\x1b"
                                                      "4"),
                                    text, 8),
                        "123...");
    assert_string_equal(text_escape(bytes_from_string("123\x1b"), text, 8), "123\\x1b");
    assert_string_equal(text_escape(bytes_from_string("\xe2\x80\xae\xe2\x80\xae"), text, 8), "...");
    assert_string_equal(text_escape(bytes_from_string("1234567\\"), text, 9), "12345...");
}

static void the_capacity_is_never_exceeded(void **state)
{
    (void)state;
    static const char from[] = "ab\x1b"
                               "c\xe2\x80\xae"
                               "d\xf0\x9f\x90\x80\xff\\\xc2\x80"
                               "end";
    for (size_t capacity = 8; capacity < 64; capacity++) {
        char text[65];
        memset(text, '#', sizeof text);
        (void)text_escape(bytes_make(from, sizeof from - 1), text, capacity);
        assert_true(strlen(text) < capacity);
        assert_int_equal(text[capacity], '#');
        assert_true(text_is_utf8(bytes_from_string(text)));
    }
}

static void well_formed_utf8_is_told_from_other_bytes(void **state)
{
    (void)state;
    assert_true(text_is_utf8(bytes_make(NULL, 0)));
    assert_true(text_is_utf8(bytes_make("a\0\x1b\xc3\xa9\xf4\x8f\xbf\xbf", 9)));
    assert_false(text_is_utf8(bytes_from_string("caf\xe9")));
    assert_false(text_is_utf8(bytes_from_string("\xed\xbf\xbf")));
    assert_false(text_is_utf8(bytes_from_string("\xf0\x9f\x90")));
    assert_false(text_is_utf8(bytes_from_string("\xf5\x80\x80\x80")));
}

/* NOLINTEND(misc-misleading-bidirectional) */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harmless_text_stays_as_it_is),
        cmocka_unit_test(hostile_text_comes_out_readable),
        cmocka_unit_test(every_byte_value_gives_one_safe_line),
        cmocka_unit_test(long_text_is_cut_at_a_whole_character),
        cmocka_unit_test(the_capacity_is_never_exceeded),
        cmocka_unit_test(well_formed_utf8_is_told_from_other_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
