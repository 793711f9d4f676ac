/* The real loop on real descriptors. No test asserts a duration: each runs until what it waits for
 * has happened, and a guard timer fails it otherwise. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/loop.h"
#include "guard.h"
#include "util/intake.h"

#define GUARD_MS 20000

struct fixture {
    struct loop *loop;
    struct timer guard;
    struct io io;
    struct timer timers[4];
    struct deferred deferred[2];
    int fds[2];
    char order[128];
    int count;
};

struct step {
    struct fixture *fixture;
    char letter;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(loop_new(&fixture->loop), 0);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fixture->fds), 0);
    guard_init(&fixture->guard, fixture->loop);
    timer_start(&fixture->guard, GUARD_MS);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    io_fini(&fixture->io);
    timer_stop(&fixture->guard);
    loop_free(fixture->loop);
    (void)close(fixture->fds[0]);
    (void)close(fixture->fds[1]);
    free(fixture);
    return 0;
}

static void note(struct fixture *fixture, char letter)
{
    fixture->order[strlen(fixture->order)] = letter;
}

static void on_step(void *arg)
{
    const struct step *step = arg;
    note(step->fixture, step->letter);
}

static void on_last(void *arg)
{
    const struct step *step = arg;
    note(step->fixture, step->letter);
    loop_quit(step->fixture->loop);
}

static void on_readable(void *arg, unsigned ready)
{
    struct fixture *fixture = arg;
    char ignored[16];
    assert_int_equal(ready, IO_READ);
    assert_true(read(fixture->fds[0], ignored, sizeof ignored) > 0);
    note(fixture, 'r');
    timer_start(&fixture->timers[0], 0);
    deferred_schedule(&fixture->deferred[0]);
    deferred_schedule(&fixture->deferred[0]);
}

static void a_turn_runs_descriptors_then_timers_then_deferred(void **state)
{
    struct fixture *fixture = *state;
    struct step timer = {fixture, 't'};
    struct step deferred = {fixture, 'd'};
    timer_init(&fixture->timers[0], fixture->loop, on_step, &timer);
    deferred_init(&fixture->deferred[0], fixture->loop, on_last, &deferred);
    io_init(&fixture->io, fixture->loop, fixture->fds[0], on_readable, fixture);
    assert_int_equal(io_want(&fixture->io, IO_READ), 0);
    assert_int_equal(write(fixture->fds[1], "x", 1), 1);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "rtd");
}

static void timers_run_in_order_of_time_then_of_start(void **state)
{
    struct fixture *fixture = *state;
    struct step steps[4] = {{fixture, 'c'}, {fixture, 'a'}, {fixture, 'b'}, {fixture, 'x'}};
    for (size_t i = 0; i < 3; i++) {
        timer_init(&fixture->timers[i], fixture->loop, i == 0 ? on_last : on_step, &steps[i]);
    }
    timer_init(&fixture->timers[3], fixture->loop, on_step, &steps[3]);
    timer_start(&fixture->timers[3], 1);
    timer_start(&fixture->timers[0], 12);
    timer_start(&fixture->timers[1], 4);
    timer_start(&fixture->timers[2], 4);
    assert_true(timer_is_running(&fixture->timers[3]));
    timer_stop(&fixture->timers[3]);
    timer_stop(&fixture->timers[3]);
    assert_false(timer_is_running(&fixture->timers[3]));
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "abc");
}

static void on_pushed_back(void *arg)
{
    struct fixture *fixture = arg;
    fixture->count++;
    assert_true(loop_now_ms(fixture->loop) >= fixture->timers[0].due_ms);
    loop_quit(fixture->loop);
}

static void on_push_back(void *arg)
{
    struct fixture *fixture = arg;
    timer_start(&fixture->timers[0], 15);
}

static void a_timer_pushed_back_runs_once_and_not_early(void **state)
{
    struct fixture *fixture = *state;
    timer_init(&fixture->timers[0], fixture->loop, on_pushed_back, fixture);
    timer_init(&fixture->timers[1], fixture->loop, on_push_back, fixture);
    timer_start(&fixture->timers[0], 10);
    timer_start(&fixture->timers[1], 1);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_int_equal(fixture->count, 1);
}

static void on_again(void *arg)
{
    struct fixture *fixture = arg;
    if (++fixture->count < 100) {
        timer_start(&fixture->timers[0], 0);
        deferred_schedule(&fixture->deferred[0]);
    }
}

static void on_endless(void *arg)
{
    struct fixture *fixture = arg;
    deferred_schedule(&fixture->deferred[0]);
}

static void on_endless_other(void *arg)
{
    struct fixture *fixture = arg;
    deferred_schedule(&fixture->deferred[1]);
    deferred_schedule(&fixture->deferred[0]);
}

static void on_readable_quit(void *arg, unsigned ready)
{
    struct fixture *fixture = arg;
    (void)ready;
    loop_quit(fixture->loop);
}

static void self_scheduling_work_does_not_keep_descriptors_waiting(void **state)
{
    struct fixture *fixture = *state;
    timer_init(&fixture->timers[0], fixture->loop, on_again, fixture);
    deferred_init(&fixture->deferred[0], fixture->loop, on_endless_other, fixture);
    deferred_init(&fixture->deferred[1], fixture->loop, on_endless, fixture);
    deferred_schedule(&fixture->deferred[0]);
    timer_start(&fixture->timers[0], 0);
    io_init(&fixture->io, fixture->loop, fixture->fds[0], on_readable_quit, fixture);
    assert_int_equal(io_want(&fixture->io, IO_READ), 0);
    assert_int_equal(write(fixture->fds[1], "x", 1), 1);
    assert_int_equal(loop_run(fixture->loop), 0);
    deferred_cancel(&fixture->deferred[0]);
    deferred_cancel(&fixture->deferred[1]);
    timer_stop(&fixture->timers[0]);
}

static void on_writable(void *arg, unsigned ready)
{
    struct fixture *fixture = arg;
    note(fixture, ready == IO_WRITE ? 'w' : ready == IO_READ ? 'r' : '2');
    if (ready == IO_WRITE) {
        assert_int_equal(io_want(&fixture->io, IO_READ), 0);
        assert_int_equal(write(fixture->fds[1], "x", 1), 1);
    } else if (ready == IO_READ) {
        assert_int_equal(io_want(&fixture->io, IO_READ | IO_WRITE), 0);
    } else {
        assert_int_equal(io_want(&fixture->io, 0), 0);
        timer_start(&fixture->timers[0], 2);
    }
}

static void only_what_is_wanted_is_reported(void **state)
{
    struct fixture *fixture = *state;
    struct step last = {fixture, 't'};
    timer_init(&fixture->timers[0], fixture->loop, on_last, &last);
    io_init(&fixture->io, fixture->loop, fixture->fds[0], on_writable, fixture);
    assert_int_equal(io_want(&fixture->io, IO_WRITE), 0);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "wr2t");
}

static void on_close_inside(void *arg, unsigned ready)
{
    struct fixture *fixture = arg;
    (void)ready;
    note(fixture, 'r');
    io_fini(&fixture->io);
    io_fini(&fixture->io);
    timer_start(&fixture->timers[0], 1);
}

static void an_io_may_end_inside_its_own_callback(void **state)
{
    struct fixture *fixture = *state;
    struct step last = {fixture, 't'};
    timer_init(&fixture->timers[0], fixture->loop, on_last, &last);
    io_init(&fixture->io, fixture->loop, fixture->fds[0], on_close_inside, fixture);
    assert_int_equal(io_want(&fixture->io, IO_READ), 0);
    assert_int_equal(write(fixture->fds[1], "x", 1), 1);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "rt");
    struct io zeroed = {.fd = 0};
    io_fini(&zeroed);
}

/* Closing a descriptor and opening another of the same number within one turn. */
static void on_reopen(void *arg, unsigned ready)
{
    struct fixture *fixture = arg;
    (void)ready;
    note(fixture, 'r');
    if (fixture->count++ > 0) {
        loop_quit(fixture->loop);
        return;
    }
    int old[2] = {fixture->fds[0], fixture->fds[1]};
    io_fini(&fixture->io);
    (void)close(old[0]);
    (void)close(old[1]);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fixture->fds), 0);
    assert_int_equal(fixture->fds[0], old[0]);
    io_init(&fixture->io, fixture->loop, fixture->fds[0], on_reopen, fixture);
    assert_int_equal(io_want(&fixture->io, IO_READ), 0);
    assert_int_equal(write(fixture->fds[1], "x", 1), 1);
}

static void a_reused_descriptor_number_is_watched_again(void **state)
{
    struct fixture *fixture = *state;
    io_init(&fixture->io, fixture->loop, fixture->fds[0], on_reopen, fixture);
    assert_int_equal(io_want(&fixture->io, IO_READ), 0);
    assert_int_equal(write(fixture->fds[1], "x", 1), 1);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "rr");
}

static void on_cancel_other(void *arg)
{
    struct fixture *fixture = arg;
    note(fixture, 'a');
    deferred_cancel(&fixture->deferred[1]);
    timer_stop(&fixture->timers[1]);
    loop_quit(fixture->loop);
}

static void what_is_cancelled_does_not_run(void **state)
{
    struct fixture *fixture = *state;
    struct step other = {fixture, 'x'};
    deferred_init(&fixture->deferred[0], fixture->loop, on_cancel_other, fixture);
    deferred_init(&fixture->deferred[1], fixture->loop, on_step, &other);
    timer_init(&fixture->timers[1], fixture->loop, on_step, &other);
    timer_start(&fixture->timers[1], 5);
    deferred_schedule(&fixture->deferred[0]);
    deferred_schedule(&fixture->deferred[1]);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "a");
}

static void free_it(void *p)
{
    struct step *step = p;
    note(step->fixture, step->letter);
    free(step);
}

static void free_both(void *p)
{
    struct step *step = p;
    note(step->fixture, 'f');
    loop_free_later(step->fixture->loop, free_it, step);
}

static void on_give_away(void *arg)
{
    struct fixture *fixture = arg;
    struct step *step = malloc(sizeof *step);
    assert_non_null(step);
    *step = (struct step){fixture, 'g'};
    loop_free_later(fixture->loop, free_both, step);
    note(fixture, 'd');
    loop_quit(fixture->loop);
}

static void late_frees_come_after_the_deferred_calls(void **state)
{
    struct fixture *fixture = *state;
    struct step other = {fixture, 'o'};
    deferred_init(&fixture->deferred[0], fixture->loop, on_give_away, fixture);
    deferred_init(&fixture->deferred[1], fixture->loop, on_step, &other);
    deferred_schedule(&fixture->deferred[0]);
    deferred_schedule(&fixture->deferred[1]);
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "dofg");
}

static void on_signal(void *arg, int number)
{
    struct fixture *fixture = arg;
    note(fixture, number == SIGUSR1 ? '1' : '2');
    deferred_schedule(&fixture->deferred[0]);
}

static void signals_arrive_in_the_loop(void **state)
{
    struct fixture *fixture = *state;
    struct step last = {fixture, 'd'};
    deferred_init(&fixture->deferred[0], fixture->loop, on_last, &last);
    assert_int_equal(loop_on_signal(fixture->loop, SIGUSR1, on_signal, fixture), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_string_equal(fixture->order, "");
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_string_equal(fixture->order, "1d");
    assert_int_equal(loop_on_signal(fixture->loop, SIGUSR1, NULL, NULL), 0);
    assert_int_equal(loop_on_signal(fixture->loop, 100000, on_signal, fixture), -EINVAL);
}

static void quitting_before_running_returns_at_once(void **state)
{
    struct fixture *fixture = *state;
    loop_quit(fixture->loop);
    assert_int_equal(loop_run(fixture->loop), 0);
}

static void on_never(void *arg, unsigned ready)
{
    (void)arg;
    (void)ready;
    _exit(2);
}

static void a_descriptor_that_cannot_be_watched_ends_the_process(void **state)
{
    struct fixture *fixture = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct loop *loop = NULL;
        struct io io;
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC); /* epoll takes no plain files */
        if (fd >= 0 && loop_new(&loop) == 0) {
            io_init(&io, loop, fd, on_never, fixture);
            (void)io_want(&io, IO_READ);
            (void)loop_run(loop);
        }
        _exit(3);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

static void clocks_go_forward(void **state)
{
    struct fixture *fixture = *state;
    int64_t us = loop_clock_us(fixture->loop);
    assert_true(us / 1000 <= loop_now_ms(fixture->loop));
    assert_true(loop_clock_us(fixture->loop) >= us);
    assert_true(loop_unix_ms(fixture->loop) > INT64_C(1600000000000));
    memset(loop_scratch(fixture->loop)->data, 1, INTAKE_SCRATCH_SIZE);
    loop_free(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_turn_runs_descriptors_then_timers_then_deferred),
        CASE(timers_run_in_order_of_time_then_of_start),
        CASE(a_timer_pushed_back_runs_once_and_not_early),
        CASE(self_scheduling_work_does_not_keep_descriptors_waiting),
        CASE(only_what_is_wanted_is_reported),
        CASE(an_io_may_end_inside_its_own_callback),
        CASE(a_reused_descriptor_number_is_watched_again),
        CASE(what_is_cancelled_does_not_run),
        CASE(late_frees_come_after_the_deferred_calls),
        CASE(signals_arrive_in_the_loop),
        CASE(a_descriptor_that_cannot_be_watched_ends_the_process),
        CASE(quitting_before_running_returns_at_once),
        CASE(clocks_go_forward),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
