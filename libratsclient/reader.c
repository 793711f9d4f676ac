/* The reader thread: socket to inbox. It completes calls and keeps the mirror at once, leaves
 * messages where they were read, and never runs the application's code. When the daemon goes away
 * it looks for it again. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"
#include "client.h"
#include "clock.h"
#include "proto/json_head.h"
#include "proto/message_head.h"
#include "stream.h"

#define FIRST_RETRY_MS 100
#define LAST_RETRY_MS  5000
#define REATTACH_MS    2000
#define MOST_READS     4 /* before looking around again */

/* What only this thread knows. */
struct reader {
    struct client *client;
    struct stream stream;
    bool events;   /* whether the part not handed over yet holds EVENT frames */
    bool messages; /* or MESSAGE frames */
    uint64_t
        dropped[4]; /* messages dropped since the last report, by plane; 0: events with a body */
    bool hung_up;   /* seen while paused */
};

/* Frames to the inbox ----------------------------------------------------------------------- */

static void report_dropped(struct reader *reader)
{
    uint64_t *dropped = reader->dropped;
    const uint64_t total =
        dropped[0] + dropped[PLANE_CHANNEL] + dropped[PLANE_TYPED] + dropped[PLANE_TOPIC];
    if (total > 0 && reader->client->inbox.bytes <= INBOX_MARK) {
        announce_event(reader->client, proto_events[EV_LOST].name,
                       json_pack("{s:I, s:I, s:I, s:I, s:I}", "channel",
                                 (json_int_t)dropped[PLANE_CHANNEL], "typed",
                                 (json_int_t)dropped[PLANE_TYPED], "topic",
                                 (json_int_t)dropped[PLANE_TOPIC], "storage",
                                 (json_int_t)dropped[0], "total", (json_int_t)total));
        memset(dropped, 0, sizeof reader->dropped);
    }
}

/* Takes the messages out of data, and events as large; keeps the other events. Returns what is
 * left. */
static size_t drop_messages(struct reader *reader, uint8_t *data, size_t size)
{
    size_t kept = 0;
    size_t at = 0;
    struct frame frame;
    size_t frame_size;
    while (frame_decode(data + at, size - at, &frame, &frame_size) == FRAME_OK) {
        struct message_head head;
        if (frame.kind == FRAME_EVENT && frame.body_size > 0) {
            reader->dropped[0]++;
        } else if (frame.kind == FRAME_EVENT) {
            memmove(data + kept, data + at, frame_size);
            kept += frame_size;
        } else if (frame.kind == FRAME_MESSAGE &&
                   message_head_decode(frame.head, frame.head_size, &head) == 0) {
            reader->dropped[head.plane]++;
        }
        at += frame_size;
    }
    return kept;
}

/* (locked) Everything before `end` leaves the stream. */
static int hand_over(struct reader *reader, size_t end)
{
    struct client *client = reader->client;
    struct stream *stream = &reader->stream;
    const unsigned epoch = client->stream_epoch;
    const bool watched = reader->events && client->callbacks.event != NULL && !client->batches;
    const bool wanted = watched || (epoch != 0 && (reader->events || reader->messages));
    int rc = 0;
    if (wanted && reader->messages && client->inbox.bytes > INBOX_MOST) {
        uint8_t *data = stream->chunk->data + stream->start;
        const size_t kept = drop_messages(reader, data, end - stream->start);
        rc = kept == 0 ? 0 : inbox_push_copy(&client->inbox, bytes_make(data, kept), epoch);
        if (rc == 0) {
            rc = stream_hand_over(stream, &client->inbox, end, epoch, false);
        }
    } else {
        rc = stream_hand_over(stream, &client->inbox, end, epoch, wanted);
    }
    reader->events = false;
    reader->messages = false;
    return rc;
}

/* An answer of more than 64 KiB stands in the body; behind a head the body is something else. */
static struct bytes answer_text(const struct frame *frame)
{
    return frame->head_size > 0 ? bytes_make(frame->head, frame->head_size)
                                : bytes_make(frame->body, frame->body_size);
}

/* (locked) The session is started from here on. What came before this frame is not part of it. */
static int begin_session(struct reader *reader, const struct call *call, size_t frame_start)
{
    struct client *client = reader->client;
    const int rc = hand_over(reader, frame_start);
    if (rc < 0 || call->ticket != client->start_ticket) {
        return rc;
    }
    client->starting = false;
    if (!client->started) {
        client->started = true;
        client->epoch = ++client->last_epoch;
    }
    client->stream_epoch = client->epoch;
    announce_peers(client);
    return 0;
}

static void explain_unattended(const struct call *call, struct bytes text)
{
    if (call->unattended) {
        log_write(LOG_WARN, "the daemon refused what was asked for before: %.*s",
                  text.size > 300 ? 300 : (int)text.size, (const char *)text.data);
    }
}

/* (locked) */
static int on_answer(struct reader *reader, const struct frame *frame)
{
    struct client *client = reader->client;
    const struct bytes text = answer_text(frame);
    const bool failed = frame->kind == FRAME_FAIL;
    if (failed && frame->id == 0) {
        log_write(LOG_ERROR, "the daemon ends the session: %.*s",
                  text.size > 300 ? 300 : (int)text.size, (const char *)text.data);
        return 0;
    }
    struct call *call = calls_find(&client->calls, frame->id);
    if (call == NULL) {
        return 0; /* given up meanwhile */
    }
    if (failed) {
        explain_unattended(call, text);
    }
    const bool starts = call->purpose == CALL_START && !failed;
    const size_t frame_start = stream_frame_start(&reader->stream, frame);
    const struct call copy = *call;
    calls_finish(&client->calls, call, failed, text,
                 frame->head_size > 0 ? bytes_make(frame->body, frame->body_size)
                                      : bytes_make(NULL, 0));
    return starts ? begin_session(reader, &copy, frame_start) : 0;
}

/* (locked) Keeps the mirror. Malformed events of a broken daemon change nothing; without memory the
 * mirror is made anew by attaching again. */
static int mirror_event(struct client *client, const struct frame *frame)
{
    char problem[128];
    json_t *head = NULL;
    int rc = json_head_read(frame->head, frame->head_size, &head, problem, sizeof problem);
    const char *name = json_string_value(json_object_get(head, "v"));
    json_t *params = json_object_get(head, "p");
    struct peer_id id;
    switch (name == NULL ? EVENT_COUNT : event_find(name, strlen(name))) {
    case EV_PEER_CONNECTED:
    case EV_PEER_UPDATED:
        rc = mirror_put_peer(&client->mirror, params, clock_now_ms());
        break;
    case EV_PEER_DISCONNECTED:
        name = json_string_value(json_object_get(params, "peer"));
        if (name != NULL && peer_id_parse(name, &id) == 0) {
            mirror_remove_peer(&client->mirror, &id);
        }
        break;
    case EV_INSTANCE_CHANGED:
        mirror_set_instance(&client->mirror, params);
        break;
    case EV_SESSION_ATTACHED:
    case EV_SESSION_ENDED:
    case EV_LOST:
    case EVENT_COUNT:
    default:
        break;
    }
    json_decref(head);
    return rc == -ENOMEM ? rc : 0;
}

static int take_frame(struct reader *reader, const struct frame *frame)
{
    struct client *client = reader->client;
    int rc = 0;
    switch (frame->kind) {
    case FRAME_MESSAGE:
        reader->messages = true;
        return 0;
    case FRAME_EVENT:
        reader->events = true;
        reader->messages = reader->messages || frame->body_size > 0;
        client_lock(client);
        rc = mirror_event(client, frame);
        client_unlock(client);
        return rc;
    case FRAME_REPLY:
    case FRAME_FAIL:
        client_lock(client);
        rc = on_answer(reader, frame);
        client_unlock(client);
        return rc;
    case FRAME_CALL:
    case FRAME_CANCEL:
    default:
        return -EBADMSG;
    }
}

/* Reads once. 1 when there may be more, 0 when not, negative when the connection is over. */
static int receive(struct reader *reader)
{
    struct client *client = reader->client;
    struct stream *stream = &reader->stream;
    size_t space = 0;
    client_lock(client);
    uint8_t *room = stream_room(stream, &client->inbox, &space);
    client_unlock(client);
    if (room == NULL) {
        return -ENOMEM;
    }
    const ssize_t got = recv(client->fd, room, space, MSG_DONTWAIT);
    if (got <= 0) {
        return got == 0 ? -ECONNRESET : errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    stream_filled(stream, (size_t)got);
    struct frame frame;
    enum frame_status status;
    int rc = 0;
    while (rc == 0 && (status = stream_next(stream, &frame)) != FRAME_INCOMPLETE) {
        rc = status == FRAME_OK ? take_frame(reader, &frame) : -EBADMSG;
    }
    client_lock(client);
    if (rc == 0) {
        rc = hand_over(reader, stream->parsed);
        report_dropped(reader);
    }
    client_unlock(client);
    return rc < 0 ? rc : (size_t)got == space ? 1 : 0;
}

/* Attaching again --------------------------------------------------------------------------- */

/* (locked) Nothing of this connection is left. */
static void detach(struct reader *reader)
{
    struct client *client = reader->client;
    client->attached = false;
    client->starting = false;
    client->start_ticket++;
    (void)shutdown(client->fd, SHUT_RDWR);
    outbox_detach(&client->outbox);
    (void)close(client->fd);
    client->fd = -1;
    calls_lose_all(&client->calls);
    stream_fini(&reader->stream, &client->inbox);
    reader->events = false;
    reader->messages = false;
    reader->hung_up = false;
    announce_no_peers(client);
    client->stream_epoch = 0;
    mirror_clear_peers(&client->mirror);
    announce_event(client, "daemon.detached", json_object());
}

/* (locked) The new daemon learns what the application has asked for. */
static void replay(struct client *client)
{
    channels_replay(client);
    typed_replay(client);
    if (client->demanded_peers > 0) {
        request_post(client, M_SESSION_DEMAND_PEERS,
                     json_pack("{s:i}", "max_peers", client->demanded_peers), CALL_PLAIN);
    }
    if (client->watched != NULL) {
        json_t *watched = NULL;
        (void)json_read(client->watched, strlen(client->watched), &watched);
        request_post(client, M_SESSION_WATCH, watched, CALL_PLAIN);
    }
    if (client->started) {
        request_post(client, M_SESSION_START, json_object(), CALL_START);
    }
}

/* The same daemon is there again, or another in its place. fd and hello are taken. */
static bool resume(struct reader *reader, int fd, json_t *hello)
{
    struct client *client = reader->client;
    client_lock(client);
    const int rc = mirror_set_hello(&client->mirror, hello, clock_now_ms());
    if (rc == 0) {
        client->fd = fd;
        outbox_attach(&client->outbox, fd);
        client->attached = true;
        log_write(LOG_INFO, "attached again to %s", client->socket_path);
        announce_event(client, "daemon.attached", json_object());
        replay(client);
    }
    client_unlock(client);
    json_decref(hello);
    if (rc < 0) {
        (void)close(fd);
    }
    return rc == 0;
}

/* The default instance that a program had started: its clients do that again (api.md 1.5). */
static bool try_restart(struct reader *reader)
{
    struct client *client = reader->client;
    const struct instance_wish wish = {
        .client_name = client->name,
        .slow = client->slow,
        .security = -1,
        .deadline_ms = clock_deadline(REATTACH_MS),
    };
    struct instance_found found;
    client_lock(client);
    const bool may_start =
        client->mirror.on_demand && !client->origin.named && client->origin.policy == POLICY_AUTO;
    client_unlock(client);
    if (!may_start) {
        return false;
    }
    if (instance_restart(&wish, client->socket_path, &found) != RATS_SUCCESS) {
        log_write(LOG_DEBUG, "not started again: %s", rats_last_error_message(NULL));
        return false;
    }
    return resume(reader, found.fd, found.hello);
}

static bool try_reattach(struct reader *reader)
{
    struct client *client = reader->client;
    const struct attach_options options = {
        .path = client->socket_path,
        .name = client->name,
        .slow = client->slow,
        .deadline_ms = clock_deadline(REATTACH_MS),
        .wake_fd = client->wake_fd,
    };
    char error[ERROR_TEXT_SIZE];
    int fd = -1;
    json_t *hello = NULL;
    const int code = attach_open(&options, &fd, &hello, error);
    if (code != RATS_SUCCESS) {
        log_write(LOG_DEBUG, "not attached: %s", error);
        return code == RATS_ERROR_NO_DAEMON && try_restart(reader);
    }
    return resume(reader, fd, hello);
}

static void drain_wake(const struct client *client)
{
    uint64_t count;
    if (read(client->wake_fd, &count, sizeof count) < 0) {
        return; /* nobody woke us */
    }
}

static bool is_closing(struct client *client)
{
    client_lock(client);
    const bool closing = client->closing;
    client_unlock(client);
    return closing;
}

/* Until attached or closing. A private instance that is gone does not come back. */
static void reattach(struct reader *reader)
{
    struct client *client = reader->client;
    int delay_ms = FIRST_RETRY_MS;
    while (!is_closing(client) && (client->mirror.is_private || !try_reattach(reader))) {
        const int64_t deadline_ms = clock_deadline(delay_ms);
        int left_ms = delay_ms;
        while (left_ms > 0 && !is_closing(client)) {
            struct pollfd item = {.fd = client->wake_fd, .events = POLLIN};
            if (poll(&item, 1, left_ms) > 0) {
                drain_wake(client);
            }
            left_ms = clock_left_ms(deadline_ms);
        }
        delay_ms = delay_ms * 2 > LAST_RETRY_MS ? LAST_RETRY_MS : delay_ms * 2;
    }
}

/* The thread -------------------------------------------------------------------------------- */

/* Writes what others left, then waits for something to do. Returns what poll() says of reading. */
static int wait_for_work(struct reader *reader)
{
    struct client *client = reader->client;
    client_lock(client);
    report_dropped(reader);
    outbox_continue(&client->outbox);
    client->reader_paused = client->inbox.bytes > INBOX_MARK && client->calls.waiting == 0;
    const bool paused = client->reader_paused;
    const bool left = outbox_has_left(&client->outbox);
    client_unlock(client);
    reader->hung_up = reader->hung_up && paused;
    struct pollfd items[3] = {
        {.fd = reader->hung_up || (paused && !left) ? -1 : client->fd,
         .events = (short)((paused ? 0 : POLLIN) | (left ? POLLOUT : 0))},
        {.fd = client->wake_fd, .events = POLLIN},
        {.fd = client->daemon_log.fd, .events = POLLIN},
    };
    if (poll(items, 3, -1) <= 0) {
        return 0;
    }
    if (items[2].revents != 0) {
        daemon_log_read(&client->daemon_log);
    }
    if (items[1].revents != 0) {
        drain_wake(client);
    }
    /* A connection that ended while we pause is noticed when reading goes on. */
    reader->hung_up = paused && (items[0].revents & (POLLHUP | POLLERR)) != 0;
    return paused ? 0 : items[0].revents & ~POLLOUT;
}

/* The daemon gets everything, and we read until it has closed: so it never sees a reset. */
static void leave(struct reader *reader)
{
    struct client *client = reader->client;
    client_lock(client);
    const int64_t deadline_ms = client->leave_deadline_ms;
    (void)outbox_flush(&client->outbox, deadline_ms);
    client_unlock(client);
    (void)shutdown(client->fd, SHUT_WR);
    uint8_t waste[4096];
    for (int left_ms = clock_left_ms(deadline_ms); left_ms > 0;
         left_ms = clock_left_ms(deadline_ms)) {
        struct pollfd item = {.fd = client->fd, .events = POLLIN};
        if (poll(&item, 1, left_ms) > 0) {
            const ssize_t got = recv(client->fd, waste, sizeof waste, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                break;
            }
        }
    }
}

/* Moving to another instance ---------------------------------------------------------------- */

/* (locked) The instance becomes the handle's. What was found is taken. */
static int settle_in(struct client *client, struct instance_found *found)
{
    char *path = strdup(found->path);
    int rc =
        path == NULL ? -ENOMEM : mirror_set_hello(&client->mirror, found->hello, clock_now_ms());
    json_decref(found->hello);
    if (rc < 0) {
        free(path);
        (void)close(found->fd);
        if (found->log_fd >= 0) {
            (void)close(found->log_fd);
        }
        return error_set(RATS_ERROR_OPERATION_FAILED, "the new instance cannot be used");
    }
    daemon_log_close(&client->daemon_log);
    client->daemon_log.fd = found->log_fd;
    client->daemon_log.size = 0;
    free(client->socket_path);
    client->socket_path = path;
    client->fd = found->fd;
    client->attached = true;
    outbox_attach(&client->outbox, found->fd);
    replay(client);
    return RATS_SUCCESS;
}

static void leave_and_detach(struct reader *reader)
{
    struct client *client = reader->client;
    client_lock(client);
    client->leave_deadline_ms = clock_deadline(STOP_TIMEOUT_MS);
    client_unlock(client);
    leave(reader);
    client_lock(client);
    detach(reader);
    client_unlock(client);
}

/* Does what client_diverge() waits for. */
static void move_session(struct reader *reader, struct move *move)
{
    struct client *client = reader->client;
    struct instance_found found;
    int code = move->may_join ? instance_find_alike(&move->wish, &found) : RATS_ERROR_NO_DAEMON;
    move->joined = code == RATS_SUCCESS;
    move->leave_first = move->leave_first && !move->joined;
    if (move->leave_first) {
        leave_and_detach(reader);
    }
    if (code != RATS_SUCCESS && move->may_start) {
        code = instance_find(&move->wish, &found);
    }
    snprintf(move->error, sizeof move->error, "%s", rats_last_error_message(NULL));
    bool is_found = code == RATS_SUCCESS;
    if (is_found && !move->leave_first) {
        leave_and_detach(reader);
    } else if (!is_found && move->leave_first) {
        is_found = instance_find(&move->back, &found) == RATS_SUCCESS;
    }
    client_lock(client);
    if (is_found && settle_in(client, &found) != RATS_SUCCESS && code == RATS_SUCCESS) {
        code = rats_last_error(NULL);
        snprintf(move->error, sizeof move->error, "%s", rats_last_error_message(NULL));
    }
    move->code = code;
    move->done = true;
    (void)pthread_cond_broadcast(&client->quiet);
    client_unlock(client);
}

/* Takes the move that somebody waits for; NULL. */
static struct move *take_move(struct client *client)
{
    client_lock(client);
    struct move *move = client->closing ? NULL : client->move;
    if (move != NULL) {
        client->move = NULL;
    }
    client_unlock(client);
    return move;
}

void *reader_main(void *arg)
{
    struct client *client = arg;
    struct reader reader = {.client = client};
    stream_init(&reader.stream);
    while (!is_closing(client)) {
        const int ready = wait_for_work(&reader);
        struct move *move = take_move(client);
        if (move != NULL) {
            move_session(&reader, move);
            continue;
        }
        int rc = (ready & (POLLIN | POLLHUP | POLLERR)) != 0 ? 1 : 0;
        for (int i = 0; i < MOST_READS && rc > 0; i++) {
            rc = receive(&reader);
        }
        if (rc < 0 && !is_closing(client)) {
            log_write(LOG_WARN, "the daemon at %s is gone (%s); looking for it",
                      client->socket_path, strerror(-rc));
            client_lock(client);
            detach(&reader);
            client_unlock(client);
            reattach(&reader);
        }
    }
    if (client->fd >= 0) {
        leave(&reader);
    }
    daemon_log_read(&client->daemon_log);
    client_lock(client);
    if (client->fd >= 0) {
        detach(&reader);
    }
    stream_fini(&reader.stream, &client->inbox);
    client_unlock(client);
    return NULL;
}
