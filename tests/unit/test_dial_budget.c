#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "peer/dial_budget.h"

static const uint64_t seed[2] = {1, 2};
static struct dial_budget *budget;

static int begin(void **state)
{
    (void)state;
    budget = dial_budget_new(seed);
    return 0;
}

static int end(void **state)
{
    (void)state;
    dial_budget_free(budget);
    return 0;
}

static int take(const char *ip, unsigned port, int64_t now_ms)
{
    struct endpoint to;
    assert_int_equal(endpoint_parse_ip(ip, (uint16_t)port, &to), 0);
    return dial_budget_take(budget, &to, now_ms);
}

static void one_endpoint_is_dialed_once_in_five_minutes(void **state)
{
    (void)state;
    assert_int_equal(take("192.0.2.1", 80, 0), 0);
    assert_int_equal(take("192.0.2.1", 80, 1), -EALREADY);
    assert_int_equal(take("192.0.2.1", 80, DIAL_BUDGET_AGAIN_MS - 1), -EALREADY);
    assert_int_equal(take("192.0.2.1", 80, DIAL_BUDGET_AGAIN_MS), 0);
}

static void one_address_has_four_attempts_a_minute_on_any_ports(void **state)
{
    (void)state;
    for (unsigned port = 1; port <= 4; port++) {
        assert_int_equal(take("192.0.2.1", port, (int64_t)port * 10000), 0);
    }
    assert_int_equal(take("192.0.2.1", 5, 40000), -EBUSY);
    assert_int_equal(take("192.0.2.1", 5, 69999), -EBUSY);
    assert_int_equal(take("192.0.2.1", 5, 70000), 0); /* the first is a minute ago */
    assert_int_equal(take("192.0.2.1", 6, 70000), -EBUSY);
    assert_int_equal(take("192.0.2.1", 6, 80000), 0);
}

static void no_window_of_a_minute_has_more_than_four(void **state)
{
    (void)state;
    int64_t taken_ms[1000];
    size_t count = 0;
    for (int64_t now_ms = 0; now_ms < 600000; now_ms += 777) {
        if (take("192.0.2.1", (unsigned)(now_ms / 777 % 60000) + 1, now_ms) == 0) {
            taken_ms[count++] = now_ms;
        }
    }
    assert_true(count >= 36);
    for (size_t i = 4; i < count; i++) {
        assert_true(taken_ms[i] - taken_ms[i - 4] >= DIAL_BUDGET_WINDOW_MS);
    }
}

static void one_network_has_sixteen_attempts_a_minute(void **state)
{
    (void)state;
    char ip[32];
    for (unsigned host = 1; host <= 16; host++) {
        (void)snprintf(ip, sizeof ip, "192.0.2.%u", host);
        assert_int_equal(take(ip, 80, 1000), 0);
    }
    assert_int_equal(take("192.0.2.200", 80, 1000), -EDQUOT);
    assert_int_equal(take("192.0.3.1", 80, 1000), 0);
    assert_int_equal(take("192.0.2.200", 80, 61000), 0);
}

static void an_ipv6_network_is_its_48(void **state)
{
    (void)state;
    char ip[64];
    for (unsigned host = 1; host <= 16; host++) {
        (void)snprintf(ip, sizeof ip, "2001:db8:7:%x::1", host);
        assert_int_equal(take(ip, 80, 1000), 0);
    }
    assert_int_equal(take("2001:db8:7:ffff::1", 80, 1000), -EDQUOT);
    assert_int_equal(take("2001:db8:8::1", 80, 1000), 0);
}

static void what_is_refused_is_not_counted(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        (void)take("192.0.2.1", 80, 1000);
    }
    for (unsigned port = 81; port <= 83; port++) {
        assert_int_equal(take("192.0.2.1", port, 1000), 0);
    }
    assert_int_equal(take("192.0.2.1", 84, 1000), -EBUSY);
}

static void named_a_thousand_times_a_victim_is_dialed_four_times(void **state)
{
    (void)state;
    int dials = 0;
    for (unsigned i = 0; i < 1000; i++) {
        dials += take("192.0.2.1", 1 + i, 1000 + i) == 0;
    }
    assert_int_equal(dials, 4);
}

/* Somebody names addresses all over the network to make us forget a victim. */
static void naming_many_others_does_not_reset_a_victim(void **state)
{
    (void)state;
    char ip[32];
    int victim = 0;
    int others = 0;
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(ip, sizeof ip, "10.%u.%u.1", i / 256 % 256, i % 256);
        others += take(ip, 80, 1000) == 0;
        victim += take("192.0.2.1", 1 + i, 1000) == 0;
    }
    assert_int_equal(victim, 4);
    assert_in_range(others, 4000, DIAL_BUDGET_REMEMBERED);
    assert_int_equal(take("11.0.0.1", 80, 1000), -ENOSPC);
    assert_int_equal(take("11.0.0.1", 80, 61001), 0);
}

static void a_million_addresses_are_remembered_within_bounds(void **state)
{
    (void)state;
    struct endpoint to = {.ip_size = 4, .port = 80};
    unsigned dials = 0;
    for (uint32_t i = 0; i < 200000; i++) { /* 50 a second for more than an hour */
        to.ip[0] = (uint8_t)(1 + (i >> 16));
        to.ip[1] = (uint8_t)(i >> 8);
        to.ip[2] = (uint8_t)i;
        dials += dial_budget_take(budget, &to, 1000 + (int64_t)i * 20) == 0;
    }
    assert_int_equal(dials, 200000);
}

static int64_t opens(const char *ip, int64_t now_ms)
{
    struct endpoint to;
    assert_int_equal(endpoint_parse_ip(ip, 80, &to), 0);
    return dial_budget_opens_ms(budget, &to, now_ms);
}

static void count(const char *ip, unsigned port, int64_t now_ms)
{
    struct endpoint to;
    assert_int_equal(endpoint_parse_ip(ip, (uint16_t)port, &to), 0);
    dial_budget_count(budget, &to, now_ms);
}

static void attempts_made_in_any_case_leave_less_to_what_others_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(opens("192.0.2.1", 1000), 1000);
        count("192.0.2.1", 80, 1000 + i);
    }
    assert_int_equal(take("192.0.2.1", 80, 2000), 0);
    assert_int_equal(take("192.0.2.1", 81, 2000), -EBUSY);
    assert_int_equal(opens("192.0.2.1", 2000), 61000);
    assert_int_equal(opens("192.0.2.1", 61000), 61000);
    assert_int_equal(take("192.0.2.1", 81, 61000), 0);
}

static void attempts_over_the_budget_count_too(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        count("192.0.2.1", 80, 1000 + (int64_t)i * 100);
    }
    assert_int_equal(opens("192.0.2.1", 20000), 1000 + 96 * 100 + DIAL_BUDGET_WINDOW_MS);
    assert_int_equal(opens("192.0.2.2", 20000), 1000 + 84 * 100 + DIAL_BUDGET_WINDOW_MS);
    assert_int_equal(opens("192.0.3.1", 20000), 20000);
}

static void when_no_more_can_be_counted_it_opens_with_the_oldest(void **state)
{
    (void)state;
    struct endpoint to = {.ip_size = 4, .ip = {10}, .port = 80};
    for (unsigned i = 0; i < DIAL_BUDGET_REMEMBERED + 10; i++) {
        to.ip[1] = (uint8_t)(i >> 8);
        to.ip[2] = (uint8_t)i;
        dial_budget_count(budget, &to, 1000 + i);
    }
    assert_int_equal(opens("192.0.2.1", 9000), 1000 + DIAL_BUDGET_WINDOW_MS);
    assert_int_equal(take("192.0.2.1", 80, 9000), -ENOSPC);
    assert_int_equal(take("192.0.2.1", 80, 1000 + DIAL_BUDGET_WINDOW_MS), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(one_endpoint_is_dialed_once_in_five_minutes),
        CASE(one_address_has_four_attempts_a_minute_on_any_ports),
        CASE(no_window_of_a_minute_has_more_than_four),
        CASE(one_network_has_sixteen_attempts_a_minute),
        CASE(an_ipv6_network_is_its_48),
        CASE(what_is_refused_is_not_counted),
        CASE(named_a_thousand_times_a_victim_is_dialed_four_times),
        CASE(naming_many_others_does_not_reset_a_victim),
        CASE(a_million_addresses_are_remembered_within_bounds),
        CASE(attempts_made_in_any_case_leave_less_to_what_others_name),
        CASE(attempts_over_the_budget_count_too),
        CASE(when_no_more_can_be_counted_it_opens_with_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
