/* librats against a daemon played by the test: attaching, a daemon that goes away and comes back,
 * forks, and handles without a daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"

/* Attaching --------------------------------------------------------------------------------- */

static void hello_fills_what_getters_tell(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "::ffff:192.0.2.7", 99));
    assert_int_equal(rats_is_attached(client), 1);
    assert_int_equal(rats_get_listen_port(client), 4711);
    assert_int_equal(rats_get_peer_count(client), 1);
    assert_int_equal(rats_get_max_peers(client), 2);
    assert_int_equal(rats_is_peer_limit_reached(client), 0);
    char *text = rats_get_our_peer_id(client);
    assert_string_equal(text, FAKE_SELF);
    rats_string_free(text);
    text = rats_get_public_key(client);
    assert_string_equal(text, FAKE_SELF);
    rats_string_free(text);
    text = rats_get_socket_path(client);
    assert_string_equal(text, daemon_side.path);
    rats_string_free(text);
    int count = -1;
    char **ids = rats_get_validated_peer_ids(client, &count);
    assert_int_equal(count, 1);
    assert_string_equal(ids[0], FAKE_BOB);
    rats_free_array(ids, count);
}

static void a_peer_is_described_by_the_keys_of_the_specification(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "::ffff:192.0.2.7", 99));
    char *text = rats_get_peer_info_json(client, FAKE_BOB);
    assert_string_equal(
        text,
        "{\"addresses\":[\"::ffff:192.0.2.7:99\"],\"agent\":null,\"connected_seconds\":2,"
        "\"encryption_enabled\":true,\"handshake_completed\":true,\"ip\":\"192.0.2.7\","
        "\"is_outgoing\":true,\"peer_id\":\"" FAKE_BOB "\",\"port\":99,\"public_key\":\"" FAKE_BOB
        "\",\"rtt_ms\":null,\"transport\":\"tcp\",\"transports\":[\"tcp\"],\"version\":\"1.0\"}");
    rats_string_free(text);
    assert_null(rats_get_peer_info_json(client, FAKE_EVE));
    assert_int_equal(rats_last_error(client), RATS_ERROR_PEER_NOT_FOUND);
    assert_null(rats_get_peer_info_json(client, "bob"));
}

static void the_protocol_is_what_the_instance_says(void **state)
{
    (void)state;
    attach("");
    char *name = rats_get_protocol_name(client);
    char *version = rats_get_protocol_version(client);
    assert_string_equal(name, "rats");
    assert_string_equal(version, "1.0");
    rats_string_free(name);
    rats_string_free(version);
    assert_int_equal(rats_set_protocol_name(client, "rats"), RATS_SUCCESS);
    assert_int_equal(rats_set_protocol_name(client, "librats"), RATS_SUCCESS);
    assert_int_equal(rats_set_protocol_version(client, "1.0"), RATS_SUCCESS);
    assert_int_equal(rats_set_protocol_name(client, "chat"), RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(rats_last_error_message(client), "ratsd.conf"));
    assert_int_equal(rats_set_protocol_version(client, "2/1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_set_protocol_name(client, ""), RATS_ERROR_INVALID_PARAMETER);
}

static intptr_t create_at(void *arg)
{
    const rats_client_t made = rats_create_at(arg);
    assert_null(made);
    note("%d %s\n", rats_last_error(NULL), rats_last_error_message(NULL));
    return 0;
}

static void a_version_in_which_the_daemon_is_older_is_told_so(void **state)
{
    (void)state;
    struct fake_task *task = fake_run(create_at, daemon_side.path);
    fake_accept(&daemon_side);
    const uint64_t id = fake_expect_call(&daemon_side, "hello", NULL);
    static const char head[] = "{\"e\":\"version\",\"code\":-9,\"text\":\"I speak 0.9\","
                               "\"d\":{\"versions\":[[0,9]]}}";
    fake_send_frame(&daemon_side, FRAME_FAIL, id, head, sizeof head - 1, NULL, 0);
    (void)fake_join(task);
    char expected[400];
    snprintf(expected, sizeof expected,
             "-9 no common protocol version with the daemon at %s (I speak 0.9); librats 1.0.0 "
             "speaks 1.0; the daemon is older: update ratsd\n",
             daemon_side.path);
    expect_seen(1, expected);
}

static void a_daemon_that_closes_or_talks_nonsense_gives_a_sentence(void **state)
{
    (void)state;
    struct fake_task *task = fake_run(create_at, daemon_side.path);
    fake_accept(&daemon_side);
    (void)fake_expect_call(&daemon_side, "hello", NULL);
    fake_hang_up(&daemon_side);
    (void)fake_join(task);
    task = fake_run(create_at, daemon_side.path);
    fake_accept(&daemon_side);
    (void)fake_expect_call(&daemon_side, "hello", NULL);
    fake_send_raw(&daemon_side, "HTTP/1.1 400 Bad Request\r\n", 26);
    (void)fake_join(task);
    char expected[600];
    snprintf(expected, sizeof expected,
             "-4 the daemon at %s closed the connection before it answered; its log says why "
             "('journalctl -u ratsd')\n-9 who listens at %s does not speak rats-ipc\n",
             daemon_side.path, daemon_side.path);
    expect_seen(2, expected);
}

static void a_missing_daemon_is_named_with_a_remedy(void **state)
{
    (void)state;
    fake_unlisten(&daemon_side);
    assert_null(rats_create_at(daemon_side.path));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_NO_DAEMON);
    assert_non_null(strstr(rats_last_error_message(NULL), daemon_side.path));
    assert_non_null(strstr(rats_last_error_message(NULL), "systemctl start ratsd"));
    assert_null(rats_create_at(""));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_INVALID_PARAMETER);
}

/* The daemon goes away ---------------------------------------------------------------------- */

static void a_daemon_that_dies_ends_calls_and_peers_and_comes_back(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    struct fake_task *task = fake_run(channel_on, chat);
    fake_grant(&daemon_side, "channel.on");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    struct call_arguments arguments = {"peer.list", NULL, -1, NULL};
    task = fake_run(call, &arguments);
    (void)fake_expect_call(&daemon_side, "peer.list", NULL);
    fake_unlisten(&daemon_side);
    fake_hang_up(&daemon_side);
    assert_int_equal(fake_join(task), RATS_ERROR_NOT_RUNNING);
    expect_seen(3, "+bob\n-bob\ndaemon 0\n");
    assert_int_equal(rats_is_attached(client), 0);
    assert_int_equal(rats_get_peer_count(client), 0);
    assert_int_equal(rats_send_string(client, FAKE_BOB, "x"), RATS_ERROR_NOT_RUNNING);
    assert_null(rats_get_instance_json(client));

    fake_listen(&daemon_side);
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, fake_peer(FAKE_EVE, "192.0.2.8", 98));
    fake_event(&daemon_side, "peer.connected", fake_peer(FAKE_BOB, "192.0.2.7", 99));
    fake_event(&daemon_side, "peer.disconnected", "{\"peer\":\"" FAKE_EVE "\",\"reason\":\"x\"}");
    fake_grant(&daemon_side, "channel.on");
    fake_grant(&daemon_side, "session.start");
    message("chat", "abc");
    expect_seen(3, "daemon 1\n+bob\nchannel bob chat 3\n");
    assert_int_equal(rats_is_attached(client), 1);
}

static void a_channel_asked_for_while_the_daemon_is_gone_is_registered_later(void **state)
{
    (void)state;
    attach("");
    fake_start(&daemon_side, client);
    fake_unlisten(&daemon_side);
    fake_hang_up(&daemon_side);
    expect_seen(1, "daemon 0\n");
    assert_int_equal(channel_on(chat), RATS_SUCCESS);
    assert_int_equal(rats_set_max_peers(client, 5), RATS_ERROR_NOT_RUNNING);
    fake_listen(&daemon_side);
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    fake_grant(&daemon_side, "channel.on");
    fake_grant(&daemon_side, "session.start");
    message("chat", "abc");
    expect_seen(2, "daemon 1\nchannel bob chat 3\n");
}

static void a_handle_without_its_daemon_can_be_destroyed(void **state)
{
    (void)state;
    attach("");
    fake_unlisten(&daemon_side);
    fake_hang_up(&daemon_side);
    rats_destroy(client);
    client = NULL;
}

static void bytes_that_are_no_frames_end_the_connection(void **state)
{
    (void)state;
    attach("");
    fake_start(&daemon_side, client);
    fake_send_raw(&daemon_side, "GET / HTTP/1.1\r\n\r\n", 18);
    fake_expect_end(&daemon_side);
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    fake_grant(&daemon_side, "session.start");
    expect_seen(2, "daemon 0\ndaemon 1\n");
}

/* Forks ------------------------------------------------------------------------------------- */

static void a_child_process_cannot_use_the_handle(void **state)
{
    (void)state;
    attach("");
    const pid_t child = fork();
    if (child == 0) {
        int wrong = rats_start(client) != RATS_ERROR_NOT_RUNNING;
        wrong += rats_get_peer_count(client) != 0;
        wrong += rats_get_our_peer_id(client) != NULL;
        wrong += rats_call(client, "peer.list", NULL, -1, NULL) != RATS_ERROR_NOT_RUNNING;
        wrong += strstr(rats_last_error_message(client), "parent") == NULL;
        rats_destroy(client);
        _exit(wrong);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(rats_is_attached(client), 1);
}

/* Handles without a daemon ------------------------------------------------------------------ */

static void what_was_accepted_is_sent_although_the_program_just_ends(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        const rats_client_t mine = rats_create_at(daemon_side.path);
        if (rats_start(mine) != RATS_SUCCESS) {
            _exit(1);
        }
        for (int i = 0; i < 5000; i++) {
            if (rats_send_string(mine, FAKE_BOB, "x") != RATS_SUCCESS) {
                _exit(2);
            }
        }
        exit(0);
    }
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, fake_peer(FAKE_BOB, "192.0.2.7", 99));
    fake_grant(&daemon_side, "session.start");
    for (int i = 0; i < 5000; i++) {
        expect_message(FAKE_BOB, "rats.string", "x");
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_port_that_is_none_makes_a_handle_that_cannot_start(void **state)
{
    (void)state;
    const int ports[] = {-1, 65536};
    for (size_t i = 0; i < 2; i++) {
        const rats_client_t none = rats_create(ports[i]);
        assert_non_null(none);
        assert_int_equal(rats_is_attached(none), 0);
        assert_int_equal(rats_get_listen_port(none), ports[i]);
        assert_null(rats_get_our_peer_id(none));
        assert_null(rats_get_socket_path(none));
        assert_null(rats_get_instance_json(none));
        assert_int_equal(rats_start(none), RATS_ERROR_OPERATION_FAILED);
        assert_int_equal(rats_send_string(none, FAKE_BOB, "x"), RATS_ERROR_NOT_RUNNING);
        assert_int_equal(rats_connect(none, "127.0.0.1", 1), 0);
        rats_set_string_callback(none, on_string, NULL);
        rats_stop(none);
        rats_destroy(none);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(hello_fills_what_getters_tell),
        TEST(a_peer_is_described_by_the_keys_of_the_specification),
        TEST(the_protocol_is_what_the_instance_says),
        TEST(a_version_in_which_the_daemon_is_older_is_told_so),
        TEST(a_daemon_that_closes_or_talks_nonsense_gives_a_sentence),
        TEST(a_missing_daemon_is_named_with_a_remedy),
        TEST(a_daemon_that_dies_ends_calls_and_peers_and_comes_back),
        TEST(a_channel_asked_for_while_the_daemon_is_gone_is_registered_later),
        TEST(a_handle_without_its_daemon_can_be_destroyed),
        TEST(bytes_that_are_no_frames_end_the_connection),
        TEST(a_child_process_cannot_use_the_handle),
        TEST(what_was_accepted_is_sent_although_the_program_just_ends),
        TEST(a_port_that_is_none_makes_a_handle_that_cannot_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
