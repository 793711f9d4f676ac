#include "peer/admission.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "util/alloc.h"
#include "util/list.h"

#define SOURCE_KEY_SIZE 9    /* a family byte and at most 8 bytes of address */
#define TOKEN           1000 /* tokens are counted in thousandths */

struct source {
    struct list node; /* in idle, while nothing of it is pending */
    uint8_t key[SOURCE_KEY_SIZE];
    size_t pending;
    int64_t tokens;
    int64_t filled_ms;
};

struct known {
    struct list node; /* oldest first */
    struct peer_id id;
};

struct admission {
    struct admission_limits limits;
    size_t pending;
    struct map sources;
    struct list idle; /* sources, longest idle first */
    size_t idle_count;
    struct map known;
    struct list known_order;
};

int admission_new(const struct admission_limits *limits, const uint64_t seed[2],
                  struct admission **ret_admission)
{
    struct admission *admission = xalloc(sizeof *admission);
    admission->limits = *limits;
    map_init(&admission->sources, seed);
    map_init(&admission->known, seed);
    list_init(&admission->idle);
    list_init(&admission->known_order);
    *ret_admission = admission;
    return 0;
}

void admission_free(struct admission *admission)
{
    if (admission == NULL) {
        return;
    }
    size_t cursor = 0;
    for (void *value; (value = map_next(&admission->sources, &cursor)) != NULL;) {
        free(value);
    }
    cursor = 0;
    for (void *value; (value = map_next(&admission->known, &cursor)) != NULL;) {
        free(value);
    }
    map_fini(&admission->sources);
    map_fini(&admission->known);
    free(admission);
}

void admission_set_limits(struct admission *admission, const struct admission_limits *limits)
{
    admission->limits = *limits;
}

static struct bytes key_view(const uint8_t key[SOURCE_KEY_SIZE])
{
    return bytes_make(key, SOURCE_KEY_SIZE);
}

/* IPv6 sources are counted by /64: one host may use any address of its own. */
static void make_key(const struct endpoint *source, uint8_t key[SOURCE_KEY_SIZE])
{
    memset(key, 0, SOURCE_KEY_SIZE);
    key[0] = source->ip_size;
    memcpy(key + 1, source->ip, source->ip_size == 4 ? 4 : 8);
}

bool admission_same_source(const struct endpoint *a, const struct endpoint *b)
{
    uint8_t key_a[SOURCE_KEY_SIZE];
    uint8_t key_b[SOURCE_KEY_SIZE];
    make_key(a, key_a);
    make_key(b, key_b);
    return bytes_equal(key_view(key_a), key_view(key_b));
}

static void forget_source(struct admission *admission, struct source *source)
{
    list_remove(&source->node);
    admission->idle_count--;
    (void)map_remove(&admission->sources, key_view(source->key));
    free(source);
}

static struct source *find_or_make(struct admission *admission, const struct endpoint *from,
                                   int64_t now_ms)
{
    uint8_t key[SOURCE_KEY_SIZE];
    make_key(from, key);
    struct source *source = map_find(&admission->sources, key_view(key));
    if (source != NULL) {
        return source;
    }
    source = try_alloc(sizeof *source);
    if (source == NULL) {
        return NULL;
    }
    memcpy(source->key, key, sizeof key);
    source->tokens = (int64_t)ADMISSION_BURST * TOKEN;
    source->filled_ms = now_ms;
    list_init(&source->node);
    if (map_insert(&admission->sources, key_view(source->key), source) != 0) {
        free(source);
        return NULL;
    }
    list_append(&admission->idle, &source->node);
    admission->idle_count++;
    if (admission->idle_count > ADMISSION_SOURCES_MAX) {
        /* Never the one just made: it is the last of more than one. */
        forget_source(admission, CONTAINER_OF(list_first(&admission->idle), struct source, node));
    }
    return source;
}

static void refill(struct source *source, int64_t now_ms)
{
    int64_t full = (int64_t)ADMISSION_BURST * TOKEN;
    int64_t elapsed_ms = now_ms - source->filled_ms;
    source->filled_ms = now_ms;
    if (elapsed_ms > full / ADMISSION_RATE_PER_S) { /* TOKEN is per second, thousandths per ms */
        source->tokens = full;
        return;
    }
    source->tokens += elapsed_ms * ADMISSION_RATE_PER_S;
    source->tokens = source->tokens > full ? full : source->tokens;
}

int admission_enter(struct admission *admission, const struct endpoint *from, size_t peers,
                    int64_t now_ms)
{
    const struct admission_limits *limits = &admission->limits;
    if (limits->max_peers != 0 && peers >= limits->max_peers + limits->reserved) {
        return -EUSERS;
    }
    if (admission->pending >= limits->max_pending) {
        return -EAGAIN;
    }
    struct source *source = find_or_make(admission, from, now_ms);
    if (source == NULL) {
        return -ENOMEM;
    }
    refill(source, now_ms);
    if (source->tokens < TOKEN) {
        return -EBUSY;
    }
    if (source->pending >= limits->max_per_source) {
        return -EDQUOT;
    }
    source->tokens -= TOKEN;
    if (source->pending++ == 0) {
        list_remove(&source->node);
        admission->idle_count--;
    }
    admission->pending++;
    return 0;
}

void admission_leave(struct admission *admission, const struct endpoint *from)
{
    uint8_t key[SOURCE_KEY_SIZE];
    make_key(from, key);
    struct source *source = map_find(&admission->sources, key_view(key));
    assert(source != NULL && source->pending > 0);
    admission->pending--;
    if (--source->pending > 0) {
        return;
    }
    list_append(&admission->idle, &source->node);
    if (++admission->idle_count > ADMISSION_SOURCES_MAX) {
        forget_source(admission, CONTAINER_OF(list_first(&admission->idle), struct source, node));
    }
}

size_t admission_pending(const struct admission *admission)
{
    return admission->pending;
}

size_t admission_pending_from(const struct admission *admission, const struct endpoint *from)
{
    uint8_t key[SOURCE_KEY_SIZE];
    make_key(from, key);
    const struct source *source = map_find(&admission->sources, key_view(key));
    return source == NULL ? 0 : source->pending;
}

static struct bytes id_view(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof id->bytes);
}

bool admission_allows(const struct admission *admission, const struct peer_id *id, size_t peers)
{
    const struct admission_limits *limits = &admission->limits;
    if (limits->max_peers == 0 || peers < limits->max_peers) {
        return true;
    }
    return peers < limits->max_peers + limits->reserved &&
           map_find(&admission->known, id_view(id)) != NULL;
}

void admission_remember(struct admission *admission, const struct peer_id *id)
{
    struct known *known = map_find(&admission->known, id_view(id));
    if (known == NULL) {
        if (map_count(&admission->known) >= ADMISSION_KNOWN_MAX) {
            known = CONTAINER_OF(list_first(&admission->known_order), struct known, node);
            list_remove(&known->node);
            (void)map_remove(&admission->known, id_view(&known->id));
        } else {
            known = xalloc(sizeof *known);
            list_init(&known->node);
        }
        known->id = *id;
        if (map_insert(&admission->known, id_view(&known->id), known) != 0) {
            free(known); /* no memory: it will be a stranger next time */
            return;
        }
    }
    list_remove(&known->node);
    list_append(&admission->known_order, &known->node);
}
