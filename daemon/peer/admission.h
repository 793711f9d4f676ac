/* Who may come in before we know who it is: caps on unauthenticated connections, overall and per
 * source, and the limit on peers with a few places kept for known ones (wire-core 7, 17.5, 17.14).
 *
 * A source is an IPv4 address or an IPv6 /64. Pure counting: the mesh asks and tells. */
#ifndef RATSD_PEER_ADMISSION_H
#define RATSD_PEER_ADMISSION_H

#include "util/endpoint.h"
#include "util/map.h"
#include "util/peer_id.h"

#define ADMISSION_KNOWN_MAX 4096 /* recently connected ids remembered, oldest forgotten first */

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
 * -EUSERS (peer limit and reserved places full), -EAGAIN (too many pending), -EDQUOT (source). */
int admission_enter(struct admission *admission, const struct endpoint *source, size_t peers);
/* It is authenticated or gone: no longer pending. */
void admission_leave(struct admission *admission, const struct endpoint *source);
/* After the handshake of an inbound connection from a peer not connected yet: may it stay? */
bool admission_allows(const struct admission *admission, const struct peer_id *id, size_t peers);
/* Remembers a peer that was connected. */
void admission_remember(struct admission *admission, const struct peer_id *id);

#endif
