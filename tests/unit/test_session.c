#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/json_head.h"
#include "service/request.h"
#include "session_story.h"

static void hello_opens_the_session(void **state)
{
    struct story *story = *state;
    story_call(story, "{\"m\":\"hello\",\"p\":{\"versions\":[[1,7],[2,0]],\"name\":\"a\"}}");
    json_t *reply = story_expect_head(story, FRAME_REPLY, 1);
    assert_string_equal(json_string_value(json_object_get(reply, "role")), "use");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(reply, "version"), 1)), 0);
    json_decref(reply);
}

static void no_common_version_names_both_sides(void **state)
{
    struct story *story = *state;
    story_call(story, "{\"m\":\"hello\",\"p\":{\"versions\":[[9,0]]}}");
    json_t *head = story_expect_head(story, FRAME_FAIL, 1);
    const char *text = json_string_value(json_object_get(head, "text"));
    assert_non_null(strstr(text, "1.0"));
    assert_non_null(strstr(text, "[9,0]"));
    json_t *ours = json_array_get(json_object_get(json_object_get(head, "d"), "versions"), 0);
    assert_int_equal(json_integer_value(json_array_get(ours, 0)), PROTO_MAJOR);
    json_decref(head);
    assert_false(story_is_alive(story));
}

static void silence_ends_after_five_seconds(void **state)
{
    struct story *story = *state;
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 4999);
    assert_true(story_is_alive(story));
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 1);
    assert_false(story_is_alive(story));
}

static void noise_before_hello_is_not_answered(void **state)
{
    struct story *story = *state;
    story_send(story, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
    assert_false(story_is_alive(story));
    story_read_all(story);
    assert_int_equal(story->received_size, 0);
}

static void a_broken_frame_is_answered_and_ends_the_session(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode_header(header, (enum frame_kind)99, 0, 5, 0, 0);
    story_send(story, header, sizeof header);
    story_expect_failure(story, 0, "malformed");
    assert_false(story_is_alive(story));
}

static void bad_parameters_name_the_field(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":70000}}");
    json_t *head = story_expect_head(story, FRAME_FAIL, story->next_id);
    assert_string_equal(json_string_value(json_object_get(head, "e")), "invalid_parameter");
    assert_string_equal(json_string_value(json_object_get(json_object_get(head, "d"), "field")),
                        "port");
    json_decref(head);
    assert_true(story_is_alive(story));
}

static void an_error_about_long_text_is_still_text(void **state)
{
    struct story *story = *state;
    char head[512] = "{\"m\":\"hello\",\"p\":{\"versions\":[[\"a";
    for (int i = 0; i < 120; i++) {
        (void)strcat(head, "\xc3\xa9");
    }
    (void)strcat(head, "\"]]}}");
    story_call(story, head);
    story_expect_failure(story, story->next_id, "version");
}

static void control_methods_need_permission(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_call(story, "{\"m\":\"log.set_level\",\"p\":{\"level\":\"debug\"}}");
    story_expect_failure(story, story->next_id, "not_permitted");
}

static void an_unknown_method_fails_only_that_call(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_call(story, "{\"m\":\"no.such\"}");
    story_expect_failure(story, story->next_id, "unknown_method");
    story_call(story, "{\"m\":\"log.get_level\",\"p\":{\"new\":1},\"x\":2}");
    story_expect_reply(story);
}

static void a_cancelled_call_gets_exactly_one_answer(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":7}}");
    story_send_frame(story, FRAME_CANCEL, story->next_id, "", 0, 0);
    story_send_frame(story, FRAME_CANCEL, story->next_id, "", 0, 0);
    story_expect_failure(story, story->next_id, "cancelled");
    struct frame frame;
    assert_false(story_next_frame(story, &frame));
    assert_int_equal(story->host->cancelled, 1);
}

static void an_id_in_use_ends_the_session(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":7}}");
    story->next_id--;
    story_call(story, "{\"m\":\"log.get_level\"}");
    story_expect_failure(story, 0, "malformed");
    assert_int_equal(story->host->cancelled, 1);
}

static void a_client_that_goes_away_cancels_its_calls(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_call(story, "{\"m\":\"peer.connect\",\"p\":{\"host\":\"a\",\"port\":7}}");
    assert_int_equal(shutdown(story->client, SHUT_RDWR), 0);
    (void)virtual_io_ready(&story->session->io, IO_READ);
    assert_false(story_is_alive(story));
    assert_int_equal(story->host->cancelled, 1);
    assert_int_equal(story->host->ended, 1);
}

static void messages_wait_for_a_congested_peer_and_none_is_lost(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story->host->congested = true;
    story->host->awaited = (struct peer_id){{4}};
    for (int i = 0; i < 3; i++) {
        story_message(story, 0, 100);
        assert_int_equal(story->session->waiting.count, 1);
    }
    assert_int_equal(story->host->messages, 0);
    assert_int_equal(story->session->io.wanted & IO_READ, 0);
    story->host->congested = false;
    host_peer_drained(story->host, &story->host->awaited);
    virtual_world_settle(story->world);
    assert_int_equal(intake_held(&story->session->intake), 0);
    (void)virtual_io_ready(&story->session->io, IO_READ);
    assert_int_equal(story->host->messages, 3);
    assert_int_equal(story->host->message_bytes, 300);
}

static void what_a_dead_client_had_sent_is_still_taken(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story->host->congested = true;
    story->host->awaited = (struct peer_id){{4}};
    story_message(story, 0, 10);
    story_message(story, 0, 10);
    assert_int_equal(shutdown(story->client, SHUT_RDWR), 0);
    story->host->congested = false;
    host_peer_gone(story->host, &story->host->awaited);
    virtual_world_settle(story->world);
    while (story_is_alive(story) && virtual_io_ready(&story->session->io, IO_READ)) {
    }
    assert_int_equal(story->host->messages, 2);
    assert_false(story_is_alive(story));
}

static void control_frames_that_pile_up_end_the_session(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    for (int i = 0; i < 100000 && story_is_alive(story); i++) {
        host_emit(story->host, EV_PEER_DISCONNECTED,
                  json_pack("{s:s, s:s}", "peer", "00", "reason", "a test of patience"), NULL);
        virtual_world_settle(story->world);
    }
    assert_false(story_is_alive(story));
}

static void a_client_that_dies_while_it_waits_wakes_nobody(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    (void)story_deliver_until_held(story);
    story->host->congested = true;
    story->host->awaited = (struct peer_id){{4}};
    story_message(story, 0, 10);
    assert_int_equal(story->session->io.wanted, IO_WRITE);
    story_close(story);
    (void)virtual_io_ready(&story->session->io, IO_WRITE);
    /* A socket whose other end is gone is always writable: nothing may be wanted of it. */
    assert_int_equal(story->session->io.wanted, 0);
    assert_int_equal(story->host->held_count, 0);
}

static void calls_that_are_not_read_are_not_taken_either(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    static uint8_t calls[256 * 1024];
    const char *head = "{\"m\":\"protocol.describe\"}";
    size_t size = 0;
    for (uint64_t id = 100; id < 300; id++) {
        frame_encode_header(calls + size, FRAME_CALL, 0, id, strlen(head), 0);
        memcpy(calls + size + FRAME_HEADER_SIZE, head, strlen(head));
        size += FRAME_HEADER_SIZE + strlen(head);
    }
    story_send(story, calls, size);
    assert_true(story_is_alive(story));
    assert_true(story->session->out.queued[BACKLOG_CONTROL] <= SESSION_MAX_CONTROL);
    for (uint64_t id = 100; id < 300; id++) {
        struct frame frame;
        assert_true(story_next_frame(story, &frame));
        assert_int_equal(frame.kind, FRAME_REPLY);
        assert_int_equal(frame.id, id);
        story->received_size -= story->taken; /* the answers are larger than the buffer */
        memmove(story->received, story->received + story->taken, story->received_size);
        story->taken = 0;
    }
}

static void one_turn_answers_only_so_many_calls(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    static uint8_t calls[64 * 1024];
    const char *head = "{\"m\":\"log.get_level\"}";
    const uint64_t count = 1000;
    size_t size = 0;
    for (uint64_t id = 100; id < 100 + count; id++) {
        frame_encode_header(calls + size, FRAME_CALL, 0, id, strlen(head), 0);
        memcpy(calls + size + FRAME_HEADER_SIZE, head, strlen(head));
        size += FRAME_HEADER_SIZE + strlen(head);
    }
    uint64_t before = story->host->ipc->values.calls;
    assert_int_equal(send(story->client, calls, size, MSG_NOSIGNAL), (ssize_t)size);
    (void)virtual_io_ready(&story->session->io, IO_READ);
    assert_true(story->host->ipc->values.calls - before <= count / 4);
    virtual_world_settle(story->world);
    assert_int_equal(story->host->ipc->values.calls - before, count);
}

static const char park[] = "{\"m\":\"peer.connect\",\"p\":{\"host\":\"example.org\",\"port\":1}}";

/* A call that waits; the test answers it. */
static struct request *parked_request(struct story *story)
{
    story_call(story, park);
    struct request *request = story->host->parked;
    assert_non_null(request);
    return request;
}

static void bodies_come_with_calls_and_go_with_answers(void **state)
{
    struct story *story = *state;
    static const uint8_t value[1000] = {1, 2, 3};
    struct frame frame;
    story_greet(story, "stall");
    story_send_frame(story, FRAME_CALL, 77, park, strlen(park), 5000);
    assert_int_equal(story->host->parked_body, 5000);
    struct request *request = story->host->parked;
    assert_int_equal(request_body(request).size, 0); /* it was a view */
    assert_int_equal(
        request_reply_body(request, json_pack("{s:i}", "n", 1), bytes_make(value, sizeof value)),
        0);
    virtual_world_settle(story->world);
    assert_true(story_next_frame(story, &frame));
    assert_int_equal(frame.kind, FRAME_REPLY);
    assert_int_equal(frame.id, 77);
    assert_memory_equal(frame.head, "{\"n\":1}", 7);
    assert_int_equal(frame.body_size, sizeof value);
    assert_memory_equal(frame.body, value, sizeof value);
    request = parked_request(story);
    assert_int_equal(request_reply_body(request, json_object(), bytes_make(NULL, 0)), 0);
    virtual_world_settle(story->world);
    story_expect_reply(story);
}

static void an_answer_with_a_body_waits_until_the_client_has_read(void **state)
{
    struct story *story = *state;
    static const uint8_t value[STORY_QUEUE];
    struct bytes body = bytes_make(value, sizeof value);
    struct frame frame;
    size_t answered = 0;
    story_greet(story, "stall");
    struct request *request = parked_request(story);
    while (request_reply_body(request, json_object(), body) == 0) {
        virtual_world_settle(story->world);
        assert_true(++answered < 10);
        request = parked_request(story);
    }
    assert_true(answered >= 1);
    assert_true(story_is_alive(story));
    assert_true(backlog_size(&story->session->out) <= 2 * (sizeof value + 100));
    while (story_next_frame(story, &frame)) {
        assert_int_equal(frame.body_size, sizeof value);
        answered--;
    }
    assert_int_equal(answered, 0);
    assert_int_equal(request_reply_body(request, json_object(), body), 0);
    virtual_world_settle(story->world);
    assert_true(story_next_frame(story, &frame));
    assert_int_equal(frame.id, story->next_id);
}

static void an_event_with_a_body_is_lost_like_a_message(void **state)
{
    struct story *story = *state;
    static const uint8_t value[STORY_QUEUE / 2];
    struct frame frame;
    uint64_t sequence = 0;
    story_greet(story, "drop");
    for (int i = 0; i < 10; i++) {
        host_emit_body(story->host, &story->number, 1, EV_PEER_UPDATED, json_pack("{s:i}", "i", i),
                       bytes_make(value, sizeof value), NULL);
        virtual_world_settle(story->world);
    }
    while (story_next_frame(story, &frame) && frame.body_size == sizeof value) {
        assert_int_equal(frame.kind, FRAME_EVENT);
        assert_int_equal(frame.id, ++sequence);
    }
    assert_true(sequence >= 1 && sequence < 10);
    assert_int_equal(frame.id, sequence + 1);
    char error[256];
    json_t *head = json_head_parse(frame.head, frame.head_size, error, sizeof error);
    json_t *fields = json_object_get(head, "p");
    assert_int_equal(json_integer_value(json_object_get(fields, "storage")), 10 - sequence);
    assert_int_equal(json_integer_value(json_object_get(fields, "total")), 10 - sequence);
    json_decref(head);
}

int main(void)
{
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
        STORY(control_frames_that_pile_up_end_the_session),
        STORY(a_client_that_dies_while_it_waits_wakes_nobody),
        STORY(calls_that_are_not_read_are_not_taken_either),
        STORY(one_turn_answers_only_so_many_calls),
        STORY(bodies_come_with_calls_and_go_with_answers),
        STORY(an_answer_with_a_body_waits_until_the_client_has_read),
        STORY(an_event_with_a_body_is_lost_like_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
