#include <errno.h>
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

#define ENDS  8
#define SMALL ((size_t)100 * 1024)
#define LARGE ((size_t)WIRE_MAX_PAYLOAD)

/* One connection to a peer that reads nothing before the test lets it. */
struct end {
    struct fake_link link;
    struct conn *conn;
    bool sends;         /* a large message, once it is told that there is room */
    struct end *faster; /* this one sends one then, unasked */
    unsigned drained;
    unsigned closed;
    enum conn_close_reason reason;
};

static struct conn_world world;
static struct end ends[ENDS];
static uint8_t *zeros; /* LARGE of them */

static void on_established(void *arg, struct conn *conn)
{
    (void)arg;
    (void)conn;
}

static void on_message(void *arg, struct conn *conn, const struct message *message)
{
    (void)arg;
    (void)conn;
    (void)message;
}

static void on_drained(void *arg, struct conn *conn)
{
    struct end *end = arg;
    end->drained++;
    if (end->faster != NULL) {
        assert_int_equal(conn_send(end->faster->conn, WIRE_APP, 1, bytes_make(zeros, LARGE)), 0);
    }
    if (end->sends) {
        assert_true(conn_may_send(conn, LARGE));
        assert_int_equal(conn_send(conn, WIRE_APP, 1, bytes_make(zeros, LARGE)), 0);
    }
}

static void on_closed(void *arg, struct conn *conn, enum conn_close_reason reason)
{
    (void)conn;
    ((struct end *)arg)->closed++;
    ((struct end *)arg)->reason = reason;
}

static void run_turn(void)
{
    virtual_world_settle(virtual_loop_world(world.loop));
}

static void run_ms(int64_t duration_ms)
{
    struct virtual_world *time = virtual_loop_world(world.loop);
    virtual_world_run(time, virtual_world_now_ms(time) + duration_ms);
}

static void feed(struct end *end, const void *data, size_t size)
{
    fake_link_feed(&end->link, bytes_make(data, size));
    run_turn();
}

static void greet(struct end *end)
{
    static const struct conn_callbacks callbacks = {
        .on_established = on_established,
        .on_message = on_message,
        .on_drained = on_drained,
        .on_closed = on_closed,
    };
    uint8_t hello[BLOCK_PREFIX_SIZE + PLAINTEXT_MAX_SIZE];
    const struct peer_id peer = {{7}};
    fake_link_init(&end->link, false);
    assert_int_equal(conn_new(&world.context, &end->link.link, &callbacks, end, &end->conn), 0);
    const size_t size = plaintext_encode(&world.context.protocol, &peer, hello + BLOCK_PREFIX_SIZE);
    block_encode_prefix(size, hello);
    feed(end, hello, BLOCK_PREFIX_SIZE + size);
    assert_true(conn_is_established(end->conn));
    end->link.write_limit = 0;
}

static int set_up(void **state)
{
    (void)state;
    memset(ends, 0, sizeof ends);
    zeros = calloc(1, LARGE);
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
    free(zeros);
    return 0;
}

static int send(struct end *end, size_t size)
{
    return conn_send(end->conn, WIRE_APP, 1, bytes_make(zeros, size));
}

/* What it has been given has been read. */
static void let_read(struct end *end)
{
    fake_link_open(&end->link, SIZE_MAX);
    buf_fini(&end->link.out);
    end->link.write_limit = 0;
}

static void fill_with_large(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(send(&ends[i], LARGE), 0);
    }
    run_turn();
}

static void only_so_many_large_messages_are_held_at_once(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_int_equal(send(&ends[4], LARGE), -ENOBUFS);
    assert_true(world.departures.large <= CONN_DEPARTURES_LARGEST * ((size_t)BLOCK_MAX_BODY + 64));
    run_ms(1000);
    assert_int_equal(ends[4].drained, 0);
    let_read(&ends[2]);
    run_ms(1);
    assert_int_equal(ends[4].drained, 1);
    assert_int_equal(send(&ends[4], LARGE), 0);
}

static void small_messages_pass_while_large_ones_wait(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    for (size_t i = 4; i < ENDS; i++) {
        assert_true(conn_may_send(ends[i].conn, SMALL));
        assert_int_equal(send(&ends[i], SMALL), 0);
    }
    assert_false(conn_may_send(ends[4].conn, LARGE / 2)); /* what is large does not overtake */
    run_turn();
    let_read(&ends[0]);
    run_ms(1);
    assert_int_equal(ends[4].drained, 1);
}

static void what_drains_is_told_while_a_large_message_waits(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    while (conn_may_send(ends[4].conn, SMALL)) {
        assert_int_equal(send(&ends[4], SMALL), 0);
    }
    run_turn();
    let_read(&ends[4]);
    assert_int_equal(ends[4].drained, 1);
    assert_true(conn_may_send(ends[4].conn, SMALL));
    let_read(&ends[0]);
    run_ms(1);
    assert_int_equal(ends[4].drained, 2);
}

static void one_of_the_largest_begins_in_a_turn(void **state)
{
    (void)state;
    assert_true(conn_may_send(ends[0].conn, LARGE));
    assert_int_equal(send(&ends[0], LARGE), 0);
    assert_false(conn_may_send(ends[1].conn, LARGE));
    assert_false(conn_may_send(ends[2].conn, LARGE));
    run_ms(1);
    assert_int_equal(ends[1].drained, 1);
    assert_true(conn_may_send(ends[1].conn, LARGE));
    assert_int_equal(send(&ends[1], LARGE), 0);
    run_ms(1);
    assert_int_equal(ends[2].drained, 1);
}

static void who_asked_first_goes_first(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    for (size_t i = ENDS - 1; i >= CONN_DEPARTURES_LARGEST; i--) {
        ends[i].sends = true;
        assert_false(conn_may_send(ends[i].conn, LARGE));
    }
    for (size_t i = 0; i < 3; i++) {
        let_read(&ends[i]);
        run_ms(10);
        assert_int_equal(ends[ENDS - 1 - i].drained, 1);
        assert_int_equal(ends[ENDS - 2 - i].drained, 0);
    }
}

static void whoever_waits_goes_before_whoever_comes(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    let_read(&ends[0]);
    assert_false(conn_may_send(ends[5].conn, LARGE)); /* there is room, but not for it */
    run_ms(1);
    assert_true(conn_may_send(ends[4].conn, LARGE));
}

static void who_comes_too_late_is_the_first_again(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    assert_false(conn_may_send(ends[5].conn, LARGE));
    ends[4].faster = &ends[6];
    let_read(&ends[0]);
    run_ms(1);
    assert_int_equal(ends[4].drained, 1);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    ends[4].faster = NULL;
    ends[4].sends = true;
    let_read(&ends[1]);
    run_ms(1);
    assert_int_equal(ends[4].drained, 2);
    assert_int_equal(ends[5].drained, 0);
}

static void who_wants_nothing_any_more_keeps_nobody_waiting(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    for (size_t i = 4; i < ENDS; i++) {
        assert_false(conn_may_send(ends[i].conn, LARGE));
    }
    conn_close(ends[4].conn, CONN_CLOSED_LOCALLY, false);
    conn_close(ends[0].conn, CONN_CLOSED_LOCALLY, false);
    run_ms(10);
    for (size_t i = 5; i < ENDS; i++) {
        assert_int_equal(ends[i].drained, 1);
    }
    assert_int_equal(ends[4].drained, 0);
}

/* So many bytes of what it has been given. */
static void let_read_some(struct end *end, size_t size)
{
    fake_link_open(&end->link, size);
    buf_fini(&end->link.out);
}

static void who_takes_too_little_ends_when_others_wait(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    for (unsigned i = 0; i < 4; i++) {
        run_ms(CONN_STALL_MS / 2);
        let_read_some(&ends[0], CONN_STALL_BYTES); /* enough by itself */
        for (size_t other = 1; other < CONN_DEPARTURES_LARGEST; other++) {
            let_read_some(&ends[other], CONN_LARGE_STEP);
        }
    }
    run_ms(CONN_STALL_MS / 2);
    assert_int_equal(ends[0].closed, 1);
    assert_int_equal(ends[0].reason, CONN_CLOSED_STALLED);
    assert_int_equal(ends[1].closed + ends[2].closed + ends[3].closed, 0);
    assert_int_equal(ends[4].drained, 1);
}

/* Small messages behind it, without end, are none of it. */
static void the_end_of_a_large_message_keeps_nobody_waiting(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    assert_false(conn_may_send(ends[4].conn, LARGE));
    let_read_some(&ends[0], LARGE - SMALL);
    assert_int_equal(send(&ends[0], SMALL), 0);
    run_ms(1);
    assert_int_equal(ends[4].drained, 1);
    assert_true(conn_may_send(ends[4].conn, LARGE));
    assert_true(world.departures.small < 4 * SMALL);
}

static void who_takes_little_stays_while_nobody_waits(void **state)
{
    (void)state;
    fill_with_large(CONN_DEPARTURES_LARGEST);
    for (unsigned i = 0; i < 10; i++) {
        run_ms(CONN_STALL_MS / 2);
        for (size_t end = 0; end < CONN_DEPARTURES_LARGEST; end++) {
            let_read_some(&ends[end], CONN_STALL_BYTES);
        }
    }
    assert_int_equal(ends[0].closed, 0);
}

static void the_more_is_taken_the_sooner_senders_wait(void **state)
{
    (void)state;
    size_t others = CONN_DEPARTURES_SMALL - (size_t)2 * 1024 * 1024; /* of a crowd */
    world.departures.small += others;
    size_t sent = 0;
    while (conn_may_send(ends[0].conn, SMALL)) {
        assert_int_equal(send(&ends[0], SMALL), 0);
        sent += SMALL;
    }
    assert_true(sent < CONN_HIGH_MARK / 2);
    run_turn();
    world.departures.small -= others;
    let_read(&ends[0]);
    assert_int_equal(ends[0].drained, 1);
    sent = 0;
    while (conn_may_send(ends[0].conn, SMALL)) {
        assert_int_equal(send(&ends[0], SMALL), 0);
        sent += SMALL;
    }
    assert_true(sent >= CONN_HIGH_MARK);
}

static void a_mark_that_sinks_holds_senders_before_anything_is_refused(void **state)
{
    (void)state;
    for (size_t sent = 0; sent < CONN_HIGH_MARK / 2; sent += SMALL) {
        assert_int_equal(send(&ends[0], SMALL), 0);
    }
    run_turn();
    world.departures.small += CONN_DEPARTURES_SMALL; /* of a crowd */
    assert_false(conn_may_send(ends[0].conn, SMALL));
    world.departures.small -= CONN_DEPARTURES_SMALL;
    let_read(&ends[0]);
    assert_int_equal(ends[0].drained, 1);
    assert_true(conn_may_send(ends[0].conn, SMALL));
}

static void a_crowd_that_reads_nothing_does_not_stop_a_peer_that_reads(void **state)
{
    (void)state;
    world.departures.small += CONN_DEPARTURES_SMALL;
    for (int i = 0; i < 100; i++) {
        assert_true(conn_may_send(ends[0].conn, 1000));
        assert_int_equal(send(&ends[0], 60000), 0);
        run_turn();
        let_read(&ends[0]);
    }
    for (int i = 0; i < 10; i++) {
        (void)send(&ends[1], 60000);
    }
    assert_int_equal(send(&ends[1], 60000), -ENOBUFS);
    world.departures.small -= CONN_DEPARTURES_SMALL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(only_so_many_large_messages_are_held_at_once),
        TEST(small_messages_pass_while_large_ones_wait),
        TEST(what_drains_is_told_while_a_large_message_waits),
        TEST(one_of_the_largest_begins_in_a_turn),
        TEST(who_asked_first_goes_first),
        TEST(whoever_waits_goes_before_whoever_comes),
        TEST(who_comes_too_late_is_the_first_again),
        TEST(who_wants_nothing_any_more_keeps_nobody_waiting),
        TEST(who_takes_too_little_ends_when_others_wait),
        TEST(the_end_of_a_large_message_keeps_nobody_waiting),
        TEST(who_takes_little_stays_while_nobody_waits),
        TEST(the_more_is_taken_the_sooner_senders_wait),
        TEST(a_mark_that_sinks_holds_senders_before_anything_is_refused),
        TEST(a_crowd_that_reads_nothing_does_not_stop_a_peer_that_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
