#include "librats_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "proto/message_head.h"

/* What callbacks saw, one line each --------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char text[65536];
    size_t lines;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void note(const char *format, ...)
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
void expect_seen(size_t lines, const char *expected)
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

const char *who(const char *peer_id)
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

void on_string(void *user_data, const char *peer_id, const char *message)
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

void on_channel(void *user_data, const char *peer_id, const char *channel, const void *data,
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

void on_event(void *user_data, const char *event, const char *json, uint64_t sequence)
{
    (void)user_data;
    (void)json;
    note("event %s %llu\n", event, (unsigned long long)sequence);
}

/* The life of a test ------------------------------------------------------------------------ */

struct fake_daemon daemon_side;
rats_client_t client;

int set_up(void **state)
{
    (void)state;
    seen.text[0] = '\0';
    seen.lines = 0;
    client = NULL;
    rats_set_log_level("ERROR");
    fake_open(&daemon_side);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    if (client != NULL) {
        fake_destroy(&daemon_side, client);
    }
    fake_close(&daemon_side);
    return 0;
}

void attach(const char *peers)
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

void hear_untyped(void)
{
    struct fake_task *task = fake_run(set_untyped, client);
    for (int i = 0; i < 3; i++) {
        fake_grant(&daemon_side, "channel.on");
    }
    (void)fake_join(task);
}

void message(const char *channel, const char *text)
{
    fake_message(&daemon_side, FAKE_BOB, channel, text, strlen(text));
}

void typed_message(const char *type, const char *text)
{
    fake_message_on(&daemon_side, PLANE_TYPED, 0, FAKE_BOB, NULL, type, text, strlen(text));
}

void expect_message(const char *peer, const char *channel, const char *text)
{
    expect_on_plane(PLANE_CHANNEL, 0, peer, channel, text);
}

void expect_on_plane(int plane, int flags, const char *peer, const char *name, const char *text)
{
    struct fake_frame frame = fake_receive(&daemon_side);
    assert_int_equal(frame.kind, FRAME_MESSAGE);
    assert_int_equal(frame.id, 0);
    struct message_head head;
    assert_int_equal(message_head_decode(frame.bytes, frame.head_size, &head), 0);
    assert_int_equal(head.plane, plane);
    assert_int_equal(head.flags, flags);
    assert_int_equal(head.name_size, strlen(name));
    assert_memory_equal(head.name, name, head.name_size);
    char hex[65];
    for (size_t i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", head.peer[i]);
    }
    assert_string_equal(hex, peer);
    assert_int_equal(frame.body_size, strlen(text));
    assert_memory_equal(frame.bytes + frame.head_size, text, frame.body_size);
    fake_frame_free(&frame);
}

intptr_t call(void *arg)
{
    struct call_arguments *arguments = arg;
    return rats_call(client, arguments->method, arguments->params, arguments->timeout_ms,
                     &arguments->result);
}

intptr_t channel_on(void *arg)
{
    return rats_channel_on(client, arg, on_channel, NULL);
}

intptr_t channel_off(void *arg)
{
    return rats_channel_off(client, arg);
}

char chat[] = "chat";
char rats_string[] = "rats.string";
