#include <errno.h>
#include <stdlib.h>

#include "peer/duplicate.h"
#include "peer/mesh_private.h"
#include "util/alloc.h"

/* How long a connection that lost the duplicate rule may live on (see retire()). */
#define RETIRED_MS         5000
#define RETIRED_DECIDER_MS 2000
#define RETIRED_OTHER_MS   10000
#define RETIRED_MOST       8 /* more is no accident: the oldest goes at once */

/* ---- events ---- */

void peer_notify(struct peer *peer, enum peer_event event)
{
    struct mesh *mesh = peer->mesh;
    if (event == PEER_DOWN) {
        while (peer->announced > 0) {
            const struct mesh_observer *observer = &mesh->observers[--peer->announced];
            observer->on_peer(observer->arg, peer, PEER_DOWN);
        }
        return;
    }
    /* An observer may end the peer: those after it then never hear of it. */
    size_t count = event == PEER_UP ? mesh->observer_count : peer->announced;
    for (size_t i = 0; i < count && !peer->down; i++) {
        if (event == PEER_UP) {
            peer->announced = i + 1;
        }
        mesh->observers[i].on_peer(mesh->observers[i].arg, peer, event);
    }
}

/* ---- which connection is the peer's ---- */

static void close_retired(struct peer *peer, enum conn_close_reason reason)
{
    timer_stop(&peer->retired_timer);
    for (struct list *node; (node = list_first(&peer->retired)) != NULL;) {
        contact_close(CONTAINER_OF(node, struct contact, sibling), reason, false);
    }
}

/* Closes those whose time has come and waits for the next. */
static void close_due(struct peer *peer, bool survivor_heard)
{
    int64_t now_ms = loop_now_ms(peer->mesh->loop);
    int64_t next_ms = INT64_MAX;
    LIST_EACH(&peer->retired, node)
    {
        struct contact *contact = CONTAINER_OF(node, struct contact, sibling);
        if (contact->until_ms <= now_ms || (survivor_heard && contact->until_heard)) {
            contact_close(contact, CONN_CLOSED_DUPLICATE, true);
        } else if (contact->until_ms < next_ms) {
            next_ms = contact->until_ms;
        }
    }
    timer_stop(&peer->retired_timer);
    if (next_ms != INT64_MAX) {
        timer_start(&peer->retired_timer, next_ms - now_ms);
    }
}

static void on_retired_timer(void *arg)
{
    close_due(arg, false);
}

static void close_surplus(struct peer *peer)
{
    size_t count = 0;
    LIST_EACH(&peer->retired, node)
    {
        count++;
    }
    for (; count > RETIRED_MOST; count--) {
        struct list *oldest = list_first(&peer->retired);
        contact_close(CONTAINER_OF(oldest, struct contact, sibling), CONN_CLOSED_DUPLICATE, true);
    }
}

/* Does the other end surely know this connection as established? Who writes the last handshake
 * message is established first; the other end when that arrives. */
static bool other_end_has(const struct contact *contact)
{
    bool encrypted = conn_public_key(contact->conn) != NULL;
    bool we_were_first = contact->outgoing == encrypted;
    return !we_were_first || contact->heard;
}

/* loser is out, peer->contact is in (wire-core 7.1). Closing the loser at once is not always safe:
 *
 * - The other end may not have the survivor yet, because our last handshake message is under way.
 *   It would see its only connection die: a peer lost and found for nothing. So the loser is kept,
 *   and read, until the survivor brings its first message (there is always one: identify).
 * - Between connections of the same role and wire "the newer" survives, and the two ends may have
 *   seen them in different orders. Each would close the other's choice and both would die. So the
 *   accepting end decides, after giving an end that closes at once the time to do so; the dialing
 *   end keeps the loser longer and goes back to it if the survivor is closed (peer_lost()).
 * - A newcomer that loses against an old connection may be a peer that restarted while we still
 *   believe in the old one: ask on that. If it is dead the answer is its end, and the newcomer
 *   takes over instead of having to dial again and again. */
static void retire(struct peer *peer, struct contact *loser, bool is_newcomer)
{
    struct mesh *mesh = peer->mesh;
    struct contact *survivor = peer->contact;
    int64_t now_ms = loop_now_ms(mesh->loop);
    bool order_decides = loser->outgoing == survivor->outgoing && loser->kind == survivor->kind;
    bool suspicious = is_newcomer && now_ms - conn_established_ms(survivor->conn) >= RETIRED_MS;
    if (order_decides) {
        loser->until_ms = now_ms + (loser->outgoing ? RETIRED_OTHER_MS : RETIRED_DECIDER_MS);
        loser->until_heard = false;
    } else if (!other_end_has(survivor) || suspicious) {
        loser->until_ms = now_ms + RETIRED_MS;
        loser->until_heard = true;
    } else {
        /* Gracefully: the answer that lets the dialer see whom it has reached may be queued. */
        contact_close(loser, CONN_CLOSED_DUPLICATE, true);
        return;
    }
    list_append(&peer->retired, &loser->sibling);
    close_surplus(peer);
    close_due(peer, false);
    if (peer->holds > 0) {
        contact_hold(loser);
    }
    if (suspicious) {
        identify_send(peer);
    }
}

/* Facts learnt over another connection do not carry over (wire-core 7.1). */
static void adopt(struct peer *peer, struct contact *contact)
{
    const uint8_t *public_key = conn_public_key(contact->conn);
    contact->peer = peer;
    peer->contact = contact;
    peer->endpoint = contact->remote;
    peer->kind = contact->kind;
    peer->outgoing = contact->outgoing;
    peer->has_public_key = public_key != NULL;
    if (public_key != NULL) {
        memcpy(peer->public_key, public_key, sizeof peer->public_key);
    }
    peer->transports = 0;
    peer->address_count = 0;
    peer->rtt_us = -1;
    peer->rtt_told_us = -1;
    if (contact->outgoing) {
        (void)identify_add_address(peer, &contact->remote);
    }
    if (peer->holds > 0) {
        contact_hold(contact);
    }
}

/* Another connection is the peer's from now on; state is sent again as for a new peer. */
static void announce_replacement(struct peer *peer)
{
    peer->mesh->counts.replaced++;
    mesh_drained(peer->mesh, &peer->id); /* who waited for the old queue need not any more */
    identify_send(peer);                 /* before anything that observers have to say */
    peer_notify(peer, PEER_REPLACED);
}

static void settle_duplicate(struct peer *peer, struct contact *newcomer)
{
    struct mesh *mesh = peer->mesh;
    struct contact *current = peer->contact;
    mesh->counts.duplicates++;
    dials_succeed(newcomer, &peer->id, true);
    if (!duplicate_new_wins(&mesh->identity->id, &peer->id,
                            (struct duplicate_side){current->outgoing, current->kind},
                            (struct duplicate_side){newcomer->outgoing, newcomer->kind})) {
        newcomer->peer = peer;
        retire(peer, newcomer, true);
        return;
    }
    adopt(peer, newcomer);
    retire(peer, current, false);
    log_limited(&mesh->log_peers, loop_now_ms(mesh->loop), LOG_LEVEL_DEBUG, MESH_TOPIC,
                "peer %s is now reached by %s", peer_id_format_short(&peer->id).text,
                endpoint_format(&peer->endpoint).text);
    announce_replacement(peer);
}

/* ---- life ---- */

static void peer_free(void *p)
{
    struct peer *peer = p;
    free(peer->addresses);
    free(peer);
}

static struct bytes id_view(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof id->bytes);
}

static void come_up(struct mesh *mesh, struct contact *contact, const struct peer_id *id)
{
    struct peer *peer = try_alloc(sizeof *peer);
    if (peer == NULL) {
        contact_close(contact, CONN_CLOSED_MEMORY, false);
        return;
    }
    peer->mesh = mesh;
    peer->id = *id;
    peer->connected_ms = loop_now_ms(mesh->loop);
    list_init(&peer->retired);
    timer_init(&peer->retired_timer, mesh->loop, on_retired_timer, peer);
    throttle_begin(peer);
    if (map_insert(&mesh->peers, id_view(&peer->id), peer) != 0) {
        free(peer);
        contact_close(contact, CONN_CLOSED_MEMORY, false);
        return;
    }
    adopt(peer, contact);
    mesh->counts.peers = map_count(&mesh->peers);
    admission_remember(mesh->admission, id);
    log_limited(&mesh->log_peers, peer->connected_ms, LOG_LEVEL_INFO, MESH_TOPIC,
                "peer %s connected, %s %s", peer_id_format_short(id).text,
                peer->outgoing ? "dialed at" : "from", endpoint_format(&peer->endpoint).text);
    dials_succeed(contact, id, false);
    identify_send(peer); /* before anything that observers have to say */
    peer_notify(peer, PEER_UP);
}

static void go_down(struct peer *peer, enum conn_close_reason reason)
{
    struct mesh *mesh = peer->mesh;
    (void)map_remove(&mesh->peers, id_view(&peer->id));
    mesh->counts.peers = map_count(&mesh->peers);
    timer_stop(&peer->retired_timer);
    throttle_end(peer);
    peer->down = true;
    peer->down_reason = reason;
    log_limited(&mesh->log_peers, loop_now_ms(mesh->loop), LOG_LEVEL_INFO, MESH_TOPIC,
                "peer %s disconnected: %s", peer_id_format_short(&peer->id).text,
                conn_close_reason_name(reason));
    peer_notify(peer, PEER_DOWN);
    loop_free_later(mesh->loop, peer_free, peer);
}

void peer_welcome(struct mesh *mesh, struct contact *contact, const struct peer_id *id)
{
    struct peer *peer = mesh_find(mesh, id);
    if (peer != NULL) {
        settle_duplicate(peer, contact);
    } else if (!admission_allows(mesh->admission, id, mesh_peer_count(mesh))) {
        mesh->counts.refused++;
        log_limited(&mesh->log_refused, loop_now_ms(mesh->loop), LOG_LEVEL_INFO, MESH_TOPIC,
                    "turned away peer %s at %s: the limit of %zu peers is reached",
                    peer_id_format_short(id).text, endpoint_format(&contact->remote).text,
                    mesh_max_peers(mesh));
        contact_close(contact, CONN_CLOSED_LIMIT, false);
    } else {
        come_up(mesh, contact, id);
    }
}

void peer_heard(struct peer *peer, struct contact *contact, const struct message *message)
{
    contact->heard = true;
    if (contact == peer->contact && !list_is_empty(&peer->retired)) {
        close_due(peer, true);
    }
    throttle_message(peer);
    mesh_deliver(peer->mesh, peer, message);
}

void peer_lost(struct peer *peer, struct contact *contact, enum conn_close_reason reason)
{
    if (contact != peer->contact) {
        list_remove(&contact->sibling);
        return;
    }
    if (list_is_empty(&peer->retired)) {
        go_down(peer, reason);
        return;
    }
    /* The survivor died, the loser lives: the other end saw the two in another order, or the
     * survivor had long been dead. */
    struct contact *heir = CONTAINER_OF(peer->retired.prev, struct contact, sibling);
    list_remove(&heir->sibling);
    adopt(peer, heir);
    announce_replacement(peer);
}

void peer_close(struct peer *peer, enum conn_close_reason reason)
{
    close_retired(peer, reason);
    contact_close(peer->contact, reason, true);
}

int mesh_drop(struct mesh *mesh, const struct peer_id *id, enum mesh_drop why)
{
    struct peer *peer = mesh_find(mesh, id);
    if (peer == NULL) {
        return -ENOTCONN;
    }
    switch (why) {
    case MESH_DROP_ASKED:
        guard_shun(peer);
        peer_close(peer, CONN_CLOSED_LOCALLY);
        break;
    case MESH_DROP_SILENT:
        mesh->counts.silent++;
        peer_close(peer, CONN_CLOSED_SILENT);
        break;
    case MESH_DROP_BANNED:
        peer_close(peer, CONN_CLOSED_BANNED);
        break;
    }
    return 0;
}

int mesh_disconnect(struct mesh *mesh, const struct peer_id *id)
{
    return mesh_drop(mesh, id, MESH_DROP_ASKED);
}

/* ---- sending ---- */

int peer_send(struct peer *peer, enum wire_type type, uint16_t channel, struct bytes payload)
{
    struct mesh_metrics *counts = &peer->mesh->counts;
    if (peer->down) {
        return -ENOTCONN;
    }
    int rc = conn_send(peer->contact->conn, (uint8_t)type, channel, payload);
    if (rc == 0) {
        counts->messages_out++;
        counts->bytes_out += payload.size;
        return conn_is_congested(peer->contact->conn) ? 1 : 0;
    }
    if (rc == -ENOBUFS) {
        counts->queue_full++;
    }
    return rc;
}

int mesh_send(struct mesh *mesh, const struct peer_id *to, enum wire_type type, uint16_t channel,
              struct bytes payload)
{
    struct peer *peer = mesh_find(mesh, to);
    return peer == NULL ? -ENOTCONN : peer_send(peer, type, channel, payload);
}

void peer_hold(struct peer *peer)
{
    if (peer->holds++ > 0) {
        return;
    }
    contact_hold(peer->contact);
    LIST_EACH(&peer->retired, node)
    {
        contact_hold(CONTAINER_OF(node, struct contact, sibling));
    }
}

void peer_release(struct peer *peer)
{
    if (peer->holds == 0 || --peer->holds > 0) {
        return;
    }
    contact_release(peer->contact);
    LIST_EACH(&peer->retired, node)
    {
        contact_release(CONTAINER_OF(node, struct contact, sibling));
    }
}

void mesh_hold(struct mesh *mesh, const struct peer_id *id)
{
    struct peer *peer = mesh_find(mesh, id);
    if (peer != NULL) {
        peer_hold(peer);
    }
}

/* A release after the peer went, or came back, belongs to a hold that ended with it. */
void mesh_release(struct mesh *mesh, const struct peer_id *id)
{
    struct peer *peer = mesh_find(mesh, id);
    if (peer != NULL) {
        peer_release(peer);
    }
}

/* ---- facts ---- */

const struct peer_id *peer_id_of(const struct peer *peer)
{
    return &peer->id;
}

const uint8_t *peer_public_key(const struct peer *peer)
{
    return peer->has_public_key ? peer->public_key : NULL;
}

const struct endpoint *peer_endpoint(const struct peer *peer)
{
    return &peer->endpoint;
}

bool peer_is_outgoing(const struct peer *peer)
{
    return peer->outgoing;
}

uint8_t peer_transport(const struct peer *peer)
{
    return (uint8_t)peer->kind;
}

uint8_t peer_transports(const struct peer *peer)
{
    return peer->transports;
}

size_t peer_addresses(const struct peer *peer, const struct endpoint **ret_addresses)
{
    *ret_addresses = peer->addresses;
    return peer->address_count;
}

int64_t peer_connected_ms(const struct peer *peer)
{
    return peer->connected_ms;
}

bool peer_is_congested(const struct peer *peer)
{
    return !peer->down && conn_is_congested(peer->contact->conn);
}

bool peer_may_send(struct peer *peer, size_t size)
{
    return peer->down || conn_may_send(peer->contact->conn, size);
}

bool mesh_is_large(size_t size)
{
    return size > CONN_DEPARTURE_SMALL;
}

bool mesh_may_broadcast(const struct mesh *mesh, size_t size)
{
    size_t cursor = 0;
    struct peer *peer;
    if (mesh_is_large(size)) {
        return false;
    }
    while ((peer = mesh_next(mesh, &cursor)) != NULL) {
        if (!peer_may_send(peer, size)) {
            return false;
        }
    }
    return true;
}

size_t peer_queued(const struct peer *peer)
{
    return peer->down ? 0 : conn_queued(peer->contact->conn);
}

size_t peer_bulk_room(const struct peer *peer)
{
    return peer->down ? 0 : conn_bulk_room(peer->contact->conn);
}

void peer_ask_room(struct peer *peer, size_t mark)
{
    if (!peer->down) {
        conn_ask_room(peer->contact->conn, mark);
    }
}

bool peer_is_held(const struct peer *peer)
{
    return peer->holds > 0;
}

uint64_t peer_messages_in(const struct peer *peer)
{
    return peer->messages_in;
}

int64_t peer_rtt_us(const struct peer *peer)
{
    return peer->rtt_us;
}

void peer_set_rtt_us(struct peer *peer, int64_t rtt_us)
{
    int64_t told = peer->rtt_told_us;
    int64_t change = rtt_us > told ? rtt_us - told : told - rtt_us;
    peer->rtt_us = rtt_us;
    if (told < 0 || (change > told / 4 && change > 1000)) {
        peer->rtt_told_us = rtt_us;
        peer_notify(peer, PEER_UPDATED);
    }
}

const char *peer_down_reason(const struct peer *peer)
{
    return conn_close_reason_name(peer->down_reason);
}

bool peer_is_disconnected(const struct peer *peer)
{
    return peer->down_reason == CONN_CLOSED_LOCALLY;
}
