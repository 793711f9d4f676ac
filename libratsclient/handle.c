#include "handle.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "client.h"

#define HALF_BITS   (sizeof(uintptr_t) * 4)
#define HOLDS_MASK  (((uintptr_t)1 << HALF_BITS) - 1)
#define ONE_USE     ((uintptr_t)1 << HALF_BITS)
#define INDEX_BITS  (sizeof(uintptr_t) == 8 ? 20 : 12) /* with the uses they fit a pointer */
#define INDEX_MASK  (((uintptr_t)1 << INDEX_BITS) - 1)
#define CHUNK_SLOTS 64
#define MOST_SLOTS  ((size_t)1 << 20)

struct slot {
    atomic_uintptr_t state;
    struct client *client;
    size_t index;
    struct slot *next; /* free ones, oldest first */
};

/* Chunks are added under the lock, and never moved. */
static _Atomic(struct slot *) chunks[MOST_SLOTS / CHUNK_SLOTS];

static struct {
    pthread_mutex_t lock;
    size_t slots;
    struct slot *first;
    struct slot *last;
} unused = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* (locked) */
static void put_unused(struct slot *slot)
{
    slot->next = NULL;
    if (unused.first == NULL) {
        unused.first = slot;
    } else {
        unused.last->next = slot;
    }
    unused.last = slot;
}

/* (locked) */
static void add_chunk(void)
{
    if (unused.slots + CHUNK_SLOTS > INDEX_MASK + 1) {
        return;
    }
    struct slot *chunk = calloc(CHUNK_SLOTS, sizeof *chunk);
    if (chunk == NULL) {
        return;
    }
    for (size_t i = 0; i < CHUNK_SLOTS; i++) {
        chunk[i].index = unused.slots + i;
        atomic_init(&chunk[i].state, ONE_USE);
        put_unused(&chunk[i]);
    }
    atomic_store_explicit(&chunks[unused.slots / CHUNK_SLOTS], chunk, memory_order_release);
    unused.slots += CHUNK_SLOTS;
}

/* The oldest: a number is used again as late as can be. */
static struct slot *take_unused(void)
{
    (void)pthread_mutex_lock(&unused.lock);
    if (unused.first == NULL) {
        add_chunk();
    }
    struct slot *slot = unused.first;
    if (slot != NULL) {
        unused.first = slot->next;
    }
    (void)pthread_mutex_unlock(&unused.lock);
    return slot;
}

static uintptr_t uses_of(uintptr_t state)
{
    return state >> HALF_BITS;
}

/* A number that is never followed, so the cast is safe. */
static rats_client_t handle_of(const struct slot *slot, uintptr_t uses)
{
    union {
        uintptr_t number;
        rats_client_t handle;
    } cast = {.number = uses << INDEX_BITS | slot->index};
    return cast.handle;
}

/* The slot of a handle and the use it is of; NULL for what is none. */
static struct slot *find(rats_client_t handle, uintptr_t *ret_uses)
{
    const uintptr_t number = (uintptr_t)handle;
    const size_t index = number & INDEX_MASK;
    struct slot *chunk = atomic_load_explicit(&chunks[index / CHUNK_SLOTS], memory_order_acquire);
    if (chunk == NULL) {
        return NULL;
    }
    *ret_uses = number >> INDEX_BITS;
    return *ret_uses % 2 == 0 ? NULL : &chunk[index % CHUNK_SLOTS];
}

rats_client_t handle_new(struct client *client)
{
    struct slot *slot = take_unused();
    if (slot == NULL) {
        return NULL;
    }
    slot->client = client;
    return handle_of(slot, uses_of(atomic_fetch_add(&slot->state, 1)));
}

/* Whoever takes a retired slot from no holds to the next use frees its client; that others look at
 * it at that moment, and are refused, does no harm. */
static void release(struct slot *slot)
{
    const uintptr_t left = atomic_fetch_sub(&slot->state, 1) - 1;
    uintptr_t retired = left;
    if ((left & HOLDS_MASK) != 0 || uses_of(left) % 2 != 0 ||
        !atomic_compare_exchange_strong(&slot->state, &retired, left + ONE_USE)) {
        return;
    }
    client_free(slot->client);
    slot->client = NULL;
    (void)pthread_mutex_lock(&unused.lock);
    put_unused(slot);
    (void)pthread_mutex_unlock(&unused.lock);
}

static struct client *hold(rats_client_t handle, bool also_retired)
{
    uintptr_t uses = 0;
    struct slot *slot = find(handle, &uses);
    if (slot == NULL) {
        return NULL;
    }
    const uintptr_t before = atomic_fetch_add(&slot->state, 1);
    if (uses_of(before) == uses && (before & HOLDS_MASK) != 0) {
        return slot->client;
    }
    /* With another hold beside ours it cannot have been freed, nor is it before we let go. */
    if (also_retired && uses_of(before) == uses + 1 && (before & HOLDS_MASK) != 0) {
        return slot->client;
    }
    release(slot);
    return NULL;
}

struct client *handle_hold(rats_client_t handle)
{
    return hold(handle, false);
}

struct client *handle_hold_retired(rats_client_t handle)
{
    return hold(handle, true);
}

void handle_hold_again(rats_client_t handle)
{
    uintptr_t uses = 0;
    (void)atomic_fetch_add(&find(handle, &uses)->state, 1);
}

bool handle_retire(rats_client_t handle)
{
    uintptr_t uses = 0;
    struct slot *slot = find(handle, &uses);
    uintptr_t state = atomic_load(&slot->state);
    while (uses_of(state) == uses) {
        if (atomic_compare_exchange_weak(&slot->state, &state, state + ONE_USE)) {
            return true;
        }
    }
    return false;
}

void handle_release(rats_client_t handle)
{
    uintptr_t uses = 0;
    release(find(handle, &uses));
}

void handle_before_fork(void)
{
    (void)pthread_mutex_lock(&unused.lock);
}

void handle_after_fork(void)
{
    (void)pthread_mutex_unlock(&unused.lock);
}
