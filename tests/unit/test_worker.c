#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/worker.h"
#include "guard.h"

#define GUARD_MS 20000
#define MANY     200

/* Counters are touched by the loop's thread only; gate and started are shared with the jobs. */
struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct timer guard;
    sem_t gate;
    sem_t started;
    int done;
    int freed;
    int wanted;
    struct job *other;
};

struct data {
    struct fixture *fixture;
    pthread_t ran_in;
    bool ran;
    bool signals_blocked;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_int_equal(loop_new(&fixture->loop), 0);
    assert_int_equal(worker_new(fixture->loop, 2, 4, &fixture->worker), 0);
    assert_int_equal(sem_init(&fixture->gate, 0, 0), 0);
    assert_int_equal(sem_init(&fixture->started, 0, 0), 0);
    guard_init(&fixture->guard, fixture->loop);
    timer_start(&fixture->guard, GUARD_MS);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    timer_stop(&fixture->guard);
    loop_free(fixture->loop);
    (void)sem_destroy(&fixture->gate);
    (void)sem_destroy(&fixture->started);
    free(fixture);
    return 0;
}

static struct data *data_new(struct fixture *fixture)
{
    struct data *data = calloc(1, sizeof *data);
    assert_non_null(data);
    data->fixture = fixture;
    return data;
}

static void free_data(void *arg)
{
    struct data *data = arg;
    data->fixture->freed++;
    free(data);
}

static void run(void *arg)
{
    struct data *data = arg;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    data->signals_blocked = sigismember(&blocked, SIGTERM) == 1;
    data->ran_in = pthread_self();
    data->ran = true;
}

static void run_waiting(void *arg)
{
    struct data *data = arg;
    (void)sem_post(&data->fixture->started);
    while (sem_wait(&data->fixture->gate) != 0) {
    }
    data->ran = true;
}

static void on_done(void *arg, void *done)
{
    struct fixture *fixture = arg;
    const struct data *data = done;
    assert_true(data->ran);
    assert_int_equal(fixture->freed, fixture->done); /* data goes after on_done, one by one */
    if (++fixture->done == fixture->wanted) {
        loop_quit(fixture->loop);
    }
}

static struct job *submit(struct fixture *fixture, void (*job)(void *))
{
    struct data *data = data_new(fixture);
    struct job *submitted =
        worker_submit(fixture->worker, "test", job, on_done, fixture, data, free_data);
    if (submitted == NULL) {
        free(data);
    }
    return submitted;
}

static void on_done_elsewhere(void *arg, void *done)
{
    struct fixture *fixture = arg;
    const struct data *data = done;
    assert_true(data->ran);
    assert_true(data->signals_blocked);
    assert_false(pthread_equal(data->ran_in, pthread_self()));
    loop_quit(fixture->loop);
}

static void a_job_runs_on_a_thread_and_is_done_in_the_loop(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(worker_submit(fixture->worker, "test", run, on_done_elsewhere, fixture,
                                  data_new(fixture), free_data));
    assert_int_equal(loop_run(fixture->loop), 0);
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->freed, 1);
}

static void too_many_waiting_jobs_are_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->wanted = 6;
    assert_non_null(submit(fixture, run_waiting));
    assert_non_null(submit(fixture, run_waiting));
    assert_int_equal(sem_wait(&fixture->started), 0); /* both threads are busy ... */
    assert_int_equal(sem_wait(&fixture->started), 0);
    for (int i = 0; i < 4; i++) { /* ... and four jobs may wait */
        assert_non_null(submit(fixture, run_waiting));
    }
    assert_null(submit(fixture, run_waiting));
    for (int i = 0; i < 6; i++) {
        assert_int_equal(sem_post(&fixture->gate), 0);
    }
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_non_null(submit(fixture, run)); /* there is room again */
}

static void a_cancelled_job_runs_but_is_not_delivered(void **state)
{
    struct fixture *fixture = *state;
    fixture->wanted = 1;
    struct job *cancelled = submit(fixture, run_waiting);
    assert_non_null(cancelled);
    assert_int_equal(sem_wait(&fixture->started), 0);
    job_cancel(cancelled);
    assert_int_equal(sem_post(&fixture->gate), 0);
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->done, 0);
    assert_int_equal(fixture->freed, 1);
}

static void on_done_cancel_other(void *arg, void *done)
{
    struct fixture *fixture = arg;
    (void)done;
    job_cancel(fixture->other);
    loop_quit(fixture->loop);
}

static void a_finished_job_can_still_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    assert_int_equal(worker_new(fixture->loop, 1, 4, &fixture->worker), 0);
    assert_non_null(worker_submit(fixture->worker, "test", run, on_done_cancel_other, fixture,
                                  data_new(fixture), free_data));
    fixture->other = submit(fixture, run);
    assert_non_null(fixture->other);
    assert_non_null(submit(fixture, run_waiting));
    assert_int_equal(sem_wait(&fixture->started), 0); /* one thread: the first two have run */
    assert_int_equal(loop_run(fixture->loop), 0);
    assert_int_equal(fixture->done, 0);
    assert_int_equal(fixture->freed, 2);
    assert_int_equal(sem_post(&fixture->gate), 0);
}

static void freeing_waits_for_running_jobs_and_drops_waiting_ones(void **state)
{
    struct fixture *fixture = *state;
    assert_non_null(submit(fixture, run_waiting));
    assert_non_null(submit(fixture, run_waiting));
    assert_int_equal(sem_wait(&fixture->started), 0);
    assert_int_equal(sem_wait(&fixture->started), 0);
    assert_non_null(submit(fixture, run_waiting));
    assert_int_equal(sem_post(&fixture->gate), 0);
    assert_int_equal(sem_post(&fixture->gate), 0);
    assert_int_equal(sem_post(&fixture->gate), 0); /* in case a thread took the third already */
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->done, 0);
    assert_int_equal(fixture->freed, 3);
}

static void finishing_waits_until_the_job_has_run(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    assert_int_equal(worker_new(fixture->loop, 1, 4, &fixture->worker), 0);
    struct job *first = submit(fixture, run_waiting);
    struct data *data = data_new(fixture);
    struct job *second =
        worker_submit(fixture->worker, "test", run, on_done, fixture, data, free_data);
    assert_non_null(second);
    assert_int_equal(sem_wait(&fixture->started), 0);
    job_finish(fixture->worker, second); /* the only thread is taken: it runs here */
    assert_true(data->ran);
    assert_true(pthread_equal(data->ran_in, pthread_self()));
    assert_int_equal(sem_post(&fixture->gate), 0);
    job_finish(fixture->worker, first); /* has run long ago */
    assert_int_equal(fixture->freed, 0);
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->done, 0);
    assert_int_equal(fixture->freed, 2);
}

static void free_and_tell(void *arg)
{
    struct data *data = arg;
    (void)sem_post(&data->fixture->started);
    free(data);
}

static void freeing_leaves_a_job_that_may_hang(void **state)
{
    struct fixture *fixture = *state;
    struct job *hangs = worker_submit(fixture->worker, "test", run_waiting, on_done, fixture,
                                      data_new(fixture), free_and_tell);
    assert_non_null(hangs);
    job_may_be_left(hangs);
    assert_int_equal(sem_wait(&fixture->started), 0);
    assert_non_null(submit(fixture, run)); /* and one that is waited for, or dropped */
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->done, 0);
    assert_int_equal(fixture->freed, 1);
    assert_int_equal(sem_post(&fixture->gate), 0);
    assert_int_equal(sem_wait(&fixture->started), 0); /* and then it is freed all the same */
}

/* Lets the hanging job go, most likely while the worker is being freed. */
static void run_releasing(void *arg)
{
    struct data *data = arg;
    (void)sem_post(&data->fixture->started);
    for (int i = 0; i < 100; i++) {
        (void)sched_yield();
    }
    (void)sem_post(&data->fixture->gate);
    for (int i = 0; i < 100; i++) {
        (void)sched_yield();
    }
}

static void a_job_that_was_left_may_end_while_the_worker_is_freed(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 100; round++) {
        struct job *hangs = worker_submit(fixture->worker, "test", run_waiting, on_done, fixture,
                                          data_new(fixture), free_and_tell);
        assert_non_null(hangs);
        job_may_be_left(hangs);
        assert_non_null(submit(fixture, run_releasing));
        assert_int_equal(sem_wait(&fixture->started), 0);
        assert_int_equal(sem_wait(&fixture->started), 0);
        worker_free(fixture->worker);
        assert_int_equal(sem_wait(&fixture->started), 0); /* the job was freed, before or after */
        assert_int_equal(worker_new(fixture->loop, 2, 4, &fixture->worker), 0);
    }
}

static void on_done_submit_next(void *arg, void *done)
{
    struct fixture *fixture = arg;
    (void)done;
    if (++fixture->done == fixture->wanted) {
        loop_quit(fixture->loop);
        return;
    }
    assert_non_null(worker_submit(fixture->worker, "test", run, on_done_submit_next, fixture,
                                  data_new(fixture), free_data));
}

static void jobs_may_submit_the_next_when_done(void **state)
{
    struct fixture *fixture = *state;
    fixture->wanted = MANY;
    for (int i = 0; i < 3; i++) {
        assert_non_null(worker_submit(fixture->worker, "test", run, on_done_submit_next, fixture,
                                      data_new(fixture), free_data));
    }
    assert_int_equal(loop_run(fixture->loop), 0);
}

static void an_unused_worker_goes_without_waiting(void **state)
{
    struct fixture *fixture = *state;
    worker_free(fixture->worker);
    fixture->worker = NULL;
    worker_free(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_job_runs_on_a_thread_and_is_done_in_the_loop),
        CASE(too_many_waiting_jobs_are_refused),
        CASE(a_cancelled_job_runs_but_is_not_delivered),
        CASE(a_finished_job_can_still_be_cancelled),
        CASE(freeing_waits_for_running_jobs_and_drops_waiting_ones),
        CASE(finishing_waits_until_the_job_has_run),
        CASE(freeing_leaves_a_job_that_may_hang),
        CASE(a_job_that_was_left_may_end_while_the_worker_is_freed),
        CASE(jobs_may_submit_the_next_when_done),
        CASE(an_unused_worker_goes_without_waiting),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
