#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_host.h"
#include "ipc/session.h"
#include "proto/json_head.h"
#include "service/request.h"
#include "virtual_loop.h"

#define QUEUE      (256 * 1024)
#define READ_LIMIT (8 * 1024 * 1024)

/* One session on one end of a socket pair; the test is the client on the other. */
struct story {
    struct virtual_world *world;
    struct loop *loop;
    struct host *host;
    struct session *session;
    uint64_t number;
    int client;
    uint8_t *received;
    size_t received_size;
    size_t taken;
    uint64_t next_id;
};

static int set_up(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    story->world = virtual_world_new();
    story->loop = virtual_loop_new(story->world);
    story->host = fake_host_new(story->loop, "256K", "64M");
    story->client = fds[0];
    story->received = malloc(READ_LIMIT);
    struct uid_account *account = calloc(1, sizeof *account);
    struct credentials credentials = {.pid = 7, .uid = 1000, .control = false};
    account->uid = credentials.uid;
    assert_int_equal(
        map_insert(&story->host->ipc->accounts, bytes_make(&account->uid, sizeof(uid_t)), account),
        0);
    session_new(story->host->ipc, fds[1], &credentials, account);
    story->session = CONTAINER_OF(list_first(&story->host->ipc->sessions), struct session, node);
    story->number = story->session->number;
    *state = story;
    return 0;
}

static int tear_down(void **state)
{
    struct story *story = *state;
    fake_host_free(story->host);
    loop_free(story->loop);
    virtual_world_free(story->world);
    (void)close(story->client);
    free(story->received);
    free(story);
    return 0;
}

static bool is_alive(const struct story *story)
{
    return session_find(story->host->ipc, story->number) != NULL;
}

static void send_bytes(struct story *story, const void *data, size_t size)
{
    assert_int_equal(send(story->client, data, size, MSG_NOSIGNAL), (ssize_t)size);
    if (is_alive(story)) {
        (void)virtual_io_ready(&story->session->io, IO_READ);
    }
    virtual_world_settle(story->world);
}

static void send_frame(struct story *story, enum frame_kind kind, uint64_t id, const void *head,
                       size_t head_size, size_t body_size)
{
    size_t size = FRAME_HEADER_SIZE + head_size + body_size;
    uint8_t *frame = calloc(1, size);
    frame_encode_header(frame, kind, 0, id, head_size, body_size);
    memcpy(frame + FRAME_HEADER_SIZE, head, head_size);
    send_bytes(story, frame, size);
    free(frame);
}

static void send_call(struct story *story, const char *head)
{
    send_frame(story, FRAME_CALL, ++story->next_id, head, strlen(head), 0);
}

static void send_message(struct story *story, uint64_t id, size_t size)
{
    uint8_t head[64] = {0};
    static const uint8_t peer[MESSAGE_PEER_SIZE] = {1};
    struct message_head fields = {
        .plane = PLANE_CHANNEL, .peer = peer, .name = "chat", .name_size = 4};
    message_head_encode(&fields, head);
    send_frame(story, FRAME_MESSAGE, id, head, message_head_size(&fields), size);
}

/* Reads what the kernel has and lets the daemon write more, until nothing moves. */
static void read_all(struct story *story)
{
    ssize_t got;
    do {
        got = recv(story->client, story->received + story->received_size,
                   READ_LIMIT - story->received_size, MSG_DONTWAIT);
        story->received_size += got > 0 ? (size_t)got : 0;
        if (is_alive(story)) {
            (void)virtual_io_ready(&story->session->io, IO_WRITE);
        }
        virtual_world_settle(story->world);
    } while (got > 0);
}

/* The next frame the client received, or false. */
static bool next_frame(struct story *story, struct frame *ret_frame)
{
    size_t size = 0;
    read_all(story);
    if (frame_decode(story->received + story->taken, story->received_size - story->taken, ret_frame,
                     &size) != FRAME_OK) {
        return false;
    }
    story->taken += size;
    return true;
}

static json_t *expect_head(struct story *story, enum frame_kind kind, uint64_t id)
{
    struct frame frame;
    char error[256];
    assert_true(next_frame(story, &frame));
    assert_int_equal(frame.kind, kind);
    assert_int_equal(frame.id, id);
    json_t *head = json_head_parse(frame.head, frame.head_size, error, sizeof error);
    assert_non_null(head);
    return head;
}

static void expect_failure(struct story *story, uint64_t id, const char *error)
{
    json_t *head = expect_head(story, FRAME_FAIL, id);
    assert_string_equal(json_string_value(json_object_get(head, "e")), error);
    json_decref(head);
}

static void expect_reply(struct story *story)
{
    json_decref(expect_head(story, FRAME_REPLY, story->next_id));
}

static void greet(struct story *story, const char *slow)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "{\"m\":\"hello\",\"p\":{\"versions\":[[1,0]],\"slow\":\"%s\"}}", slow);
    send_call(story, head);
    expect_reply(story);
    send_call(story, "{\"m\":\"session.start\"}");
    expect_reply(story);
}

static void deliver(struct story *story, size_t size, uint8_t from)
{
    static const uint8_t zeros[1024 * 1024];
    struct peer_id peer = {{from}};
    struct delivery delivery = {
        .plane = PLANE_CHANNEL,
        .peer = &peer,
        .link = &peer,
        .name = bytes_from_string("chat"),
        .payload = bytes_make(zeros, size),
    };
    host_deliver(story->host, &story->number, 1, &delivery);
    virtual_world_settle(story->world);
}

/* Messages until the session holds its sender; how many. */
static size_t deliver_until_held(struct story *story)
{
    size_t sent = 0;
    while (story->host->held_count == 0) {
        assert_true(sent < 10000);
        deliver(story, 1024, 9);
        sent++;
    }
    return sent;
}

static void hello_opens_the_session(void **state)
{
    struct story *story = *state;
    send_call(story, "{\"m\":\"hello\",\"p\":{\"versions\":[[1,7],[2,0]],\"name\":\"a\"}}");
    json_t *reply = expect_head(story, FRAME_REPLY, 1);
    assert_string_equal(json_string_value(json_object_get(reply, "role")), "use");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(reply, "version"), 1)), 0);
    json_decref(reply);
}

static void no_common_version_names_both_sides(void **state)
{
    struct story *story = *state;
    send_call(story, "{\"m\":\"hello\",\"p\":{\"versions\":[[9,0]]}}");
    json_t *head = expect_head(story, FRAME_FAIL, 1);
    const char *text = json_string_value(json_object_get(head, "text"));
    assert_non_null(strstr(text, "1.0"));
    assert_non_null(strstr(text, "[9,0]"));
    json_decref(head);
    assert_false(is_alive(story));
}

static void silence_ends_after_five_seconds(void **state)
{
    struct story *story = *state;
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 4999);
    assert_true(is_alive(story));
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 1);
    assert_false(is_alive(story));
}

static void noise_before_hello_is_not_answered(void **state)
{
    struct story *story = *state;
    send_bytes(story, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
    assert_false(is_alive(story));
    read_all(story);
    assert_int_equal(story->received_size, 0);
}

static void a_broken_frame_is_answered_and_ends_the_session(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode_header(header, (enum frame_kind)99, 0, 5, 0, 0);
    send_bytes(story, header, sizeof header);
    expect_failure(story, 0, "malformed");
    assert_false(is_alive(story));
}

static void bad_parameters_name_the_field(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    send_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":70000}}");
    json_t *head = expect_head(story, FRAME_FAIL, story->next_id);
    assert_string_equal(json_string_value(json_object_get(head, "e")), "invalid_parameter");
    assert_string_equal(json_string_value(json_object_get(json_object_get(head, "d"), "field")),
                        "port");
    json_decref(head);
    assert_true(is_alive(story));
}

static void an_error_about_long_text_is_still_text(void **state)
{
    struct story *story = *state;
    char head[512] = "{\"m\":\"hello\",\"p\":{\"versions\":[[\"a";
    for (int i = 0; i < 120; i++) {
        (void)strcat(head, "\xc3\xa9");
    }
    (void)strcat(head, "\"]]}}");
    send_call(story, head);
    expect_failure(story, story->next_id, "version");
}

static void control_methods_need_permission(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    send_call(story, "{\"m\":\"log.set_level\",\"p\":{\"level\":\"debug\"}}");
    expect_failure(story, story->next_id, "not_permitted");
}

static void an_unknown_method_fails_only_that_call(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    send_call(story, "{\"m\":\"no.such\"}");
    expect_failure(story, story->next_id, "unknown_method");
    send_call(story, "{\"m\":\"log.get_level\",\"p\":{\"new\":1},\"x\":2}");
    expect_reply(story);
}

static void a_cancelled_call_gets_exactly_one_answer(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    send_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":7}}");
    send_frame(story, FRAME_CANCEL, story->next_id, "", 0, 0);
    send_frame(story, FRAME_CANCEL, story->next_id, "", 0, 0);
    expect_failure(story, story->next_id, "cancelled");
    struct frame frame;
    assert_false(next_frame(story, &frame));
    assert_int_equal(story->host->cancelled, 1);
}

static void an_id_in_use_ends_the_session(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    send_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":7}}");
    story->next_id--;
    send_call(story, "{\"m\":\"log.get_level\"}");
    expect_failure(story, 0, "malformed");
    assert_int_equal(story->host->cancelled, 1);
}

static void a_client_that_goes_away_cancels_its_calls(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    send_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":7}}");
    assert_int_equal(shutdown(story->client, SHUT_RDWR), 0);
    (void)virtual_io_ready(&story->session->io, IO_READ);
    assert_false(is_alive(story));
    assert_int_equal(story->host->cancelled, 1);
    assert_int_equal(story->host->ended, 1);
}

static void messages_wait_for_a_congested_peer_and_none_is_lost(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    story->host->congested = true;
    story->host->awaited = (struct peer_id){{4}};
    for (int i = 0; i < 3; i++) {
        send_message(story, 0, 100);
        assert_int_equal(story->session->waiting.count, 1);
    }
    assert_int_equal(story->host->messages, 0);
    assert_int_equal(story->session->io.wanted & IO_READ, 0);
    story->host->congested = false;
    host_peer_drained(story->host, &story->host->awaited);
    virtual_world_settle(story->world);
    (void)virtual_io_ready(&story->session->io, IO_READ);
    assert_int_equal(story->host->messages, 3);
    assert_int_equal(story->host->message_bytes, 300);
}

static void what_a_dead_client_had_sent_is_still_taken(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    story->host->congested = true;
    story->host->awaited = (struct peer_id){{4}};
    send_message(story, 0, 10);
    send_message(story, 0, 10);
    assert_int_equal(shutdown(story->client, SHUT_RDWR), 0);
    story->host->congested = false;
    host_peer_gone(story->host, &story->host->awaited);
    virtual_world_settle(story->world);
    while (is_alive(story) && virtual_io_ready(&story->session->io, IO_READ)) {
    }
    assert_int_equal(story->host->messages, 2);
    assert_false(is_alive(story));
}

static void a_slow_client_holds_its_senders_then_loses_an_exact_number(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    size_t delivered = deliver_until_held(story);
    assert_true(story->host->held[0].bytes[0] == 9);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS);
    assert_int_equal(story->host->held_count, 0);
    for (int i = 0; i < 777; i++) {
        deliver(story, 10, 9);
    }
    uint64_t sequence = 0;
    size_t messages = 0;
    struct frame frame;
    while (next_frame(story, &frame) && frame.kind == FRAME_MESSAGE) {
        assert_int_equal(frame.id, ++sequence);
        messages++;
    }
    assert_int_equal(messages, delivered);
    assert_int_equal(frame.kind, FRAME_EVENT);
    assert_int_equal(frame.id, sequence + 1);
    char error[256];
    json_t *head = json_head_parse(frame.head, frame.head_size, error, sizeof error);
    assert_string_equal(json_string_value(json_object_get(head, "v")), "lost");
    json_t *fields = json_object_get(head, "p");
    assert_int_equal(json_integer_value(json_object_get(fields, "channel")), 777);
    assert_int_equal(json_integer_value(json_object_get(fields, "total")), 777);
    json_decref(head);
    deliver(story, 10, 9);
    assert_true(next_frame(story, &frame));
    assert_int_equal(frame.id, sequence + 2);
}

static void a_client_that_catches_up_in_time_loses_nothing(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    size_t delivered = deliver_until_held(story);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS - 1);
    size_t messages = 0;
    struct frame frame;
    while (next_frame(story, &frame)) {
        assert_int_equal(frame.kind, FRAME_MESSAGE);
        messages++;
    }
    assert_int_equal(messages, delivered);
    assert_int_equal(story->host->held_count, 0);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS);
    deliver(story, 10, 9);
    assert_true(next_frame(story, &frame));
}

static void the_drop_policy_never_holds_a_sender(void **state)
{
    struct story *story = *state;
    greet(story, "drop");
    for (int i = 0; i < 2000; i++) {
        deliver(story, 1024, 9);
    }
    assert_int_equal(story->host->held_count, 0);
    assert_true(story->session->lost_total > 0);
    assert_true(backlog_size(&story->session->out) <= QUEUE);
}

static void the_close_policy_ends_the_session(void **state)
{
    struct story *story = *state;
    greet(story, "close");
    for (int i = 0; i < 2000 && is_alive(story); i++) {
        deliver(story, 1024, 9);
    }
    assert_false(is_alive(story));
}

static void one_message_larger_than_the_queue_is_let_in_when_it_is_empty(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    deliver(story, 1024 * 1024, 9);
    struct frame frame;
    assert_true(next_frame(story, &frame));
    assert_int_equal(frame.body_size, 1024 * 1024);
}

static void a_held_peer_that_goes_is_forgotten(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    (void)deliver_until_held(story);
    struct peer_id peer = {{9}};
    story->host->held_count = 0; /* the hold ends with the peer */
    host_peer_gone(story->host, &peer);
    read_all(story);
    assert_int_equal(story->session->holding.count, 0);
}

static void control_frames_that_pile_up_end_the_session(void **state)
{
    struct story *story = *state;
    greet(story, "stall");
    for (int i = 0; i < 100000 && is_alive(story); i++) {
        host_emit(story->host, EV_PEER_DISCONNECTED,
                  json_pack("{s:s, s:s}", "peer", "00", "reason", "a test of patience"));
        virtual_world_settle(story->world);
    }
    assert_false(is_alive(story));
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORY(hello_opens_the_session),
        STORY(no_common_version_names_both_sides),
        STORY(silence_ends_after_five_seconds),
        STORY(noise_before_hello_is_not_answered),
        STORY(a_broken_frame_is_answered_and_ends_the_session),
        STORY(bad_parameters_name_the_field),
        STORY(an_error_about_long_text_is_still_text),
        STORY(control_methods_need_permission),
        STORY(an_unknown_method_fails_only_that_call),
        STORY(a_cancelled_call_gets_exactly_one_answer),
        STORY(an_id_in_use_ends_the_session),
        STORY(a_client_that_goes_away_cancels_its_calls),
        STORY(messages_wait_for_a_congested_peer_and_none_is_lost),
        STORY(what_a_dead_client_had_sent_is_still_taken),
        STORY(a_slow_client_holds_its_senders_then_loses_an_exact_number),
        STORY(a_client_that_catches_up_in_time_loses_nothing),
        STORY(the_drop_policy_never_holds_a_sender),
        STORY(the_close_policy_ends_the_session),
        STORY(one_message_larger_than_the_queue_is_let_in_when_it_is_empty),
        STORY(a_held_peer_that_goes_is_forgotten),
        STORY(control_frames_that_pile_up_end_the_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
