#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "core/sockaddr.h"

static void addresses_survive_the_way_there_and_back(void **state)
{
    (void)state;
    static const char *const literals[] = {"192.0.2.1", "2001:db8::1", "fe80::1%3"};
    static const socklen_t sizes[] = {
        sizeof(struct sockaddr_in),
        sizeof(struct sockaddr_in6),
        sizeof(struct sockaddr_in6),
    };
    for (size_t i = 0; i < 3; i++) {
        struct endpoint before;
        struct endpoint after;
        struct sockaddr_storage storage;
        assert_int_equal(endpoint_parse_ip(literals[i], 8080, &before), 0);
        assert_int_equal(sockaddr_from_endpoint(&before, &storage), sizes[i]);
        assert_int_equal(sockaddr_to_endpoint((struct sockaddr *)&storage, &after), 0);
        assert_true(endpoint_equal(&before, &after));
        assert_int_equal(before.scope, after.scope);
    }
}

static void mapped_ipv4_comes_out_as_ipv4(void **state)
{
    (void)state;
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(80),
        .sin6_addr = {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}}},
    };
    struct sockaddr_storage storage;
    memcpy(&storage, &in6, sizeof in6);
    struct endpoint endpoint;
    assert_int_equal(sockaddr_to_endpoint((struct sockaddr *)&storage, &endpoint), 0);
    assert_string_equal(endpoint_format(&endpoint).text, "192.0.2.1:80");
}

static void a_scope_is_kept_only_for_link_local_addresses(void **state)
{
    (void)state;
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_scope_id = 7, .sin6_addr = {{{0x20, 1}}}};
    struct sockaddr_storage storage;
    memcpy(&storage, &in6, sizeof in6);
    struct endpoint endpoint;
    assert_int_equal(sockaddr_to_endpoint((struct sockaddr *)&storage, &endpoint), 0);
    assert_int_equal(endpoint.scope, 0);
}

static void no_address_becomes_any_and_other_families_are_refused(void **state)
{
    (void)state;
    struct endpoint none = {.port = 9};
    struct sockaddr_storage storage;
    struct endpoint endpoint;
    assert_int_equal(sockaddr_from_endpoint(&none, &storage), sizeof(struct sockaddr_in6));
    assert_int_equal(sockaddr_to_endpoint((struct sockaddr *)&storage, &endpoint), 0);
    assert_true(endpoint_is_unspecified(&endpoint));
    assert_int_equal(endpoint.port, 9);
    storage.ss_family = AF_UNIX;
    assert_int_equal(sockaddr_to_endpoint((struct sockaddr *)&storage, &endpoint), -EAFNOSUPPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_survive_the_way_there_and_back),
        cmocka_unit_test(mapped_ipv4_comes_out_as_ipv4),
        cmocka_unit_test(a_scope_is_kept_only_for_link_local_addresses),
        cmocka_unit_test(no_address_becomes_any_and_other_families_are_refused),
    };
    return cmocka_run_group_tests_name("sockaddr", tests, NULL, NULL);
}
