#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "util/ban_list.h"

static const uint64_t seed[2] = {1, 2};
static struct ban_list list;

static int begin(void **state)
{
    (void)state;
    ban_list_init(&list, seed);
    return 0;
}

static int end(void **state)
{
    (void)state;
    ban_list_fini(&list);
    return 0;
}

static struct ban_subject subject(const char *text)
{
    struct ban_subject parsed;
    assert_int_equal(ban_subject_parse(text, &parsed), 0);
    return parsed;
}

static void add(const char *text, int64_t until_ms)
{
    struct ban_subject parsed = subject(text);
    assert_int_equal(ban_list_add(&list, &parsed, until_ms, 7, text), 0);
}

static bool is_banned(const char *address, int64_t now_ms)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_ip(address, 1234, &endpoint), 0);
    return ban_list_address(&list, &endpoint, now_ms) != NULL;
}

static void subjects_are_read_and_written_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *form;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1/32", "192.0.2.1"},
        {"192.0.2.77/24", "192.0.2.0/24"},
        {"192.0.2.77/25", "192.0.2.0/25"},
        {"192.0.2.200/25", "192.0.2.128/25"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"255.255.255.255/0", "0.0.0.0/0"},
        {"2001:db8::1", "2001:db8::1"},
        {"2001:DB8:1:2:3::/48", "2001:db8:1::/48"},
        {"2001:db8:ffff::/33", "2001:db8:8000::/33"},
        {"::/0", "::/0"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"::ffff:10.1.2.3/104", "10.0.0.0/8"},
        {"00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff",
         "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ban_subject parsed = subject(cases[i].text);
        assert_string_equal(ban_subject_format(&parsed).text, cases[i].form);
        struct ban_subject again = subject(cases[i].form);
        assert_memory_equal(&again, &parsed, sizeof again);
    }
}

static void what_is_no_subject_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "x",
        "192.0.2",
        "192.0.2.1/",
        "192.0.2.1/33",
        "192.0.2.1/-1",
        "192.0.2.1/ 1",
        "192.0.2.1/1x",
        "192.0.2.1/0024",
        "192.0.2.1/24/24",
        "2001:db8::/129",
        "2001:db8::/999999999999",
        "::ffff:10.1.2.3/95",
        "fe80::1%2",
        "example.org",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff/32",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ban_subject parsed;
        assert_int_equal(ban_subject_parse(bad[i], &parsed), -EINVAL);
    }
}

static void a_network_covers_its_addresses_and_no_others(void **state)
{
    (void)state;
    add("192.0.2.0/25", BAN_FOR_EVER);
    add("198.51.100.7", BAN_FOR_EVER);
    add("2001:db8:8000::/33", BAN_FOR_EVER);
    assert_true(is_banned("192.0.2.0", 0));
    assert_true(is_banned("192.0.2.127", 0));
    assert_true(is_banned("::ffff:192.0.2.127", 0));
    assert_false(is_banned("192.0.2.128", 0));
    assert_false(is_banned("192.0.1.255", 0));
    assert_true(is_banned("198.51.100.7", 0));
    assert_false(is_banned("198.51.100.6", 0));
    assert_true(is_banned("2001:db8:ffff::1", 0));
    assert_false(is_banned("2001:db8:7fff::1", 0));
    assert_false(is_banned("::1", 0));
    struct endpoint none = {0};
    assert_null(ban_list_address(&list, &none, 0));
}

static void everything_can_be_banned_by_family(void **state)
{
    (void)state;
    add("0.0.0.0/0", BAN_FOR_EVER);
    assert_true(is_banned("1.2.3.4", 0));
    assert_false(is_banned("2001:db8::1", 0));
    add("::/0", BAN_FOR_EVER);
    assert_true(is_banned("2001:db8::1", 0));
}

static void a_ban_ends_in_time_and_the_wider_one_stays(void **state)
{
    (void)state;
    add("192.0.2.1", 1000);
    add("192.0.2.0/24", 2000);
    add("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 1000);
    struct peer_id id;
    assert_int_equal(
        peer_id_parse("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", &id), 0);
    assert_non_null(ban_list_peer(&list, &id, 999));
    assert_null(ban_list_peer(&list, &id, 1000));
    assert_true(is_banned("192.0.2.1", 1999));
    assert_false(is_banned("192.0.2.1", 2000));
    assert_int_equal(ban_list_count(&list), 3);
    assert_int_equal(ban_list_expire(&list, 1500), 2);
    assert_int_equal(ban_list_count(&list), 1);
}

static void a_second_ban_of_a_subject_replaces_the_first(void **state)
{
    (void)state;
    struct ban_subject parsed = subject("192.0.2.1");
    add("192.0.2.1", 1000);
    assert_int_equal(ban_list_add(&list, &parsed, 5000, 9, "again"), 0);
    assert_int_equal(ban_list_count(&list), 1);
    assert_true(is_banned("192.0.2.1", 4999));
    assert_string_equal(ban_list_find(&list, &parsed)->reason, "again");
    assert_true(ban_list_remove(&list, &parsed, 0));
    assert_false(is_banned("192.0.2.1", 0));
    assert_false(ban_list_remove(&list, &parsed, 0));
}

static void lifting_what_has_ended_lifts_nothing(void **state)
{
    (void)state;
    struct ban_subject parsed = subject("192.0.2.1");
    add("192.0.2.1", 1000);
    assert_false(ban_list_remove(&list, &parsed, 1000));
    assert_int_equal(ban_list_count(&list), 0);
}

static void only_prefix_lengths_in_use_are_looked_up(void **state)
{
    (void)state;
    char text[32];
    for (unsigned i = 0; i < 4096; i++) {
        (void)snprintf(text, sizeof text, "10.%u.%u.0/24", i / 256, i % 256);
        add(text, BAN_FOR_EVER);
    }
    unsigned lengths = 0;
    for (size_t i = 0; i < 129; i++) {
        lengths += list.in_use[0][i] > 0 ? 1u : 0u;
        lengths += list.in_use[1][i] > 0 ? 1u : 0u;
    }
    assert_int_equal(lengths, 1);
    assert_true(is_banned("10.15.255.9", 0));
    assert_false(is_banned("10.16.0.9", 0));
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    (void)state;
    char reason[BAN_REASON_MAX + 20];
    struct ban_subject parsed = subject("192.0.2.1");
    memset(reason, 'x', sizeof reason);
    memcpy(reason + BAN_REASON_MAX - 1, "\xc3\xa9", 2); /* half of it would still fit */
    reason[sizeof reason - 1] = '\0';
    assert_int_equal(ban_list_add(&list, &parsed, 1, 1, reason), 0);
    assert_int_equal(strlen(ban_list_find(&list, &parsed)->reason), BAN_REASON_MAX - 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(subjects_are_read_and_written_in_one_form),
        CASE(what_is_no_subject_is_refused),
        CASE(a_network_covers_its_addresses_and_no_others),
        CASE(everything_can_be_banned_by_family),
        CASE(a_ban_ends_in_time_and_the_wider_one_stays),
        CASE(a_second_ban_of_a_subject_replaces_the_first),
        CASE(lifting_what_has_ended_lifts_nothing),
        CASE(only_prefix_lengths_in_use_are_looked_up),
        CASE(a_long_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
