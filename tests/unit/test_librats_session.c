/* librats against a daemon played by the test: attaching, delivery, sending, stopping and
 * destroying in every place, and a daemon that goes away. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_daemon.h"
#include "proto/message_head.h"

/* What callbacks saw, one line each --------------------------------------------------------------
 */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[65536];
    size_t lines;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    pthread_mutex_lock(&seen.lock);
    const size_t used = strlen(seen.text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(seen.text + used, sizeof seen.text - used, format, arguments);
    va_end(arguments);
    seen.lines++;
    pthread_cond_broadcast(&seen.changed);
    pthread_mutex_unlock(&seen.lock);
}

/* Waits for that many lines and compares all of them. */
static void expect_seen(size_t lines, const char *expected)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&seen.lock);
    int rc = 0;
    while (seen.lines < lines && rc == 0) {
        rc = pthread_cond_timedwait(&seen.changed, &seen.lock, &until);
    }
    char text[sizeof seen.text];
    memcpy(text, seen.text, sizeof text);
    seen.text[0] = '\0';
    seen.lines = 0;
    pthread_mutex_unlock(&seen.lock);
    assert_string_equal(text, expected);
}

static const char *who(const char *peer_id)
{
    return strcmp(peer_id, FAKE_BOB) == 0   ? "bob"
           : strcmp(peer_id, FAKE_EVE) == 0 ? "eve"
                                            : peer_id;
}

static void on_connection(void *user_data, const char *peer_id)
{
    (void)user_data;
    note("+%s\n", who(peer_id));
}

static void on_disconnect(void *user_data, const char *peer_id)
{
    (void)user_data;
    note("-%s\n", who(peer_id));
}

static void on_string(void *user_data, const char *peer_id, const char *message)
{
    (void)user_data;
    note("string %s '%s'\n", who(peer_id), message);
}

static void on_binary(void *user_data, const char *peer_id, const void *data, size_t size)
{
    (void)user_data;
    assert_non_null(data);
    note("binary %s %zu\n", who(peer_id), size);
}

static void on_json(void *user_data, const char *peer_id, const char *json)
{
    (void)user_data;
    note("json %s %s\n", who(peer_id), json);
}

static void on_channel(void *user_data, const char *peer_id, const char *channel, const void *data,
                       size_t size)
{
    (void)user_data;
    assert_non_null(data);
    note("channel %s %s %zu\n", who(peer_id), channel, size);
}

static void on_daemon(void *user_data, int attached)
{
    (void)user_data;
    note("daemon %d\n", attached);
}

static void on_overflow(void *user_data, uint64_t lost)
{
    (void)user_data;
    note("lost %llu\n", (unsigned long long)lost);
}

static void on_event(void *user_data, const char *event, const char *json, uint64_t sequence)
{
    (void)user_data;
    (void)json;
    note("event %s %llu\n", event, (unsigned long long)sequence);
}

/* The life of a test ------------------------------------------------------------------------------
 */

static struct fake_daemon daemon_side;
static rats_client_t client;

static int set_up(void **state)
{
    (void)state;
    seen.text[0] = '\0';
    seen.lines = 0;
    client = NULL;
    rats_set_log_level("ERROR");
    fake_open(&daemon_side);
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

static void attach(const char *peers)
{
    client = fake_attach(&daemon_side, peers, RATS_DISPATCH_CALLBACKS);
    rats_set_connection_callback(client, on_connection, NULL);
    rats_set_disconnect_callback(client, on_disconnect, NULL);
    rats_set_daemon_callback(client, on_daemon, NULL);
    rats_set_overflow_callback(client, on_overflow, NULL);
}

static intptr_t set_untyped(void *arg)
{
    rats_set_string_callback(arg, on_string, NULL);
    rats_set_binary_callback(arg, on_binary, NULL);
    rats_set_json_callback(arg, on_json, NULL);
    return 0;
}

static void hear_untyped(void)
{
    struct fake_task *task = fake_run(set_untyped, client);
    for (int i = 0; i < 3; i++) {
        fake_grant(&daemon_side, "channel.on");
    }
    (void)fake_join(task);
}

static void message(const char *channel, const char *text)
{
    fake_message(&daemon_side, FAKE_BOB, channel, text, strlen(text));
}

/* Attaching ---------------------------------------------------------------------------------------
 */

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
    assert_non_null(strstr(rats_last_error_message(client), "librats/1.0"));
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

/* Delivery ----------------------------------------------------------------------------------------
 */

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

/* Sending -----------------------------------------------------------------------------------------
 */

static void expect_message(const char *peer, const char *channel, const char *text)
{
    struct fake_frame frame = fake_receive(&daemon_side);
    assert_int_equal(frame.kind, FRAME_MESSAGE);
    assert_int_equal(frame.id, 0);
    struct message_head head;
    assert_int_equal(message_head_decode(frame.bytes, frame.head_size, &head), 0);
    assert_int_equal(head.plane, PLANE_CHANNEL);
    assert_int_equal(head.name_size, strlen(channel));
    assert_memory_equal(head.name, channel, head.name_size);
    char hex[65];
    for (size_t i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", head.peer[i]);
    }
    assert_string_equal(hex, peer);
    assert_int_equal(frame.body_size, strlen(text));
    assert_memory_equal(frame.bytes + frame.head_size, text, frame.body_size);
    fake_frame_free(&frame);
}

#define NOBODY "0000000000000000000000000000000000000000000000000000000000000000"

static void what_is_sent_reaches_the_daemon_in_order(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    assert_int_equal(rats_send_string(client, FAKE_BOB, "x"), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_broadcast_string(client, "x"), 0);
    assert_int_equal(rats_channel_broadcast(client, "chat", "x", 1), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_connect(client, "127.0.0.1", 1), 0);
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_RUNNING);
    fake_start(&daemon_side, client);
    assert_int_equal(rats_send_string(client, FAKE_BOB, "one"), RATS_SUCCESS);
    assert_int_equal(rats_send_string(client, FAKE_BOB, ""), RATS_SUCCESS);
    assert_int_equal(rats_send_binary(client, FAKE_BOB, "two", 3), RATS_SUCCESS);
    assert_int_equal(rats_send_json(client, FAKE_BOB, "[3]"), RATS_SUCCESS);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "chat", "four", 4), RATS_SUCCESS);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "chat", NULL, 0), RATS_SUCCESS);
    assert_int_equal(rats_broadcast_string(client, "five"), 1);
    assert_int_equal(rats_broadcast_binary(client, "six", 3), 1);
    assert_int_equal(rats_broadcast_json(client, "7"), 1);
    assert_int_equal(rats_channel_broadcast(client, "", "eight", 5), 1);
    expect_message(FAKE_BOB, "rats.string", "one");
    expect_message(FAKE_BOB, "rats.string", "");
    expect_message(FAKE_BOB, "rats.binary", "two");
    expect_message(FAKE_BOB, "rats.json", "[3]");
    expect_message(FAKE_BOB, "chat", "four");
    expect_message(FAKE_BOB, "chat", "");
    expect_message(NOBODY, "rats.string", "five");
    expect_message(NOBODY, "rats.binary", "six");
    expect_message(NOBODY, "rats.json", "7");
    expect_message(NOBODY, "", "eight");
}

static void sends_that_cannot_work_are_refused_at_once(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    fake_start(&daemon_side, client);
    assert_int_equal(rats_send_string(client, FAKE_EVE, "x"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_send_string(client, "bob", "x"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_send_json(client, FAKE_BOB, "{"), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_broadcast_json(client, "{"), 0);
    assert_int_equal(rats_last_error(client), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_send_binary(client, FAKE_BOB, "x", RATS_MAX_PAYLOAD + 1),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_last_error(client), RATS_ERROR_TOO_LARGE);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "chat", "x", RATS_MAX_PAYLOAD + 1),
                     RATS_ERROR_TOO_LARGE);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "ratsd.ctl", "x", 1),
                     RATS_ERROR_NOT_PERMITTED);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(rats_channel_send(client, FAKE_BOB, name, "x", 1),
                     RATS_ERROR_INVALID_PARAMETER);
    fake_event(&daemon_side, "peer.disconnected", "{\"peer\":\"" FAKE_BOB "\",\"reason\":\"x\"}");
    expect_seen(2, "+bob\n-bob\n");
    assert_int_equal(rats_send_string(client, FAKE_BOB, "x"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_broadcast_string(client, "x"), 0);
    assert_int_equal(rats_last_error(client), RATS_SUCCESS);
    assert_true(fake_is_silent(&daemon_side, 0));
}

/* Calls -------------------------------------------------------------------------------------------
 */

struct call_arguments {
    const char *method;
    const char *params;
    int timeout_ms;
    char *result;
};

static intptr_t call(void *arg)
{
    struct call_arguments *arguments = arg;
    return rats_call(client, arguments->method, arguments->params, arguments->timeout_ms,
                     &arguments->result);
}

static void a_call_carries_its_parameters_and_brings_the_result(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"peer.list", " {\"a\": [1]} ", -1, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    json_t *params = NULL;
    const uint64_t id = fake_expect_call(&daemon_side, "peer.list", &params);
    assert_int_equal(json_array_size(json_object_get(params, "a")), 1);
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"peers\":[]}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_string_equal(arguments.result, "{\"peers\":[]}");
    rats_string_free(arguments.result);
}

static void a_refusal_brings_its_code_and_the_daemons_words(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"log.set_level", "{\"level\":\"info\"}", 20000, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "log.set_level", NULL), "not_permitted",
              -8, "become root");
    assert_int_equal(fake_join(task), RATS_ERROR_NOT_PERMITTED);
    assert_string_equal(arguments.result,
                        "{\"e\":\"not_permitted\",\"code\":-8,\"text\":\"become root\",\"d\":{}}");
    rats_string_free(arguments.result);
}

static void an_answer_beyond_64_kib_travels_as_body(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"peer.list", NULL, 20000, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    char *text = malloc(200001);
    memset(text, ' ', 200000);
    memcpy(text, "{\"peers\":[]}", 12);
    text[200000] = '\0';
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "peer.list", NULL), text);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_string_equal(arguments.result, text);
    rats_string_free(arguments.result);
    free(text);
}

static void a_call_that_takes_too_long_is_cancelled(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"peer.list", NULL, 20, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    const uint64_t id = fake_expect_call(&daemon_side, "peer.list", NULL);
    struct fake_frame cancel = fake_receive(&daemon_side);
    assert_int_equal(cancel.kind, FRAME_CANCEL);
    assert_int_equal(cancel.id, id);
    fake_frame_free(&cancel);
    assert_int_equal(fake_join(task), RATS_ERROR_TIMEOUT);
    assert_null(arguments.result);
    fake_fail(&daemon_side, id, "cancelled", -4, "late"); /* the one answer it still gets */
    assert_int_equal(rats_is_attached(client), 1);
}

static void nonsense_never_reaches_the_daemon(void **state)
{
    (void)state;
    attach("");
    char *result = NULL;
    assert_int_equal(rats_call(client, "peer list", NULL, 1, &result),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_call(client, "", NULL, 1, &result), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_call(client, "peer.list", "[]", 1, &result), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_call(client, "peer.list", "{", 1, &result), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_call(client, "peer.list", "{},\"m\":{}", 1, &result),
                     RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_call(client, "peer.list", "{\"a\":1,\"a\":2}", 1, &result),
                     RATS_ERROR_JSON_PARSE);
    assert_true(fake_is_silent(&daemon_side, 0));
}

static intptr_t connect_out(void *arg)
{
    (void)arg;
    return rats_connect(client, "example.org", 4711);
}

static intptr_t connect_relay(void *arg)
{
    (void)arg;
    return rats_connect_with_strategy(client, "192.0.2.7", 99, RATS_STRATEGY_TURN_RELAY);
}

static void connecting_asks_the_daemon_to_dial(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    fake_start(&daemon_side, client);
    struct fake_task *task = fake_run(connect_out, NULL);
    json_t *params = NULL;
    uint64_t id = fake_expect_call(&daemon_side, "peer.connect", &params);
    assert_string_equal(json_string_value(json_object_get(params, "host")), "example.org");
    assert_int_equal(json_integer_value(json_object_get(params, "port")), 4711);
    assert_int_equal(json_integer_value(json_object_get(params, "timeout_ms")), 15000);
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"peer\":\"" FAKE_BOB "\",\"already\":true}");
    assert_int_equal(fake_join(task), 1);
    task = fake_run(connect_out, NULL);
    id = fake_expect_call(&daemon_side, "peer.connect", NULL);
    fake_fail(&daemon_side, id, "connect_failed", -4, "refused");
    assert_int_equal(fake_join(task), 0);
    task = fake_run(connect_relay, NULL);
    assert_int_equal(fake_join(task), RATS_SUCCESS); /* connected to that address already */
    assert_int_equal(rats_connect_with_strategy(client, "192.0.2.8", 99, RATS_STRATEGY_TURN_RELAY),
                     RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_SUPPORTED);
    assert_int_equal(rats_connect_with_strategy(client, "x", 0, RATS_STRATEGY_DIRECT_ONLY),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_connect_with_strategy(client, "x", 1, (rats_connection_strategy_t)5),
                     RATS_ERROR_INVALID_PARAMETER);
}

static intptr_t demand(void *arg)
{
    (void)arg;
    return rats_set_max_peers(client, 20);
}

static intptr_t disconnect(void *arg)
{
    (void)arg;
    return rats_disconnect_peer_by_id(client, FAKE_BOB);
}

static void limits_and_disconnects_go_to_the_daemon(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    struct fake_task *task = fake_run(demand, NULL);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "session.demand_peers", NULL),
               "{\"max_peers\":256}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(rats_get_max_peers(client), 20);
    assert_int_equal(rats_set_max_peers(client, 0), RATS_ERROR_INVALID_PARAMETER);
    task = fake_run(disconnect, NULL);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "peer.disconnect", NULL),
              "not_permitted", -8, "no");
    assert_int_equal(fake_join(task), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_disconnect_peer_by_id(client, "nobody"), RATS_SUCCESS);
    fake_event(&daemon_side, "instance.changed", "{\"listen_port\":5,\"max_peers\":9}");
    /* A round trip, so that the event has been read. */
    task = fake_run(disconnect, NULL);
    fake_grant(&daemon_side, "peer.disconnect");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(rats_get_listen_port(client), 5);
}

/* Channels ----------------------------------------------------------------------------------------
 */

static intptr_t channel_on(void *arg)
{
    return rats_channel_on(client, arg, on_channel, NULL);
}

static intptr_t channel_off(void *arg)
{
    return rats_channel_off(client, arg);
}

static char chat[] = "chat";
static char rats_string[] = "rats.string";

static void a_channel_is_registered_heard_and_given_up(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(channel_on, chat);
    json_t *params = NULL;
    const uint64_t id = fake_expect_call(&daemon_side, "channel.on", &params);
    assert_string_equal(json_string_value(json_object_get(params, "channel")), "chat");
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"id\":23520}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(channel_on(chat), RATS_SUCCESS); /* only another callback: no call */
    fake_start(&daemon_side, client);
    message("chat", "abc");
    message("other", "abc");
    message("chat", "");
    expect_seen(2, "channel bob chat 3\nchannel bob chat 0\n");
    task = fake_run(channel_off, chat);
    fake_grant(&daemon_side, "channel.off");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(channel_off(chat), RATS_ERROR_NOT_FOUND);
    assert_int_equal(rats_channel_on(client, "ratsd.ctl", on_channel, NULL),
                     RATS_ERROR_NOT_PERMITTED);
    assert_int_equal(rats_channel_on(client, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
}

static void a_refused_channel_is_forgotten(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(channel_on, chat);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "channel.on", NULL), "busy", -13,
              "ch117 has that number");
    assert_int_equal(fake_join(task), RATS_ERROR_BUSY);
    assert_int_equal(channel_off(chat), RATS_ERROR_NOT_FOUND);
}

static intptr_t clear_string(void *arg)
{
    rats_set_string_callback(arg, NULL, NULL);
    return 0;
}

static void an_untyped_channel_may_have_both_callbacks(void **state)
{
    (void)state;
    attach("");
    hear_untyped();
    assert_int_equal(channel_on(rats_string), RATS_SUCCESS); /* delivered already: no call */
    fake_start(&daemon_side, client);
    message("rats.string", "hi");
    expect_seen(2, "string bob 'hi'\nchannel bob rats.string 2\n");
    (void)clear_string(client); /* still wanted by name: no call */
    message("rats.string", "hi");
    expect_seen(1, "channel bob rats.string 2\n");
    struct fake_task *task = fake_run(channel_off, rats_string);
    fake_grant(&daemon_side, "channel.off");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_true(fake_is_silent(&daemon_side, 0));
}

static void channel_numbers_are_those_of_the_wire(void **state)
{
    (void)state;
    assert_int_equal(rats_channel_id("rats.string"), 0xaa69);
    assert_int_equal(rats_channel_id("rats.binary"), 0xd84f);
    assert_int_equal(rats_channel_id("rats.json"), 0x9ea3);
    assert_int_equal(rats_channel_id(""), 0x1cd9);
    assert_int_equal(rats_channel_id(NULL), 0x1cd9);
    assert_int_equal(rats_channel_id("ch117"), rats_channel_id("ch187"));
}

/* Inside callbacks --------------------------------------------------------------------------------
 */

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
        TEST(start_announces_the_peers_present_and_events_follow),
        TEST(nothing_is_delivered_before_start_and_after_stop),
        TEST(every_event_reaches_the_event_callback_even_before_start),
        TEST(lost_messages_are_reported_with_their_number),
        TEST(frames_may_arrive_byte_by_byte),
        TEST(large_and_small_messages_alternate),
        TEST(what_is_sent_reaches_the_daemon_in_order),
        TEST(sends_that_cannot_work_are_refused_at_once),
        TEST(a_call_carries_its_parameters_and_brings_the_result),
        TEST(a_refusal_brings_its_code_and_the_daemons_words),
        TEST(an_answer_beyond_64_kib_travels_as_body),
        TEST(a_call_that_takes_too_long_is_cancelled),
        TEST(nonsense_never_reaches_the_daemon),
        TEST(connecting_asks_the_daemon_to_dial),
        TEST(limits_and_disconnects_go_to_the_daemon),
        TEST(a_channel_is_registered_heard_and_given_up),
        TEST(a_refused_channel_is_forgotten),
        TEST(an_untyped_channel_may_have_both_callbacks),
        TEST(channel_numbers_are_those_of_the_wire),
        TEST(a_handle_may_be_destroyed_inside_its_callback),
        TEST(a_session_may_be_stopped_and_started_inside_its_callback),
        TEST(stop_waits_for_the_callback_that_is_running),
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
