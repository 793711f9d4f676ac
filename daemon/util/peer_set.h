/* A set of peer ids: whom a session waits for, whom it holds up, whom it owes a message. Looking
 * for one takes the longer, the more there are. */
#ifndef RATSD_UTIL_PEER_SET_H
#define RATSD_UTIL_PEER_SET_H

#include "util/peer_id.h"

struct peer_set {
    struct peer_id *ids;
    size_t count;
    size_t capacity;
};

bool peer_set_has(const struct peer_set *set, const struct peer_id *id);
/* True when it was not there before. */
bool peer_set_add(struct peer_set *set, const struct peer_id *id);
/* One that is not there yet. */
void peer_set_append(struct peer_set *set, const struct peer_id *id);
/* The last takes its place. */
void peer_set_remove_at(struct peer_set *set, size_t at);
/* One that is not there yet. */
void peer_set_append(struct peer_set *set, const struct peer_id *id);
/* The last takes its place. */
void peer_set_remove_at(struct peer_set *set, size_t at);
/* True when it was there. */
bool peer_set_remove(struct peer_set *set, const struct peer_id *id);
void peer_set_fini(struct peer_set *set); /* empty and usable again */

#endif
