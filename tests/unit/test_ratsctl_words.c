#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ratsctl/words.h"

static void an_address_is_a_host_and_a_port(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
    } good[] = {
        {"example.org:8080", "example.org", 8080},
        {"127.0.0.1:1", "127.0.0.1", 1},
        {"[::1]:65535", "::1", 65535},
        {"[fe80::1%3]:7", "fe80::1%3", 7},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char host[ADDRESS_HOST_SIZE];
        uint16_t port = 0;
        assert_int_equal(address_parse(good[i].text, host, &port), 0);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "host",    "host:",   "host:0",  "host:65536",
                                      ":80",     "::1:80",  "[::1]80", "[::1:80", "[]:80",
                                      "host:8a", "host:-1", "host: 80"};
    char host[ADDRESS_HOST_SIZE] = "untouched";
    uint16_t port = 42;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(address_parse(bad[i], host, &port) < 0);
    }
    char long_host[ADDRESS_HOST_SIZE + 8];
    memset(long_host, 'a', sizeof long_host);
    memcpy(long_host + ADDRESS_HOST_SIZE, ":80", 4);
    assert_true(address_parse(long_host, host, &port) < 0);
    assert_string_equal(host, "untouched");
    assert_int_equal(port, 42);
}

static void a_peer_prefix_has_4_to_64_digits(void **state)
{
    (void)state;
    char prefix[PEER_DIGITS + 1];
    char whole[PEER_DIGITS + 2];
    assert_int_equal(peer_prefix_parse("ABcd", prefix), 0);
    assert_string_equal(prefix, "abcd");
    assert_true(peer_prefix_parse("abc", prefix) < 0);
    assert_true(peer_prefix_parse("abcg", prefix) < 0);
    assert_true(peer_prefix_parse("", prefix) < 0);
    memset(whole, '7', sizeof whole);
    whole[PEER_DIGITS] = '\0';
    assert_int_equal(peer_prefix_parse(whole, prefix), 0);
    assert_string_equal(prefix, whole);
    whole[PEER_DIGITS] = '7';
    whole[PEER_DIGITS + 1] = '\0';
    assert_true(peer_prefix_parse(whole, prefix) < 0);
}

static void a_pattern_matches_with_stars_and_question_marks(void **state)
{
    (void)state;
    assert_true(pattern_matches("peer.connected", "peer.connected"));
    assert_true(pattern_matches("peer.*", "peer.connected"));
    assert_true(pattern_matches("*ed", "peer.connected"));
    assert_true(pattern_matches("*.*n*d", "peer.connected"));
    assert_true(pattern_matches("l?st", "lost"));
    assert_true(pattern_matches("*", ""));
    assert_true(pattern_matches("", ""));
    assert_false(pattern_matches("peer.*", "session.ended"));
    assert_false(pattern_matches("", "lost"));
    assert_false(pattern_matches("lost?", "lost"));
    assert_false(pattern_matches("*x", "lost"));
}

/* V19: what is exponential in a naive matcher ends at once here. */
static void a_hostile_pattern_ends(void **state)
{
    (void)state;
    static char pattern[4096];
    static char text[4096];
    for (size_t i = 0; i + 2 < sizeof pattern; i += 2) {
        memcpy(pattern + i, "*a", 2);
    }
    memset(text, 'a', sizeof text - 1);
    assert_true(pattern_matches(pattern, text));
    text[sizeof text - 2] = 'b';
    assert_false(pattern_matches(pattern, text));
}

static void numbers_are_digits_within_bounds(void **state)
{
    (void)state;
    uint64_t number = 0;
    assert_int_equal(number_parse("0", 0, 5, &number), 0);
    assert_int_equal(number_parse("18446744073709551615", 0, UINT64_MAX, &number), 0);
    assert_true(number == UINT64_MAX);
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "18446744073709551616", "6"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(number_parse(bad[i], 0, i + 1 == sizeof bad / sizeof bad[0] ? 5 : UINT64_MAX,
                                 &number) < 0);
    }
}

static void seconds_have_three_decimals(void **state)
{
    (void)state;
    int milliseconds = 0;
    assert_int_equal(seconds_parse("5", &milliseconds), 0);
    assert_int_equal(milliseconds, 5000);
    assert_int_equal(seconds_parse("0.25", &milliseconds), 0);
    assert_int_equal(milliseconds, 250);
    assert_int_equal(seconds_parse("1000000", &milliseconds), 0);
    assert_int_equal(milliseconds, 1000000000);
    static const char *const bad[] = {"",    ".",  "1.",  ".5",      "0.1234", "1e3",
                                      "nan", "-1", "inf", "1000001", "1.2.3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(seconds_parse(bad[i], &milliseconds) < 0);
    }
}

static void ages_use_the_two_largest_units(void **state)
{
    (void)state;
    char text[AGE_SIZE];
    assert_string_equal(age_format(0, text), "0 s");
    assert_string_equal(age_format(59, text), "59 s");
    assert_string_equal(age_format(185, text), "3 min 5 s");
    assert_string_equal(age_format(7800, text), "2 h 10 min");
    assert_string_equal(age_format(705600, text), "8 d 4 h");
    assert_true(strlen(age_format(UINT64_MAX, text)) < AGE_SIZE);
}

static void sizes_have_three_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {999, "999 B"},
                 {1000, "1.0 KiB"},
                 {4096, "4.0 KiB"},
                 {102348, "99.9 KiB"},
                 {102349, "100 KiB"},
                 {1023 * 1024, "1.0 MiB"},
                 {UINT64_C(98) << 20, "98.0 MiB"},
                 {UINT64_C(1) << 30, "1.0 GiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[SIZE_SIZE];
        assert_string_equal(size_format(cases[i].bytes, text), cases[i].text);
    }
}

static void times_have_a_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t seconds;
    } cases[] = {{"1", 1},
                 {"90", 90},
                 {"45s", 45},
                 {"30m", 1800},
                 {"2h", 7200},
                 {"7d", 604800},
                 {"36500d", UINT64_C(3153600000)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t seconds = 0;
        assert_int_equal(duration_parse(cases[i].text, &seconds), 0);
        assert_int_equal(seconds, cases[i].seconds);
    }
    static const char *const bad[] = {"",   "0",  "s",   "0h",  "1.5h",   "-1",
                                      "1w", "h1", "1mm", "1 m", "36501d", "99999999999999999999",
                                      "1H"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t seconds = 0;
        assert_true(duration_parse(bad[i], &seconds) < 0);
    }
}

static void sizes_have_a_unit(void **state)
{
    (void)state;
    uint64_t bytes = 7;
    assert_int_equal(size_parse("0", &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(size_parse("64K", &bytes), 0);
    assert_int_equal(bytes, 65536);
    assert_int_equal(size_parse("2M", &bytes), 0);
    assert_int_equal(bytes, 2097152);
    assert_int_equal(size_parse("1G", &bytes), 0);
    assert_int_equal(bytes, 1073741824);
    static const char *const bad[] = {"", "K", "1k", "1T", "1KK", "-1", "0x10", "9999999999G"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(size_parse(bad[i], &bytes) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_a_host_and_a_port),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_peer_prefix_has_4_to_64_digits),
        cmocka_unit_test(a_pattern_matches_with_stars_and_question_marks),
        cmocka_unit_test(a_hostile_pattern_ends),
        cmocka_unit_test(numbers_are_digits_within_bounds),
        cmocka_unit_test(seconds_have_three_decimals),
        cmocka_unit_test(sizes_have_three_digits),
        cmocka_unit_test(times_have_a_unit),
        cmocka_unit_test(sizes_have_a_unit),
        cmocka_unit_test(ages_use_the_two_largest_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
