/* What conn.c and the other conn_*.c share of a connection; nobody else includes
 * this.
 *
 * The handshake reads and writes whole blocks and knows nothing of the link; conn.c moves bytes
 * and knows nothing of keys. Easy to break: conn->noise exists only between the first handshake
 * block and establishment, so that a silent stranger costs one small struct. */
#ifndef RATSD_PEER_CONN_PRIVATE_H
#define RATSD_PEER_CONN_PRIVATE_H

#include "crypto/noise.h"
#include "peer/conn.h"
#include "util/buf.h"
#include "util/intake.h"

enum conn_state { CONN_CONNECTING, CONN_HANDSHAKING, CONN_ESTABLISHED, CONN_CLOSED };

struct conn {
    const struct conn_context *context;
    struct link *link;
    struct conn_callbacks callbacks;
    void *arg;
    enum security security; /* as it was when the connection began */
    enum conn_state state;
    unsigned holds;
    bool blocked;      /* the link took less than it was given: on_writable follows */
    size_t room_mark;  /* whom to tell when less is queued; 0 = nobody */
    bool congested;    /* reached the high mark and has not fallen below the low one */
    bool has_leftover; /* blocks may wait in the intake that no event will announce */
    bool broken;       /* a cipher failed while sending: close at the next flush */
    int error;
    struct noise *noise;
    struct aead send;
    struct aead receive;
    struct intake in;
    struct buf out;
    struct list arrival; /* of a large message, in one of context->arrivals' lists */
    size_t arrival_size; /* of that message in full; 0 = none */
    size_t arrival_seen; /* of it, when that was last looked at */
    bool arrival_has_room;
    bool arrival_looked_at;
    size_t departing;       /* memory of its send buffer, in one of context->departures' sums */
    struct list departure;  /* in the list of those that hold a large message */
    size_t departure_moved; /* bytes that have left since that was last looked at */
    bool departure_looked_at;
    struct list departure_wait; /* in the list of those that wait for room */
    size_t departure_wanted;    /* for a message of that size */
    bool departure_next;        /* it was told that there is room, and has not used it */
    size_t burst;       /* bytes that left in the last write: how much the next turn may need */
    size_t taken;       /* by the link since the stall timer was started */
    struct timer timer; /* the deadline, then the stall timer; idle connections run none */
    struct deferred flush;
    struct deferred resume;
    int64_t established_ms;
    uint8_t public_key[X25519_SIZE];
    struct peer_id peer_id;
};

/* Our first block, if we begin. 0, or a negative errno: close. */
int conn_handshake_begin(struct conn *conn);
/* Handles one handshake block. 1: the peer is known and the ciphers are ready; 0: more to come;
 * negative errno: close. */
int conn_handshake_block(struct conn *conn, struct bytes block);
void conn_handshake_fini(struct conn *conn);

/* The message at the front will be of that size in all and is not whole yet. A large one that there
 * is no room for holds the conn until there is. */
void conn_arrival_begin(struct conn *conn, size_t size);
/* It is whole and has been taken, or never will be. */
void conn_arrival_end(struct conn *conn);

/* How much may wait in the send buffer, and from where on senders should wait. */
size_t conn_departure_limit(const struct conn *conn);
size_t conn_departure_mark(const struct conn *conn);
/* Whether a message of that size finds room now; and whether one who can wait should begin it. */
bool conn_departure_fits(const struct conn *conn, size_t size);
bool conn_departure_may_begin(const struct conn *conn, size_t size);
/* It finds none: conn_has_room() follows, which is conn.c's. */
void conn_departure_wait(struct conn *conn, size_t size);
void conn_has_room(struct conn *conn);
/* A message of that size is in the send buffer. */
void conn_departure_begin(struct conn *conn, size_t size);
/* The send buffer has another size; so many bytes of it have left. */
void conn_departure_settle(struct conn *conn, size_t left);
/* It is closed. */
void conn_departure_end(struct conn *conn);

/* How much one more conn may read in this turn. */
size_t conn_turn_budget(const struct conn_turn *turn);
/* It has read so much. */
void conn_turn_spend(struct conn_turn *turn, size_t size);

/* Queues one handshake block. 0 or -ENOMEM. */
int conn_queue_block(struct conn *conn, struct bytes body);

#endif
