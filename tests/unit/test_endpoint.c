#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/endpoint.h"

static struct endpoint parsed(const char *text, uint16_t port)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_ip(text, port, &endpoint), 0);
    return endpoint;
}

static void literal_addresses_are_parsed_and_written_back(void **state)
{
    (void)state;
    static const struct {
        const char *in, *ip, *full;
    } cases[] = {
        {"1.2.3.4", "1.2.3.4", "1.2.3.4:80"},
        {"255.255.255.255", "255.255.255.255", "255.255.255.255:80"},
        {"::1", "::1", "[::1]:80"},
        {"::", "::", "[::]:80"},
        {"2001:DB8::20", "2001:db8::20", "[2001:db8::20]:80"},
        {"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:80"},
        {"fe80::1%3", "fe80::1%3", "[fe80::1%3]:80"},
        {"fe80:1111:2222:3333:4444:5555:6666:7777%4294967295",
         "fe80:1111:2222:3333:4444:5555:6666:7777%4294967295",
         "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:80"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct endpoint endpoint = parsed(cases[i].in, 80);
        assert_string_equal(endpoint_format_ip(&endpoint).text, cases[i].ip);
        assert_string_equal(endpoint_format(&endpoint).text, cases[i].full);
    }
}

static void the_longest_endpoint_fits_its_text(void **state)
{
    (void)state;
    struct endpoint endpoint = parsed("fe80:1111:2222:3333:4444:5555:6666:7777%4294967295", 65535);
    assert_string_equal(endpoint_format(&endpoint).text,
                        "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535");
}

static void what_is_no_literal_address_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "example.org",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4:80",
        "[::1]",
        ":::",
        "1::2::3",
        "fe80::1%",
        "fe80::1%eth0",
        "fe80::1%4294967296",
        "fe80::1%-1",
        "fe80::1%1%2",
        "%1",
        "1.2.3.4%1",
        " ::1",
        "::1 ",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct endpoint endpoint = {.port = 7};
        assert_int_equal(endpoint_parse_ip(bad[i], 1, &endpoint), -EINVAL);
        assert_int_equal(endpoint.port, 7);
    }
}

static void a_mapped_address_becomes_four_bytes(void **state)
{
    (void)state;
    static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 9};
    struct endpoint endpoint = {.ip = {[8] = 0xee}, .port = 5, .scope = 2};
    assert_int_equal(endpoint_set_ip(&endpoint, bytes_make(mapped, 16)), 0);
    assert_string_equal(endpoint_format(&endpoint).text, "10.0.0.9:5");
    assert_int_equal(endpoint.ip[8], 0);
    assert_int_equal(endpoint.scope, 0);
    memcpy(endpoint.ip, mapped, sizeof mapped);
    assert_int_equal(endpoint_set_ip(&endpoint, bytes_make(endpoint.ip, 16)), 0);
    assert_string_equal(endpoint_format_ip(&endpoint).text, "10.0.0.9");
}

static void an_address_of_another_size_is_refused(void **state)
{
    (void)state;
    static const uint8_t ip[17];
    struct endpoint endpoint = {0};
    for (size_t size = 0; size <= sizeof ip; size++) {
        int expected = size == 4 || size == 16 ? 0 : -EINVAL;
        assert_int_equal(endpoint_set_ip(&endpoint, bytes_make(ip, size)), expected);
    }
}

static void equality_takes_the_port_and_same_ip_does_not(void **state)
{
    (void)state;
    struct endpoint a = parsed("10.0.0.1", 1);
    struct endpoint b = parsed("10.0.0.1", 2);
    struct endpoint c = parsed("a00:1::", 1);
    struct endpoint mapped = parsed("::ffff:10.0.0.1", 1);
    assert_true(endpoint_same_ip(&a, &b));
    assert_false(endpoint_equal(&a, &b));
    assert_false(endpoint_same_ip(&a, &c));
    assert_true(endpoint_equal(&a, &mapped));
}

static void special_addresses_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool unspecified, loopback, link_local;
    } cases[] = {
        {"0.0.0.0", true, false, false},      {"::", true, false, false},
        {"127.0.0.1", false, true, false},    {"127.255.0.9", false, true, false},
        {"::1", false, true, false},          {"::2", false, false, false},
        {"169.254.1.1", false, false, true},  {"169.253.1.1", false, false, false},
        {"fe80::1", false, false, true},      {"febf::1", false, false, true},
        {"fec0::1", false, false, false},     {"8.8.8.8", false, false, false},
        {"2001:db8::1", false, false, false}, {"128.0.0.1", false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct endpoint endpoint = parsed(cases[i].text, 1);
        assert_int_equal(endpoint_is_unspecified(&endpoint), cases[i].unspecified);
        assert_int_equal(endpoint_is_loopback(&endpoint), cases[i].loopback);
        assert_int_equal(endpoint_is_link_local(&endpoint), cases[i].link_local);
    }
    struct endpoint none = {0};
    assert_true(endpoint_is_unspecified(&none));
    assert_false(endpoint_is_loopback(&none));
    assert_false(endpoint_is_link_local(&none));
    assert_string_equal(endpoint_format(&none).text, "-:0");
}

static void every_address_has_its_realm(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum endpoint_realm realm;
    } cases[] = {
        {"0.0.0.0", REALM_NOWHERE},
        {"0.1.2.3", REALM_NOWHERE},
        {"224.0.0.251", REALM_NOWHERE},
        {"240.0.0.1", REALM_NOWHERE},
        {"255.255.255.255", REALM_NOWHERE},
        {"::", REALM_NOWHERE},
        {"ff02::fb", REALM_NOWHERE},
        {"127.0.0.1", REALM_LOOPBACK},
        {"127.255.255.255", REALM_LOOPBACK},
        {"::1", REALM_LOOPBACK},
        {"::ffff:127.0.0.1", REALM_LOOPBACK},
        {"169.254.1.1", REALM_LINK_LOCAL},
        {"fe80::1", REALM_LINK_LOCAL},
        {"febf::1", REALM_LINK_LOCAL},
        {"10.255.0.1", REALM_PRIVATE_10},
        {"172.16.0.1", REALM_PRIVATE_172},
        {"172.31.255.255", REALM_PRIVATE_172},
        {"192.168.3.4", REALM_PRIVATE_192},
        {"100.64.0.1", REALM_PRIVATE_CARRIER},
        {"100.127.255.255", REALM_PRIVATE_CARRIER},
        {"fc00::1", REALM_PRIVATE_UNIQUE},
        {"fdff::1", REALM_PRIVATE_UNIQUE},
        {"1.0.0.1", REALM_PUBLIC},
        {"9.255.255.255", REALM_PUBLIC},
        {"11.0.0.1", REALM_PUBLIC},
        {"100.63.255.255", REALM_PUBLIC},
        {"100.128.0.1", REALM_PUBLIC},
        {"126.0.0.1", REALM_PUBLIC},
        {"128.0.0.1", REALM_PUBLIC},
        {"169.253.1.1", REALM_PUBLIC},
        {"172.15.0.1", REALM_PUBLIC},
        {"172.32.0.1", REALM_PUBLIC},
        {"192.167.0.1", REALM_PUBLIC},
        {"223.255.255.255", REALM_PUBLIC},
        {"2001:db8::1", REALM_PUBLIC},
        {"fec0::1", REALM_PUBLIC},
        {"::2", REALM_PUBLIC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint endpoint = parsed(cases[i].text, 1);
        assert_int_equal(endpoint_realm(&endpoint), cases[i].realm);
    }
    assert_int_equal(endpoint_realm(&(struct endpoint){.port = 1}), REALM_NOWHERE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literal_addresses_are_parsed_and_written_back),
        cmocka_unit_test(the_longest_endpoint_fits_its_text),
        cmocka_unit_test(what_is_no_literal_address_is_refused),
        cmocka_unit_test(a_mapped_address_becomes_four_bytes),
        cmocka_unit_test(an_address_of_another_size_is_refused),
        cmocka_unit_test(equality_takes_the_port_and_same_ip_does_not),
        cmocka_unit_test(special_addresses_are_recognised),
        cmocka_unit_test(every_address_has_its_realm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
