/* What large messages may take of memory while they arrive, of all connections together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conn_world.h"
#include "fake_link.h"
#include "virtual_loop.h"
#include "wire/block.h"
#include "wire/plaintext.h"

#define ENDS 8

/* One connection of a peer in plaintext, who says what the test likes. */
struct end {
    struct fake_link link;
    struct conn *conn;
    unsigned messages;
    unsigned closed;
    enum conn_close_reason reason;
};

static struct conn_world world;
static struct end ends[ENDS];
static struct end *ends_too; /* closed with the next end that closes */

static void on_established(void *arg, struct conn *conn)
{
    (void)arg;
    (void)conn;
}

static void on_message(void *arg, struct conn *conn, const struct message *message)
{
    (void)conn;
    (void)message;
    ((struct end *)arg)->messages++;
}

static void on_closed(void *arg, struct conn *conn, enum conn_close_reason reason)
{
    struct end *end = arg;
    struct end *other = ends_too;
    (void)conn;
    end->closed++;
    end->reason = reason;
    ends_too = NULL;
    if (other != NULL) {
        conn_close(other->conn, CONN_CLOSED_LOCALLY, false);
    }
}

static void feed(struct end *end, const void *data, size_t size)
{
    fake_link_feed(&end->link, bytes_make(data, size));
    virtual_world_settle(virtual_loop_world(world.loop));
}

static void announce(struct end *end, size_t body_size)
{
    uint8_t prefix[BLOCK_PREFIX_SIZE];
    block_encode_prefix(body_size, prefix);
    feed(end, prefix, sizeof prefix);
}

static void feed_zeros(struct end *end, size_t size)
{
    uint8_t *zeros = calloc(1, size);
    feed(end, zeros, size);
    free(zeros);
}

static void greet(struct end *end)
{
    static const struct conn_callbacks callbacks = {
        .on_established = on_established,
        .on_message = on_message,
        .on_closed = on_closed,
    };
    uint8_t hello[PLAINTEXT_MAX_SIZE];
    const struct peer_id peer = {{7}};
    fake_link_init(&end->link, false);
    assert_int_equal(conn_new(&world.context, &end->link.link, &callbacks, end, &end->conn), 0);
    const size_t size = plaintext_encode(&world.context.protocol, &peer, hello);
    announce(end, size);
    feed(end, hello, size);
    assert_true(conn_is_established(end->conn));
}

static int set_up(void **state)
{
    (void)state;
    memset(ends, 0, sizeof ends);
    ends_too = NULL;
    conn_world_open(&world);
    for (size_t i = 0; i < ENDS; i++) {
        greet(&ends[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ENDS; i++) {
        if (ends[i].closed == 0) {
            conn_close(ends[i].conn, CONN_CLOSED_STOPPING, false);
        }
        fake_link_fini(&ends[i].link);
    }
    conn_world_close(&world);
    return 0;
}

static void run_ms(int64_t duration_ms)
{
    struct virtual_world *time = virtual_loop_world(world.loop);
    virtual_world_run(time, virtual_world_now_ms(time) + duration_ms);
}

/* As many of the largest as there is room for, begun and no more. */
static void fill(void)
{
    for (size_t i = 0; i < CONN_ARRIVALS_LARGEST; i++) {
        announce(&ends[i], BLOCK_MAX_BODY);
        assert_true(ends[i].link.reading);
    }
}

static void what_there_is_no_room_for_waits_unread_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct end *late = &ends[CONN_ARRIVALS_LARGEST];
    struct end *small = &ends[CONN_ARRIVALS_LARGEST + 1];
    fill();
    announce(late, 2 * CONN_READ_BUDGET);
    feed_zeros(late, 2 * CONN_READ_BUDGET);
    assert_false(late->link.reading);
    assert_int_equal(late->messages, 0);
    announce(small, CONN_READ_BUDGET / 2);
    feed_zeros(small, CONN_READ_BUDGET / 2);
    assert_int_equal(small->messages, 1);
    conn_close(ends[0].conn, CONN_CLOSED_LOCALLY, false);
    virtual_world_settle(virtual_loop_world(world.loop));
    fake_link_poll(&late->link);
    assert_int_equal(late->messages, 1);
    assert_true(late->link.reading);
}

static void a_message_that_is_whole_makes_room(void **state)
{
    (void)state;
    struct end *late = &ends[CONN_ARRIVALS_LARGEST];
    fill();
    announce(late, BLOCK_MAX_BODY);
    assert_false(late->link.reading);
    feed_zeros(&ends[1], BLOCK_MAX_BODY);
    assert_int_equal(ends[1].messages, 1);
    assert_true(late->link.reading);
}

static void those_who_wait_come_in_the_order_of_asking(void **state)
{
    (void)state;
    struct end *large = &ends[CONN_ARRIVALS_LARGEST];
    struct end *less = &ends[CONN_ARRIVALS_LARGEST + 1];
    for (size_t i = 1; i < CONN_ARRIVALS_LARGEST; i++) {
        announce(&ends[i], BLOCK_MAX_BODY);
    }
    announce(&ends[0], BLOCK_MAX_BODY / 2);
    announce(large, BLOCK_MAX_BODY);
    announce(less, BLOCK_MAX_BODY / 4); /* it would fit, and go on doing so */
    assert_false(large->link.reading);
    assert_false(less->link.reading);
    conn_close(ends[0].conn, CONN_CLOSED_LOCALLY, false);
    assert_true(large->link.reading);
    assert_false(less->link.reading);
    conn_close(large->conn, CONN_CLOSED_LOCALLY, false);
    assert_true(less->link.reading);
}

static void who_leaves_the_line_is_not_waited_for(void **state)
{
    (void)state;
    struct end *first = &ends[CONN_ARRIVALS_LARGEST];
    struct end *second = &ends[CONN_ARRIVALS_LARGEST + 1];
    fill();
    announce(first, BLOCK_MAX_BODY);
    announce(second, BLOCK_MAX_BODY);
    conn_close(first->conn, CONN_CLOSED_LOCALLY, false);
    assert_false(second->link.reading);
    conn_close(ends[0].conn, CONN_CLOSED_LOCALLY, false);
    assert_true(second->link.reading);
}

static void half_a_message_that_does_not_grow_is_ended_once_others_wait(void **state)
{
    (void)state;
    struct end *late = &ends[CONN_ARRIVALS_LARGEST];
    fill();
    run_ms(10 * (int64_t)CONN_STALL_MS);
    assert_int_equal(ends[0].closed, 0); /* it is in nobody's way */
    announce(late, BLOCK_MAX_BODY);
    conn_hold(ends[2].conn); /* that one cannot go on because of us */
    for (int i = 0; i < 2; i++) {
        feed_zeros(&ends[1], CONN_LARGE_STEP);
        run_ms(CONN_STALL_MS + 1);
    }
    assert_int_equal(ends[0].closed, 1);
    assert_int_equal(ends[0].reason, CONN_CLOSED_HALF);
    assert_int_equal(ends[1].closed, 0);
    assert_int_equal(ends[2].closed, 0);
    assert_int_equal(ends[3].closed, 1);
    assert_true(late->link.reading);
    run_ms(10 * (int64_t)CONN_STALL_MS);
    assert_int_equal(late->closed, 0); /* and nobody waits for it */
}

static void an_end_may_bring_others_with_it(void **state)
{
    (void)state;
    struct end *late = &ends[CONN_ARRIVALS_LARGEST];
    fill();
    announce(late, BLOCK_MAX_BODY);
    ends_too = &ends[1];
    run_ms(2 * (int64_t)CONN_STALL_MS + 2);
    for (size_t i = 0; i < CONN_ARRIVALS_LARGEST; i++) {
        assert_int_equal(ends[i].closed, 1);
    }
    assert_int_equal(ends[1].reason, CONN_CLOSED_LOCALLY);
    assert_true(late->link.reading);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_there_is_no_room_for_waits_unread_and_the_rest_goes_on),
        CASE(a_message_that_is_whole_makes_room),
        CASE(those_who_wait_come_in_the_order_of_asking),
        CASE(who_leaves_the_line_is_not_waited_for),
        CASE(half_a_message_that_does_not_grow_is_ended_once_others_wait),
        CASE(an_end_may_bring_others_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
