/* One connection: a link, the handshake on it, and the framing of messages (wire-core 3 to 5, 7).
 *
 * A conn knows nothing of other conns: the mesh decides which survive. It owns its buffers and
 * cipher state. Life: handshaking, then established (on_established once), then closed (on_closed
 * once, also before establishment; never from inside conn_send()). Outgoing messages are encrypted
 * straight into one send buffer and leave in one write at the end of the turn. */
#ifndef RATSD_PEER_CONN_H
#define RATSD_PEER_CONN_H

#include "core/loop.h"
#include "peer/identity.h"
#include "transport/link.h"
#include "util/list.h"
#include "wire/message.h"
#include "wire/protocol_id.h"

#define CONN_DEADLINE_MS 15000               /* socket to established (wire-core 7) */
#define CONN_STALL_MS    30000               /* a link that is full must take this much */
#define CONN_STALL_BYTES ((size_t)64 * 1024) /* in so long, or everything; else it is the end */
#define CONN_HIGH_MARK                                                                             \
    ((size_t)2 * 1024 * 1024)                  /* queued bytes above which senders should wait     \
                                                */
#define CONN_LOW_PART     4                    /* and below which part of the mark they may go on */
#define CONN_READ_BUDGET  ((size_t)256 * 1024) /* bytes a conn reads per turn at most, */
#define CONN_LEAST_BUDGET ((size_t)8 * 1024)   /* and when very many have something to read */
#define CONN_TURN_BYTES   ((size_t)1024 * 1024) /* of all conns together, about */
/* Messages larger than that may take the memory of so many of the largest while they arrive; */
#define CONN_ARRIVALS_LARGEST 4
/* while others wait, one must move by this much in CONN_STALL_MS, or it is the end. */
#define CONN_LARGE_STEP ((size_t)1024 * 1024)
/* What all send buffers may take: those with messages up to CONN_DEPARTURE_SMALL, about, and those
 * that hold a larger one, in the largest there are. */
#define CONN_DEPARTURE_SMALL    ((size_t)256 * 1024)
#define CONN_DEPARTURES_SMALL   ((size_t)128 * 1024 * 1024)
#define CONN_DEPARTURES_LARGEST 4

struct conn;

enum security { SECURITY_NOISE, SECURITY_PLAINTEXT };

/* Large messages that are arriving. A stranger may announce 64 MiB, and a hundred strangers may:
 * what there is no room for waits, unread, in the order of asking. One always fits. */
struct conn_arrivals {
    size_t bytes;         /* of those that have room, in full */
    struct list arriving; /* conns that have it, */
    struct list waiting;  /* and that wait for it, held */
    struct timer watch;   /* runs while one waits */
};

void conn_arrivals_init(struct conn_arrivals *arrivals, struct loop *loop);
/* No conn is left. */
void conn_arrivals_fini(struct conn_arrivals *arrivals);

/* The send buffers of all conns, and who waits to put a large message into one. */
struct conn_departures {
    size_t small;        /* memory of those without a large message, */
    size_t large;        /* and of those with one */
    size_t turn;         /* bytes of large messages that were begun in this turn */
    struct list holding; /* conns with a large one, */
    struct list waiting; /* and that wait for room */
    struct timer tell;   /* runs for a turn when there may be room */
    struct timer watch;  /* runs while one waits */
};

void conn_departures_init(struct conn_departures *departures, struct loop *loop);
/* No conn is left. */
void conn_departures_fini(struct conn_departures *departures);

/* What all conns read in a turn of the loop: each the less, the more they are. So a crowd that
 * floods costs programs and other peers a bounded delay. */
struct conn_turn {
    size_t bytes;
    size_t readers; /* conns that have read in this turn, */
    size_t before;  /* and in the last one */
    struct deferred end;
};

void conn_turn_init(struct conn_turn *turn, struct loop *loop);
void conn_turn_fini(struct conn_turn *turn);

/* What all conns of one node share; borrowed for the life of the conn. */
struct conn_context {
    struct loop *loop;
    const struct identity *identity;
    struct protocol_id protocol;
    enum security security;
    size_t queue_limit; /* bytes; a queue below it takes one more message of any size */
    struct conn_arrivals *arrivals;
    struct conn_departures *departures;
    struct conn_turn *turn;
};

enum conn_close_reason {
    CONN_CLOSED_LOCALLY,         /* the application asked */
    CONN_CLOSED_BY_PEER,         /* end of stream */
    CONN_CLOSED_DIAL,            /* could not connect */
    CONN_CLOSED_HANDSHAKE,       /* protocol mismatch, wrong size, bad key ... */
    CONN_CLOSED_DEADLINE,        /* 15 s without establishment */
    CONN_CLOSED_PROTOCOL,        /* oversized block, AEAD failure, short message */
    CONN_CLOSED_LINK,            /* reset, keep-alive failure */
    CONN_CLOSED_STALLED,         /* the peer took too little for 30 s */
    CONN_CLOSED_HALF,            /* it began a large message and does not go on */
    CONN_CLOSED_DUPLICATE,       /* lost the duplicate rule */
    CONN_CLOSED_SELF,            /* it was us */
    CONN_CLOSED_UNEXPECTED_PEER, /* somebody else than the dial was meant for */
    CONN_CLOSED_LIMIT,           /* admission */
    CONN_CLOSED_STOPPING,
    CONN_CLOSED_MEMORY,
    CONN_CLOSED_SILENT, /* answers no pings */
    CONN_CLOSED_BANNED,
    CONN_CLOSE_REASON_COUNT,
};

/* A word for events and one clause for logs. */
const char *conn_close_reason_name(enum conn_close_reason reason);

struct conn_callbacks {
    void (*on_established)(void *arg, struct conn *conn);
    /* A view valid until it returns. The receiver may call anything, conn_close() included. */
    void (*on_message)(void *arg, struct conn *conn, const struct message *message);
    /* Senders need not wait any longer: it was congested, or a large message found no room. */
    void (*on_drained)(void *arg, struct conn *conn);
    /* Less is queued than conn_ask_room() named; once each time it was asked. */
    void (*on_room)(void *arg, struct conn *conn);
    /* So many bytes were read, and what they completed was handled. May hold, not close. */
    void (*on_received)(void *arg, struct conn *conn, size_t size);
    void (*on_closed)(void *arg, struct conn *conn, enum conn_close_reason reason);
};

/* Takes the link (also on failure). 0, -ENOMEM or -EIO. */
int conn_new(const struct conn_context *context, struct link *link,
             const struct conn_callbacks *callbacks, void *arg, struct conn **ret_conn);
/* Closes at once; on_closed runs before this returns unless it has run already. Queued bytes are
 * offered to the kernel one last time when graceful. The memory goes at the end of the turn. */
void conn_close(struct conn *conn, enum conn_close_reason reason, bool graceful);

bool conn_is_established(const struct conn *conn);
const struct peer_id *conn_peer_id(const struct conn *conn); /* valid once established */
const uint8_t *conn_public_key(const struct conn *conn);     /* NULL in plaintext mode */
const struct link *conn_link(const struct conn *conn);
int64_t conn_established_ms(const struct conn *conn);
int conn_error(const struct conn *conn); /* negative errno behind the end of the link, or 0 */

/* Queues one message. 0; -EMSGSIZE over WIRE_MAX_PAYLOAD; -ENOBUFS when the queue limit is reached,
 * or the message is large and there is no room for it (nothing queued, on_drained follows);
 * -ENOTCONN; -ENOMEM. Afterwards conn_is_congested() says whether to wait for on_drained before
 * sending more. A large message that waits for room holds up no small ones. */
int conn_send(struct conn *conn, uint8_t type, uint16_t channel, struct bytes payload);
bool conn_is_congested(const struct conn *conn);
/* For those who can wait: whether a message of that size should go now; else on_drained follows. */
bool conn_may_send(struct conn *conn, size_t size);
size_t conn_queued(const struct conn *conn);
/* The same with what the kernel has and the peer has not. */
size_t conn_unsent(const struct conn *conn);
void conn_ask_room(struct conn *conn, size_t mark);
/* With no more than that of bulk data in its queue a congested link drains all the same. */
size_t conn_bulk_room(const struct conn *conn);

/* Stops and resumes reading, counted: each hold needs its release. Blocks already received stay
 * and are handled first on release. */
void conn_hold(struct conn *conn);
void conn_release(struct conn *conn);

#endif
