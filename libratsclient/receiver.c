#include "receiver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client.h"
#include "clock.h"
#include "proto/json_head.h"
#include "proto/message_head.h"

void receiver_init(struct receiver *receiver)
{
    *receiver = (struct receiver){0};
    stream_init(&receiver->stream);
}

void receiver_reset(struct client *client)
{
    struct receiver *receiver = &client->receiver;
    stream_fini(&receiver->stream, &client->inbox);
    receiver->events = false;
    receiver->messages = false;
}

void receiver_report_dropped(struct client *client)
{
    uint64_t *dropped = client->receiver.dropped;
    const uint64_t total =
        dropped[0] + dropped[PLANE_CHANNEL] + dropped[PLANE_TYPED] + dropped[PLANE_TOPIC];
    if (total > 0 && client->inbox.bytes <= INBOX_MARK) {
        announce_event(client, proto_events[EV_LOST].name,
                       json_pack("{s:I, s:I, s:I, s:I, s:I}", "channel",
                                 (json_int_t)dropped[PLANE_CHANNEL], "typed",
                                 (json_int_t)dropped[PLANE_TYPED], "topic",
                                 (json_int_t)dropped[PLANE_TOPIC], "storage",
                                 (json_int_t)dropped[0], "total", (json_int_t)total));
        memset(dropped, 0, sizeof client->receiver.dropped);
    }
}

/* Frames to the inbox ----------------------------------------------------------------------- */

/* Takes the messages out of data, and events as large; keeps the other events. Returns what is
 * left. */
static size_t drop_messages(struct receiver *receiver, uint8_t *data, size_t size)
{
    size_t kept = 0;
    size_t at = 0;
    struct frame frame;
    size_t frame_size;
    while (frame_decode(data + at, size - at, &frame, &frame_size) == FRAME_OK) {
        struct message_head head;
        if (frame.kind == FRAME_EVENT && frame.body_size > 0) {
            receiver->dropped[0]++;
        } else if (frame.kind == FRAME_EVENT) {
            memmove(data + kept, data + at, frame_size);
            kept += frame_size;
        } else if (frame.kind == FRAME_MESSAGE &&
                   message_head_decode(frame.head, frame.head_size, &head) == 0) {
            receiver->dropped[head.plane]++;
        }
        at += frame_size;
    }
    return kept;
}

/* (locked) Everything before `end` leaves the stream. */
static int hand_over(struct client *client, size_t end)
{
    struct receiver *receiver = &client->receiver;
    struct stream *stream = &receiver->stream;
    const unsigned epoch = client->stream_epoch;
    const bool watched = receiver->events && client->callbacks.event != NULL && !client->batches;
    const bool wanted = watched || (epoch != 0 && (receiver->events || receiver->messages));
    int rc = 0;
    if (wanted && receiver->messages && client->inbox.bytes > INBOX_MOST) {
        uint8_t *data = stream->chunk->data + stream->start;
        const size_t kept = drop_messages(receiver, data, end - stream->start);
        rc = kept == 0 ? 0 : inbox_push_copy(&client->inbox, bytes_make(data, kept), epoch);
        if (rc == 0) {
            rc = stream_hand_over(stream, &client->inbox, end, epoch, false);
        }
    } else {
        rc = stream_hand_over(stream, &client->inbox, end, epoch, wanted);
    }
    receiver->events = false;
    receiver->messages = false;
    return rc;
}

/* An answer of more than 64 KiB stands in the body; behind a head the body is something else. */
static struct bytes answer_text(const struct frame *frame)
{
    return frame->head_size > 0 ? bytes_make(frame->head, frame->head_size)
                                : bytes_make(frame->body, frame->body_size);
}

/* (locked) The session is started from here on. What came before this frame is not part of it. */
static int begin_session(struct client *client, const struct call *call, size_t frame_start)
{
    const int rc = hand_over(client, frame_start);
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
    topics_announce_members(client);
    return 0;
}

/* (locked) Who is in a topic at this point of the stream. What the daemon said before comes first;
 * an answer that is not understood changes nothing. */
static int take_members(struct client *client, const struct frame *frame, size_t frame_start)
{
    const struct bytes text = answer_text(frame);
    json_t *answer = NULL;
    int rc = json_read((const char *)text.data, text.size, &answer);
    if (rc != -ENOMEM) {
        rc = hand_over(client, frame_start);
    }
    rc = rc == 0 ? topics_note_members(client, answer) : rc;
    json_decref(answer);
    return rc;
}

static void explain_unattended(const struct call *call, struct bytes text)
{
    if (call->unattended && call->purpose != CALL_STEP) {
        log_write(LOG_WARN, "the daemon refused what was asked for before: %.*s",
                  text.size > 300 ? 300 : (int)text.size, (const char *)text.data);
    }
}

/* (locked) */
static int on_answer(struct client *client, const struct frame *frame)
{
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
    if (call->grant != NULL && !failed && files_grant(client, call->grant, text) < 0) {
        return -ENOMEM; /* made anew by attaching again: the transfer ends with the session */
    }
    const enum call_purpose purpose = failed ? CALL_PLAIN : call->purpose;
    const size_t frame_start = stream_frame_start(&client->receiver.stream, frame);
    const struct call copy = *call;
    calls_finish(&client->calls, call, failed, text,
                 frame->head_size > 0 ? bytes_make(frame->body, frame->body_size)
                                      : bytes_make(NULL, 0));
    switch (purpose) {
    case CALL_START:
        return begin_session(client, &copy, frame_start);
    case CALL_SUBSCRIBE:
        return take_members(client, frame, frame_start);
    case CALL_STEP:
    case CALL_PLAIN:
        break;
    }
    return 0;
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
    const enum event_id event = name == NULL ? EVENT_COUNT : event_find(name, strlen(name));
    switch (event) {
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
    case EV_TOPIC_JOINED:
        rc = topics_note_peer(client, params, true);
        break;
    case EV_TOPIC_LEFT:
        rc = topics_note_peer(client, params, false);
        break;
    case EV_TRANSFER_OFFERED:
    case EV_TRANSFER_REQUESTED:
    case EV_TRANSFER_OPEN:
    case EV_TRANSFER_VERIFIED:
    case EV_TRANSFER_CHANGED:
        rc = files_take_event(client, event, json_incref(params));
        break;
    case EV_SESSION_ATTACHED:
    case EV_SESSION_ENDED:
    case EV_LOST:
    case EV_STORAGE_CHANGED:
    case EVENT_COUNT:
    default:
        break;
    }
    json_decref(head);
    return rc == -ENOMEM ? rc : 0;
}

static int take_frame(struct client *client, const struct frame *frame)
{
    int rc = 0;
    switch (frame->kind) {
    case FRAME_MESSAGE:
        client->receiver.messages = true;
        return 0;
    case FRAME_EVENT:
        client->receiver.events = true;
        client->receiver.messages = client->receiver.messages || frame->body_size > 0;
        client_lock(client);
        rc = mirror_event(client, frame);
        client_unlock(client);
        return rc;
    case FRAME_REPLY:
    case FRAME_FAIL:
        client_lock(client);
        rc = on_answer(client, frame);
        client_unlock(client);
        return rc;
    case FRAME_CALL:
    case FRAME_CANCEL:
    default:
        return -EBADMSG;
    }
}

int receiver_read(struct client *client)
{
    struct stream *stream = &client->receiver.stream;
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
        rc = status == FRAME_OK ? take_frame(client, &frame) : -EBADMSG;
    }
    client_lock(client);
    if (rc == 0) {
        rc = hand_over(client, stream->parsed);
        receiver_report_dropped(client);
    }
    client_unlock(client);
    return rc < 0 ? rc : (size_t)got == space ? 1 : 0;
}
