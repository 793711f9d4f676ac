/* What guard.c, bans.c and limits.c share; nobody else includes it. */
#ifndef RATSD_SERVICE_GUARD_PRIVATE_H
#define RATSD_SERVICE_GUARD_PRIVATE_H

#include "service/guard.h"
#include "service/guard_store.h"
#include "util/map.h"

#define GUARD_TOPIC "guard"

struct guard {
    struct host *host;
    struct guard_store *store;
    struct map limits; /* struct kept_limit by peer */
    size_t max_bans;
    size_t max_limits;
    struct list answers; /* calls that wait for the disk */
};

/* A limit of one peer, whether it is connected or not. */
struct kept_limit {
    struct peer_id peer;
    struct peer_limit limit;
};

/* Saves a change that is in force already and answers the request when it is on disk, with result
 * (taken) or with the reason why it is not. write->subject and so on are the caller's to fill. */
void guard_save(struct guard *guard, const struct guard_write *write, struct request *request,
                json_t *result);

/* bans.c */
void bans_on_add(void *self, struct request *request);
void bans_on_remove(void *self, struct request *request);
void bans_on_list(void *self, struct request *request);
/* One row of the store, now at the start. */
void bans_restore(struct guard *guard, const struct guard_write *row);

/* limits.c */
void limits_on_set(void *self, struct request *request);
void limits_on_clear(void *self, struct request *request);
void limits_on_list(void *self, struct request *request);
void limits_restore(struct guard *guard, const struct guard_write *row);
void limits_on_peer_up(struct guard *guard, struct peer *peer);
void limits_fini(struct guard *guard);

#endif
