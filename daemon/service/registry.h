/* Who asked for what by name: the registrations of client sessions, as channels, typed messages and
 * topics keep them.
 *
 * A name is there as long as one session has it, and a session's share is bounded in names and in
 * bytes. Sessions stand in the order in which they registered. The pointer to a registration is
 * good until the last session gives it up; on_gone is told right before that. */
#ifndef RATSD_SERVICE_REGISTRY_H
#define RATSD_SERVICE_REGISTRY_H

#include "util/list.h"
#include "util/map.h"

#define REGISTRY_MAX_NAMES 512u    /* of one session */
#define REGISTRY_MAX_BYTES 262144u /* of their names together */

struct registration {
    struct list node; /* in registry.all */
    char *name;       /* with a NUL behind it */
    size_t name_size;
    uint64_t *sessions;
    size_t count;
    size_t capacity;
};

struct registry {
    struct map by_name; /* struct registration */
    struct list all;
    struct map owners;                                     /* what each session has */
    void (*on_gone)(void *arg, struct registration *gone); /* may be NULL */
    void *arg;
};

/* The seed keeps clients from aiming their names at one bucket. */
void registry_init(struct registry *registry, const uint64_t seed[2],
                   void (*on_gone)(void *arg, struct registration *gone), void *arg);
/* Nobody is told. */
void registry_fini(struct registry *registry);

static inline struct bytes registration_name(const struct registration *registration)
{
    return bytes_make(registration->name, registration->name_size);
}

/* NULL when nobody has it. */
struct registration *registry_find(const struct registry *registry, struct bytes name);
/* Whether that session has it. registration may be NULL. */
bool registration_has(const struct registration *registration, uint64_t session);
/* 0 and the registration, also when the session has it already; -EDQUOT when that were too many or
 * too long for one session; -ENOMEM. */
int registry_add(struct registry *registry, struct bytes name, uint64_t session,
                 struct registration **ret_registration);
/* False when the session did not have it. */
bool registry_remove(struct registry *registry, struct bytes name, uint64_t session);
void registry_drop_session(struct registry *registry, uint64_t session);
/* How many names that session has. */
size_t registry_count(const struct registry *registry, uint64_t session);

#endif
