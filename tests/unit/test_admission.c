#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "peer/admission.h"

static const uint64_t seed[2] = {1, 2};
static const struct admission_limits limits = {
    .max_peers = 10,
    .reserved = 2,
    .max_pending = 6,
    .max_per_source = 3,
};
static struct admission *admission;

static int begin(void **state)
{
    (void)state;
    return admission_new(&limits, seed, &admission);
}

static int end(void **state)
{
    (void)state;
    admission_free(admission);
    return 0;
}

static struct endpoint source(const char *text)
{
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_ip(text, 1, &endpoint), 0);
    return endpoint;
}

static int enter(const char *text, int64_t now_ms)
{
    struct endpoint from = source(text);
    return admission_enter(admission, &from, 0, now_ms);
}

static void leave(const char *text)
{
    struct endpoint from = source(text);
    admission_leave(admission, &from);
}

static void one_source_has_its_share_and_all_have_theirs(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter("10.0.0.1", 0), 0);
    }
    assert_int_equal(enter("10.0.0.1", 0), -EDQUOT);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(enter("10.0.0.2", 0), 0);
    }
    assert_int_equal(admission_pending(admission), 6);
    assert_int_equal(enter("10.0.0.3", 0), -EAGAIN);
    leave("10.0.0.1");
    assert_int_equal(enter("10.0.0.3", 0), 0);
    leave("10.0.0.1");
    assert_int_equal(enter("10.0.0.1", 0), 0);
}

static void an_ipv6_source_is_its_64(void **state)
{
    (void)state;
    assert_int_equal(enter("2001:db8::1", 0), 0);
    assert_int_equal(enter("2001:db8::2", 0), 0);
    assert_int_equal(enter("2001:db8:0:0:ffff::", 0), 0);
    assert_int_equal(enter("2001:db8::4", 0), -EDQUOT);
    assert_int_equal(enter("2001:db8:0:1::", 0), 0);
    leave("2001:db8::9"); /* any of the source */
    assert_int_equal(enter("2001:db8::4", 0), 0);
}

static void a_source_that_comes_too_fast_must_wait(void **state)
{
    (void)state;
    for (int i = 0; i < ADMISSION_BURST; i++) {
        assert_int_equal(enter("10.0.0.1", 1000), 0);
        leave("10.0.0.1");
    }
    assert_int_equal(enter("10.0.0.1", 1000), -EBUSY);
    assert_int_equal(enter("10.0.0.2", 1000), 0);
    int admitted = 0;
    for (int64_t now_ms = 1001; now_ms <= 11000; now_ms++) {
        if (enter("10.0.0.1", now_ms) == 0) {
            leave("10.0.0.1");
            admitted++;
        }
    }
    assert_int_equal(admitted, 10 * ADMISSION_RATE_PER_S);
    assert_int_equal(enter("10.0.0.1", INT64_C(1) << 50), 0); /* a long time later */
}

static void sources_are_forgotten_before_they_fill_the_memory(void **state)
{
    (void)state;
    assert_int_equal(enter("10.0.0.1", 0), 0);
    for (int i = 0; i < 10 * ADMISSION_SOURCES_MAX; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "11.%d.%d.1", i / 256, i % 256);
        assert_int_equal(enter(text, 0), 0);
        leave(text);
    }
    leave("10.0.0.1"); /* one in use is never forgotten */
    assert_int_equal(admission_pending(admission), 0);
}

static void a_full_node_refuses_before_the_handshake(void **state)
{
    (void)state;
    struct endpoint from = source("10.0.0.1");
    assert_int_equal(admission_enter(admission, &from, 11, 0), 0);
    assert_int_equal(admission_enter(admission, &from, 12, 0), -EUSERS);
}

static void reserved_places_are_for_known_peers(void **state)
{
    (void)state;
    struct peer_id known = {{1}};
    struct peer_id stranger = {{2}};
    admission_remember(admission, &known);
    assert_true(admission_allows(admission, &stranger, 9));
    assert_false(admission_allows(admission, &stranger, 10));
    assert_true(admission_allows(admission, &known, 11));
    assert_false(admission_allows(admission, &known, 12));
}

static void zero_is_no_limit(void **state)
{
    (void)state;
    struct admission_limits open = limits;
    struct endpoint from = source("10.0.0.1");
    struct peer_id stranger = {{2}};
    open.max_peers = 0;
    admission_set_limits(admission, &open);
    assert_int_equal(admission_enter(admission, &from, 1000000, 0), 0);
    assert_true(admission_allows(admission, &stranger, 1000000));
}

static void the_oldest_known_peer_is_forgotten_first(void **state)
{
    (void)state;
    struct peer_id first = {{0xff, 1}};
    struct peer_id second = {{0xff, 2}};
    admission_remember(admission, &first);
    admission_remember(admission, &second);
    admission_remember(admission, &first); /* again: now the second is the oldest */
    for (unsigned i = 0; i < ADMISSION_KNOWN_MAX - 1; i++) {
        struct peer_id id = {{0, (uint8_t)(i >> 8), (uint8_t)i}};
        admission_remember(admission, &id);
    }
    assert_true(admission_allows(admission, &first, 11));
    assert_false(admission_allows(admission, &second, 11));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_source_has_its_share_and_all_have_theirs),
        CASE(an_ipv6_source_is_its_64),
        CASE(a_source_that_comes_too_fast_must_wait),
        CASE(sources_are_forgotten_before_they_fill_the_memory),
        CASE(a_full_node_refuses_before_the_handshake),
        CASE(reserved_places_are_for_known_peers),
        CASE(zero_is_no_limit),
        CASE(the_oldest_known_peer_is_forgotten_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
