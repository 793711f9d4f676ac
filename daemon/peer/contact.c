#include <errno.h>
#include <stdlib.h>

#include "peer/mesh_private.h"
#include "util/alloc.h"

/* More than an honest handshake takes, even across the world and with a packet lost. */
#define HANDSHAKE_FAIR_MS 2000

static void leave_pending(struct contact *contact)
{
    struct mesh *mesh = contact->mesh;
    if (contact->pending) {
        contact->pending = false;
        admission_leave(mesh->admission, &contact->remote);
        mesh->counts.pending = admission_pending(mesh->admission);
    }
}

static void on_established(void *arg, struct conn *conn)
{
    struct contact *contact = arg;
    struct mesh *mesh = contact->mesh;
    struct peer_id id = *conn_peer_id(conn);
    leave_pending(contact);
    list_remove(&contact->node);
    list_append(&mesh->contacts, &contact->node);
    mesh->counts.handshakes_ok++;
    if (peer_id_equal(&id, &mesh->identity->id)) {
        mesh->counts.self_connections++;
        /* Gracefully, so that the other half, also ours, gets the last handshake message. */
        conn_close(conn, CONN_CLOSED_SELF, true);
    } else if (guard_bans_peer(mesh, &id)) {
        mesh->counts.banned++;
        conn_close(conn, CONN_CLOSED_BANNED, false);
    } else if (!dials_accept(contact, &id)) {
        conn_close(conn, CONN_CLOSED_UNEXPECTED_PEER, false);
    } else {
        peer_welcome(mesh, contact, &id);
    }
}

static void on_message(void *arg, struct conn *conn, const struct message *message)
{
    (void)conn;
    struct contact *contact = arg;
    contact->mesh->counts.messages_in++;
    contact->mesh->counts.bytes_in += message->payload.size;
    peer_heard(contact->peer, contact, message);
}

static void on_received(void *arg, struct conn *conn, size_t size)
{
    (void)conn;
    const struct contact *contact = arg;
    if (contact->peer != NULL) {
        throttle_bytes(contact->peer, size);
    }
}

static void on_drained(void *arg, struct conn *conn)
{
    (void)conn;
    struct contact *contact = arg;
    if (contact->peer != NULL && contact->peer->contact == contact) {
        mesh_drained(contact->mesh, &contact->peer->id);
    }
}

static void on_room(void *arg, struct conn *conn)
{
    (void)conn;
    struct contact *contact = arg;
    if (contact->peer != NULL && contact->peer->contact == contact) {
        mesh_room(contact->mesh, &contact->peer->id);
    }
}

static void count_end(struct mesh *mesh, bool was_established, enum conn_close_reason reason)
{
    if (reason == CONN_CLOSED_PROTOCOL) {
        mesh->counts.protocol_errors++;
    } else if (reason == CONN_CLOSED_STALLED) {
        mesh->counts.stalled++;
    } else if (!was_established &&
               (reason == CONN_CLOSED_HANDSHAKE || reason == CONN_CLOSED_DEADLINE ||
                reason == CONN_CLOSED_BY_PEER)) {
        mesh->counts.handshakes_failed++;
    }
}

static void on_closed(void *arg, struct conn *conn, enum conn_close_reason reason)
{
    struct contact *contact = arg;
    struct mesh *mesh = contact->mesh;
    leave_pending(contact);
    list_remove(&contact->node);
    count_end(mesh, contact->peer != NULL, reason);
    if (contact->peer == NULL && !contact->outgoing && reason != CONN_CLOSED_STOPPING) {
        log_limited(&mesh->log_failed, loop_now_ms(mesh->loop), LOG_LEVEL_DEBUG, MESH_TOPIC,
                    "connection from %s ended before it was a peer: %s",
                    endpoint_format(&contact->remote).text, conn_close_reason_name(reason));
    }
    loop_free_later(mesh->loop, free, contact);
    dials_fail(contact, reason, conn_error(conn));
    if (contact->peer != NULL) {
        peer_lost(contact->peer, contact, reason);
    }
}

struct contact *contact_new(struct mesh *mesh, struct link *link, bool pending)
{
    static const struct conn_callbacks callbacks = {
        .on_established = on_established,
        .on_message = on_message,
        .on_drained = on_drained,
        .on_room = on_room,
        .on_received = on_received,
        .on_closed = on_closed,
    };
    struct contact *contact = try_alloc(sizeof *contact);
    if (contact == NULL) {
        link_close(link, false);
        return NULL;
    }
    contact->mesh = mesh;
    contact->remote = link->remote;
    contact->kind = link->kind;
    contact->outgoing = link->outgoing;
    contact->pending = pending;
    contact->begun_ms = loop_now_ms(mesh->loop);
    list_init(&contact->sibling);
    list_init(&contact->waiters);
    if (conn_new(&mesh->conns, link, &callbacks, contact, &contact->conn) != 0) {
        free(contact);
        return NULL;
    }
    list_append(&mesh->newcomers, &contact->node);
    return contact;
}

static const char *refusal(int rc)
{
    switch (rc) {
    case -EUSERS:
        return "the peer limit is reached";
    case -EAGAIN:
        return "too many connections have not said yet who they are";
    case -EDQUOT:
        return "too many connections from there have not said who they are";
    case -EBUSY:
        return "too many connections in a short time";
    case -EACCES:
        return "it is banned";
    default:
        return "out of memory";
    }
}

/* The oldest connection of the source that has most of the places, if that has more of them than
 * the newcomer's source: a crowd that keeps coming back has to share them. */
static struct contact *find_crowded(struct mesh *mesh, const struct endpoint *remote)
{
    struct contact *found = NULL;
    size_t most = admission_pending_from(mesh->admission, remote);
    LIST_EACH(&mesh->newcomers, node)
    {
        struct contact *contact = CONTAINER_OF(node, struct contact, node);
        size_t count =
            contact->pending ? admission_pending_from(mesh->admission, &contact->remote) : 0;
        if (count > most) {
            most = count;
            found = contact;
        }
    }
    return found;
}

/* The oldest that had time enough for an honest handshake; of one source, or of all. */
static struct contact *find_silent(struct mesh *mesh, const struct endpoint *only_from)
{
    int64_t now_ms = loop_now_ms(mesh->loop);
    LIST_EACH(&mesh->newcomers, node)
    {
        struct contact *contact = CONTAINER_OF(node, struct contact, node);
        if (now_ms - contact->begun_ms < HANDSHAKE_FAIR_MS) {
            return NULL;
        }
        if (contact->pending &&
            (only_from == NULL || admission_same_source(&contact->remote, only_from))) {
            return contact;
        }
    }
    return NULL;
}

/* Places for connections that have not said who they are go to those that may still say it. So
 * neither silent connections nor a crowd that keeps coming back keep everybody out. */
static bool make_way(struct mesh *mesh, const struct endpoint *remote, int shortage)
{
    struct contact *leaver = find_silent(mesh, shortage == -EDQUOT ? remote : NULL);
    if (leaver == NULL && shortage == -EAGAIN) {
        leaver = find_crowded(mesh, remote);
    }
    if (leaver == NULL) {
        return false;
    }
    contact_close(leaver, CONN_CLOSED_LIMIT, false);
    return true;
}

static int enter(struct mesh *mesh, const struct endpoint *remote, int64_t now_ms)
{
    if (guard_bans_address(mesh, remote)) {
        mesh->counts.banned++;
        return -EACCES;
    }
    return admission_enter(mesh->admission, remote, mesh_peer_count(mesh), now_ms);
}

void contact_on_accept(void *arg, struct link *link)
{
    struct mesh *mesh = arg;
    struct endpoint remote = link->remote;
    int64_t now_ms = loop_now_ms(mesh->loop);
    int rc = enter(mesh, &remote, now_ms);
    if ((rc == -EAGAIN || rc == -EDQUOT) && make_way(mesh, &remote, rc)) {
        rc = admission_enter(mesh->admission, &remote, mesh_peer_count(mesh), now_ms);
    }
    if (rc != 0) {
        mesh->counts.refused++;
        log_limited(&mesh->log_refused, now_ms, LOG_LEVEL_INFO, MESH_TOPIC,
                    "turned away a connection from %s: %s", endpoint_format(&remote).text,
                    refusal(rc));
        link_close(link, false);
        return;
    }
    mesh->counts.accepted++;
    mesh->counts.pending = admission_pending(mesh->admission);
    if (contact_new(mesh, link, true) == NULL) {
        admission_leave(mesh->admission, &remote);
        mesh->counts.pending = admission_pending(mesh->admission);
    }
}

void contacts_stop(struct list *contacts)
{
    for (struct list *node; (node = list_first(contacts)) != NULL;) {
        contact_close(CONTAINER_OF(node, struct contact, node), CONN_CLOSED_STOPPING, false);
    }
}

void contact_close(struct contact *contact, enum conn_close_reason reason, bool graceful)
{
    conn_close(contact->conn, reason, graceful);
}

void contact_hold(struct contact *contact)
{
    if (!contact->held) {
        contact->held = true;
        conn_hold(contact->conn);
    }
}

void contact_release(struct contact *contact)
{
    if (contact->held) {
        contact->held = false;
        conn_release(contact->conn);
    }
}
