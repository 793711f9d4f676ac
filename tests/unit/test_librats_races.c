/* Calls of several threads on one handle that meet in the middle, made to meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_daemon.h"

#define LARGE ((size_t)4 * 1024 * 1024) /* more than a socket takes */

static struct fake_daemon daemon_;
static rats_client_t client;

static int set_up(void **state)
{
    (void)state;
    fake_open(&daemon_);
    client = fake_attach(&daemon_, fake_peer(FAKE_BOB, "10.0.0.2", 9), RATS_DISPATCH_CALLBACKS);
    fake_start(&daemon_, client);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fake_close(&daemon_);
    return 0;
}

static intptr_t send_large(void *arg)
{
    (void)arg;
    uint8_t *data = calloc(1, LARGE);
    const rats_error_t code = rats_send_binary(client, FAKE_BOB, data, LARGE);
    free(data);
    return code;
}

static intptr_t stop_session(void *arg)
{
    (void)arg;
    rats_stop(client);
    return 0;
}

static intptr_t start_session(void *arg)
{
    (void)arg;
    return rats_start(client);
}

static intptr_t destroy(void *arg)
{
    (void)arg;
    rats_destroy(client);
    return 0;
}

/* The next call, past the messages; answered. */
static void expect_next_call(const char *method)
{
    struct fake_frame frame = fake_receive(&daemon_);
    while (frame.kind == FRAME_MESSAGE) {
        fake_frame_free(&frame);
        frame = fake_receive(&daemon_);
    }
    assert_int_equal(frame.kind, FRAME_CALL);
    assert_string_equal(json_string_value(json_object_get(frame.head, "m")), method);
    fake_reply(&daemon_, frame.id, "{}");
    fake_frame_free(&frame);
}

static void a_start_that_meets_a_stop_comes_after_it(void **state)
{
    (void)state;
    struct fake_task *sender = fake_run(send_large, NULL);
    struct fake_frame begun = fake_receive(&daemon_); /* the whole of it: the sender is done */
    fake_frame_free(&begun);
    assert_int_equal(fake_join(sender), RATS_SUCCESS);
    sender = fake_run(send_large, NULL);           /* nobody reads this one: the socket is full */
    assert_false(fake_is_silent(&daemon_, 20000)); /* it has begun, before the stop */
    struct fake_task *stop = fake_run(stop_session, NULL);
    while (rats_send_string(client, FAKE_EVE, "started?") == RATS_ERROR_PEER_NOT_FOUND) {
    }
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_RUNNING);
    struct fake_task *start = fake_run(start_session, NULL);
    expect_next_call("session.stop");
    expect_next_call("session.start");
    assert_int_equal(fake_join(start), RATS_SUCCESS);
    (void)fake_join(stop);
    assert_int_equal(fake_join(sender), RATS_SUCCESS);
    fake_destroy(&daemon_, client);
}

static void a_handle_may_be_destroyed_while_a_send_is_held_up(void **state)
{
    (void)state;
    struct fake_task *sender = fake_run(send_large, NULL);
    assert_false(fake_is_silent(&daemon_, 20000)); /* it has begun, and nobody reads it */
    struct fake_task *end = fake_run(destroy, NULL);
    (void)fake_join(sender); /* taken or refused, but back long before its 10 s */
    (void)fake_join(end);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORY(a_start_that_meets_a_stop_comes_after_it),
        STORY(a_handle_may_be_destroyed_while_a_send_is_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
