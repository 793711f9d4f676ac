/* How long a publisher waits for slow links: PATIENCE_MS, and then not again for PATIENCE_PAUSE_MS.
 *
 * One peer that takes little must not stop a topic for all, and one that hesitates must not lose
 * messages. The time runs from the first wait until the link is seen free. Pure. */
#ifndef RATSD_SERVICE_PATIENCE_H
#define RATSD_SERVICE_PATIENCE_H

#include "util/map.h"
#include "util/peer_id.h"

#define PATIENCE_MS       2000
#define PATIENCE_PAUSE_MS 60000

struct patience {
    struct map peers; /* struct patience_peer */
};

void patience_init(struct patience *patience, const uint64_t seed[2]);
void patience_fini(struct patience *patience);

/* The peer's link is full: whether to wait for it. */
bool patience_waits(struct patience *patience, const struct peer_id *id, int64_t now_ms);
/* Whether it was given up: what it does not take at once is lost to it. */
bool patience_is_over(const struct patience *patience, const struct peer_id *id, int64_t now_ms);
/* Its link has room, or it is gone. Who was given up stays so until the pause is over or
 * gone says that it is no peer any more. */
void patience_settle(struct patience *patience, const struct peer_id *id, int64_t now_ms,
                     bool gone);
/* Gives up those that were waited for long enough, and says who. The time of the next such
 * moment, or -1. */
int64_t patience_expire(struct patience *patience, int64_t now_ms,
                        void (*on_over)(void *arg, const struct peer_id *id), void *arg);

static inline bool patience_is_empty(const struct patience *patience)
{
    return map_count(&patience->peers) == 0;
}

#endif
