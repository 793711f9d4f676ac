/* From services to clients: messages to the sessions that asked for them, events to those that are
 * to see them. This is the one place where a message's bytes are copied, and large ones are not:
 * they are written from where they were read (core/loans.h). */
#include <stdlib.h>
#include <string.h>

#include "ipc/session.h"

#define LEAST_LENT 1024 /* a smaller payload is copied as fast as it is described */

/* Whether the session gets a frame of size bytes that counts as a message. */
static bool admit_frame(struct session *session, unsigned lost_as, size_t size,
                        const struct peer_id *link)
{
    return session_is_ready(session) && session->started && !session->output_dead &&
           session_admits_message(session, lost_as, size, link);
}

/* Room for it; NULL when there is none, or for its head when the body was lent. */
static uint8_t *make_room(struct session *session, size_t head_size, struct bytes body,
                          bool *ret_copied)
{
    uint8_t *room = NULL;
    bool lends = body.size >= LEAST_LENT && (session->io.wanted & IO_WRITE) == 0 &&
                 loans_cover(loop_loans(session->ipc->loop), body);
    int result = lends ? session_lend(session, head_size, body, &room)
                       : backlog_add(&session->out, BACKLOG_MESSAGE, head_size + body.size, &room);
    if (result < 0) {
        session_end(session, "out of memory");
        return NULL;
    }
    *ret_copied = !lends;
    return room;
}

static void frame_admitted(struct session *session, const struct peer_id *link)
{
    session->ipc->values.frames_out++;
    deferred_schedule(&session->flush);
    session_recharge(session);
    session_after_message(session, link);
}

static void deliver_to(struct session *session, const struct delivery *delivery,
                       const struct message_head *head, size_t head_size)
{
    struct bytes body = delivery->payload;
    size_t size = FRAME_HEADER_SIZE + head_size;
    uint8_t *room = NULL;
    bool copied = false;
    if (!admit_frame(session, delivery->plane, size + body.size, delivery->link) ||
        (room = make_room(session, size, body, &copied)) == NULL) {
        return;
    }
    frame_encode_header(room, FRAME_MESSAGE, 0, ++session->sequence, head_size, body.size);
    message_head_encode(head, room + FRAME_HEADER_SIZE);
    if (copied && body.size > 0) {
        memcpy(room + size, body.data, body.size);
    }
    frame_admitted(session, delivery->link);
}

void host_deliver(struct host *host, const uint64_t *sessions, size_t count,
                  const struct delivery *delivery)
{
    struct ipc *ipc = host_ipc(host);
    struct message_head head = {
        .plane = delivery->plane,
        .flags = delivery->flags,
        .peer = delivery->peer->bytes,
        .name = (const char *)delivery->name.data,
        .name_size = delivery->name.size,
        .forwarder = delivery->forwarder == NULL ? NULL : delivery->forwarder->bytes,
    };
    size_t head_size = message_head_size(&head);
    for (size_t i = 0; i < count; i++) {
        struct session *session = session_find(ipc, sessions[i]);
        if (session != NULL) {
            deliver_to(session, delivery, &head, head_size);
        }
    }
}

void session_send_event(struct session *session, enum event_id event, json_t *fields)
{
    if (session->output_dead || session->state == SESSION_ENDED) {
        json_decref(fields);
        return;
    }
    session_send_json(session, FRAME_EVENT, ++session->sequence,
                      json_pack("{s:s, s:o}", "v", proto_events[event].name, "p", fields));
}

/* fields is borrowed. */
static void emit_to(struct session *session, enum event_id event, json_t *fields,
                    const struct peer_id *link)
{
    session_send_event(session, event, json_incref(fields));
    session_after_event(session, link);
}

void host_emit(struct host *host, enum event_id event, json_t *fields, const struct peer_id *link)
{
    struct ipc *ipc = host_ipc(host);
    LIST_EACH(&ipc->sessions, node)
    {
        struct session *session = CONTAINER_OF(node, struct session, node);
        bool sees = !proto_events[event].watched || (session->watched & 1u << event) != 0;
        if (session_is_ready(session) && sees) {
            emit_to(session, event, fields, link);
        }
    }
    json_decref(fields);
}

static void emit_body_to(struct session *session, const char *head, struct bytes body,
                         const struct peer_id *link)
{
    size_t head_size = strlen(head);
    size_t size = FRAME_HEADER_SIZE + head_size;
    uint8_t *room = NULL;
    bool copied = false;
    if (!admit_frame(session, LOST_CHANGE, size + body.size, link) ||
        (room = make_room(session, size, body, &copied)) == NULL) {
        return;
    }
    frame_encode_header(room, FRAME_EVENT, 0, ++session->sequence, head_size, body.size);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a frame's head ends by its size */
    memcpy(room + FRAME_HEADER_SIZE, head, head_size);
    if (copied && body.size > 0) {
        memcpy(room + size, body.data, body.size);
    }
    frame_admitted(session, link);
}

void host_emit_body(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                    json_t *fields, struct bytes body, const struct peer_id *link)
{
    json_t *head = json_pack("{s:s, s:o}", "v", proto_events[event].name, "p", fields);
    char *text = json_dumps(head, JSON_COMPACT);
    json_decref(head);
    for (size_t i = 0; text != NULL && i < count; i++) {
        struct session *session = session_find(host_ipc(host), sessions[i]);
        if (session != NULL) {
            emit_body_to(session, text, body, link);
        }
    }
    free(text);
}

void host_emit_to(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                  json_t *fields, const struct peer_id *link)
{
    for (size_t i = 0; i < count; i++) {
        struct session *session = session_find(host_ipc(host), sessions[i]);
        if (session != NULL && session_is_ready(session)) {
            emit_to(session, event, fields, link);
        }
    }
    json_decref(fields);
}

struct peer_id host_session_link(uint64_t session)
{
    struct peer_id link = {{0}};
    memcpy(link.bytes, &session, sizeof(session));
    return link;
}

bool host_session_held(struct host *host, uint64_t number, const uint64_t *sessions, size_t count)
{
    struct session *sender = session_find(host_ipc(host), number);
    struct peer_id link = host_session_link(number);
    bool held = false;
    for (size_t i = 0; i < count && sender != NULL; i++) {
        const struct session *session = session_find(host_ipc(host), sessions[i]);
        if (session != NULL && peer_set_has(&session->holding, &link)) {
            struct peer_id slow = host_session_link(sessions[i]);
            (void)peer_set_add(&sender->waiting, &slow);
            held = true;
        }
    }
    return held;
}

size_t host_session_count(const struct host *host)
{
    return host_ipc(host)->session_count - host_ipc(host)->greeting_count;
}

bool host_session_is_started(const struct host *host, uint64_t number)
{
    const struct session *session = session_find(host_ipc(host), number);
    return session != NULL && session_is_ready(session) && session->started;
}

int64_t host_session_age_ms(const struct host *host, uint64_t number)
{
    const struct session *session = session_find(host_ipc(host), number);
    return session == NULL ? 0 : loop_now_ms(session->ipc->loop) - session->attached_ms;
}

void host_session_wait(struct host *host, uint64_t number, const struct peer_id *peer)
{
    struct session *session = session_find(host_ipc(host), number);
    if (session != NULL) {
        session_wait_for(session, peer);
    }
}

void host_peer_drained(struct host *host, const struct peer_id *peer)
{
    sessions_stop_waiting(host_ipc(host), peer);
}

void host_peer_gone(struct host *host, const struct peer_id *peer)
{
    struct ipc *ipc = host_ipc(host);
    sessions_stop_waiting(ipc, peer);
    LIST_EACH(&ipc->sessions, node)
    {
        session_forget_peer(CONTAINER_OF(node, struct session, node), peer);
    }
}
