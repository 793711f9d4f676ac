/* When targets are dialed: back-off, limits, order, holds (wire-services 8, reliability V25). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/targets.h"

#define MIDDLE 500 /* jitter: of 3/4 to 5/4 about the whole for a second */
#define MAX    1024
#define MINUTE 60000
#define HOUR   (60 * MINUTE)
#define NOBODY "nobody answered"

static struct targets *targets;
static int64_t now;
static uint64_t dice = 1;

static uint64_t throw(void)
{
    dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return dice >> 33;
}

static int begin(void **state)
{
    (void)state;
    now = 1000000;
    targets = targets_new(MAX, now);
    return 0;
}

static int end(void **state)
{
    (void)state;
    targets_free(targets);
    return 0;
}

static struct target *add(const char *host, uint16_t port, enum target_origin origin)
{
    struct target *target = NULL;
    struct target_spec spec = {.host = host, .port = port, .origin = origin};
    assert_int_equal(targets_add(targets, &spec, now, &target), 0);
    return target;
}

/* Lets time pass until one is due; NULL when none ever is. */
static struct target *take_next(void)
{
    for (int i = 0; i < 100; i++) {
        int64_t due = targets_due_ms(targets, now);
        if (due == INT64_MAX) {
            return NULL;
        }
        assert_true(due >= now);
        now = due;
        struct target *target = targets_take(targets, now);
        if (target != NULL) {
            return target;
        }
    }
    fail_msg("due again and again, but never given");
    return NULL;
}

static const struct peer_id alice = {{1}};

static void a_new_target_is_due_at_once(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    assert_int_equal(targets_due_ms(targets, now), now);
    assert_ptr_equal(targets_take(targets, now), target);
    assert_int_equal(target->state, TARGET_DIALING);
    assert_null(targets_take(targets, now));
    assert_true(targets_due_ms(targets, now) == INT64_MAX);
}

static void failures_double_the_wait_up_to_a_minute(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    for (unsigned i = 0; i < 12; i++) {
        assert_ptr_equal(take_next(), target);
        int64_t failed_at = now;
        target_failed(targets, target, NOBODY, now, throw());
        assert_int_equal(target->attempts, i + 1);
        assert_string_equal(target->error, NOBODY);
        int64_t base = i < 6 ? INT64_C(1000) << i : 64000;
        int64_t wait = targets_due_ms(targets, now) - failed_at;
        assert_in_range(wait, base * 3 / 4, base * 5 / 4);
        assert_true(wait <= TARGETS_WAIT_MAX_MS);
    }
}

static void the_wait_is_not_the_same_for_all(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (uint64_t random = 0; random < 1000; random++) {
        target_failed(targets, target, NULL, now, random);
        target->attempts = 0;
        least = target->due_ms < least ? target->due_ms : least;
        most = target->due_ms > most ? target->due_ms : most;
    }
    assert_int_equal(least - now, 750);
    assert_int_equal(most - now, 1250);
}

static void a_connection_that_held_is_a_new_beginning(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(take_next(), target);
        target_failed(targets, target, NOBODY, now, throw());
    }
    assert_ptr_equal(take_next(), target);
    target_connected(targets, target, &alice, now);
    assert_null(target->error);
    assert_true(targets_due_ms(targets, now) == INT64_MAX);
    now += 1000;
    target_lost(targets, target, now, throw()); /* too short: it may be one that refuses us */
    assert_int_equal(target->attempts, 6);
    assert_ptr_equal(take_next(), target);
    target_connected(targets, target, &alice, now);
    now += TARGETS_STABLE_MS;
    target_lost(targets, target, now, MIDDLE);
    assert_int_equal(target->attempts, 1);
    assert_in_range(targets_due_ms(targets, now) - now, 750, 1250);
}

static void what_is_held_is_not_dialed_before_unless_asked(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    (void)take_next();
    target_connected(targets, target, &alice, now);
    target_lost(targets, target, now, throw());
    target_hold(target, now + MINUTE);
    targets_wake(targets, now, throw());
    assert_int_equal(targets_due_ms(targets, now), now + MINUTE);
    assert_null(targets_take(targets, now + MINUTE - 1));
    target_ask(target, now);
    assert_ptr_equal(targets_take(targets, now), target);
}

static void another_network_wakes_who_waits(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    for (int i = 0; i < 8; i++) {
        (void)take_next();
        target_failed(targets, target, NOBODY, now, throw());
    }
    assert_true(targets_due_ms(targets, now) > now + 30000);
    targets_wake(targets, now, throw());
    assert_true(targets_due_ms(targets, now) <= now + 1000);
    assert_int_equal(target->attempts, 0);
}

static void a_target_is_found_however_it_is_written(void **state)
{
    (void)state;
    struct target *literal = add("2001:DB8:0:0::1", 80, TARGET_ADDED);
    struct target *name = add("Example.org", 80, TARGET_ADDED);
    struct target *same = NULL;
    char text[TARGETS_ADDRESS_SIZE];
    assert_ptr_equal(targets_find(targets, "2001:db8::1", 80), literal);
    assert_ptr_equal(targets_find(targets, "EXAMPLE.ORG", 80), name);
    assert_null(targets_find(targets, "example.org", 81));
    assert_string_equal(target_format(literal, text), "[2001:db8::1]:80");
    assert_string_equal(target_format(name, text), "Example.org:80");
    struct target_spec spec = {.host = "::ffff:192.0.2.1", .port = 1, .origin = TARGET_LEARNED};
    assert_int_equal(targets_add(targets, &spec, now, &same), 0);
    spec.host = "192.0.2.1";
    spec.origin = TARGET_ADDED;
    assert_int_equal(targets_add(targets, &spec, now, &same), -EEXIST);
    assert_int_equal(same->origin, TARGET_ADDED);
    spec.origin = TARGET_LEARNED; /* what the owner named stays the owner's */
    assert_int_equal(targets_add(targets, &spec, now, &same), -EEXIST);
    assert_int_equal(same->origin, TARGET_ADDED);
    spec.port = 0;
    assert_int_equal(targets_add(targets, &spec, now, &same), -EINVAL);
    spec = (struct target_spec){.host = "", .port = 1};
    assert_int_equal(targets_add(targets, &spec, now, &same), -EINVAL);
}

static void fill(unsigned count, enum target_origin origin, unsigned network)
{
    for (unsigned i = 0; i < count; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "10.%u.%u.%u", network, i / 250, i % 250 + 1);
        (void)add(ip, 4000, origin);
    }
}

static void learned_targets_make_room_for_the_owners(void **state)
{
    (void)state;
    struct target *target = NULL;
    struct target_spec more = {.host = "10.9.9.9", .port = 1, .origin = TARGET_LEARNED};
    fill(TARGETS_MAX_LEARNED, TARGET_LEARNED, 1);
    assert_int_equal(targets_add(targets, &more, now, &target), -EDQUOT); /* none has failed */
    fill(MAX - TARGETS_MAX_LEARNED, TARGET_ADDED, 2);
    assert_true(targets_have_room(targets));
    more.origin = TARGET_ADDED;
    assert_int_equal(targets_add(targets, &more, now, &target), 0);
    assert_int_equal(targets_count(targets), MAX);
    for (unsigned i = 1; i < TARGETS_MAX_LEARNED; i++) {
        more.port++;
        assert_int_equal(targets_add(targets, &more, now, &target), 0);
    }
    more.port++;
    assert_false(targets_have_room(targets));
    assert_int_equal(targets_add(targets, &more, now, &target), -EDQUOT);
}

static void the_one_that_failed_most_goes_first(void **state)
{
    (void)state;
    fill(TARGETS_MAX_LEARNED, TARGET_LEARNED, 1);
    struct target *worst = take_next();
    target_failed(targets, worst, NOBODY, now, throw());
    char host[64];
    (void)snprintf(host, sizeof host, "%s", worst->host);
    (void)add("10.9.9.9", 1, TARGET_LEARNED);
    assert_null(targets_find(targets, host, 4000));
    assert_int_equal(targets_count(targets), TARGETS_MAX_LEARNED);
}

static void dials_in_progress_are_bounded(void **state)
{
    (void)state;
    fill(200, TARGET_ADDED, 1);
    struct target *taken[TARGETS_MAX_DIALING];
    for (int i = 0; i < TARGETS_MAX_DIALING; i++) {
        taken[i] = targets_take(targets, now);
        assert_non_null(taken[i]);
    }
    now += HOUR;
    assert_null(targets_take(targets, now));
    assert_true(targets_due_ms(targets, now) == INT64_MAX);
    target_failed(targets, taken[0], NOBODY, now, throw());
    assert_non_null(targets_take(targets, now));
    targets_remove(targets, taken[1]);
    assert_non_null(targets_take(targets, now));
    assert_null(targets_take(targets, now));
}

/* 1,024 targets, all dead, each refused at once. */
static void dead_targets_cost_a_bounded_number_of_dials(void **state)
{
    (void)state;
    fill(MAX, TARGET_ADDED, 1);
    int64_t began = now;
    unsigned dials = 0;
    unsigned most = 0;
    while (now < began + 10 * MINUTE) {
        struct target *target = take_next();
        target_failed(targets, target, NOBODY, now, throw());
        most = target->attempts > most ? target->attempts : most;
        dials++;
    }
    assert_in_range(dials, 10 * 60 * TARGETS_DIALS_PER_S,
                    10 * 60 * TARGETS_DIALS_PER_S + TARGETS_BURST + 1);
    struct list *cursor = NULL;
    for (const struct target *target; (target = targets_next(targets, &cursor)) != NULL;) {
        assert_true(target->attempts >= 1); /* nobody starves */
    }
    assert_true(most <= 8);
}

static void one_that_lives_does_not_wait_behind_the_dead(void **state)
{
    (void)state;
    fill(1000, TARGET_ADDED, 1);
    for (int i = 0; i < 5000; i++) {
        target_failed(targets, take_next(), NOBODY, now, throw());
    }
    struct target *fresh = add("192.0.2.1", 80, TARGET_ADDED);
    assert_ptr_equal(take_next(), fresh);
}

static void what_is_given_back_lets_others_go_first(void **state)
{
    (void)state;
    struct target *first = add("192.0.2.1", 80, TARGET_ADDED);
    struct target *second = add("192.0.2.2", 80, TARGET_ADDED);
    assert_ptr_equal(targets_take(targets, now), first);
    targets_give_back(targets, first, now + 40000);
    assert_ptr_equal(targets_take(targets, now), second);
    assert_null(targets_take(targets, now));
    assert_int_equal(targets_due_ms(targets, now), now + 40000);
    assert_int_equal(first->attempts, 0);
}

/* However many of them there are, and however often they are looked at. */
static void what_is_given_back_costs_nobody_a_dial(void **state)
{
    (void)state;
    fill(500, TARGET_ADDED, 1);
    for (int i = 0; i < 500; i++) {
        targets_give_back(targets, targets_take(targets, now), now + HOUR);
    }
    fill(TARGETS_BURST, TARGET_ADDED, 2);
    for (int i = 0; i < TARGETS_BURST; i++) {
        assert_non_null(targets_take(targets, now));
    }
}

static void what_was_put_off_is_not_counted(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    (void)take_next();
    target_postponed(targets, target, now, throw());
    assert_int_equal(target->attempts, 0);
    assert_in_range(targets_due_ms(targets, now) - now, 1000, 10000);
}

static void nothing_overflows_however_long_it_fails(void **state)
{
    (void)state;
    struct target *target = add("192.0.2.1", 80, TARGET_ADDED);
    target->attempts = 4000000000u;
    (void)take_next();
    target_failed(targets, target, NOBODY, now, UINT64_MAX);
    assert_in_range(targets_due_ms(targets, now) - now, 1, TARGETS_WAIT_MAX_MS);
}

static void addresses_are_read_as_written(void **state)
{
    (void)state;
    char host[TARGETS_HOST_MAX + 1];
    struct target_spec spec;
    assert_int_equal(target_spec_parse("example.org:8080", host, &spec), 0);
    assert_string_equal(host, "example.org");
    assert_int_equal(spec.port, 8080);
    assert_false(spec.has_expected);
    assert_int_equal(target_spec_parse("[2001:db8::1]:1", host, &spec), 0);
    assert_string_equal(host, "2001:db8::1");
    assert_int_equal(
        target_spec_parse("404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f@"
                          "192.0.2.1:65535",
                          host, &spec),
        0);
    assert_true(spec.has_expected);
    assert_int_equal(spec.expected.bytes[0], 0x40);
    assert_string_equal(host, "192.0.2.1");
    static const char *const bad[] = {
        "",           ":1",      "host",    "host:",     "host:0",
        "host:65536", "host:1x", "host:-1", "::1:80",    "[::1:80",
        "[]:80",      "[::1]80", "@host:1", "40@host:1", "host:99999999999999999999",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(target_spec_parse(bad[i], host, &spec), -EINVAL);
    }
    char longest[400];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + 256, ":1", 3);
    assert_int_equal(target_spec_parse(longest, host, &spec), -EINVAL);
    assert_int_equal(target_spec_parse(longest + 1, host, &spec), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_new_target_is_due_at_once),
        CASE(failures_double_the_wait_up_to_a_minute),
        CASE(the_wait_is_not_the_same_for_all),
        CASE(a_connection_that_held_is_a_new_beginning),
        CASE(what_is_held_is_not_dialed_before_unless_asked),
        CASE(another_network_wakes_who_waits),
        CASE(a_target_is_found_however_it_is_written),
        CASE(learned_targets_make_room_for_the_owners),
        CASE(the_one_that_failed_most_goes_first),
        CASE(dials_in_progress_are_bounded),
        CASE(dead_targets_cost_a_bounded_number_of_dials),
        CASE(one_that_lives_does_not_wait_behind_the_dead),
        CASE(what_is_given_back_lets_others_go_first),
        CASE(what_is_given_back_costs_nobody_a_dial),
        CASE(what_was_put_off_is_not_counted),
        CASE(nothing_overflows_however_long_it_fails),
        CASE(addresses_are_read_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
