/* A hash map from byte strings to pointers: open addressing, keys borrowed from the values.
 *
 * The key must live as long as the entry (it is normally a member of the value). Hashing is
 * SipHash-1-3 with a key given at init, so nobody outside can aim at a bucket. Values are never
 * NULL and never owned. Not safe to modify while iterating, except map_remove() of the entry
 * just returned by map_next(). */
#ifndef RATSD_UTIL_MAP_H
#define RATSD_UTIL_MAP_H

#include "util/bytes.h"

struct map_entry;

struct map {
    struct map_entry *entries;
    size_t capacity; /* power of two, or 0 */
    size_t count;
    size_t used; /* with tombstones */
    uint64_t seed[2];
};

void map_init(struct map *map, const uint64_t seed[2]);
void map_fini(struct map *map);
/* NULL when absent. */
void *map_find(const struct map *map, struct bytes key);
/* 0; -EEXIST when the key is present (nothing changes); -ENOMEM. */
int map_insert(struct map *map, struct bytes key, void *value);
/* The value that was removed, or NULL. */
void *map_remove(struct map *map, struct bytes key);
/* Walks all values: start with *cursor = 0; NULL at the end. Order is unspecified. */
void *map_next(const struct map *map, size_t *cursor);

static inline size_t map_count(const struct map *map)
{
    return map->count;
}

#endif
