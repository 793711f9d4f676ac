/* A host without a mesh: what ipc/ asks of the daemon behind it, recorded for the test to read.
 * Linked instead of service/host.c. */
#ifndef RATSD_TESTS_FAKE_HOST_H
#define RATSD_TESTS_FAKE_HOST_H

#include "ipc/ipc.h"
#include "util/peer_id.h"

#define FAKE_HOST_MAX 256

struct host {
    struct loop *loop;
    struct config *config;
    struct metrics *metrics;
    struct ipc *ipc;
    struct life *life;                  /* of a shared instance; never opened */
    struct peer_id held[FAKE_HOST_MAX]; /* peers held now */
    size_t held_count;
    size_t messages;                 /* MESSAGE frames taken */
    size_t message_bytes;            /* and their payloads */
    size_t full_at;                  /* congested from that many messages on; 0 = never */
    int64_t message_us;              /* what each takes */
    uint64_t senders[FAKE_HOST_MAX]; /* of the first of them */
    bool congested;                  /* answer messages with -EAGAIN ... */
    struct peer_id awaited;          /* ... until this peer drains */
    struct request *parked;          /* the last peer.connect, kept unanswered */
    size_t parked_body;              /* size of the body it came with */
    size_t cancelled;                /* parked requests that were cancelled */
    size_t stopped;                  /* sessions that stopped */
    size_t ended;                    /* sessions that ended */
    uint64_t last_session;           /* of the last message or request */
};

/* A host with the daemon's default configuration; queue sizes as given (bytes). */
struct host *fake_host_new(struct loop *loop, const char *queue, const char *queue_per_uid);
void fake_host_free(struct host *host);

#endif
