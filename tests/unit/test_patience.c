#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/patience.h"

static struct patience patience;
static const struct peer_id a = {{1}};
static const struct peer_id b = {{2}};
static unsigned given_up;

static int set_up(void **state)
{
    (void)state;
    given_up = 0;
    patience_init(&patience, (const uint64_t[2]){1, 2});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    patience_fini(&patience);
    return 0;
}

static void on_over(void *arg, const struct peer_id *id)
{
    (void)arg;
    (void)id;
    given_up++;
}

static int64_t expire(int64_t now_ms)
{
    return patience_expire(&patience, now_ms, on_over, NULL);
}

static void a_full_link_is_waited_for_two_seconds(void **state)
{
    (void)state;
    assert_true(patience_waits(&patience, &a, 1000));
    assert_true(patience_waits(&patience, &a, 2000));
    assert_true(patience_waits(&patience, &b, 2500));
    assert_int_equal(expire(2999), 3000);
    assert_int_equal(given_up, 0);
    assert_int_equal(expire(3000), 4500);
    assert_int_equal(given_up, 1);
    assert_false(patience_waits(&patience, &a, 3000));
    assert_true(patience_is_over(&patience, &a, 3000));
    assert_true(patience_waits(&patience, &b, 3000));
    assert_false(patience_is_over(&patience, &b, 3000));
    assert_int_equal(expire(4500), -1);
    assert_int_equal(given_up, 2);
}

static void a_link_that_drains_in_time_begins_anew(void **state)
{
    (void)state;
    assert_true(patience_waits(&patience, &a, 1000));
    patience_settle(&patience, &a, 2900, false);
    assert_true(patience_is_empty(&patience));
    assert_true(patience_waits(&patience, &a, 2950));
    assert_int_equal(expire(3000), 4950);
    assert_int_equal(given_up, 0);
}

static void who_was_given_up_is_not_waited_for_again_for_a_minute(void **state)
{
    (void)state;
    assert_true(patience_waits(&patience, &a, 0));
    (void)expire(2000);
    patience_settle(&patience, &a, 10000, false); /* it drained, and is full again */
    assert_false(patience_waits(&patience, &a, 20000));
    assert_false(patience_waits(&patience, &a, 61999));
    assert_true(patience_waits(&patience, &a, 62000));
    assert_false(patience_is_over(&patience, &a, 62000));
    assert_int_equal(expire(64000), -1);
    assert_int_equal(given_up, 2);
}

static void nothing_is_kept_of_a_peer_that_went_or_served_its_time(void **state)
{
    (void)state;
    assert_true(patience_waits(&patience, &a, 0));
    assert_true(patience_waits(&patience, &b, 0));
    (void)expire(2000);
    patience_settle(&patience, &a, 2000, true);
    assert_true(patience_waits(&patience, &a, 2000)); /* a new connection */
    patience_settle(&patience, &a, 2000, true);
    assert_int_equal(expire(62000), -1);
    assert_true(patience_is_empty(&patience));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_full_link_is_waited_for_two_seconds),
        CASE(a_link_that_drains_in_time_begins_anew),
        CASE(who_was_given_up_is_not_waited_for_again_for_a_minute),
        CASE(nothing_is_kept_of_a_peer_that_went_or_served_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
