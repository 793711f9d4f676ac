/* From services to clients: messages to the sessions that asked for them, events to those that are
 * to see them. host_deliver() is the one place where a message's bytes are copied. */
#include <stdlib.h>
#include <string.h>

#include "ipc/session.h"

/* Room for a frame that counts as a message; NULL when the session does not get it. */
static uint8_t *admit_frame(struct session *session, unsigned lost_as, size_t size,
                            const struct peer_id *link)
{
    uint8_t *room = NULL;
    if (!session_is_ready(session) || !session->started || session->output_dead ||
        !session_admits_message(session, lost_as, size, link)) {
        return NULL;
    }
    if (backlog_add(&session->out, BACKLOG_MESSAGE, size, &room) < 0) {
        session_end(session, "out of memory");
        return NULL;
    }
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
    size_t size = FRAME_HEADER_SIZE + head_size + delivery->payload.size;
    uint8_t *room = admit_frame(session, delivery->plane, size, delivery->link);
    if (room == NULL) {
        return;
    }
    frame_encode_header(room, FRAME_MESSAGE, 0, ++session->sequence, head_size,
                        delivery->payload.size);
    message_head_encode(head, room + FRAME_HEADER_SIZE);
    if (delivery->payload.size > 0) {
        memcpy(room + FRAME_HEADER_SIZE + head_size, delivery->payload.data,
               delivery->payload.size);
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

void host_emit(struct host *host, enum event_id event, json_t *fields)
{
    struct ipc *ipc = host_ipc(host);
    LIST_EACH(&ipc->sessions, node)
    {
        struct session *session = CONTAINER_OF(node, struct session, node);
        bool sees = !proto_events[event].watched || (session->watched & 1u << event) != 0;
        if (session_is_ready(session) && sees) {
            session_send_event(session, event, json_incref(fields));
        }
    }
    json_decref(fields);
}

static void emit_body_to(struct session *session, const char *head, struct bytes body,
                         const struct peer_id *link)
{
    size_t head_size = strlen(head);
    uint8_t *room =
        admit_frame(session, LOST_CHANGE, FRAME_HEADER_SIZE + head_size + body.size, link);
    if (room == NULL) {
        return;
    }
    frame_encode_header(room, FRAME_EVENT, 0, ++session->sequence, head_size, body.size);
    memcpy(room + FRAME_HEADER_SIZE, head, head_size);
    if (body.size > 0) {
        memcpy(room + FRAME_HEADER_SIZE + head_size, body.data, body.size);
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

size_t host_session_count(const struct host *host)
{
    return host_ipc(host)->session_count - host_ipc(host)->greeting_count;
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
