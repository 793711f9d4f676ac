#include "service/gossip_seen.h"

#include <stdlib.h>

#include "util/alloc.h"
#include "util/siphash.h"

#define FIRST_CAPACITY 256u
#define NONE           UINT32_MAX

struct gossip_seen {
    uint64_t seed[2];
    size_t limit;
    size_t capacity; /* of the ring */
    size_t count;
    size_t oldest;
    uint8_t (*ids)[GOSSIP_ID_SIZE];
    uint32_t *index; /* places in the ring or NONE, open addressing */
    size_t mask;     /* of the index, at most half full */
};

static uint64_t hash_of(const struct gossip_seen *seen, const uint8_t *id)
{
    return siphash13(seen->seed, bytes_make(id, GOSSIP_ID_SIZE));
}

/* Where the id is in the index, or where it would go. */
static size_t slot_of(const struct gossip_seen *seen, const uint8_t *id)
{
    size_t slot = (size_t)hash_of(seen, id) & seen->mask;
    while (seen->index[slot] != NONE &&
           memcmp(seen->ids[seen->index[slot]], id, GOSSIP_ID_SIZE) != 0) {
        slot = (slot + 1) & seen->mask;
    }
    return slot;
}

/* Takes a slot out and moves up those that probed past it. */
static void clear_slot(struct gossip_seen *seen, size_t hole)
{
    size_t at = hole;
    while (true) {
        at = (at + 1) & seen->mask;
        if (seen->index[at] == NONE) {
            break;
        }
        size_t home = (size_t)hash_of(seen, seen->ids[seen->index[at]]) & seen->mask;
        if (((at - home) & seen->mask) >= ((at - hole) & seen->mask)) {
            seen->index[hole] = seen->index[at];
            hole = at;
        }
    }
    seen->index[hole] = NONE;
}

static bool resize(struct gossip_seen *seen, size_t capacity)
{
    size_t slots = FIRST_CAPACITY;
    while (slots < 2 * capacity) {
        slots *= 2;
    }
    uint8_t(*ids)[GOSSIP_ID_SIZE] = try_alloc(capacity * sizeof *ids);
    uint32_t *index = try_alloc(slots * sizeof *index);
    if (ids == NULL || index == NULL) {
        free(ids);
        free(index);
        return false;
    }
    for (size_t i = 0; i < seen->count; i++) {
        memcpy(ids[i], seen->ids[(seen->oldest + i) % seen->capacity], GOSSIP_ID_SIZE);
    }
    free(seen->ids);
    free(seen->index);
    seen->ids = ids;
    seen->index = index;
    seen->capacity = capacity;
    seen->oldest = 0;
    seen->mask = slots - 1;
    memset(index, 0xff, slots * sizeof *index);
    for (size_t i = 0; i < seen->count; i++) {
        index[slot_of(seen, ids[i])] = (uint32_t)i;
    }
    return true;
}

struct gossip_seen *gossip_seen_new(size_t limit, const uint64_t seed[2])
{
    struct gossip_seen *seen = xalloc(sizeof *seen);
    seen->limit = limit;
    seen->seed[0] = seed[0];
    seen->seed[1] = seed[1];
    if (!resize(seen, limit < FIRST_CAPACITY ? limit : FIRST_CAPACITY)) {
        free(seen);
        return NULL;
    }
    return seen;
}

void gossip_seen_free(struct gossip_seen *seen)
{
    if (seen != NULL) {
        free(seen->ids);
        free(seen->index);
        free(seen);
    }
}

static void make_room(struct gossip_seen *seen)
{
    size_t doubled = seen->capacity * 2 < seen->limit ? seen->capacity * 2 : seen->limit;
    if (seen->count < seen->capacity || (doubled > seen->capacity && resize(seen, doubled))) {
        return;
    }
    clear_slot(seen, slot_of(seen, seen->ids[seen->oldest]));
    seen->oldest = (seen->oldest + 1) % seen->capacity;
    seen->count--;
}

bool gossip_seen_add(struct gossip_seen *seen, const uint8_t id[GOSSIP_ID_SIZE])
{
    if (gossip_seen_has(seen, id)) {
        return false;
    }
    make_room(seen);
    size_t place = (seen->oldest + seen->count) % seen->capacity;
    memcpy(seen->ids[place], id, GOSSIP_ID_SIZE);
    seen->index[slot_of(seen, id)] = (uint32_t)place;
    seen->count++;
    return true;
}

bool gossip_seen_has(const struct gossip_seen *seen, const uint8_t id[GOSSIP_ID_SIZE])
{
    return seen->index[slot_of(seen, id)] != NONE;
}

size_t gossip_seen_count(const struct gossip_seen *seen)
{
    return seen->count;
}
