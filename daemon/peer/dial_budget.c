#include "peer/dial_budget.h"

#include <errno.h>
#include <stdlib.h>

#include "util/alloc.h"
#include "util/list.h"
#include "util/map.h"

#define KEY_SIZE     19 /* a family byte, an address, a port */
#define IPV4_NETWORK 3  /* bytes of a /24 */
#define IPV6_NETWORK 6  /* bytes of a /48 */

/* The latest attempts to one place, as a ring: the oldest of them decides. */
struct place {
    struct list node; /* by latest attempt, oldest first */
    uint8_t key[KEY_SIZE];
    size_t next;
    int64_t latest_ms;
    int64_t attempts_ms[]; /* limit of them */
};

/* Places of one kind. */
struct counter {
    struct map places;
    struct list order;
    size_t limit;      /* attempts ... */
    int64_t window_ms; /* ... in this time */
    bool may_forget;   /* the oldest makes room although it still counts */
};

/* Where an attempt is counted. */
enum { ENDPOINT, ADDRESS, NETWORK, COUNTERS };

struct dial_budget {
    struct counter counters[COUNTERS];
};

static void counter_init(struct counter *counter, const uint64_t seed[2], size_t limit,
                         int64_t window_ms)
{
    map_init(&counter->places, seed);
    list_init(&counter->order);
    counter->limit = limit;
    counter->window_ms = window_ms;
}

static void counter_fini(struct counter *counter)
{
    LIST_EACH(&counter->order, node)
    {
        free(CONTAINER_OF(node, struct place, node));
    }
    map_fini(&counter->places);
}

struct dial_budget *dial_budget_new(const uint64_t seed[2])
{
    struct dial_budget *budget = xalloc(sizeof *budget);
    struct counter *counters = budget->counters;
    counter_init(&counters[ENDPOINT], seed, 1, DIAL_BUDGET_AGAIN_MS);
    counter_init(&counters[ADDRESS], seed, DIAL_BUDGET_PER_ADDRESS, DIAL_BUDGET_WINDOW_MS);
    counter_init(&counters[NETWORK], seed, DIAL_BUDGET_PER_NETWORK, DIAL_BUDGET_WINDOW_MS);
    counters[ENDPOINT].may_forget = true; /* the other two still count it */
    return budget;
}

void dial_budget_free(struct dial_budget *budget)
{
    if (budget != NULL) {
        for (size_t i = 0; i < COUNTERS; i++) {
            counter_fini(&budget->counters[i]);
        }
        free(budget);
    }
}

static struct bytes key_view(const uint8_t key[KEY_SIZE])
{
    return bytes_make(key, KEY_SIZE);
}

static void make_key(const struct endpoint *to, size_t ip_bytes, uint16_t port,
                     uint8_t key[KEY_SIZE])
{
    memset(key, 0, KEY_SIZE);
    key[0] = to->ip_size;
    memcpy(key + 1, to->ip, ip_bytes < sizeof to->ip ? ip_bytes : sizeof to->ip);
    key[17] = (uint8_t)(port >> 8);
    key[18] = (uint8_t)port;
}

static void forget(struct counter *counter, struct place *place)
{
    (void)map_remove(&counter->places, key_view(place->key));
    list_remove(&place->node);
    free(place);
}

/* Those whose latest attempt no longer counts. */
static void forget_old(struct counter *counter, int64_t now_ms)
{
    for (struct list *node; (node = list_first(&counter->order)) != NULL;) {
        struct place *oldest = CONTAINER_OF(node, struct place, node);
        if (now_ms - oldest->latest_ms < counter->window_ms) {
            return;
        }
        forget(counter, oldest);
    }
}

static bool has_room(const struct counter *counter)
{
    return counter->may_forget || map_count(&counter->places) < DIAL_BUDGET_REMEMBERED;
}

/* When the place may be tried again, or when there is room to count it; in the past: now. */
static int64_t opens_ms(struct counter *counter, const uint8_t key[KEY_SIZE], int64_t now_ms)
{
    forget_old(counter, now_ms);
    const struct place *place = map_find(&counter->places, key_view(key));
    if (place != NULL) {
        return place->attempts_ms[place->next] + counter->window_ms;
    }
    return has_room(counter)
               ? now_ms
               : CONTAINER_OF(list_first(&counter->order), struct place, node)->latest_ms +
                     counter->window_ms;
}

/* 0, or refusal when the place had its attempts, -ENOSPC when there is no room to count it. */
static int check(struct counter *counter, const uint8_t key[KEY_SIZE], int refusal, int64_t now_ms)
{
    if (opens_ms(counter, key, now_ms) <= now_ms) {
        return 0;
    }
    return map_find(&counter->places, key_view(key)) == NULL ? -ENOSPC : refusal;
}

/* 0 or -ENOMEM. */
static int find_or_make(struct counter *counter, const uint8_t key[KEY_SIZE], int64_t now_ms,
                        struct place **ret_place)
{
    struct place *place = map_find(&counter->places, key_view(key));
    if (place == NULL) {
        place = try_alloc(sizeof *place + counter->limit * sizeof place->attempts_ms[0]);
        if (place == NULL) {
            return -ENOMEM;
        }
        memcpy(place->key, key, KEY_SIZE);
        for (size_t i = 0; i < counter->limit; i++) {
            place->attempts_ms[i] = now_ms - counter->window_ms;
        }
        place->latest_ms = now_ms - counter->window_ms;
        list_init(&place->node);
        if (map_insert(&counter->places, key_view(place->key), place) != 0) {
            free(place);
            return -ENOMEM;
        }
        list_append(&counter->order, &place->node);
    }
    *ret_place = place;
    return 0;
}

static void note(struct counter *counter, struct place *place, int64_t now_ms)
{
    place->attempts_ms[place->next] = now_ms;
    place->next = (place->next + 1) % counter->limit;
    place->latest_ms = now_ms;
    list_remove(&place->node);
    list_append(&counter->order, &place->node);
    if (map_count(&counter->places) > DIAL_BUDGET_REMEMBERED) {
        forget(counter, CONTAINER_OF(list_first(&counter->order), struct place, node));
    }
}

static void make_keys(const struct endpoint *to, uint8_t keys[COUNTERS][KEY_SIZE])
{
    make_key(to, to->ip_size, to->port, keys[ENDPOINT]);
    make_key(to, to->ip_size, 0, keys[ADDRESS]);
    make_key(to, to->ip_size == 4 ? IPV4_NETWORK : IPV6_NETWORK, 0, keys[NETWORK]);
}

int dial_budget_take(struct dial_budget *budget, const struct endpoint *to, int64_t now_ms)
{
    static const int refusals[COUNTERS] = {-EALREADY, -EBUSY, -EDQUOT};
    struct place *places[COUNTERS];
    uint8_t keys[COUNTERS][KEY_SIZE];
    make_keys(to, keys);
    for (size_t i = 0; i < COUNTERS; i++) {
        int rc = check(&budget->counters[i], keys[i], refusals[i], now_ms);
        if (rc != 0) {
            return rc;
        }
    }
    for (size_t i = 0; i < COUNTERS; i++) {
        int rc = find_or_make(&budget->counters[i], keys[i], now_ms, &places[i]);
        if (rc != 0) {
            return rc; /* a place made for it counts no attempt and goes with the next old ones */
        }
    }
    for (size_t i = 0; i < COUNTERS; i++) {
        note(&budget->counters[i], places[i], now_ms);
    }
    return 0;
}

int64_t dial_budget_opens_ms(struct dial_budget *budget, const struct endpoint *to, int64_t now_ms)
{
    uint8_t keys[COUNTERS][KEY_SIZE];
    int64_t latest_ms = now_ms;
    make_keys(to, keys);
    for (size_t i = ADDRESS; i < COUNTERS; i++) {
        int64_t time_ms = opens_ms(&budget->counters[i], keys[i], now_ms);
        latest_ms = time_ms > latest_ms ? time_ms : latest_ms;
    }
    return latest_ms;
}

void dial_budget_count(struct dial_budget *budget, const struct endpoint *to, int64_t now_ms)
{
    uint8_t keys[COUNTERS][KEY_SIZE];
    make_keys(to, keys);
    for (size_t i = ADDRESS; i < COUNTERS; i++) {
        struct counter *counter = &budget->counters[i];
        struct place *place = NULL;
        forget_old(counter, now_ms);
        bool fits = has_room(counter) || map_find(&counter->places, key_view(keys[i])) != NULL;
        if (fits && find_or_make(counter, keys[i], now_ms, &place) == 0) {
            note(counter, place, now_ms);
        }
    }
}
