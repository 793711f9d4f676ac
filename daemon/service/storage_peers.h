/* The store towards the peers: who has seen what, and what they send (wire-services 7).
 *
 * Every peer has a place in the sequence of changes up to which it has been sent everything. While
 * it stands at the end, a change goes to it as an ENTRY the moment it is on disk. When it does not,
 * since it asked for everything (place 0) or its link was congested, what it lacks is read from
 * disk a page at a time and goes as SYNC_RESPONSE messages, the next only when the link has room.
 * So a snapshot of any size, a slow link and an interruption are one case, nothing is lost on the
 * way, and no more than a page waits for a peer beside its link's own queue.
 *
 * As upstream does, both sides ask each other when they meet, what came in a SYNC_RESPONSE is not
 * forwarded, and an ENTRY that wins goes to every other peer. What fell between those rules (a
 * change made while a peer two hops away was cut off, one refused because a clock was wrong) is
 * found by asking one peer at random from time to time. */
#ifndef RATSD_SERVICE_STORAGE_PEERS_H
#define RATSD_SERVICE_STORAGE_PEERS_H

#include "metrics/metrics.h"
#include "peer/mesh.h"
#include "service/storage_queue.h"

/* Bytes that peers have sent and that wait to be merged: a peer that sends more is held; beyond the
 * last its message is dropped and the peer asked again. */
#define STORAGE_HOLD_MARK   ((size_t)8 * 1024 * 1024)
#define STORAGE_REMOTE_MOST ((size_t)256 * 1024 * 1024)
#define STORAGE_PAUSE_MS    2000 /* between two snapshots to one peer */

struct storage_peers_values {
    uint64_t entries_in;
    uint64_t entries_out;
    uint64_t entries_taken; /* of those that came in: they won */
    uint64_t refused;       /* by a limit or a clock */
    uint64_t malformed;
    uint64_t snapshots;
    uint64_t behind; /* peers that have not been sent everything */
};

extern const struct metric_row storage_peers_metrics[];

struct storage_peers;

/* Told of everything a message of a peer changed; the entries are valid until it returns. */
typedef void (*storage_merged_fn)(void *arg, const struct peer_id *from,
                                  const struct storage_change *changes, size_t count);

struct storage_peers_options {
    struct loop *loop;
    struct mesh *mesh;
    struct storage_queue *queue;
    storage_merged_fn on_merged;
    void *arg;
};

/* All borrowed. */
struct storage_peers *storage_peers_new(const struct storage_peers_options *options);
void storage_peers_free(struct storage_peers *peers);
const struct storage_peers_values *storage_peers_values(const struct storage_peers *peers);

/* Ask one peer for everything that often; 0 = never. */
void storage_peers_set_interval(struct storage_peers *peers, int64_t interval_ms);
void storage_peers_on_peer(struct storage_peers *peers, struct peer *peer, enum peer_event event);
void storage_peers_on_message(struct storage_peers *peers, struct peer *from, struct bytes payload);
void storage_peers_on_drained(struct storage_peers *peers, const struct peer_id *id);
/* A batch has been done: the number of the last change before it, and after. Before its changes
 * are told. */
void storage_peers_set_head(struct storage_peers *peers, uint64_t before, uint64_t head);
/* After they were told. */
void storage_peers_settle(struct storage_peers *peers);
/* Changes made here, for everybody. */
void storage_peers_tell(struct storage_peers *peers, const struct storage_change *changes,
                        size_t count);
/* Asks every peer for everything; how many. */
size_t storage_peers_ask_all(struct storage_peers *peers);

#endif
