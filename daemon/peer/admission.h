/* Who may come in before we know who it is: caps on unauthenticated connections, overall and per
 * source, how fast one source may come back, and the limit on peers with a few places kept for
 * known ones (wire-core 7, 17.5, 17.14; reliability V5).
 *
 * A source is an IPv4 address or an IPv6 /64. Pure counting: the mesh asks and tells, also the
 * time. Easy to break: what strangers make us remember is bounded, so every entry is either in use
 * or may be forgotten. */
#ifndef RATSD_PEER_ADMISSION_H
#define RATSD_PEER_ADMISSION_H

#include "util/endpoint.h"
#include "util/map.h"
#include "util/peer_id.h"

#define ADMISSION_KNOWN_MAX   4096 /* recently connected ids remembered, oldest forgotten first */
#define ADMISSION_SOURCES_MAX 1024 /* sources remembered although none of them is pending */
/* A handshake costs us some 0.3 ms: a source may have a burst of them, then so many a second. */
#define ADMISSION_BURST      500
#define ADMISSION_RATE_PER_S 200

struct admission_limits {
    size_t max_peers;      /* 0 = unlimited */
    size_t reserved;       /* extra places for known peers */
    size_t max_pending;    /* unauthenticated inbound connections */
    size_t max_per_source; /* of them from one source */
};

struct admission;

int admission_new(const struct admission_limits *limits, const uint64_t seed[2],
                  struct admission **ret_admission);
void admission_free(struct admission *admission);
void admission_set_limits(struct admission *admission, const struct admission_limits *limits);

/* An inbound connection arrived while peers are established: 0 and it is counted as pending, or
 * -EUSERS (peer limit and reserved places full), -EAGAIN (too many pending), -EDQUOT (too many
 * pending from this source), -EBUSY (this source comes too fast), -ENOMEM. */
int admission_enter(struct admission *admission, const struct endpoint *source, size_t peers,
                    int64_t now_ms);
/* It is authenticated or gone: no longer pending. */
void admission_leave(struct admission *admission, const struct endpoint *source);
bool admission_same_source(const struct endpoint *a, const struct endpoint *b);
size_t admission_pending(const struct admission *admission);
size_t admission_pending_from(const struct admission *admission, const struct endpoint *source);
/* After the handshake with a peer not connected yet, or before a dial to a peer whose id is known:
 * may it stay? The reserved places are for peers that were connected before. */
bool admission_allows(const struct admission *admission, const struct peer_id *id, size_t peers);
/* Remembers a peer that was connected. */
void admission_remember(struct admission *admission, const struct peer_id *id);

#endif
