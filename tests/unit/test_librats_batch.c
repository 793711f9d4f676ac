/* Batches, and the flow between a daemon that sends and an application that does not take. */
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_daemon.h"
#include "proto/message_head.h"

static struct fake_daemon daemon_side;
static rats_client_t client;

static int set_up(void **state)
{
    (void)state;
    rats_set_log_level("ERROR");
    fake_open(&daemon_side);
    client = fake_attach(&daemon_side, fake_peer(FAKE_BOB, "192.0.2.7", 99), RATS_DISPATCH_BATCHES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (client != NULL) {
        fake_destroy(&daemon_side, client);
    }
    fake_close(&daemon_side);
    return 0;
}

/* What batches held, one line each. */
static char seen[8192];

static void look_at(const void *batch, size_t size)
{
    const uint8_t *data = batch;
    while (size > 0) {
        struct frame frame;
        size_t frame_size = 0;
        assert_int_equal(frame_decode(data, size, &frame, &frame_size), FRAME_OK);
        char *end = seen + strlen(seen);
        const size_t room = sizeof seen - strlen(seen);
        if (frame.kind == FRAME_EVENT) {
            json_t *head = json_loadb((const char *)frame.head, frame.head_size, 0, NULL);
            snprintf(end, room, "event %s %llu\n", json_string_value(json_object_get(head, "v")),
                     (unsigned long long)frame.id);
            json_decref(head);
        } else if (frame.kind == FRAME_MESSAGE) {
            snprintf(end, room, "message %.*s\n", (int)frame.body_size, (const char *)frame.body);
        }
        data += frame_size;
        size -= frame_size;
    }
}

static size_t lines(void)
{
    size_t count = 0;
    for (const char *c = seen; *c != '\0'; c++) {
        count += *c == '\n';
    }
    return count;
}

static void expect_batches(size_t count, const char *expected)
{
    seen[0] = '\0';
    while (lines() < count) {
        size_t size = 0;
        const void *batch = rats_take_batch(client, 20000, &size);
        assert_non_null(batch);
        look_at(batch, size);
        rats_release_batch(client, batch);
    }
    assert_string_equal(seen, expected);
}

static intptr_t channel_on(void *arg)
{
    return rats_channel_on(client, arg, NULL, NULL);
}

static char chat[] = "chat";

static void hear_chat(void)
{
    struct fake_task *task = fake_run(channel_on, chat);
    fake_grant(&daemon_side, "channel.on");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static void message(const char *text)
{
    fake_message(&daemon_side, FAKE_BOB, "chat", text, strlen(text));
}

static void batches_hold_what_callbacks_would_have_seen(void **state)
{
    (void)state;
    hear_chat();
    size_t size = 7;
    assert_null(rats_take_batch(client, 0, &size));
    assert_int_equal(size, 0);
    assert_int_equal(rats_last_error(client), RATS_ERROR_TIMEOUT);
    assert_null(rats_take_batch(client, 5, &size));
    message("too early");
    fake_start(&daemon_side, client);
    message("one");
    fake_event(&daemon_side, "peer.disconnected", "{\"peer\":\"" FAKE_BOB "\",\"reason\":\"x\"}");
    expect_batches(3, "event peer.connected 0\nmessage one\nevent peer.disconnected 3\n");
}

static void the_descriptor_is_readable_while_something_waits(void **state)
{
    (void)state;
    hear_chat();
    struct pollfd item = {.fd = rats_batch_fd(client), .events = POLLIN};
    assert_int_equal(poll(&item, 1, 0), 0);
    fake_start(&daemon_side, client); /* bob is announced */
    assert_int_equal(poll(&item, 1, 20000), 1);
    expect_batches(1, "event peer.connected 0\n");
    assert_int_equal(poll(&item, 1, 0), 0);
    message("one");
    message("two");
    assert_int_equal(poll(&item, 1, 20000), 1);
    expect_batches(2, "message one\nmessage two\n");
    assert_int_equal(poll(&item, 1, 0), 0);
}

static intptr_t stop(void *arg)
{
    rats_stop(arg);
    return 0;
}

static void a_lost_daemon_is_told_in_the_stream(void **state)
{
    (void)state;
    fake_start(&daemon_side, client);
    expect_batches(1, "event peer.connected 0\n");
    fake_unlisten(&daemon_side);
    fake_hang_up(&daemon_side);
    expect_batches(2, "event peer.disconnected 0\nevent daemon.detached 0\n");
    fake_listen(&daemon_side);
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, fake_peer(FAKE_EVE, "192.0.2.8", 98));
    fake_grant(&daemon_side, "session.start");
    expect_batches(2, "event daemon.attached 0\nevent peer.connected 0\n");
}

static _Atomic int wait_code = 1;

static intptr_t take_for_ever(void *arg)
{
    size_t size = 7;
    const void *batch = rats_take_batch(arg, -1, &size);
    const int code = rats_last_error(arg);
    wait_code = code;
    return batch == NULL && size == 0;
}

static void stop_ends_a_wait_and_drops_what_waits(void **state)
{
    (void)state;
    hear_chat();
    fake_start(&daemon_side, client);
    message("never taken");
    struct pollfd item = {.fd = rats_batch_fd(client), .events = POLLIN};
    assert_int_equal(poll(&item, 1, 20000), 1);
    struct fake_task *stopping = fake_run(stop, client);
    fake_grant(&daemon_side, "session.stop");
    (void)fake_join(stopping);
    assert_int_equal(poll(&item, 1, 0), 0);
    struct fake_task *waiting = fake_run(take_for_ever, client);
    while (wait_code == 1) {
        rats_stop(client); /* until one finds the other thread waiting */
        (void)sched_yield();
    }
    assert_int_equal(fake_join(waiting), 1);
    assert_int_equal(wait_code, RATS_SUCCESS);
}

static void a_wait_is_ended_from_outside_however_early(void **state)
{
    (void)state;
    fake_start(&daemon_side, client);
    expect_batches(1, "event peer.connected 0\n");
    rats_end_wait(client); /* the next one */
    assert_int_equal(take_for_ever(client), 1);
    assert_int_equal(wait_code, RATS_SUCCESS);
    struct fake_task *waiting = fake_run(take_for_ever, client);
    rats_end_wait(client);
    assert_int_equal(fake_join(waiting), 1);
    assert_int_equal(wait_code, RATS_SUCCESS);
}

static void destroy_ends_a_wait(void **state)
{
    (void)state;
    fake_start(&daemon_side, client);
    expect_batches(1, "event peer.connected 0\n");
    message("held");
    size_t size = 0;
    const void *batch = rats_take_batch(client, 20000, &size);
    assert_non_null(batch);
    fake_destroy(&daemon_side, client);
    /* A batch that is held outlives the handle; giving it back frees both. */
    seen[0] = '\0';
    look_at(batch, size);
    assert_string_equal(seen, "message held\n");
    rats_release_batch(client, "nonsense");
    rats_release_batch(client, batch);
    client = NULL;
}

/* Flow -------------------------------------------------------------------------------------- */

#define PIECE  ((size_t)64 * 1024)
#define PIECES 1600 /* 100 MiB */

static struct {
    int pieces;
} flood_arguments;

static intptr_t flood(void *arg)
{
    (void)arg;
    char *data = malloc(PIECE);
    memset(data, 'x', PIECE);
    for (int i = 0; i < flood_arguments.pieces; i++) {
        fake_message(&daemon_side, FAKE_BOB, "chat", data, PIECE);
    }
    free(data);
    return 0;
}

static intptr_t call(void *arg)
{
    (void)arg;
    return rats_call(client, "peer.list", NULL, 20000, NULL);
}

/* Takes batches until one event `lost`; returns messages seen plus what lost says. */
static uint64_t count_with_lost(void)
{
    uint64_t messages = 0;
    uint64_t lost = 0;
    while (lost == 0) {
        size_t size = 0;
        const void *batch = rats_take_batch(client, 20000, &size);
        assert_non_null(batch);
        const uint8_t *data = batch;
        struct frame frame;
        size_t frame_size;
        while (frame_decode(data, size, &frame, &frame_size) == FRAME_OK) {
            messages += frame.kind == FRAME_MESSAGE;
            if (frame.kind == FRAME_EVENT) {
                json_t *head = json_loadb((const char *)frame.head, frame.head_size, 0, NULL);
                const json_t *total = json_object_get(json_object_get(head, "p"), "total");
                lost += (uint64_t)json_integer_value(total);
                json_decref(head);
            }
            data += frame_size;
            size -= frame_size;
        }
        rats_release_batch(client, batch);
    }
    return messages + lost;
}

static void an_application_that_does_not_take_pauses_the_reader_but_calls_go_on(void **state)
{
    (void)state;
    hear_chat();
    fake_start(&daemon_side, client);
    expect_batches(1, "event peer.connected 0\n");
    /* The daemon can send no more than the marks hold, until a call makes the library read on;
     * beyond 64 MiB messages are dropped and counted. */
    flood_arguments.pieces = PIECES;
    struct fake_task *sender = fake_run(flood, NULL);
    struct fake_task *caller = fake_run(call, NULL);
    struct fake_frame frame = fake_receive(&daemon_side);
    assert_int_equal(frame.kind, FRAME_CALL);
    (void)fake_join(sender);
    fake_reply(&daemon_side, frame.id, "{}");
    fake_frame_free(&frame);
    assert_int_equal(fake_join(caller), RATS_SUCCESS);
    assert_int_equal(count_with_lost(), PIECES);
    message("after");
    expect_batches(1, "message after\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(batches_hold_what_callbacks_would_have_seen),
        TEST(the_descriptor_is_readable_while_something_waits),
        TEST(a_lost_daemon_is_told_in_the_stream),
        TEST(stop_ends_a_wait_and_drops_what_waits),
        TEST(a_wait_is_ended_from_outside_however_early),
        TEST(destroy_ends_a_wait),
        TEST(an_application_that_does_not_take_pauses_the_reader_but_calls_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
