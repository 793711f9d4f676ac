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

/* Puts a new transfer among the others, without an id on the wire. NULL when out of memory. */
struct transfer *transfer_new(struct transfer_engine *engine, const struct peer_id *peer,
                              bool sending, int64_t now_ms);
/* 0, -EEXIST when the id is in use, -ENOMEM. */
int transfer_put_on_wire(struct transfer_engine *engine, struct transfer *transfer, uint64_t id);
void transfer_take_off_wire(struct transfer_engine *engine, struct transfer *transfer);
/* Its facts go; on_forget. */
void transfer_forget(struct transfer_engine *engine, struct transfer *transfer);
/* Taken back before anybody heard of it. */
void transfer_discard(struct transfer_engine *engine, struct transfer *transfer);
/* Those with a peer in a state, one way. */
size_t transfer_count(const struct transfer_engine *engine, const struct peer_id *peer,
                      enum transfer_state state, bool sending);
void transfer_end(struct transfer_engine *engine, struct transfer *transfer,
                  enum transfer_state state, const char *why, int64_t now_ms);
/* Tells of a new state. */
void transfer_set_state(struct transfer_engine *engine, struct transfer *transfer,
                        enum transfer_state state, int64_t now_ms);
void transfer_tell(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
/* Tells of progress, now or later. */
void transfer_progress(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
/* A frame without more than its id, or with ok; nothing when it was not offered. */
void transfer_say(struct transfer_engine *engine, const struct transfer *transfer,
                  enum transfer_op op, bool ok);
void transfer_unpause(struct transfer_engine *engine, struct transfer *transfer, int64_t now_ms);
/* A peer's or client's name of a transfer, safe to show; NULL when out of memory. */
char *transfer_shown_name(struct bytes name);

#endif
