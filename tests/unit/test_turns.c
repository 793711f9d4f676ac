#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "session_story.h"

#define MANY 10

/* A client that has said hello, by that user. */
struct member {
    struct session *session;
    uint64_t number;
    int client;
};

static struct member join(struct story *story, uid_t uid)
{
    int fds[2];
    struct credentials credentials = {.pid = 8, .uid = uid};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    session_new(story->host->ipc, fds[1], &credentials, uid_account_get(story->host->ipc, uid));
    struct story other = *story;
    other.client = fds[0];
    other.next_id = other.received_size = other.taken = 0;
    other.session = CONTAINER_OF(story->host->ipc->sessions.prev, struct session, node);
    other.number = other.session->number;
    story_greet(&other, "stall");
    return (struct member){other.session, other.number, fds[0]};
}

static void leave(struct member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(members[i].client);
    }
}

/* So many messages wait in the socket of each. */
static void write_messages(const struct member *members, size_t count, size_t messages)
{
    static const uint8_t peer[MESSAGE_PEER_SIZE] = {1};
    struct message_head fields = {
        .plane = PLANE_CHANNEL, .peer = peer, .name = "chat", .name_size = 4};
    uint8_t frame[FRAME_HEADER_SIZE + 64];
    size_t size = message_head_size(&fields);
    frame_encode_header(frame, FRAME_MESSAGE, 0, 0, size, 0);
    message_head_encode(&fields, frame + FRAME_HEADER_SIZE);
    for (size_t i = 0; i < count * messages; i++) {
        assert_int_equal(send(members[i % count].client, frame, FRAME_HEADER_SIZE + size, 0),
                         FRAME_HEADER_SIZE + size);
    }
}

/* One turn in which the loop finds all of them readable. */
struct turn_of_all {
    struct timer timer;
    struct member *members;
    size_t count;
};

static void on_turn(void *arg)
{
    struct turn_of_all *all = arg;
    for (size_t i = 0; i < all->count; i++) {
        (void)virtual_io_ready(&all->members[i].session->io, IO_READ);
    }
}

static void run_turn(struct story *story, struct member *members, size_t count)
{
    struct turn_of_all all = {.members = members, .count = count};
    timer_init(&all.timer, story->loop, on_turn, &all);
    timer_start(&all.timer, 0);
    assert_true(virtual_world_step(story->world));
}

static size_t sent_by(const struct story *story, uint64_t number)
{
    size_t count = 0;
    for (size_t i = 0; i < story->host->messages; i++) {
        count += story->host->senders[i] == number;
    }
    return count;
}

static void a_user_with_many_sessions_leaves_the_others_their_turn(void **state)
{
    struct story *story = *state;
    struct member members[MANY];
    for (size_t i = 0; i < MANY; i++) {
        members[i] = join(story, i < MANY - 1 ? 1001 : 1002);
    }
    write_messages(members, MANY, 1);
    story->host->message_us = 600;
    run_turn(story, members, MANY);
    /* Two of the many, and what the turn after them still did of their line. */
    assert_int_equal(sent_by(story, members[MANY - 1].number), 1);
    assert_true(story->host->messages <= 5);
    virtual_world_settle(story->world);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(sent_by(story, members[i].number), 1);
    }
    leave(members, MANY);
}

static void messages_that_take_long_are_not_all_taken_in_one_turn(void **state)
{
    struct story *story = *state;
    struct member members[2] = {join(story, 1001), join(story, 1002)};
    write_messages(members, 1, 200); /* in one read */
    story->host->message_us = 600;   /* each goes to a thousand peers */
    run_turn(story, members, 1);
    assert_in_range(story->host->messages, 1, SESSION_TURN_LOOK);
    write_messages(&members[1], 1, 1);
    run_turn(story, members, 2);
    assert_int_equal(sent_by(story, members[1].number), 1);
    assert_true(story->host->messages < 200);
    virtual_world_settle(story->world);
    assert_int_equal(story->host->messages, 201);
    leave(members, 2);
}

static void sessions_of_one_user_take_turns(void **state)
{
    struct story *story = *state;
    struct member members[3];
    for (size_t i = 0; i < 3; i++) {
        members[i] = join(story, 1001);
    }
    story->host->message_us = 2000; /* one spends the whole turn */
    for (size_t round = 1; round <= 4; round++) {
        write_messages(members, 3, 1);
        for (size_t turn = 0; turn < 3; turn++) {
            run_turn(story, members, 3);
        }
        virtual_world_settle(story->world);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(sent_by(story, members[i].number), round);
        }
    }
    leave(members, 3);
}

static void who_waits_longest_for_a_peer_sends_first(void **state)
{
    struct story *story = *state;
    struct member members[MANY];
    for (size_t i = 0; i < MANY; i++) {
        members[i] = join(story, i % 2 == 0 ? 1001 : 1002);
    }
    write_messages(members, MANY, 3);
    story->host->awaited = (struct peer_id){{4}};
    story->host->congested = true;
    run_turn(story, members, MANY);
    virtual_world_settle(story->world);
    assert_int_equal(story->host->messages, 0);
    for (size_t drain = 1; drain <= 3 * MANY; drain++) { /* room for one message each time */
        story->host->congested = false;
        story->host->full_at = drain;
        host_peer_drained(story->host, &story->host->awaited);
        virtual_world_settle(story->world);
        assert_int_equal(story->host->messages, drain);
        if (drain % MANY == 0) {
            for (size_t i = 0; i < MANY; i++) {
                assert_in_range(sent_by(story, members[i].number), drain / MANY - 1,
                                drain / MANY + 1);
            }
        }
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(sent_by(story, members[i].number), 3);
    }
    leave(members, MANY);
}

static void a_session_that_ends_in_line_is_not_served(void **state)
{
    struct story *story = *state;
    struct member members[2] = {join(story, 1001), join(story, 1001)};
    write_messages(members, 2, 1);
    story->host->message_us = 2000;
    session_line_up(members[0].session);
    session_line_up(members[1].session);
    session_end(members[1].session, "a test");
    virtual_world_settle(story->world);
    assert_null(session_find(story->host->ipc, members[1].number));
    assert_int_equal(sent_by(story, members[1].number), 0);
    leave(members, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(a_user_with_many_sessions_leaves_the_others_their_turn),
        STORY(messages_that_take_long_are_not_all_taken_in_one_turn),
        STORY(sessions_of_one_user_take_turns),
        STORY(who_waits_longest_for_a_peer_sends_first),
        STORY(a_session_that_ends_in_line_is_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
