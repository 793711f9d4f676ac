/* libratsclient/reading: who reads the socket, and what goes on while that one is busy. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <cmocka.h>

#include "client.h"
#include "librats_fixture.h"

static bool deliverer_reads(void)
{
    struct client *inside = handle_hold(client);
    client_lock(inside);
    const bool reads = inside->reading.by_deliverer;
    client_unlock(inside);
    handle_release(client);
    return reads;
}

/* A deliverer that came while the reader thread was reading waits for it; the next thing that
 * arrives, here an event nobody knows, ends that. */
static void wait_until_deliverer_reads(void)
{
    for (unsigned tries = 1; !deliverer_reads(); tries++) {
        if (tries % 1000 == 0) {
            fake_event(&daemon_side, "nobody.knows", "{}");
        }
        (void)sched_yield();
    }
}

static void wait_until_somebody_waits(void)
{
    struct client *inside = handle_hold(client);
    bool waits = false;
    while (!waits) {
        client_lock(inside);
        waits = inside->waiters > 0;
        client_unlock(inside);
        (void)sched_yield();
    }
    handle_release(client);
}

/* Whether the reader thread would be woken for what arrives now. */
static bool reader_is_armed(void)
{
    struct client *inside = handle_hold(client);
    client_lock(inside);
    const bool armed = (inside->reading.armed & EPOLLIN) != 0 || inside->reading.by_reader;
    client_unlock(inside);
    handle_release(client);
    return armed;
}

static intptr_t stop_handle(void *arg)
{
    rats_stop(arg);
    return 0;
}

static sem_t callback_may_end;

static void on_slow_string(void *user_data, const char *peer_id, const char *message)
{
    (void)user_data;
    note("begin %s %s, %s\n", who(peer_id), message,
         deliverer_reads()   ? "reading"
         : reader_is_armed() ? "the reader reads"
                             : "nobody reads");
    (void)sem_wait(&callback_may_end);
    note("end, %d peers\n", rats_get_peer_count(client));
}

static int set_up_slow(void **state)
{
    (void)sem_init(&callback_may_end, 0, 0);
    return set_up(state);
}

/* Started, with Bob there and strings delivered slowly. */
static void start_slow(void)
{
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    hear_untyped();
    rats_set_string_callback(client, on_slow_string, NULL);
    fake_start(&daemon_side, client);
    expect_seen(1, "+bob\n");
}

static void an_idle_dispatcher_reads_and_gives_the_turn_away_for_a_callback(void **state)
{
    (void)state;
    start_slow();
    for (int i = 0; i < 3; i++) {
        wait_until_deliverer_reads();
        message("rats.string", "hi");
        expect_seen(1, "begin bob hi, the reader reads\n");
        (void)sem_post(&callback_may_end);
        expect_seen(1, "end, 1 peers\n");
    }
    wait_until_deliverer_reads();
}

static void however_long_a_callback_takes_the_mirror_is_kept_and_calls_are_answered(void **state)
{
    (void)state;
    start_slow();
    message("rats.string", "hi");
    expect_seen(1, "begin bob hi, the reader reads\n");
    fake_event(&daemon_side, "peer.connected", fake_peer(FAKE_EVE, "192.0.2.8", 98));
    struct call_arguments asked = {.method = "log.get_level", .timeout_ms = 20000};
    struct fake_task *task = fake_run(call, &asked);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "log.get_level", NULL), "{}");
    assert_int_equal(fake_join(task), RATS_SUCCESS); /* and so is the event before the answer */
    (void)sem_post(&callback_may_end);
    expect_seen(2, "end, 2 peers\n+eve\n");
    free(asked.result);
}

static void an_answer_is_read_by_an_idle_dispatcher(void **state)
{
    (void)state;
    start_slow();
    for (int i = 0; i < 3; i++) {
        wait_until_deliverer_reads();
        struct call_arguments asked = {.method = "log.get_level", .timeout_ms = 20000};
        struct fake_task *task = fake_run(call, &asked);
        fake_reply(&daemon_side, fake_expect_call(&daemon_side, "log.get_level", NULL), "{}");
        assert_int_equal(fake_join(task), RATS_SUCCESS);
        free(asked.result);
    }
}

static void a_daemon_that_goes_under_a_reading_dispatcher_is_looked_for(void **state)
{
    (void)state;
    start_slow();
    wait_until_deliverer_reads();
    fake_hang_up(&daemon_side);
    expect_seen(2, "-bob\ndaemon 0\n");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    for (int i = 0; i < 3; i++) {
        fake_grant(&daemon_side, "channel.on");
    }
    fake_grant(&daemon_side, "session.start");
    expect_seen(1, "daemon 1\n");
    wait_until_deliverer_reads();
}

static intptr_t take_one(void *arg)
{
    size_t size = 0;
    const void *batch = rats_take_batch(arg, 20000, &size);
    rats_release_batch(arg, batch);
    return batch != NULL;
}

static void of_many_that_wait_for_a_batch_one_reads_and_all_are_served(void **state)
{
    (void)state;
    client = fake_attach(&daemon_side, "", RATS_DISPATCH_BATCHES);
    fake_start(&daemon_side, client);
    struct fake_task *tasks[4];
    for (size_t i = 0; i < 4; i++) {
        tasks[i] = fake_run(take_one, client);
    }
    for (size_t i = 0; i < 4; i++) {
        char body[(size_t)1 << 17]; /* too large to share a batch */
        memset(body, 'x', sizeof body);
        fake_message(&daemon_side, FAKE_BOB, "chat", body, sizeof body);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_true(fake_join(tasks[i]));
    }
}

static void a_wait_for_a_batch_that_reads_ends_in_time_and_by_stop(void **state)
{
    (void)state;
    client = fake_attach(&daemon_side, "", RATS_DISPATCH_BATCHES);
    fake_start(&daemon_side, client);
    size_t size = 0;
    assert_null(rats_take_batch(client, 1, &size));
    assert_int_equal(rats_last_error(client), RATS_ERROR_TIMEOUT);
    assert_true(reader_is_armed());
    struct fake_task *task = fake_run(take_one, client);
    wait_until_somebody_waits();
    struct fake_task *stop = fake_run(stop_handle, client);
    fake_grant(&daemon_side, "session.stop");
    (void)fake_join(stop);
    assert_false(fake_join(task));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_idle_dispatcher_reads_and_gives_the_turn_away_for_a_callback, set_up_slow,
            tear_down),
        cmocka_unit_test_setup_teardown(
            however_long_a_callback_takes_the_mirror_is_kept_and_calls_are_answered, set_up_slow,
            tear_down),
        cmocka_unit_test_setup_teardown(an_answer_is_read_by_an_idle_dispatcher, set_up_slow,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_daemon_that_goes_under_a_reading_dispatcher_is_looked_for,
                                        set_up_slow, tear_down),
        cmocka_unit_test_setup_teardown(of_many_that_wait_for_a_batch_one_reads_and_all_are_served,
                                        set_up_slow, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_for_a_batch_that_reads_ends_in_time_and_by_stop,
                                        set_up_slow, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
