#include "service/registry.h"

#include <errno.h>
#include <stdlib.h>

#include "util/alloc.h"

struct owner {
    uint64_t session;
    size_t names;
    size_t bytes;
};

void registry_init(struct registry *registry, const uint64_t seed[2],
                   void (*on_gone)(void *arg, struct registration *gone), void *arg)
{
    *registry = (struct registry){.on_gone = on_gone, .arg = arg};
    map_init(&registry->by_name, seed);
    list_init(&registry->all);
    map_init(&registry->owners, (const uint64_t[2]){0, 0}); /* the keys are our own numbers */
}

static void registration_free(struct registry *registry, struct registration *registration)
{
    (void)map_remove(&registry->by_name, registration_name(registration));
    list_remove(&registration->node);
    free(registration->name);
    free(registration->sessions);
    free(registration);
}

void registry_fini(struct registry *registry)
{
    LIST_EACH(&registry->all, node)
    {
        registration_free(registry, CONTAINER_OF(node, struct registration, node));
    }
    size_t cursor = 0;
    for (struct owner *owner = map_next(&registry->owners, &cursor); owner != NULL;
         owner = map_next(&registry->owners, &cursor)) {
        free(owner);
    }
    map_fini(&registry->by_name);
    map_fini(&registry->owners);
}

static struct owner *owner_find(const struct registry *registry, uint64_t session)
{
    return map_find(&registry->owners, bytes_make(&session, sizeof(session)));
}

/* NULL when out of memory. */
static struct owner *owner_obtain(struct registry *registry, uint64_t session)
{
    struct owner *owner = owner_find(registry, session);
    if (owner == NULL) {
        owner = xalloc(sizeof(*owner));
        owner->session = session;
        if (map_insert(&registry->owners, bytes_make(&owner->session, sizeof(owner->session)),
                       owner) < 0) {
            free(owner);
            owner = NULL;
        }
    }
    return owner;
}

/* Forgets an owner of nothing. */
static void owner_settle(struct registry *registry, struct owner *owner)
{
    if (owner->names == 0) {
        (void)map_remove(&registry->owners, bytes_make(&owner->session, sizeof(owner->session)));
        free(owner);
    }
}

struct registration *registry_find(const struct registry *registry, struct bytes name)
{
    return map_find(&registry->by_name, name);
}

/* Place of a session, or count when it is not there. */
static size_t place_of(const struct registration *registration, uint64_t session)
{
    size_t at = 0;
    while (at < registration->count && registration->sessions[at] != session) {
        at++;
    }
    return at;
}

bool registration_has(const struct registration *registration, uint64_t session)
{
    return registration != NULL && place_of(registration, session) < registration->count;
}

/* NULL when out of memory. */
static struct registration *registration_make(struct registry *registry, struct bytes name)
{
    struct registration *registration = xalloc(sizeof(*registration));
    registration->name = xalloc(name.size + 1);
    if (name.size > 0) {
        memcpy(registration->name, name.data, name.size);
    }
    registration->name_size = name.size;
    list_init(&registration->node);
    if (map_insert(&registry->by_name, registration_name(registration), registration) < 0) {
        free(registration->name);
        free(registration);
        return NULL;
    }
    list_append(&registry->all, &registration->node);
    return registration;
}

static void sessions_append(struct registration *registration, uint64_t session)
{
    if (registration->count == registration->capacity) {
        registration->capacity = registration->capacity == 0 ? 4 : registration->capacity * 2;
        registration->sessions = xrealloc(registration->sessions,
                                          registration->capacity * sizeof(*registration->sessions));
    }
    registration->sessions[registration->count++] = session;
}

int registry_add(struct registry *registry, struct bytes name, uint64_t session,
                 struct registration **ret_registration)
{
    struct registration *registration = registry_find(registry, name);
    if (registration_has(registration, session)) {
        *ret_registration = registration;
        return 0;
    }
    struct owner *owner = owner_obtain(registry, session);
    if (owner == NULL) {
        return -ENOMEM;
    }
    int result = 0;
    if (owner->names >= REGISTRY_MAX_NAMES || owner->bytes + name.size > REGISTRY_MAX_BYTES) {
        result = -EDQUOT;
        goto out;
    }
    if (registration == NULL) {
        registration = registration_make(registry, name);
    }
    if (registration == NULL) {
        result = -ENOMEM;
        goto out;
    }
    owner->names++;
    owner->bytes += name.size;
    sessions_append(registration, session);
    *ret_registration = registration;
out:
    owner_settle(registry, owner);
    return result;
}

static bool remove_session(struct registry *registry, struct registration *registration,
                           uint64_t session)
{
    size_t at = place_of(registration, session);
    if (at == registration->count) {
        return false;
    }
    struct owner *owner = owner_find(registry, session);
    owner->names--;
    owner->bytes -= registration->name_size;
    owner_settle(registry, owner);
    registration->count--;
    memmove(&registration->sessions[at], &registration->sessions[at + 1],
            (registration->count - at) * sizeof(*registration->sessions));
    if (registration->count == 0) {
        if (registry->on_gone != NULL) {
            registry->on_gone(registry->arg, registration);
        }
        registration_free(registry, registration);
    }
    return true;
}

bool registry_remove(struct registry *registry, struct bytes name, uint64_t session)
{
    struct registration *registration = registry_find(registry, name);
    return registration != NULL && remove_session(registry, registration, session);
}

void registry_drop_session(struct registry *registry, uint64_t session)
{
    if (registry_count(registry, session) == 0) {
        return;
    }
    LIST_EACH(&registry->all, node)
    {
        (void)remove_session(registry, CONTAINER_OF(node, struct registration, node), session);
    }
}

size_t registry_count(const struct registry *registry, uint64_t session)
{
    const struct owner *owner = owner_find(registry, session);
    return owner == NULL ? 0 : owner->names;
}
