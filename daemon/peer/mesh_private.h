/* What the files of the mesh share; nobody outside this folder includes it.
 *
 *     mesh.c           the table, configuration, claims, observers
 *     mesh_listen.c    the listen socket
 *     mesh_check.c     whether there could be one
 *     contact.c        connections from the first byte to the last
 *     peer.c           peers: up, replaced, down; sending and holding
 *     peer_identify.c  what peers tell each other of themselves
 *     dial.c           from a name and a port to a peer
 *     guard.c          who may not connect, and what may be dialed because others said so
 *     throttle.c       what a peer may send in a second
 *
 * A contact is a connection as the mesh sees it: a newcomer until it is established, then the
 * connection of a peer, or its retired one (see peer.c). Contacts and peers are freed at the end
 * of the turn in which they end, so callbacks on the way out may still look at them. */
#ifndef RATSD_PEER_MESH_PRIVATE_H
#define RATSD_PEER_MESH_PRIVATE_H

#include "core/log.h"
#include "peer/admission.h"
#include "peer/conn.h"
#include "peer/dial_budget.h"
#include "peer/mesh.h"
#include "transport/tcp.h"
#include "util/bucket.h"
#include "util/list.h"
#include "util/map.h"

#define MESH_MAX_OBSERVERS  16
#define MESH_MAX_OBSERVED   16 /* own addresses others told us (wire-core 6) */
#define MESH_MAX_INTERFACES 64
#define MESH_MAX_DIALS      1024
#define MESH_MAX_SHUNNED    64

#define MESH_SECTION "network"
#define MESH_TOPIC   "peer"

struct mesh_metrics {
    uint64_t peers;
    uint64_t pending;
    uint64_t dials;
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t messages_dropped;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t queue_full;
    uint64_t accepted;
    uint64_t refused;
    uint64_t handshakes_ok;
    uint64_t handshakes_failed;
    uint64_t duplicates;
    uint64_t replaced;
    uint64_t self_connections;
    uint64_t stalled;
    uint64_t protocol_errors;
    uint64_t dials_ok;
    uint64_t dials_failed;
    uint64_t banned;
    uint64_t dials_refused;
    uint64_t silent;
    uint64_t throttled;
};

extern const struct metric_row mesh_metric_rows[];

struct contact {
    struct list node;    /* in mesh->newcomers, then in mesh->contacts */
    struct list sibling; /* in peer->retired, when retired */
    struct list waiters; /* attempts of dials, see dial.c */
    struct mesh *mesh;
    struct conn *conn;
    struct peer *peer; /* NULL for a newcomer */
    struct endpoint remote;
    enum transport_kind kind;
    bool outgoing;
    bool pending; /* counted by admission */
    int64_t begun_ms;
    bool heard; /* it has brought a message */
    bool held;
    bool until_heard; /* retired: go when the survivor brings a message */
    int64_t until_ms; /* retired: go at this time at the latest */
};

struct peer {
    struct mesh *mesh;
    struct peer_id id;
    struct contact *contact;
    struct list retired; /* contacts that lost, newest last, closed a little later */
    struct timer retired_timer;
    struct endpoint endpoint;
    uint8_t public_key[X25519_SIZE];
    bool has_public_key;
    bool outgoing;
    bool down;
    enum transport_kind kind;
    uint8_t transports;
    struct endpoint *addresses; /* grown on demand */
    size_t address_count;
    size_t address_room;
    int64_t connected_ms;
    size_t announced; /* observers that know it is up */
    unsigned holds;
    enum conn_close_reason down_reason;
    int64_t rtt_us;      /* -1 unknown */
    int64_t rtt_told_us; /* what observers heard last */
    uint64_t messages_in;
    struct peer_limit limit;
    bool own_limit; /* not as configured */
    struct bucket messages;
    struct bucket bytes;
    struct bucket news;
    struct list throttle_node; /* in mesh->throttled, while one of the buckets owes */
    uint64_t throttled;
};

/* A peer that was disconnected on request: not dialed again for a while. */
struct shunned {
    struct peer_id id;
    struct endpoint address; /* where it listens, if known */
    int64_t until_ms;
};

struct mesh_claim {
    mesh_message_fn on_message;
    void *arg;
};

struct mesh_observer {
    mesh_peer_fn on_peer;
    void *arg;
};

struct mesh_drain_observer {
    mesh_drained_fn on_drained;
    void *arg;
};

struct mesh {
    struct conn_context conns; /* what all connections share */
    struct conn_arrivals arrivals;
    struct conn_departures departures;
    struct conn_turn turn;
    struct loop *loop;
    struct resolver *resolver;
    struct metrics *metrics;
    struct mesh_metrics counts;
    const struct identity *identity;
    char *protocol;
    char *listen;
    uint16_t wanted_port;
    unsigned port_attempts;
    int inherited[MESH_MAX_LISTENERS]; /* not in use yet */
    size_t inherited_count;
    struct tcp_listener *listeners[MESH_MAX_LISTENERS];
    size_t listener_count;
    uint16_t port; /* 0 = not listening */
    bool stopped;
    struct admission *admission;
    struct admission_limits limits;
    size_t configured_peers;
    size_t hard_peers;
    size_t demanded_peers;
    size_t limited_peers; /* in place of configured_peers; 0: none */
    struct map peers;
    struct list newcomers; /* contacts not established yet, oldest first */
    struct list contacts;  /* established ones */
    struct list dials;
    size_t dial_count;
    struct mesh_claim claims[WIRE_TYPE_COUNT];
    struct mesh_observer observers[MESH_MAX_OBSERVERS];
    size_t observer_count;
    struct mesh_drain_observer drains[MESH_MAX_OBSERVERS];
    size_t drain_count;
    struct mesh_drain_observer room; /* the one that sends bulk data */
    struct endpoint interfaces[MESH_MAX_INTERFACES];
    size_t interface_count;
    bool interfaces_known;
    struct endpoint observed[MESH_MAX_OBSERVED];
    size_t observed_count;
    struct ban_list bans;
    struct dial_budget *dial_budget;
    struct shunned shunned[MESH_MAX_SHUNNED];
    size_t next_shunned;
    struct peer_limit limit; /* of peers without one of their own */
    struct list throttled;
    struct timer throttle_timer;
    struct log_limit log_refused;
    struct log_limit log_failed;
    struct log_limit log_peers;
};

/* mesh.c */
void mesh_deliver(struct mesh *mesh, struct peer *from, const struct message *message);
void mesh_drained(struct mesh *mesh, const struct peer_id *id);
void mesh_room(struct mesh *mesh, const struct peer_id *id);

/* mesh_listen.c */
#define MESH_LISTEN_NONE "none"
/* The address of network.listen without a port. 0, or -EINVAL and a sentence. */
int mesh_parse_listen(const char *listen, struct endpoint *ret_bind, char *error,
                      size_t error_size);
/* Calls attempt() for one port after another while they are in use. What it said last, with a
 * sentence and its remedy when that is not 0. */
int mesh_try_ports(const char *listen, const struct endpoint *first, unsigned attempts,
                   int (*attempt)(void *arg, const struct endpoint *at), void *arg, char *error,
                   size_t error_size);
int mesh_listen(struct mesh *mesh, char *error, size_t error_size);
void mesh_unlisten(struct mesh *mesh);
void mesh_disinherit(struct mesh *mesh); /* closes what was never used */

/* contact.c */
void contact_on_accept(void *arg, struct link *link);
/* Takes the link. NULL when out of memory. */
struct contact *contact_new(struct mesh *mesh, struct link *link, bool pending);
void contact_close(struct contact *contact, enum conn_close_reason reason, bool graceful);
void contacts_stop(struct list *contacts);
void contact_hold(struct contact *contact);
void contact_release(struct contact *contact);

/* peer.c */
/* An established newcomer belongs to id: a new peer, or the duplicate rule decides. */
void peer_welcome(struct mesh *mesh, struct contact *contact, const struct peer_id *id);
/* A message came over one of the peer's contacts. */
void peer_heard(struct peer *peer, struct contact *contact, const struct message *message);
/* One of its contacts is gone. */
void peer_lost(struct peer *peer, struct contact *contact, enum conn_close_reason reason);
void peer_close(struct peer *peer, enum conn_close_reason reason);
void peer_notify(struct peer *peer, enum peer_event event);
void peer_hold(struct peer *peer);
void peer_release(struct peer *peer);

/* peer_identify.c */
void identify_send(struct peer *peer);
void identify_on_control(void *arg, struct peer *from, const struct message *message);
/* Adds a candidate address unless it is known or there is no room. True when added. */
bool identify_add_address(struct peer *peer, const struct endpoint *address);
void identify_network_changed(struct mesh *mesh);
/* An address of this node, as far as it knows them. */
bool identify_is_own(struct mesh *mesh, const struct endpoint *address);

/* guard.c */
void guard_init(struct mesh *mesh, const uint64_t seed[2]);
void guard_fini(struct mesh *mesh);
bool guard_bans_address(const struct mesh *mesh, const struct endpoint *address);
bool guard_bans_peer(const struct mesh *mesh, const struct peer_id *id);
void guard_shun(struct peer *peer);
/* An attempt is being made. */
void guard_count_dial(struct mesh *mesh, const struct endpoint *to);

/* throttle.c */
void throttle_init(struct mesh *mesh);
void throttle_set_default(struct mesh *mesh, const struct peer_limit *limit);
void throttle_begin(struct peer *peer);
void throttle_end(struct peer *peer);
void throttle_message(struct peer *peer);
void throttle_bytes(struct peer *peer, size_t size);

/* dial.c */
/* Drops the waiters that expected somebody else. False when nobody wants this contact any more. */
bool dials_accept(struct contact *contact, const struct peer_id *id);
void dials_succeed(struct contact *contact, const struct peer_id *id, bool already);
void dials_fail(struct contact *contact, enum conn_close_reason reason, int error);
void dials_stop(struct mesh *mesh); /* their on_done follows at the end of the turn */
void dials_free(struct mesh *mesh); /* without a word */

#endif
