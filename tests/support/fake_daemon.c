#include "fake_daemon.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/message_head.h"
#include "util/peer_id.h"

#define DEADLINE_MS 20000

void fake_listen(struct fake_daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, daemon->path, strlen(daemon->path) + 1);
    (void)unlink(daemon->path);
    daemon->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(daemon->listen_fd >= 0);
    assert_int_equal(bind(daemon->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(daemon->listen_fd, 8), 0);
}

void fake_open(struct fake_daemon *daemon)
{
    *daemon = (struct fake_daemon){.listen_fd = -1, .fd = -1};
    strcpy(daemon->directory, "/tmp/fake-daemon-XXXXXX");
    assert_non_null(mkdtemp(daemon->directory));
    snprintf(daemon->path, sizeof daemon->path, "%s/sock", daemon->directory);
    fake_listen(daemon);
}

void fake_open_at(struct fake_daemon *daemon, const char *path)
{
    *daemon = (struct fake_daemon){.listen_fd = -1, .fd = -1};
    assert_true(strlen(path) < sizeof daemon->path);
    strcpy(daemon->path, path);
    fake_listen(daemon);
}

void fake_unlisten(struct fake_daemon *daemon)
{
    if (daemon->listen_fd >= 0) {
        (void)close(daemon->listen_fd);
        daemon->listen_fd = -1;
    }
    (void)unlink(daemon->path);
}

void fake_hang_up(struct fake_daemon *daemon)
{
    if (daemon->fd >= 0) {
        (void)close(daemon->fd);
        daemon->fd = -1;
    }
    for (size_t i = 0; i < daemon->fd_count; i++) {
        (void)close(daemon->fds[i]);
    }
    daemon->fd_count = 0;
    free(daemon->data);
    daemon->data = NULL;
    daemon->size = 0;
    daemon->sequence = 0;
}

void fake_close(struct fake_daemon *daemon)
{
    fake_hang_up(daemon);
    fake_unlisten(daemon);
    if (daemon->directory[0] != '\0') {
        (void)rmdir(daemon->directory);
    }
}

static bool wait_readable(int fd, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    int ready;
    do {
        ready = poll(&item, 1, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

void fake_accept(struct fake_daemon *daemon)
{
    if (!wait_readable(daemon->listen_fd, DEADLINE_MS)) {
        fail_msg("no client connected");
    }
    fake_hang_up(daemon);
    daemon->fd = accept(daemon->listen_fd, NULL, NULL);
    assert_true(daemon->fd >= 0);
}

/* recv() that keeps the descriptors that come along. */
static ssize_t receive_with_fds(struct fake_daemon *daemon, uint8_t *room, size_t size)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
    } control;
    struct iovec part = {.iov_base = room, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const ssize_t got = recvmsg(daemon->fd, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (header != NULL) {
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        assert_true(daemon->fd_count + count <= FAKE_MOST_FDS);
        memcpy(daemon->fds + daemon->fd_count, CMSG_DATA(header), count * sizeof(int));
        daemon->fd_count += count;
    }
    return got;
}

/* Reads more. False at the end of the connection. */
static bool receive_more(struct fake_daemon *daemon, const char *what)
{
    if (!wait_readable(daemon->fd, DEADLINE_MS)) {
        fail_msg("waited in vain for %s", what);
    }
    const size_t step = 1024 * 1024;
    uint8_t *grown = realloc(daemon->data, daemon->size + step);
    assert_non_null(grown);
    daemon->data = grown;
    const ssize_t got = receive_with_fds(daemon, daemon->data + daemon->size, step);
    if (got > 0) {
        daemon->size += (size_t)got;
    }
    return got > 0;
}

struct fake_frame fake_receive(struct fake_daemon *daemon)
{
    for (;;) {
        struct frame frame;
        size_t size = 0;
        const enum frame_status status = frame_decode(daemon->data, daemon->size, &frame, &size);
        assert_true(status >= 0);
        if (status == FRAME_OK) {
            struct fake_frame taken = {
                .kind = frame.kind,
                .id = frame.id,
                .head_size = frame.head_size,
                .body_size = frame.body_size,
                .bytes = malloc(frame.head_size + frame.body_size + 1),
                .fd_count = frame.fds,
            };
            assert_non_null(taken.bytes);
            assert_true(frame.fds <= daemon->fd_count);
            memcpy(taken.fds, daemon->fds, frame.fds * sizeof(int));
            daemon->fd_count -= frame.fds;
            memmove(daemon->fds, daemon->fds + frame.fds, daemon->fd_count * sizeof(int));
            memcpy(taken.bytes, frame.head, frame.head_size + frame.body_size);
            if (frame.kind == FRAME_CALL) {
                taken.head = json_loadb((const char *)frame.head, frame.head_size, 0, NULL);
                assert_non_null(taken.head);
            }
            daemon->size -= size;
            memmove(daemon->data, daemon->data + size, daemon->size);
            return taken;
        }
        if (!receive_more(daemon, "a frame")) {
            fail_msg("the client closed instead of sending a frame");
        }
    }
}

void fake_frame_free(struct fake_frame *frame)
{
    for (size_t i = 0; i < frame->fd_count; i++) {
        (void)close(frame->fds[i]);
    }
    json_decref(frame->head);
    free(frame->bytes);
}

bool fake_is_silent(struct fake_daemon *daemon, int timeout_ms)
{
    return daemon->size == 0 && !wait_readable(daemon->fd, timeout_ms);
}

void fake_expect_end(struct fake_daemon *daemon)
{
    while (receive_more(daemon, "the end of the connection")) {
        daemon->size = 0;
    }
}

void fake_send_raw(struct fake_daemon *daemon, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        const ssize_t written = send(daemon->fd, from, size, MSG_NOSIGNAL);
        assert_true(written > 0);
        from += written;
        size -= (size_t)written;
    }
}

void fake_send_frame(struct fake_daemon *daemon, enum frame_kind kind, uint64_t id,
                     const void *head, size_t head_size, const void *body, size_t body_size)
{
    uint8_t *frame = malloc(FRAME_HEADER_SIZE + head_size + body_size);
    assert_non_null(frame);
    frame_encode_header(frame, kind, 0, id, head_size, body_size);
    memcpy(frame + FRAME_HEADER_SIZE, head, head_size);
    if (body_size > 0) {
        memcpy(frame + FRAME_HEADER_SIZE + head_size, body, body_size);
    }
    fake_send_raw(daemon, frame, FRAME_HEADER_SIZE + head_size + body_size);
    free(frame);
}

void fake_reply(struct fake_daemon *daemon, uint64_t id, const char *json)
{
    const size_t size = strlen(json);
    if (size > FRAME_MAX_HEAD) {
        fake_send_frame(daemon, FRAME_REPLY, id, "", 0, json, size);
    } else {
        fake_send_frame(daemon, FRAME_REPLY, id, json, size, NULL, 0);
    }
}

void fake_fail(struct fake_daemon *daemon, uint64_t id, const char *name, int code,
               const char *text)
{
    char head[1024];
    snprintf(head, sizeof head, "{\"e\":\"%s\",\"code\":%d,\"text\":\"%s\",\"d\":{}}", name, code,
             text);
    fake_send_frame(daemon, FRAME_FAIL, id, head, strlen(head), NULL, 0);
}

void fake_event(struct fake_daemon *daemon, const char *event, const char *params)
{
    char head[2048];
    snprintf(head, sizeof head, "{\"v\":\"%s\",\"p\":%s}", event, params);
    fake_send_frame(daemon, FRAME_EVENT, ++daemon->sequence, head, strlen(head), NULL, 0);
}

void fake_message(struct fake_daemon *daemon, const char *peer, const char *channel,
                  const void *data, size_t size)
{
    fake_message_on(daemon, PLANE_CHANNEL, 0, peer, NULL, channel, data, size);
}

void fake_message_on(struct fake_daemon *daemon, int plane, uint8_t flags, const char *peer,
                     const char *forwarder, const char *name, const void *data, size_t size)
{
    struct peer_id id;
    struct peer_id other;
    assert_int_equal(peer_id_parse(peer, &id), 0);
    assert_true(forwarder == NULL || peer_id_parse(forwarder, &other) == 0);
    const struct message_head message = {
        .plane = (enum message_plane)plane,
        .flags = flags,
        .peer = id.bytes,
        .name = name,
        .name_size = strlen(name),
        .forwarder = forwarder == NULL ? NULL : other.bytes,
    };
    uint8_t head[512];
    assert_true(message_head_size(&message) <= sizeof head);
    message_head_encode(&message, head);
    fake_send_frame(daemon, FRAME_MESSAGE, ++daemon->sequence, head, message_head_size(&message),
                    data, size);
}

struct fake_frame fake_expect_frame(struct fake_daemon *daemon, const char *method)
{
    struct fake_frame frame = fake_receive(daemon);
    assert_int_equal(frame.kind, FRAME_CALL);
    assert_string_equal(json_string_value(json_object_get(frame.head, "m")), method);
    return frame;
}

uint64_t fake_expect_call(struct fake_daemon *daemon, const char *method, json_t **ret_params)
{
    struct fake_frame frame = fake_expect_frame(daemon, method);
    if (ret_params != NULL) {
        *ret_params = json_incref(json_object_get(frame.head, "p"));
    }
    const uint64_t id = frame.id;
    fake_frame_free(&frame);
    return id;
}

void fake_grant(struct fake_daemon *daemon, const char *method)
{
    fake_reply(daemon, fake_expect_call(daemon, method, NULL), "{}");
}

const char *fake_peer(const char *peer, const char *ip, int port)
{
    static char text[512];
    snprintf(text, sizeof text,
             "{\"peer\":\"%s\",\"ip\":\"%s\",\"port\":%d,\"outgoing\":true,\"transport\":\"tcp\","
             "\"transports\":[\"tcp\"],\"addresses\":[\"%s:%d\"],\"connected_ms_ago\":2000,"
             "\"public_key\":\"%s\",\"encrypted\":true}",
             peer, ip, port, ip, port, peer);
    return text;
}

static char *hello_text(const char *peers)
{
    char *text = NULL;
    assert_true(asprintf(&text,
                         "{\"version\":[1,0],\"daemon\":\"1.0.0\",\"instance\":\"default\","
                         "\"peer_id\":\"%s\",\"public_key\":\"%s\",\"protocol\":\"librats/1.0\","
                         "\"security\":\"noise\",\"listen_port\":4711,\"role\":\"use\","
                         "\"session\":1,\"max_peers\":2,\"limits\":{\"message_bytes\":67108844,"
                         "\"queue_bytes\":4194304,\"calls\":128},\"services\":[],"
                         "\"peers\":[%s]}",
                         FAKE_SELF, FAKE_SELF, peers) > 0);
    return text;
}

void fake_answer_hello(struct fake_daemon *daemon, const char *peers)
{
    char *text = hello_text(peers);
    fake_reply(daemon, fake_expect_call(daemon, "hello", NULL), text);
    free(text);
}

void fake_answer_hello_as(struct fake_daemon *daemon, const char *members)
{
    char *usual = hello_text("");
    json_t *hello = json_loads(usual, 0, NULL);
    json_t *own = json_loads(members, 0, NULL);
    assert_int_equal(json_object_update(hello, own), 0);
    char *text = json_dumps(hello, JSON_COMPACT);
    fake_reply(daemon, fake_expect_call(daemon, "hello", NULL), text);
    free(text);
    json_decref(own);
    json_decref(hello);
    free(usual);
}

struct fake_task {
    pthread_t thread;
    intptr_t (*function)(void *arg);
    void *arg;
    intptr_t result;
};

static void *run_task(void *arg)
{
    struct fake_task *task = arg;
    task->result = task->function(task->arg);
    return NULL;
}

struct fake_task *fake_run(intptr_t (*function)(void *arg), void *arg)
{
    struct fake_task *task = calloc(1, sizeof *task);
    assert_non_null(task);
    task->function = function;
    task->arg = arg;
    assert_int_equal(pthread_create(&task->thread, NULL, run_task, task), 0);
    return task;
}

intptr_t fake_join(struct fake_task *task)
{
    assert_int_equal(pthread_join(task->thread, NULL), 0);
    const intptr_t result = task->result;
    free(task);
    return result;
}

static intptr_t create(void *arg)
{
    return (intptr_t)rats_create_with(arg);
}

rats_client_t fake_attach(struct fake_daemon *daemon, const char *peers, int dispatch)
{
    rats_options_t options = {
        .struct_size = sizeof options,
        .socket_path = daemon->path,
        .name = "test",
        .security = -1,
        .dispatch = dispatch,
    };
    struct fake_task *task = fake_run(create, &options);
    fake_accept(daemon);
    fake_answer_hello(daemon, peers);
    const intptr_t client = fake_join(task);
    assert_int_not_equal(client, 0);
    union {
        intptr_t number;
        rats_client_t handle;
    } cast = {.number = client};
    return cast.handle;
}

static intptr_t start(void *arg)
{
    return rats_start(arg);
}

void fake_start(struct fake_daemon *daemon, rats_client_t client)
{
    struct fake_task *task = fake_run(start, client);
    fake_grant(daemon, "session.start");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static intptr_t destroy(void *arg)
{
    rats_destroy(arg);
    return 0;
}

void fake_destroy(struct fake_daemon *daemon, rats_client_t client)
{
    struct fake_task *task = fake_run(destroy, client);
    for (;;) {
        struct frame frame;
        size_t size;
        if (frame_decode(daemon->data, daemon->size, &frame, &size) == FRAME_OK) {
            struct fake_frame taken = fake_receive(daemon);
            if (taken.kind == FRAME_CALL) {
                fake_reply(daemon, taken.id, "{}");
            }
            fake_frame_free(&taken);
        } else if (!receive_more(daemon, "the end of the connection")) {
            break;
        }
    }
    fake_hang_up(daemon);
    (void)fake_join(task);
}
