/* The peers of this node: listening, dialing, admission, the duplicate rule, and the dispatch of
 * messages to whoever claimed their type. All that services may know of peers.
 *
 * A struct peer * is valid until the callback that showed it returns; keep a peer_id instead.
 * Exactly one connection per PeerId survives (wire-core 7.1, bit for bit). */
#ifndef RATSD_PEER_MESH_H
#define RATSD_PEER_MESH_H

#include "core/config.h"
#include "core/loop.h"
#include "core/resolver.h"
#include "metrics/metrics.h"
#include "peer/identity.h"
#include "util/ban_list.h"
#include "wire/message.h"

struct mesh;
struct peer;

#define MESH_MAX_ADDRESSES 32
#define MESH_MAX_LISTENERS 8

enum peer_event {
    PEER_UP,       /* 0 -> 1 connections */
    PEER_REPLACED, /* another connection took over: re-send state as for a new peer (wire-core 17.9)
                    */
    PEER_UPDATED,  /* identify changed what we know */
    PEER_DOWN,     /* 1 -> 0; the peer's facts are still readable */
};

typedef void (*mesh_message_fn)(void *arg, struct peer *from, const struct message *message);
typedef void (*mesh_peer_fn)(void *arg, struct peer *peer, enum peer_event event);
typedef void (*mesh_drained_fn)(void *arg, const struct peer_id *peer);

/* [network] options this room owns: listen, port, port_attempts, protocol, security, max_peers,
 * max_peers_hard, reserved_peers, max_pending, max_pending_per_source, link_queue,
 * peer_messages_per_second, peer_bytes_per_second. */
extern const struct config_item mesh_config_items[];

/* Whether mesh_start() could listen as configured, without listening. 0; -EINVAL: network.listen is
 * not an address; -EADDRINUSE: every port it would try has somebody; -EACCES etc.; each with a
 * sentence that names the option and a remedy. */
int mesh_check_listen(const struct config *config, char *error, size_t error_size);

/* All borrowed for the life of the mesh except config, which is read here and in mesh_reload().
 * 0, or -EINVAL when the protocol string is longer than PROTOCOL_ID_MAX_NAME. */
int mesh_new(struct loop *loop, struct resolver *resolver, struct metrics *metrics,
             const struct identity *identity, const struct config *config, struct mesh **ret_mesh);
/* Stops it as mesh_stop() does; of dials still in progress nobody is told. */
void mesh_free(struct mesh *mesh);
/* Listening TCP sockets to use in place of one as configured: taken. At most MESH_MAX_LISTENERS,
 * before mesh_start(). Peers are told the port of the first. */
void mesh_inherit(struct mesh *mesh, const int *fds, size_t count);
/* Opens the listen socket as configured: a busy port is tried up to port_attempts times, one
 * higher each time (wire-core 10). 0, or a negative errno and a sentence with a remedy. */
int mesh_start(struct mesh *mesh, char *error, size_t error_size);
/* Closes the listener and every connection; PEER_DOWN is reported for each peer. */
void mesh_stop(struct mesh *mesh);
void mesh_reload(struct mesh *mesh, const struct config *config); /* limits only */
/* The machine's addresses changed: identify goes out again (wire-core 17.11). */
void mesh_network_changed(struct mesh *mesh);

uint16_t mesh_port(const struct mesh *mesh); /* 0 = not listening */
const char *mesh_protocol(const struct mesh *mesh);
bool mesh_is_encrypted(const struct mesh *mesh);
/* Of connections that begin from now on; the others stay as they are. */
void mesh_set_encrypted(struct mesh *mesh, bool encrypted);
const struct identity *mesh_identity(const struct mesh *mesh);
size_t mesh_peer_count(const struct mesh *mesh);
/* Our own addresses as others told us, each with our listen port (wire-core 6); unproven. */
size_t mesh_observed(const struct mesh *mesh, const struct endpoint **ret_addresses);
size_t mesh_max_peers(const struct mesh *mesh); /* effective; 0 = unlimited */
/* The largest demand of the sessions (api.md D11); raises the limit up to the configured hard
 * maximum, never lowers it. Returns the effective limit. */
size_t mesh_demand_peers(struct mesh *mesh, size_t demand);
/* A limit in place of the configured one, lower or higher, within the hard maximum; 0: as
 * configured. Peers beyond it stay. Returns the effective limit. */
size_t mesh_limit_peers(struct mesh *mesh, size_t limit);

/* Who gets messages of a type; one claim per type (a second is our own mistake). */
void mesh_claim(struct mesh *mesh, enum wire_type type, mesh_message_fn on_message, void *arg);
void mesh_disclaim(struct mesh *mesh, enum wire_type type);
/* Peer events go to observers in order of registration, PEER_DOWN in reverse. At most 16, and 16
 * that wait for queues to drain. */
void mesh_observe(struct mesh *mesh, mesh_peer_fn on_peer, void *arg);
void mesh_on_drained(struct mesh *mesh, mesh_drained_fn on_drained, void *arg);

/* Bulk data keeps a link's queue short, so that messages overtake it: whoever sends it looks at
 * peer_queued() first and asks to be told when less than mark is queued (once for each time), which
 * is no more than peer_bulk_room(): or those who wait for a congested link would wait as long as
 * there is bulk data. One such sender. */
void mesh_on_room(struct mesh *mesh, mesh_drained_fn on_room, void *arg);
size_t peer_queued(const struct peer *peer);
size_t peer_bulk_room(const struct peer *peer);
void peer_ask_room(struct peer *peer, size_t mark);

/* Sending. 0; 1 = queued, but the link is congested: wait for on_drained before sending more;
 * -ENOTCONN no such peer; -EMSGSIZE; -ENOBUFS queue full, nothing queued; -ENOMEM. */
int mesh_send(struct mesh *mesh, const struct peer_id *to, enum wire_type type, uint16_t channel,
              struct bytes payload);
int peer_send(struct peer *peer, enum wire_type type, uint16_t channel, struct bytes payload);

/* Peers. */
struct peer *mesh_find(const struct mesh *mesh, const struct peer_id *id);
/* Walk: *cursor starts at 0; NULL at the end. Sending is allowed meanwhile, disconnecting not. */
struct peer *mesh_next(const struct mesh *mesh, size_t *cursor);
const struct peer_id *peer_id_of(const struct peer *peer);
const uint8_t *peer_public_key(const struct peer *peer); /* NULL in plaintext mode */
const struct endpoint *peer_endpoint(const struct peer *peer);
bool peer_is_outgoing(const struct peer *peer);
uint8_t peer_transport(const struct peer *peer);  /* WIRE_TRANSPORT_TCP or _UDP */
uint8_t peer_transports(const struct peer *peer); /* advertised, WIRE_TRANSPORT_*; 0 unknown */
size_t peer_addresses(const struct peer *peer, const struct endpoint **ret_addresses);
int64_t peer_connected_ms(const struct peer *peer); /* loop time */
bool peer_is_congested(const struct peer *peer);
/* For those who can wait: whether a message of that size should go now; else on_drained follows. */
bool peer_may_send(struct peer *peer, size_t size);
/* Large messages share what memory there is, and wait for it: not every link may be sent one at
 * once. */
bool mesh_is_large(size_t size);
/* Whether messages of that size to all peers find room now, all of them. */
bool mesh_may_broadcast(const struct mesh *mesh, size_t size);
bool peer_is_held(const struct peer *peer);         /* its links are not read at the moment */
uint64_t peer_messages_in(const struct peer *peer); /* over all its links */
/* The latest round trip over the present link in microseconds; -1 unknown. */
int64_t peer_rtt_us(const struct peer *peer);
/* Observers hear of it (PEER_UPDATED) the first time and when it has changed by more than a quarter
 * and a millisecond: one that trembles wakes nobody. */
void peer_set_rtt_us(struct peer *peer, int64_t rtt_us);
const char *peer_down_reason(const struct peer *peer); /* a word; only during PEER_DOWN */
/* Whether mesh_disconnect() was what ended it; only during PEER_DOWN. */
bool peer_is_disconnected(const struct peer *peer);

/* Why a peer's connection is closed here; what peer_down_reason() says follows from it. */
enum mesh_drop {
    MESH_DROP_ASKED,  /* somebody asked: mesh_may_dial() refuses the peer for MESH_SHUN_MS */
    MESH_DROP_SILENT, /* it answers no pings */
    MESH_DROP_BANNED,
};

#define MESH_SHUN_MS 60000

/* Closes the peer's connection for everybody. 0 or -ENOTCONN. */
int mesh_drop(struct mesh *mesh, const struct peer_id *id, enum mesh_drop why);
int mesh_disconnect(struct mesh *mesh, const struct peer_id *id); /* MESH_DROP_ASKED */

/* Bans: asked at accept, before a dial and after each handshake. Whoever changes the list calls
 * mesh_enforce_bans() afterwards: peers and newcomers that are banned now are closed; returns how
 * many peers those were. */
struct ban_list *mesh_bans(struct mesh *mesh);
size_t mesh_enforce_bans(struct mesh *mesh);
/* May we dial an address that somebody else named (a peer, the DHT, the local network), where a
 * peer of this id is said to be (NULL: not said)? 0, and it is counted (peer/dial_budget.h), so the
 * dial is one DIAL_NAMED; else do not: -EINVAL no address to dial, -ELOOP our own, -EACCES banned,
 * -EISCONN connected, -EAGAIN disconnected on request a moment ago, -EALREADY, -EBUSY, -EDQUOT,
 * -ENOSPC over the budget. */
int mesh_may_dial(struct mesh *mesh, const struct endpoint *to, const struct peer_id *id);
/* From when on a DIAL_AUTOMATIC there is not refused; loop time, not in the past. */
int64_t mesh_dial_opens_ms(struct mesh *mesh, const struct endpoint *to);

/* What a peer may send in a second; 0 = any amount. Above it the peer's links are not read until
 * it may send again: it is slowed down, nothing is lost. */
struct peer_limit {
    uint64_t messages_per_s;
    uint64_t bytes_per_s; /* on the wire; at least PEER_LIMIT_MIN_BYTES when not 0 */
};

/* Slower, and a single read would keep a link unread for longer than the other end waits. */
#define PEER_LIMIT_MIN_BYTES 16384
#define PEER_LIMIT_MAX       (UINT64_C(1) << 40)

/* Of one peer, until it goes; NULL: as configured. */
void peer_set_limit(struct peer *peer, const struct peer_limit *own);
struct peer_limit peer_get_limit(const struct peer *peer);
struct peer_limit mesh_limit(const struct mesh *mesh); /* as configured */
uint64_t peer_throttled(const struct peer *peer);      /* how often it was slowed down */
/* The peer has made something known that every program is told of and that is never dropped; cost:
 * how many of the shortest events that is. Who does it all the time is slowed down too. */
void peer_made_news(struct peer *peer, unsigned cost);
/* Back-pressure towards a peer, counted; a hold ends with the peer. */
void mesh_hold(struct mesh *mesh, const struct peer_id *id);
void mesh_release(struct mesh *mesh, const struct peer_id *id);

/* Bytes queued to all peers, in the kernel too, that they have not acknowledged. */
size_t mesh_queued_bytes(const struct mesh *mesh);

/* Dialing. */
struct mesh_dial;

/* Attempts to an address and to its network are counted whoever makes them, this machine's own
 * excepted (peer/dial_budget.h). What happens by itself keeps within the budget; whoever asks for a
 * dial now gets it, and leaves less to the others. */
enum dial_cause {
    DIAL_ASKED,     /* a program or a person waits for it: never refused */
    DIAL_AUTOMATIC, /* over the budget it fails with -EBUSY */
    DIAL_NAMED,     /* mesh_may_dial() has counted it */
};

struct dial_target {
    enum dial_cause cause;
    const char *host; /* name or literal; copied */
    uint16_t port;
    int64_t timeout_ms;             /* for all addresses together; at most 15 s each */
    const struct peer_id *expected; /* NULL: whoever answers (wire-core 17.8) */
};

/* 0 with the peer (already: a connection to it existed before); or a negative errno and one
 * sentence: -ETIMEDOUT, -ECONNREFUSED ..., -EPROTO handshake, -EPERM wrong peer, -ELOOP ourselves,
 * -ENOENT unknown name, -EUSERS no place for another peer, -EAGAIN too many dials, -EBUSY over the
 * budget, -ESHUTDOWN. */
typedef void (*dial_done_fn)(void *arg, int result, const struct peer_id *peer, bool already,
                             const char *error);

/* Addresses are tried one after another, the next at once when one fails and after 1.2 s when it
 * does not answer; the first that is established ends the others. on_done is called once, never
 * inside this function. NULL when out of memory. */
struct mesh_dial *mesh_dial(struct mesh *mesh, const struct dial_target *target,
                            dial_done_fn on_done, void *arg);
/* After this on_done is not called. Not after on_done has run. */
void mesh_dial_cancel(struct mesh_dial *dial);

#endif
