#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "session_story.h"

static void begin_large_frame(struct session *session, int client, size_t size)
{
    uint8_t start[FRAME_HEADER_SIZE + 100] = {0};
    frame_encode_header(start, FRAME_MESSAGE, 0, 0, 40, size);
    assert_int_equal(send(client, start, sizeof start, MSG_NOSIGNAL), sizeof start);
    (void)virtual_io_ready(&session->io, IO_READ);
}

static void large_frames_of_one_user_wait_for_room(void **state)
{
    struct story *story = *state;
    int client = -1;
    story_greet(story, "stall");
    struct session *other = story_second_session(story, &client);
    begin_large_frame(story->session, story->client, 50u << 20);
    begin_large_frame(other, client, 30u << 20);
    assert_true(story->session->taking > 50u << 20);
    assert_int_equal(other->taking, 0);
    assert_int_equal(other->io.wanted, 0);
    story_close(story); /* the rest will never come */
    (void)virtual_io_ready(&story->session->io, IO_READ);
    virtual_world_settle(story->world);
    assert_false(story_is_alive(story));
    assert_true(other->taking > 30u << 20);
    assert_int_equal(other->io.wanted, IO_READ);
    (void)close(client);
}

static void half_a_frame_does_not_keep_others_waiting_for_ever(void **state)
{
    struct story *story = *state;
    int client = -1;
    story_greet(story, "stall");
    struct session *other = story_second_session(story, &client);
    begin_large_frame(story->session, story->client, 50u << 20);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + 10 * SESSION_HALF_MS);
    assert_true(story_is_alive(story)); /* nobody minds */
    begin_large_frame(other, client, 30u << 20);
    virtual_world_run(story->world, virtual_world_now_ms(story->world) + SESSION_HALF_MS);
    assert_false(story_is_alive(story));
    assert_true(other->taking > 30u << 20);
    (void)close(client);
}

static void what_one_client_sends_costs_its_neighbour_nothing(void **state)
{
    struct story *story = *state;
    int client = -1;
    story_greet(story, "stall");
    struct session *other = story_second_session(story, &client);
    begin_large_frame(other, client, 63u << 20);
    for (uint8_t from = 1; from <= 20; from++) {
        story_deliver(story, 100 * 1024, from);
    }
    assert_int_equal(story->session->lost_total, 0);
    (void)close(client);
}

static void siblings_that_do_not_read_leave_a_share_to_those_who_do(void **state)
{
    struct story *story = *state;
    story_greet(story, "stall");
    story->session->account->queued_bytes += 200u << 20; /* all that and more is taken */
    for (int i = 0; i < 1000; i++) {
        story_deliver(story, 1024, 9);
        story->host->held_count = 0;
        struct frame frame;
        assert_true(story_next_frame(story, &frame));
        assert_int_equal(frame.kind, FRAME_MESSAGE);
    }
    story_deliver(story, 60u << 10, 9);
    story_deliver(story, 1u << 20, 9);
    assert_int_equal(story->session->lost_total, 0);
    story->session->account->queued_bytes -= 200u << 20;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(large_frames_of_one_user_wait_for_room),
        STORY(half_a_frame_does_not_keep_others_waiting_for_ever),
        STORY(what_one_client_sends_costs_its_neighbour_nothing),
        STORY(siblings_that_do_not_read_leave_a_share_to_those_who_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
