/* The ids of messages seen lately: a ring, oldest out, with a hash index over it.
 *
 * Grows by doubling up to its limit, so that a node that hears little holds little; without memory
 * it stays as large as it is. An id that has fallen out of the ring is new again: the limit must
 * exceed what all peers together still offer (wire-services 1). Pure. */
#ifndef RATSD_SERVICE_GOSSIP_SEEN_H
#define RATSD_SERVICE_GOSSIP_SEEN_H

#include "wire/gossip.h"

struct gossip_seen;

/* NULL when out of memory. The seed keeps strangers from choosing buckets. */
struct gossip_seen *gossip_seen_new(size_t limit, const uint64_t seed[2]);
void gossip_seen_free(struct gossip_seen *seen);
/* True when the id was not there; it is now. */
bool gossip_seen_add(struct gossip_seen *seen, const uint8_t id[GOSSIP_ID_SIZE]);
bool gossip_seen_has(const struct gossip_seen *seen, const uint8_t id[GOSSIP_ID_SIZE]);
size_t gossip_seen_count(const struct gossip_seen *seen);

#endif
