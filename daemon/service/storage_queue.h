/* What the store has to do, in order, on a worker's thread: one batch at a time.
 *
 * Everything that came while a batch ran goes into the next (group commit). There are two lanes, so
 * that programs of this machine do not wait behind what peers pour in: a batch takes all of the
 * local lane and a bounded part of the other. Both are bounded in bytes by those who add: local
 * ones by storage_queue_admits(), peers by being held (service/storage_peers.h). An operation
 * belongs to the queue until its on_done, which runs in the loop in the order of the batch. */
#ifndef RATSD_SERVICE_STORAGE_QUEUE_H
#define RATSD_SERVICE_STORAGE_QUEUE_H

#include "core/loop.h"
#include "core/worker.h"
#include "service/storage_file.h"

/* Of operations of programs: anybody's below the first, a session's share above it, nobody's above
 * the last. */
#define STORAGE_LOCAL_COMFORT ((size_t)64 * 1024 * 1024)
#define STORAGE_LOCAL_SHARE   ((size_t)16 * 1024 * 1024)
#define STORAGE_LOCAL_MOST    ((size_t)128 * 1024 * 1024)

enum storage_lane { STORAGE_LOCAL, STORAGE_REMOTE, STORAGE_LANES };

/* Called in the loop. */
struct storage_queue_callbacks {
    void (*prepare)(void *arg, struct storage_batch *batch); /* limits, time, origin */
    /* Before the on_done of the batch's operations: totals and head are those after it. */
    void (*on_batch)(void *arg, const struct storage_batch *batch, const char *problem);
    void (*on_idle)(void *arg); /* after them, and before the next batch begins */
    void *arg;
};

struct storage_queue;

/* All borrowed, directory copied. */
struct storage_queue *storage_queue_new(struct loop *loop, struct worker *worker,
                                        const char *directory,
                                        const struct storage_queue_callbacks *callbacks);
/* Waits for the batch that runs; what has not begun is dropped, and nobody is called. */
void storage_queue_free(struct storage_queue *queue);

/* Taken. */
void storage_queue_add(struct storage_queue *queue, enum storage_lane lane, struct storage_op *op);
/* The same at the front, for an operation that has more to do. */
void storage_queue_add_first(struct storage_queue *queue, enum storage_lane lane,
                             struct storage_op *op);
/* Bytes held by operations that wait or run. */
size_t storage_queue_held(const struct storage_queue *queue, enum storage_lane lane);
/* Whether an operation of that size may be added for a session. */
bool storage_queue_admits(const struct storage_queue *queue, uint64_t session, size_t size);

#endif
