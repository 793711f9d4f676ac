#include "util/map.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "util/alloc.h"
#include "util/siphash.h"

#define SMALLEST_CAPACITY 16

/* value NULL: never used when hash is EMPTY, once used when hash is TOMBSTONE. */
struct map_entry {
    struct bytes key;
    void *value;
    uint64_t hash;
};

enum { EMPTY = 0, TOMBSTONE = 1 };

void map_init(struct map *map, const uint64_t seed[2])
{
    *map = (struct map){.seed = {seed[0], seed[1]}};
}

void map_fini(struct map *map)
{
    if (map != NULL) {
        free(map->entries);
        *map = (struct map){.seed = {map->seed[0], map->seed[1]}};
    }
}

static bool is_empty(const struct map_entry *entry)
{
    return entry->value == NULL && entry->hash == EMPTY;
}

/* The entry with this key, or NULL. Linear probing ends at an empty entry, and the load limit
 * leaves at least one. */
static struct map_entry *find_entry(const struct map *map, struct bytes key)
{
    if (map->count == 0) {
        return NULL;
    }
    uint64_t hash = siphash13(map->seed, key);
    for (size_t i = (size_t)hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct map_entry *entry = &map->entries[i];
        if (is_empty(entry)) {
            return NULL;
        }
        if (entry->value != NULL && entry->hash == hash && bytes_equal(entry->key, key)) {
            return entry;
        }
    }
}

/* Where a key known to be absent goes; *used grows when that was never used before. */
static void place(struct map *map, const struct map_entry *from)
{
    size_t i = (size_t)from->hash & (map->capacity - 1);
    while (map->entries[i].value != NULL) {
        i = (i + 1) & (map->capacity - 1);
    }
    if (map->entries[i].hash == EMPTY) {
        map->used++;
    }
    map->entries[i] = *from;
    map->count++;
}

/* A new table, at most half full with one entry more, without tombstones. */
static int rehash(struct map *map)
{
    size_t capacity = SMALLEST_CAPACITY;
    while (capacity / 2 < map->count + 1) {
        capacity *= 2;
    }
    struct map fresh = *map;
    fresh.entries = try_alloc(capacity * sizeof *fresh.entries);
    if (fresh.entries == NULL) {
        return -ENOMEM;
    }
    fresh.capacity = capacity;
    fresh.count = 0;
    fresh.used = 0;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].value != NULL) {
            place(&fresh, &map->entries[i]);
        }
    }
    free(map->entries);
    *map = fresh;
    return 0;
}

void *map_find(const struct map *map, struct bytes key)
{
    const struct map_entry *entry = find_entry(map, key);
    return entry == NULL ? NULL : entry->value;
}

int map_insert(struct map *map, struct bytes key, void *value)
{
    assert(value != NULL);
    if (find_entry(map, key) != NULL) {
        return -EEXIST;
    }
    if (map->used + 1 > map->capacity - map->capacity / 4) {
        int rc = rehash(map);
        if (rc != 0) {
            return rc;
        }
    }
    struct map_entry entry = {.key = key, .value = value, .hash = siphash13(map->seed, key)};
    place(map, &entry);
    return 0;
}

void *map_remove(struct map *map, struct bytes key)
{
    struct map_entry *entry = find_entry(map, key);
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    size_t i = (size_t)(entry - map->entries);
    *entry = (struct map_entry){.hash = TOMBSTONE};
    map->count--;
    /* Tombstones that end a run hold no probe together: make them empty again. */
    if (is_empty(&map->entries[(i + 1) & (map->capacity - 1)])) {
        while (map->entries[i].value == NULL && map->entries[i].hash == TOMBSTONE) {
            map->entries[i].hash = EMPTY;
            map->used--;
            i = (i - 1) & (map->capacity - 1);
        }
    }
    return value;
}

void *map_next(const struct map *map, size_t *cursor)
{
    while (*cursor < map->capacity) {
        void *value = map->entries[(*cursor)++].value;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
