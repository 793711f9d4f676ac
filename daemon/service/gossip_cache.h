/* Messages kept for peers that missed them: PUBLISH payloads whole, by id and by topic.
 *
 * Bounded twice: by age, in heartbeats, and by bytes, oldest out (the embedded library has only
 * the first bound and holds 430 MB under load). A message larger than the whole bound is not kept.
 * Pure. */
#ifndef RATSD_SERVICE_GOSSIP_CACHE_H
#define RATSD_SERVICE_GOSSIP_CACHE_H

#include "util/list.h"
#include "util/map.h"
#include "wire/gossip.h"

/* What an entry is charged beside its payload. */
#define GOSSIP_CACHE_OVERHEAD 160u

struct gossip_cached {
    struct list by_age;
    struct list by_topic; /* newest last */
    uint64_t beat;        /* the heartbeat after which it came */
    bool genuine;         /* its origin sent it to us itself */
    uint8_t id[GOSSIP_ID_SIZE];
    size_t size;
    uint8_t payload[];
};

struct gossip_cache {
    struct map by_id;
    struct list by_age; /* oldest first */
    size_t bytes;
    size_t limit;
};

void gossip_cache_init(struct gossip_cache *cache, size_t limit, const uint64_t seed[2]);
void gossip_cache_fini(struct gossip_cache *cache);
/* A copy of payload goes to the end of the topic's list. NULL when it is too large, or there
 * already, or there is no memory. Older entries of any topic go to make room. */
struct gossip_cached *gossip_cache_add(struct gossip_cache *cache, struct list *topic,
                                       const uint8_t id[GOSSIP_ID_SIZE], struct bytes payload,
                                       uint64_t beat);
struct gossip_cached *gossip_cache_find(const struct gossip_cache *cache,
                                        const uint8_t id[GOSSIP_ID_SIZE]);
void gossip_cache_remove(struct gossip_cache *cache, struct gossip_cached *entry);
/* Drops all that came before this heartbeat. */
void gossip_cache_expire(struct gossip_cache *cache, uint64_t beat);

static inline struct bytes gossip_cached_payload(const struct gossip_cached *entry)
{
    return bytes_make(entry->payload, entry->size);
}

#endif
