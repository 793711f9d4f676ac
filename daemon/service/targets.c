#include "service/targets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "util/alloc.h"

#define FIRST_WAIT_MS  1000
#define POSTPONE_MS    5000
#define WAKE_SPREAD_MS 1000
#define TOKEN          1000 /* tokens are counted in thousandths */
#define MAX_DOUBLINGS  6
#define NEVER          INT64_MAX

struct targets {
    struct list list;
    size_t count;
    size_t max;
    size_t dialing;
    size_t learned;
    int64_t tokens;
    int64_t filled_ms;
};

struct targets *targets_new(size_t max_targets, int64_t now_ms)
{
    struct targets *targets = xalloc(sizeof(*targets));
    list_init(&targets->list);
    targets->max = max_targets;
    targets->tokens = (int64_t)TARGETS_BURST * TOKEN;
    targets->filled_ms = now_ms;
    return targets;
}

static void target_free(struct target *target)
{
    list_remove(&target->node);
    free(target->host);
    free(target->error);
    free(target);
}

void targets_free(struct targets *targets)
{
    if (targets == NULL) {
        return;
    }
    LIST_EACH(&targets->list, node)
    {
        target_free(CONTAINER_OF(node, struct target, node));
    }
    free(targets);
}

size_t targets_count(const struct targets *targets)
{
    return targets->count;
}

struct target *targets_next(const struct targets *targets, struct list **cursor)
{
    struct list *node = *cursor == NULL ? targets->list.next : *cursor;
    if (node == &targets->list) {
        return NULL;
    }
    *cursor = node->next;
    return CONTAINER_OF(node, struct target, node);
}

/* Names are compared as DNS does; a literal has one form, whatever was typed. */
static bool is_at(const struct target *target, const char *host, const struct endpoint *endpoint,
                  uint16_t port)
{
    if (target->port != port || (target->endpoint.ip_size == 0) != (endpoint->ip_size == 0)) {
        return false;
    }
    return endpoint->ip_size == 0 ? strcasecmp(target->host, host) == 0
                                  : endpoint_equal(&target->endpoint, endpoint);
}

struct target *targets_find(const struct targets *targets, const char *host, uint16_t port)
{
    struct endpoint endpoint = {0};
    (void)endpoint_parse_ip(host, port, &endpoint);
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(targets, &cursor)) != NULL;) {
        if (is_at(target, host, &endpoint, port)) {
            return target;
        }
    }
    return NULL;
}

/* ---- adding ---- */

/* The learned one that failed most; never one that is connected or being dialed. */
static struct target *find_dispensable(const struct targets *targets)
{
    struct target *found = NULL;
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(targets, &cursor)) != NULL;) {
        if (target->origin == TARGET_LEARNED && target->state == TARGET_WAITING &&
            (found == NULL || target->attempts > found->attempts)) {
            found = target;
        }
    }
    return found;
}

bool targets_have_room(const struct targets *targets)
{
    return targets->count < targets->max || find_dispensable(targets) != NULL;
}

static int make_room(struct targets *targets, enum target_origin origin)
{
    if (targets->count < targets->max &&
        (origin != TARGET_LEARNED || targets->learned < TARGETS_MAX_LEARNED)) {
        return 0;
    }
    struct target *dispensable = find_dispensable(targets);
    if (dispensable == NULL || (origin == TARGET_LEARNED && dispensable->attempts == 0)) {
        return -EDQUOT;
    }
    targets_remove(targets, dispensable);
    return 0;
}

static struct target *target_new(const struct target_spec *spec, int64_t now_ms)
{
    struct target *target = xalloc(sizeof(*target));
    list_init(&target->node);
    target->port = spec->port;
    target->origin = spec->origin;
    target->has_expected = spec->has_expected;
    target->expected = spec->expected;
    target->due_ms = now_ms;
    if (endpoint_parse_ip(spec->host, spec->port, &target->endpoint) == 0) {
        target->host = xstrdup(endpoint_format_ip(&target->endpoint).text);
    } else {
        target->host = xstrdup(spec->host);
    }
    return target;
}

int targets_add(struct targets *targets, const struct target_spec *spec, int64_t now_ms,
                struct target **ret_target)
{
    size_t length = strlen(spec->host);
    if (length == 0 || length > TARGETS_HOST_MAX || spec->port == 0) {
        return -EINVAL;
    }
    struct target *target = targets_find(targets, spec->host, spec->port);
    if (target != NULL) {
        if (spec->origin > target->origin) {
            targets->learned -= target->origin == TARGET_LEARNED ? 1u : 0u;
            target->origin = spec->origin;
        }
        *ret_target = target;
        return -EEXIST;
    }
    int result = make_room(targets, spec->origin);
    if (result != 0) {
        return result;
    }
    target = target_new(spec, now_ms);
    list_append(&targets->list, &target->node);
    targets->count++;
    targets->learned += spec->origin == TARGET_LEARNED ? 1u : 0u;
    *ret_target = target;
    return 0;
}

static void leave_state(struct targets *targets, struct target *target)
{
    if (target->state == TARGET_DIALING) {
        targets->dialing--;
    }
}

void targets_remove(struct targets *targets, struct target *target)
{
    leave_state(targets, target);
    targets->count--;
    targets->learned -= target->origin == TARGET_LEARNED ? 1u : 0u;
    target_free(target);
}

/* ---- when ---- */

static void fill(struct targets *targets, int64_t now_ms)
{
    int64_t full = (int64_t)TARGETS_BURST * TOKEN;
    int64_t elapsed_ms = now_ms - targets->filled_ms;
    targets->filled_ms = now_ms;
    if (elapsed_ms >= full / TARGETS_DIALS_PER_S) {
        targets->tokens = full;
    } else if (elapsed_ms > 0) {
        targets->tokens += elapsed_ms * TARGETS_DIALS_PER_S;
        targets->tokens = targets->tokens > full ? full : targets->tokens;
    }
}

/* Held ones are due when the hold ends. */
static int64_t due_of(const struct target *target)
{
    return target->due_ms > target->held_until_ms ? target->due_ms : target->held_until_ms;
}

int64_t targets_due_ms(const struct targets *targets, int64_t now_ms)
{
    int64_t due = NEVER;
    struct list *cursor = NULL;
    if (targets->dialing >= TARGETS_MAX_DIALING) {
        return NEVER;
    }
    for (const struct target *target; (target = targets_next(targets, &cursor)) != NULL;) {
        if (target->state == TARGET_WAITING && due_of(target) < due) {
            due = due_of(target);
        }
    }
    if (due == NEVER) {
        return NEVER;
    }
    int64_t missing = TOKEN - targets->tokens;
    int64_t token_ms = missing <= 0 ? 0
                                    : targets->filled_ms +
                                          (missing + TARGETS_DIALS_PER_S - 1) / TARGETS_DIALS_PER_S;
    due = due > token_ms ? due : token_ms;
    return due > now_ms ? due : now_ms;
}

static bool comes_before(const struct target *a, const struct target *b)
{
    return a->attempts != b->attempts ? a->attempts < b->attempts : due_of(a) < due_of(b);
}

static struct target *find_due(const struct targets *targets, int64_t now_ms)
{
    struct target *found = NULL;
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(targets, &cursor)) != NULL;) {
        if (target->state == TARGET_WAITING && due_of(target) <= now_ms &&
            (found == NULL || comes_before(target, found))) {
            found = target;
        }
    }
    return found;
}

struct target *targets_take(struct targets *targets, int64_t now_ms)
{
    fill(targets, now_ms);
    if (targets->dialing >= TARGETS_MAX_DIALING || targets->tokens < TOKEN) {
        return NULL;
    }
    struct target *target = find_due(targets, now_ms);
    if (target != NULL) {
        target->state = TARGET_DIALING;
        targets->dialing++;
        targets->tokens -= TOKEN;
    }
    return target;
}

/* ---- what became of it ---- */

static void wait_until(struct targets *targets, struct target *target, int64_t due_ms)
{
    leave_state(targets, target);
    target->state = TARGET_WAITING;
    target->due_ms = due_ms;
}

void targets_give_back(struct targets *targets, struct target *target, int64_t due_ms)
{
    wait_until(targets, target, due_ms);
    targets->tokens += TOKEN;
}

/* 3/4 to 5/4 of it. */
static int64_t jittered(int64_t wait_ms, uint64_t random)
{
    return wait_ms * 3 / 4 + (int64_t)(random % (uint64_t)(wait_ms / 2 + 1));
}

static int64_t wait_of(unsigned attempts, uint64_t random)
{
    unsigned doublings = attempts < MAX_DOUBLINGS ? attempts : MAX_DOUBLINGS;
    int64_t wait_ms = jittered((int64_t)FIRST_WAIT_MS << doublings, random);
    return wait_ms < TARGETS_WAIT_MAX_MS ? wait_ms : TARGETS_WAIT_MAX_MS;
}

static void set_error(struct target *target, const char *error)
{
    free(target->error);
    target->error = error == NULL ? NULL : xstrdup(error);
}

void target_connected(struct targets *targets, struct target *target, const struct peer_id *peer,
                      int64_t now_ms)
{
    leave_state(targets, target);
    target->state = TARGET_CONNECTED;
    target->has_peer = true;
    target->peer = *peer;
    target->connected_ms = now_ms;
    target->held_until_ms = 0;
    set_error(target, NULL);
}

static void retry(struct targets *targets, struct target *target, int64_t now_ms, uint64_t random)
{
    wait_until(targets, target, now_ms + wait_of(target->attempts, random));
    target->attempts++;
}

void target_failed(struct targets *targets, struct target *target, const char *error,
                   int64_t now_ms, uint64_t random)
{
    set_error(target, error);
    retry(targets, target, now_ms, random);
}

void target_postponed(struct targets *targets, struct target *target, int64_t now_ms,
                      uint64_t random)
{
    wait_until(targets, target, now_ms + jittered(POSTPONE_MS, random));
}

void target_lost(struct targets *targets, struct target *target, int64_t now_ms, uint64_t random)
{
    if (now_ms - target->connected_ms >= TARGETS_STABLE_MS) {
        target->attempts = 0;
    }
    retry(targets, target, now_ms, random);
}

void target_hold(struct target *target, int64_t until_ms)
{
    target->held_until_ms = until_ms;
}

void target_ask(struct target *target, int64_t now_ms)
{
    target->held_until_ms = 0;
    target->attempts = 0;
    if (target->state == TARGET_WAITING) {
        target->due_ms = now_ms;
    }
}

void targets_wake(struct targets *targets, int64_t now_ms, uint64_t random)
{
    struct list *cursor = NULL;
    for (struct target *target; (target = targets_next(targets, &cursor)) != NULL;) {
        if (target->state == TARGET_WAITING) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            int64_t due_ms = now_ms + (int64_t)((random >> 33) % WAKE_SPREAD_MS);
            target->due_ms = due_ms < target->due_ms ? due_ms : target->due_ms;
            target->attempts = 0;
        }
    }
}

/* ---- texts ---- */

char *target_format(const struct target *target, char ret_text[TARGETS_ADDRESS_SIZE])
{
    bool brackets = strchr(target->host, ':') != NULL;
    (void)snprintf(ret_text, TARGETS_ADDRESS_SIZE, "%s%s%s:%u", brackets ? "[" : "", target->host,
                   brackets ? "]" : "", (unsigned)target->port);
    return ret_text;
}

static int parse_port(const char *text, uint16_t *ret_port)
{
    unsigned port = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0') {
        return -EINVAL;
    }
    for (size_t i = 0; i < digits; i++) {
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX) {
        return -EINVAL;
    }
    *ret_port = (uint16_t)port;
    return 0;
}

int target_spec_parse(const char *text, char host[TARGETS_HOST_MAX + 1],
                      struct target_spec *ret_spec)
{
    struct target_spec spec = {.host = host, .origin = TARGET_CONFIGURED};
    const char *at = strchr(text, '@');
    if (at != NULL) {
        char id[2 * PEER_ID_SIZE + 1] = "";
        size_t length = (size_t)(at - text);
        if (length >= sizeof(id)) {
            return -EINVAL;
        }
        memcpy(id, text, length);
        if (peer_id_parse(id, &spec.expected) != 0) {
            return -EINVAL;
        }
        spec.has_expected = true;
        text = at + 1;
    }
    const char *colon = strrchr(text, ':');
    const char *end = colon;
    if (colon == NULL || parse_port(colon + 1, &spec.port) != 0) {
        return -EINVAL;
    }
    if (*text == '[') {
        text++;
        end--;
        if (end <= text || *end != ']') {
            return -EINVAL;
        }
    } else if (memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return -EINVAL; /* an IPv6 address without brackets: where does the port begin? */
    }
    size_t length = (size_t)(end - text);
    if (length == 0 || length > TARGETS_HOST_MAX) {
        return -EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    *ret_spec = spec;
    return 0;
}
