/* How much connections may read in one turn of the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "peer/conn_private.h"
#include "virtual_loop.h"

static struct loop *loop;
static struct conn_turn turn;

static int set_up(void **state)
{
    (void)state;
    const int rc = loop_new(&loop);
    conn_turn_init(&turn, loop);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    conn_turn_fini(&turn);
    loop_free(loop);
    return 0;
}

/* So many conns read all they may; what that is together. */
static size_t read_by(size_t conns)
{
    size_t total = 0;
    for (size_t i = 0; i < conns; i++) {
        size_t budget = conn_turn_budget(&turn);
        conn_turn_spend(&turn, budget);
        total += budget;
    }
    virtual_world_settle(virtual_loop_world(loop));
    return total;
}

static void a_few_read_as_much_as_ever(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_by(4), 4 * CONN_READ_BUDGET);
    }
}

static void many_share_a_turn_evenly(void **state)
{
    (void)state;
    (void)read_by(16);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_by(16), CONN_TURN_BYTES);
    }
    assert_int_equal(conn_turn_budget(&turn), CONN_TURN_BYTES / 16);
}

static void a_crowd_that_comes_at_once_waits_for_the_next_turn(void **state)
{
    (void)state;
    (void)read_by(1);
    assert_true(read_by(256) <= CONN_TURN_BYTES + 256 * CONN_LEAST_BUDGET);
    assert_int_equal(read_by(256), 256 * CONN_LEAST_BUDGET); /* nobody is left without */
}

static void who_is_alone_again_has_the_whole_turn(void **state)
{
    (void)state;
    (void)read_by(256);
    (void)read_by(1);
    assert_int_equal(read_by(1), CONN_READ_BUDGET);
    virtual_world_settle(virtual_loop_world(loop));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_few_read_as_much_as_ever),
        CASE(many_share_a_turn_evenly),
        CASE(a_crowd_that_comes_at_once_waits_for_the_next_turn),
        CASE(who_is_alone_again_has_the_whole_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
