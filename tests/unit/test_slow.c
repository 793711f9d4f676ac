#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/json_head.h"
#include "session_story.h"

static void a_slow_client_holds_its_senders_then_loses_an_exact_number(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    size_t delivered = story_deliver_until_held(story);
    assert_true(story->host->held[0].bytes[0] == 9);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS);
    assert_int_equal(story->host->held_count, 0);
    for (int i = 0; i < 777; i++) {
        story_deliver(story, 10, 9);
    }
    uint64_t sequence = 0;
    size_t messages = 0;
    struct frame frame;
    while (story_next_frame(story, &frame) && frame.kind == FRAME_MESSAGE) {
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
    story_deliver(story, 10, 9);
    assert_true(story_next_frame(story, &frame));
    assert_int_equal(frame.id, sequence + 2);
}

static void a_client_that_catches_up_in_time_loses_nothing(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    size_t delivered = story_deliver_until_held(story);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS - 1);
    size_t messages = 0;
    struct frame frame;
    while (story_next_frame(story, &frame)) {
        assert_int_equal(frame.kind, FRAME_MESSAGE);
        messages++;
    }
    assert_int_equal(messages, delivered);
    assert_int_equal(story->host->held_count, 0);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS);
    story_deliver(story, 10, 9);
    assert_true(story_next_frame(story, &frame));
}

static void the_drop_policy_never_holds_a_sender(void **state)
{
    struct story *story = *state;
    story_greet(story, "drop");
    for (int i = 0; i < 2000; i++) {
        story_deliver(story, 1024, 9);
    }
    assert_int_equal(story->host->held_count, 0);
    assert_true(story->session->lost_total > 0);
    assert_true(backlog_size(&story->session->out) <= STORY_QUEUE);
}

static void the_close_policy_ends_the_session(void **state)
{
    struct story *story = *state;
    story_greet(story, "close");
    for (int i = 0; i < 2000 && story_is_alive(story); i++) {
        story_deliver(story, 1024, 9);
    }
    assert_false(story_is_alive(story));
}

static void one_message_larger_than_the_queue_is_let_in_when_it_is_empty(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story_deliver(story, 1024 * 1024, 9);
    struct frame frame;
    assert_true(story_next_frame(story, &frame));
    assert_int_equal(frame.body_size, 1024 * 1024);
}

static void a_held_peer_that_goes_is_forgotten(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    (void)story_deliver_until_held(story);
    struct peer_id peer = {{9}};
    story->host->held_count = 0; /* the hold ends with the peer */
    host_peer_gone(story->host, &peer);
    story_read_all(story);
    assert_int_equal(story->session->holding.count, 0);
}

static void a_sender_that_leaves_while_held_does_not_make_the_session_lag(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    (void)story_deliver_until_held(story);
    struct peer_id peer = {{9}};
    story->host->held_count = 0;
    host_peer_gone(story->host, &peer);
    struct frame frame;
    while (story_next_frame(story, &frame)) {
    }
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 2 * SESSION_STALL_MS);
    story_deliver(story, 10, 8);
    assert_true(story_next_frame(story, &frame));
    assert_int_equal(frame.kind, FRAME_MESSAGE);
    assert_int_equal(story->session->lost_total, 0);
}

static void a_burst_from_many_peers_holds_them_and_loses_nothing(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    for (uint8_t from = 1; from <= 20; from++) {
        story_deliver(story, 100 * 1024, from);
    }
    assert_int_equal(story->session->lost_total, 0);
    assert_true(story->host->held_count >= 15);
    struct frame frame;
    size_t messages = 0;
    while (story_next_frame(story, &frame)) {
        messages++;
    }
    assert_int_equal(messages, 20);
    assert_int_equal(story->host->held_count, 0);
}

static void sessions_that_end_during_a_delivery_disturb_no_other(void **state)
{
    struct story *story = *state;
    static const uint8_t zeros[1024];
    struct peer_id peer = {{9}};
    int client = -1;
    story_greet(story, "close");
    story_call(story, "{\"m\":\"session.watch\",\"p\":{\"events\":[\"session.ended\"]}}");
    story_expect_reply(story);
    uint64_t numbers[2] = {story_second_session(story, &client)->number, story->number};
    struct delivery delivery = {.plane = PLANE_CHANNEL,
                                .peer = &peer,
                                .link = &peer,
                                .name = bytes_from_string("chat"),
                                .payload = bytes_make(zeros, sizeof zeros)};
    for (int i = 0; i < 1000 && story_is_alive(story); i++) {
        host_deliver(story->host, numbers, 2, &delivery);
        /* Its things stay until the turn is over. */
        assert_int_equal(story->host->ended, 0);
    }
    assert_false(story_is_alive(story));
    assert_null(session_find(story->host->ipc, numbers[0]));
    virtual_world_settle(story->world);
    assert_int_equal(story->host->ended, 2);
    assert_int_equal(story->host->ipc->session_count, 0);
    (void)close(client);
}

/* Another session publishes to the story's until it is held. */
static const struct session *publish_until_held(struct story *story, int *ret_client)
{
    story_greet(story, "stall");
    const struct session *sender = story_second_session(story, ret_client);
    const struct peer_id link = host_session_link(sender->number);
    size_t count = 0;
    while (!host_session_held(story->host, sender->number, &story->number, 1)) {
        assert_int_equal(sender->waiting.count, 0);
        story_deliver_by(story, 1024, &link);
        assert_true(++count < 10000);
    }
    assert_int_equal(sender->waiting.count, 1);
    return sender;
}

static void a_session_that_publishes_to_a_slow_one_waits_until_it_has_read(void **state)
{
    struct story *story = *state;
    int client = -1;
    const struct session *sender = publish_until_held(story, &client);
    assert_false(host_session_held(story->host, 77, &story->number, 1)); /* nobody else does */
    story_read_all(story);
    assert_int_equal(sender->waiting.count, 0);
    assert_false(host_session_held(story->host, sender->number, &story->number, 1));
    assert_int_equal(story->session->lost_total, 0);
    (void)close(client);
}

static void it_waits_no_longer_than_the_slow_one_may_stall(void **state)
{
    struct story *story = *state;
    int client = -1;
    const struct session *sender = publish_until_held(story, &client);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS - 1);
    assert_int_equal(sender->waiting.count, 1);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 1);
    assert_int_equal(sender->waiting.count, 0);
    assert_true(story->session->lagging);
    (void)close(client);
}

static void it_waits_for_nobody_who_has_gone(void **state)
{
    struct story *story = *state;
    int client = -1;
    const struct session *sender = publish_until_held(story, &client);
    story_close(story);
    virtual_world_settle(story->world);
    session_end(story->session, "test");
    virtual_world_settle(story->world);
    assert_int_equal(sender->waiting.count, 0);
    (void)close(client);
}

static void an_event_may_go_to_some_sessions_only(void **state)
{
    struct story *story = *state;
    int client = -1;
    story_greet(story, "stall");
    const struct session *other = story_second_session(story, &client);
    uint64_t nobody = 4711;
    uint64_t sequence = other->sequence;
    host_emit_to(story->host, &nobody, 1, EV_TOPIC_LEFT, json_object(), NULL);
    host_emit_to(story->host, &story->number, 1, EV_TOPIC_JOINED, json_object(), NULL);
    virtual_world_settle(story->world);
    json_decref(story_expect_head(story, FRAME_EVENT, 1));
    assert_int_equal(other->sequence, sequence);
    (void)close(client);
}

/* Events by that link until the session holds it. */
static size_t emit_until_held(struct story *story, const struct peer_id *link)
{
    size_t count = 0;
    while (story->host->held_count == 0) {
        assert_true(story_is_alive(story) && count < 100000);
        host_emit(story->host, EV_PEER_UPDATED, json_pack("{s:s}", "peer", "somebody"), link);
        virtual_world_settle(story->world);
        count++;
    }
    return count;
}

static void a_peer_whose_news_nobody_reads_is_held_and_none_of_it_is_lost(void **state)
{
    struct story *story = *state;
    const struct peer_id link = {{9}};
    story_greet(story, "stall");
    size_t count = emit_until_held(story, &link);
    struct frame frame;
    while (story_next_frame(story, &frame)) {
        assert_int_equal(frame.kind, FRAME_EVENT);
        count--;
    }
    assert_int_equal(count, 0);
    assert_int_equal(story->host->held_count, 0);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 2 * SESSION_STALL_MS);
    assert_false(story->session->lagging);
}

static void such_a_peer_is_held_no_longer_than_others(void **state)
{
    struct story *story = *state;
    const struct peer_id link = {{9}};
    story_greet(story, "stall");
    (void)emit_until_held(story, &link);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_STALL_MS);
    assert_int_equal(story->host->held_count, 0);
    assert_true(story->session->lagging);
    for (int i = 0; i < 100000 && story_is_alive(story); i++) {
        host_emit(story->host, EV_PEER_UPDATED, json_pack("{s:s}", "peer", "somebody"), &link);
        virtual_world_settle(story->world);
    }
    assert_false(story_is_alive(story)); /* there is a limit to what is kept for it */
    assert_int_equal(story->host->held_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_slow_client_holds_its_senders_then_loses_an_exact_number),
        STORY(a_client_that_catches_up_in_time_loses_nothing),
        STORY(the_drop_policy_never_holds_a_sender),
        STORY(the_close_policy_ends_the_session),
        STORY(one_message_larger_than_the_queue_is_let_in_when_it_is_empty),
        STORY(a_held_peer_that_goes_is_forgotten),
        STORY(a_sender_that_leaves_while_held_does_not_make_the_session_lag),
        STORY(a_burst_from_many_peers_holds_them_and_loses_nothing),
        STORY(a_session_that_publishes_to_a_slow_one_waits_until_it_has_read),
        STORY(it_waits_no_longer_than_the_slow_one_may_stall),
        STORY(it_waits_for_nobody_who_has_gone),
        STORY(an_event_may_go_to_some_sessions_only),
        STORY(a_peer_whose_news_nobody_reads_is_held_and_none_of_it_is_lost),
        STORY(such_a_peer_is_held_no_longer_than_others),
        STORY(sessions_that_end_during_a_delivery_disturb_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
