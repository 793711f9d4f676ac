#include "session_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/json_head.h"

#define READ_LIMIT (8 * 1024 * 1024)

int story_set_up(void **state)
{
    struct story *story = calloc(1, sizeof *story);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    story->world = virtual_world_new();
    story->loop = virtual_loop_new(story->world);
    story->host = fake_host_new(story->loop, "256K", "64M");
    story->client = fds[0];
    story->received = malloc(READ_LIMIT);
    struct credentials credentials = {.pid = 7, .uid = 1000, .control = false};
    session_new(story->host->ipc, fds[1], &credentials,
                uid_account_get(story->host->ipc, credentials.uid));
    story->session = CONTAINER_OF(list_first(&story->host->ipc->sessions), struct session, node);
    story->number = story->session->number;
    *state = story;
    return 0;
}

void story_close(struct story *story)
{
    if (story->client >= 0) {
        (void)close(story->client);
    }
    story->client = -1;
}

int story_tear_down(void **state)
{
    struct story *story = *state;
    fake_host_free(story->host);
    loop_free(story->loop);
    virtual_world_free(story->world);
    story_close(story);
    free(story->received);
    free(story);
    return 0;
}

bool story_is_alive(const struct story *story)
{
    return session_find(story->host->ipc, story->number) != NULL;
}

void story_send(struct story *story, const void *data, size_t size)
{
    assert_int_equal(send(story->client, data, size, MSG_NOSIGNAL), (ssize_t)size);
    if (story_is_alive(story)) {
        (void)virtual_io_ready(&story->session->io, IO_READ);
    }
    virtual_world_settle(story->world);
}

void story_send_frame(struct story *story, enum frame_kind kind, uint64_t id, const void *head,
                      size_t head_size, size_t body_size)
{
    size_t size = FRAME_HEADER_SIZE + head_size + body_size;
    uint8_t *frame = calloc(1, size);
    frame_encode_header(frame, kind, 0, id, head_size, body_size);
    memcpy(frame + FRAME_HEADER_SIZE, head, head_size);
    story_send(story, frame, size);
    free(frame);
}

void story_call(struct story *story, const char *head)
{
    story_send_frame(story, FRAME_CALL, ++story->next_id, head, strlen(head), 0);
}

void story_message(struct story *story, uint64_t id, size_t size)
{
    uint8_t head[64] = {0};
    static const uint8_t peer[MESSAGE_PEER_SIZE] = {1};
    struct message_head fields = {
        .plane = PLANE_CHANNEL, .peer = peer, .name = "chat", .name_size = 4};
    message_head_encode(&fields, head);
    story_send_frame(story, FRAME_MESSAGE, id, head, message_head_size(&fields), size);
}

void story_read_all(struct story *story)
{
    ssize_t got;
    do {
        got = recv(story->client, story->received + story->received_size,
                   READ_LIMIT - story->received_size, MSG_DONTWAIT);
        story->received_size += got > 0 ? (size_t)got : 0;
        if (story_is_alive(story)) {
            (void)virtual_io_ready(&story->session->io, IO_WRITE);
        }
        virtual_world_settle(story->world);
    } while (got > 0);
}

bool story_next_frame(struct story *story, struct frame *ret_frame)
{
    size_t size = 0;
    story_read_all(story);
    if (frame_decode(story->received + story->taken, story->received_size - story->taken, ret_frame,
                     &size) != FRAME_OK) {
        return false;
    }
    story->taken += size;
    return true;
}

json_t *story_expect_head(struct story *story, enum frame_kind kind, uint64_t id)
{
    struct frame frame;
    char error[256];
    assert_true(story_next_frame(story, &frame));
    assert_int_equal(frame.kind, kind);
    assert_int_equal(frame.id, id);
    json_t *head = json_head_parse(frame.head, frame.head_size, error, sizeof error);
    assert_non_null(head);
    return head;
}

void story_expect_failure(struct story *story, uint64_t id, const char *error)
{
    json_t *head = story_expect_head(story, FRAME_FAIL, id);
    assert_string_equal(json_string_value(json_object_get(head, "e")), error);
    json_decref(head);
}

void story_expect_reply(struct story *story)
{
    json_decref(story_expect_head(story, FRAME_REPLY, story->next_id));
}

void story_greet(struct story *story, const char *slow)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "{\"m\":\"hello\",\"p\":{\"versions\":[[1,0]],\"slow\":\"%s\"}}", slow);
    story_call(story, head);
    story_expect_reply(story);
    story_call(story, "{\"m\":\"session.start\"}");
    story_expect_reply(story);
}

void story_deliver(struct story *story, size_t size, uint8_t from)
{
    const struct peer_id peer = {{from}};
    story_deliver_by(story, size, &peer);
}

void story_deliver_by(struct story *story, size_t size, const struct peer_id *link)
{
    static const uint8_t zeros[1024 * 1024];
    struct delivery delivery = {
        .plane = PLANE_CHANNEL,
        .peer = link,
        .link = link,
        .name = bytes_from_string("chat"),
        .payload = bytes_make(zeros, size),
    };
    host_deliver(story->host, &story->number, 1, &delivery);
    virtual_world_settle(story->world);
}

struct session *story_second_session(struct story *story, int *ret_client)
{
    struct story other = *story;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    other.client = fds[0];
    other.next_id = other.received_size = other.taken = 0;
    other.received = malloc(READ_LIMIT);
    struct credentials credentials = story->session->credentials;
    session_new(story->host->ipc, fds[1], &credentials, story->session->account);
    other.session = CONTAINER_OF(story->host->ipc->sessions.prev, struct session, node);
    other.number = other.session->number;
    story_greet(&other, "close");
    free(other.received);
    *ret_client = fds[0];
    return other.session;
}

size_t story_deliver_until_held(struct story *story)
{
    size_t sent = 0;
    while (story->host->held_count == 0) {
        assert_true(sent < 10000);
        story_deliver(story, 1024, 9);
        sent++;
    }
    return sent;
}
