#include "service/gossip_cache.h"

#include <stdlib.h>

#include "util/alloc.h"

static struct bytes key_of(const struct gossip_cached *entry)
{
    return bytes_make(entry->id, GOSSIP_ID_SIZE);
}

static struct gossip_cached *oldest(const struct gossip_cache *cache)
{
    struct list *node = list_first(&cache->by_age);
    return node == NULL ? NULL : CONTAINER_OF(node, struct gossip_cached, by_age);
}

void gossip_cache_init(struct gossip_cache *cache, size_t limit, const uint64_t seed[2])
{
    *cache = (struct gossip_cache){.limit = limit};
    map_init(&cache->by_id, seed);
    list_init(&cache->by_age);
}

void gossip_cache_fini(struct gossip_cache *cache)
{
    gossip_cache_expire(cache, UINT64_MAX);
    map_fini(&cache->by_id);
}

void gossip_cache_remove(struct gossip_cache *cache, struct gossip_cached *entry)
{
    (void)map_remove(&cache->by_id, key_of(entry));
    list_remove(&entry->by_age);
    list_remove(&entry->by_topic);
    cache->bytes -= entry->size + GOSSIP_CACHE_OVERHEAD;
    free(entry);
}

struct gossip_cached *gossip_cache_add(struct gossip_cache *cache, struct list *topic,
                                       const uint8_t id[GOSSIP_ID_SIZE], struct bytes payload,
                                       uint64_t beat)
{
    size_t charge = payload.size + GOSSIP_CACHE_OVERHEAD;
    if (charge > cache->limit) {
        return NULL;
    }
    struct gossip_cached *entry = try_alloc(sizeof *entry + payload.size);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->id, id, GOSSIP_ID_SIZE);
    if (map_insert(&cache->by_id, key_of(entry), entry) != 0) {
        free(entry);
        return NULL;
    }
    memcpy(entry->payload, payload.data, payload.size);
    entry->size = payload.size;
    entry->beat = beat;
    while (cache->bytes + charge > cache->limit) {
        gossip_cache_remove(cache, oldest(cache));
    }
    list_append(&cache->by_age, &entry->by_age);
    list_append(topic, &entry->by_topic);
    cache->bytes += charge;
    return entry;
}

struct gossip_cached *gossip_cache_find(const struct gossip_cache *cache,
                                        const uint8_t id[GOSSIP_ID_SIZE])
{
    return map_find(&cache->by_id, bytes_make(id, GOSSIP_ID_SIZE));
}

void gossip_cache_expire(struct gossip_cache *cache, uint64_t beat)
{
    for (struct gossip_cached *entry = oldest(cache); entry != NULL && entry->beat < beat;
         entry = oldest(cache)) {
        gossip_cache_remove(cache, entry);
    }
}
