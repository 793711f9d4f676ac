/* What the files of the transfer engine share. */
#ifndef RATSD_SERVICE_TRANSFER_PRIVATE_H
#define RATSD_SERVICE_TRANSFER_PRIVATE_H

#include "service/transfer_engine.h"
#include "util/map.h"

struct transfer_engine {
    struct transfer_options options;
    struct transfer_limits limits;
    const struct transfer_callbacks *callbacks;
    void *arg;
    struct list all;
    struct map by_wire; /* those that have not ended, by peer, role and id */
    struct map by_key;
    uint64_t next_id;
    uint64_t serial;
    size_t ended;
    struct transfer_counts counts;
};

/* Puts a new transfer among the others. NULL when out of memory or the wire id is in use. */
struct transfer *transfer_new(struct transfer_engine *engine, const struct peer_id *peer,
                              uint64_t id, bool sending, int64_t now_ms);
/* Taken back before anybody heard of it. */
void transfer_discard(struct transfer_engine *engine, struct transfer *transfer);
void transfer_end(struct transfer_engine *engine, struct transfer *transfer,
                  enum transfer_state state, const char *why, int64_t now_ms);
/* Tells of a new state. */
void transfer_set_state(struct transfer_engine *engine, struct transfer *transfer,
                        enum transfer_state state, int64_t now_ms);
/* Tells of progress, now or later. */
void transfer_progress(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
/* A frame without more than its id, or with ok. */
void transfer_say(struct transfer_engine *engine, const struct transfer *transfer,
                  enum transfer_op op, bool ok);
void transfer_unpause(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
/* A peer's or client's name of a transfer, safe to show; NULL when out of memory. */
char *transfer_shown_name(struct bytes name);

#endif
