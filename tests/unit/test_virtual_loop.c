#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "virtual_loop.h"

struct node {
    struct loop *loop;
    struct timer timer;
    struct deferred flush;
    struct io io;
    char *order;
    char letter;
};

static void note(struct node *node, char letter)
{
    node->order[strlen(node->order)] = letter;
}

static void on_timer(void *arg)
{
    struct node *node = arg;
    note(node, node->letter);
    deferred_schedule(&node->flush);
}

static void on_flush(void *arg)
{
    note(arg, '.');
}

static void on_ready(void *arg, unsigned ready)
{
    struct node *node = arg;
    note(node, ready == IO_READ ? 'r' : 'w');
    deferred_schedule(&node->flush);
}

static void node_init(struct node *node, struct virtual_world *world, char letter, char *order)
{
    *node = (struct node){.loop = virtual_loop_new(world), .order = order, .letter = letter};
    timer_init(&node->timer, node->loop, on_timer, node);
    deferred_init(&node->flush, node->loop, on_flush, node);
    io_init(&node->io, node->loop, 3, on_ready, node);
}

static void time_jumps_to_the_next_timer_of_any_loop(void **state)
{
    (void)state;
    char order[64] = "";
    struct virtual_world *world = virtual_world_new();
    struct node a;
    struct node b;
    node_init(&a, world, 'a', order);
    node_init(&b, world, 'b', order);
    timer_start(&a.timer, 3600000);
    timer_start(&b.timer, 500);
    int64_t start_ms = virtual_world_now_ms(world);
    assert_true(virtual_world_step(world));
    assert_int_equal(virtual_world_now_ms(world), start_ms + 500);
    assert_int_equal(loop_now_ms(a.loop), start_ms + 500);
    timer_start(&b.timer, 3600000 - 500); /* same moment as a's: loops in order of making */
    assert_true(virtual_world_step(world));
    assert_true(virtual_world_step(world));
    assert_false(virtual_world_step(world));
    assert_string_equal(order, "b.a.b.");
    assert_int_equal(loop_unix_ms(a.loop), VIRTUAL_EPOCH_UNIX_MS + 3600000);
    assert_int_equal(loop_clock_us(a.loop), (start_ms + 3600000) * 1000);
    loop_free(a.loop);
    loop_free(b.loop);
    virtual_world_free(world);
}

static void running_stops_at_the_given_moment(void **state)
{
    (void)state;
    char order[64] = "";
    struct virtual_world *world = virtual_world_new();
    struct node a;
    node_init(&a, world, 'a', order);
    int64_t start_ms = virtual_world_now_ms(world);
    timer_start(&a.timer, 100);
    virtual_world_run(world, start_ms + 99);
    assert_string_equal(order, "");
    assert_int_equal(virtual_world_now_ms(world), start_ms + 99);
    virtual_world_run(world, start_ms + 100);
    assert_string_equal(order, "a.");
    deferred_schedule(&a.flush);
    virtual_world_settle(world);
    assert_string_equal(order, "a..");
    assert_int_equal(virtual_world_now_ms(world), start_ms + 100);
    loop_free(a.loop);
    virtual_world_free(world);
}

static void a_descriptor_reports_only_what_is_wanted_and_ends_its_turn(void **state)
{
    (void)state;
    char order[64] = "";
    struct virtual_world *world = virtual_world_new();
    struct node a;
    node_init(&a, world, 'a', order);
    assert_false(virtual_io_ready(&a.io, IO_READ | IO_WRITE));
    assert_int_equal(io_want(&a.io, IO_READ), 0);
    assert_true(virtual_io_ready(&a.io, IO_READ | IO_WRITE));
    assert_false(virtual_io_ready(&a.io, IO_WRITE));
    assert_string_equal(order, "r.");
    io_fini(&a.io);
    assert_false(virtual_io_ready(&a.io, IO_READ));
    loop_free(a.loop);
    virtual_world_free(world);
}

static void on_signal_quit(void *arg, int number)
{
    (void)number;
    loop_quit(arg);
}

static void a_lone_loop_runs_until_quit_or_until_nothing_is_left(void **state)
{
    (void)state;
    struct loop *loop;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(loop_run(loop), -EDEADLK);
    assert_false(virtual_signal(loop, SIGTERM));
    assert_int_equal(loop_on_signal(loop, SIGTERM, on_signal_quit, loop), 0);
    assert_true(virtual_signal(loop, SIGTERM));
    assert_int_equal(loop_run(loop), 0);
    assert_non_null(loop_scratch(loop));
    assert_non_null(virtual_loop_world(loop));
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_jumps_to_the_next_timer_of_any_loop),
        cmocka_unit_test(running_stops_at_the_given_moment),
        cmocka_unit_test(a_descriptor_reports_only_what_is_wanted_and_ends_its_turn),
        cmocka_unit_test(a_lone_loop_runs_until_quit_or_until_nothing_is_left),
    };
    return cmocka_run_group_tests_name("virtual_loop", tests, NULL, NULL);
}
