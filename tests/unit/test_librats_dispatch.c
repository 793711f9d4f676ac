/* What callbacks see, in which order, and what they may do: start, stop and destroy. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"

/* Delivery ---------------------------------------------------------------------------------- */

static void start_announces_the_peers_present_and_events_follow(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    hear_untyped();
    fake_start(&daemon_side, client);
    fake_event(&daemon_side, "peer.connected", fake_peer(FAKE_EVE, "192.0.2.8", 98));
    message("rats.string", "hi");
    message("rats.string", "");
    fake_message(&daemon_side, FAKE_BOB, "rats.string", "a\0b", 3);
    message("rats.binary", "");
    message("rats.binary", "\1\2\3");
    message("rats.json", "{\"a\":[1]}");
    message("rats.json", "{oops");
    message("rats.json", "7");
    fake_event(&daemon_side, "peer.disconnected", "{\"peer\":\"" FAKE_BOB "\",\"reason\":\"x\"}");
    expect_seen(10, "+bob\n+eve\nstring bob 'hi'\nstring bob ''\nstring bob 'a'\nbinary bob 0\n"
                    "binary bob 3\njson bob {\"a\":[1]}\njson bob 7\n-bob\n");
    assert_int_equal(rats_get_peer_count(client), 1);
}

static intptr_t stop_quietly(void *arg)
{
    rats_stop(arg);
    return 0;
}

static void nothing_is_delivered_before_start_and_after_stop(void **state)
{
    (void)state;
    attach("");
    hear_untyped();
    fake_event(&daemon_side, "peer.connected", fake_peer(FAKE_EVE, "192.0.2.8", 98));
    message("rats.string", "too early");
    fake_start(&daemon_side, client);
    message("rats.string", "one");
    expect_seen(2, "+eve\nstring bob 'one'\n");
    assert_int_equal(rats_start(client), RATS_ERROR_OPERATION_FAILED);
    struct fake_task *task = fake_run(stop_quietly, client);
    const uint64_t id = fake_expect_call(&daemon_side, "session.stop", NULL);
    message("rats.string", "too late");
    fake_event(&daemon_side, "peer.disconnected", "{\"peer\":\"" FAKE_EVE "\",\"reason\":\"x\"}");
    fake_reply(&daemon_side, id, "{}");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    message("rats.string", "two");
    expect_seen(1, "string bob 'two'\n");
}

static void every_event_reaches_the_event_callback_even_before_start(void **state)
{
    (void)state;
    client = fake_attach(&daemon_side, "", RATS_DISPATCH_CALLBACKS);
    rats_set_event_callback(client, on_event, NULL);
    fake_event(&daemon_side, "peer.connected", fake_peer(FAKE_EVE, "192.0.2.8", 98));
    fake_event(&daemon_side, "something.new", "{\"x\":1}");
    expect_seen(2, "event peer.connected 1\nevent something.new 2\n");
}

static void lost_messages_are_reported_with_their_number(void **state)
{
    (void)state;
    attach("");
    fake_start(&daemon_side, client);
    fake_event(&daemon_side, "lost", "{\"channel\":5,\"typed\":0,\"topic\":2,\"total\":7}");
    expect_seen(1, "lost 7\n");
}

static void frames_may_arrive_byte_by_byte(void **state)
{
    (void)state;
    attach("");
    hear_untyped();
    fake_start(&daemon_side, client);
    uint8_t frame[256];
    uint8_t peer[32] = {0};
    peer[31] = 0xbb;
    const struct message_head head = {
        .plane = PLANE_CHANNEL, .peer = peer, .name = "rats.string", .name_size = 11};
    const size_t head_size = message_head_size(&head);
    frame_encode_header(frame, FRAME_MESSAGE, 0, 1, head_size, 5);
    message_head_encode(&head, frame + 16);
    memcpy(frame + 16 + head_size, "hello", 5);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 16 + head_size + 5; i++) {
            fake_send_raw(&daemon_side, frame + i, 1);
            if (i % 7 == 0) {
                (void)sched_yield();
            }
        }
    }
    expect_seen(3, "string bob 'hello'\nstring bob 'hello'\nstring bob 'hello'\n");
}

static size_t length_sum;
static void on_long_string(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    (void)peer_id;
    length_sum += strlen(text);
    note("%zu %c\n", strlen(text), text[0] == '\0' ? '-' : text[strlen(text) - 1]);
}

static intptr_t set_long_string(void *arg)
{
    rats_set_string_callback(arg, on_long_string, NULL);
    return 0;
}

static void large_and_small_messages_alternate(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(set_long_string, client);
    fake_grant(&daemon_side, "channel.on");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    const size_t sizes[] = {1, 3000000, 0, 65536, 100000, 5, 1048576, 1048576, 262144, 7};
    char *text = malloc(3000000);
    memset(text, 'x', 3000000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (sizes[i] > 0) {
            text[sizes[i] - 1] = (char)('a' + (char)i);
        }
        fake_message(&daemon_side, FAKE_BOB, "rats.string", text, sizes[i]);
        if (sizes[i] > 0) {
            text[sizes[i] - 1] = 'x';
        }
    }
    free(text);
    expect_seen(10, "1 a\n3000000 b\n0 -\n65536 d\n100000 e\n5 f\n1048576 g\n1048576 h\n262144 i\n"
                    "7 j\n");
}

/* Inside callbacks -------------------------------------------------------------------------- */

static void on_string_destroy(void *user_data, const char *peer_id, const char *text)
{
    (void)peer_id;
    note("string '%s'\n", text);
    rats_destroy(user_data);
    note("destroyed\n");
}

static intptr_t set_destroying(void *arg)
{
    rats_set_string_callback(arg, on_string_destroy, arg);
    return 0;
}

static void a_handle_may_be_destroyed_inside_its_callback(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(set_destroying, client);
    fake_grant(&daemon_side, "channel.on");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    message("rats.string", "one");
    message("rats.string", "two");
    expect_seen(2, "string 'one'\ndestroyed\n");
    (void)fake_expect_call(&daemon_side, "session.stop", NULL);
    fake_expect_end(&daemon_side);
    client = NULL;
}

static void on_string_restart(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    (void)peer_id;
    note("string '%s'\n", text);
    if (strcmp(text, "stop") == 0) {
        rats_stop(client);
        note("sent %d\n", rats_send_string(client, FAKE_BOB, "x"));
        note("started %d\n", rats_start(client));
        note("sent %d\n", rats_send_string(client, FAKE_BOB, "x"));
    }
}

static intptr_t set_restarting(void *arg)
{
    rats_set_string_callback(arg, on_string_restart, NULL);
    return 0;
}

static void a_session_may_be_stopped_and_started_inside_its_callback(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    struct fake_task *task = fake_run(set_restarting, client);
    fake_grant(&daemon_side, "channel.on");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    message("rats.string", "stop");
    message("rats.string", "of the old start, never delivered");
    const uint64_t stopped = fake_expect_call(&daemon_side, "session.stop", NULL);
    const uint64_t started = fake_expect_call(&daemon_side, "session.start", NULL);
    fake_reply(&daemon_side, stopped, "{}");
    fake_reply(&daemon_side, started, "{}");
    expect_message(FAKE_BOB, "rats.string", "x");
    message("rats.string", "new");
    expect_seen(7, "+bob\nstring 'stop'\nsent -3\nstarted 0\nsent 0\n+bob\nstring 'new'\n");
}

static intptr_t stop_it(void *arg)
{
    rats_stop(arg);
    note("stopped\n");
    return 0;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void on_string_wait(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    (void)peer_id;
    note("string '%s'\n", text);
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    note("callback ends\n");
}

static intptr_t set_waiting(void *arg)
{
    rats_set_string_callback(arg, on_string_wait, NULL);
    return 0;
}

static void stop_waits_for_the_callback_that_is_running(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(set_waiting, client);
    fake_grant(&daemon_side, "channel.on");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    pthread_mutex_lock(&gate);
    message("rats.string", "one");
    message("rats.string", "two");
    expect_seen(1, "string 'one'\n");
    task = fake_run(stop_it, client);
    fake_grant(&daemon_side, "session.stop");
    pthread_mutex_unlock(&gate);
    (void)fake_join(task);
    expect_seen(2, "callback ends\nstopped\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(start_announces_the_peers_present_and_events_follow),
        TEST(nothing_is_delivered_before_start_and_after_stop),
        TEST(every_event_reaches_the_event_callback_even_before_start),
        TEST(lost_messages_are_reported_with_their_number),
        TEST(frames_may_arrive_byte_by_byte),
        TEST(large_and_small_messages_alternate),
        TEST(a_handle_may_be_destroyed_inside_its_callback),
        TEST(a_session_may_be_stopped_and_started_inside_its_callback),
        TEST(stop_waits_for_the_callback_that_is_running),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
