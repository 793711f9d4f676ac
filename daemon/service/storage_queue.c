#include "service/storage_queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "util/alloc.h"

#define RETRY_MS     100 /* when no thread is to be had */
#define REMOTE_STEPS 1024u
#define PAGE_STEPS   256u /* reading a page takes as long as merging so many entries, roughly */
#define BATCH_BYTES  ((size_t)16 * 1024 * 1024)

struct storage_queue {
    struct worker *worker;
    struct storage_queue_callbacks callbacks;
    struct storage_file *file;
    struct list lanes[STORAGE_LANES];
    size_t held[STORAGE_LANES]; /* waiting and running */
    struct job *job;            /* NULL: nothing runs */
    struct running *running;
    struct deferred begin;
    struct timer retry;
};

/* A batch on its way, and what its operations held when they were taken. */
struct running {
    struct storage_batch batch;
    struct storage_file *file;
    size_t held[STORAGE_LANES];
    char problem[512];
};

static void free_all(struct list *operations)
{
    LIST_EACH(operations, node)
    {
        list_remove(node);
        storage_op_free(CONTAINER_OF(node, struct storage_op, node));
    }
}

/* ---- a batch ---- */

/* On a worker's thread. */
static void run(void *data)
{
    struct running *running = data;
    storage_file_run(running->file, &running->batch);
    const char *problem = storage_file_problem(running->file);
    (void)snprintf(running->problem, sizeof(running->problem), "%s", problem);
}

static void free_running(void *data)
{
    struct running *running = data;
    free_all(&running->batch.operations);
    free(running);
}

static unsigned steps_of(const struct storage_op *op)
{
    switch (op->kind) {
    case STORAGE_MERGE:
        return op->count < STORAGE_STEP ? op->count : STORAGE_STEP;
    case STORAGE_PAGE:
        return PAGE_STEPS;
    case STORAGE_PUT:
    case STORAGE_REMOVE:
    case STORAGE_GET:
    case STORAGE_KEYS:
    case STORAGE_LOOK:
    case STORAGE_COLLECT:
    default:
        return 1;
    }
}

/* Always one at least, so that none is too large to ever be done. */
static void take_lane(struct storage_queue *queue, enum storage_lane lane, unsigned most_steps,
                      struct running *running)
{
    unsigned steps = 0;
    LIST_EACH(&queue->lanes[lane], node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        steps += steps_of(op);
        if (running->held[lane] > 0 &&
            (steps > most_steps || running->held[lane] + storage_op_held(op) > BATCH_BYTES)) {
            break;
        }
        running->held[lane] += storage_op_held(op);
        list_remove(node);
        list_append(&running->batch.operations, node);
    }
}

static void submit(struct storage_queue *queue);

/* In the loop: whoever waits hears of it, then the next batch begins. */
static void on_done(void *arg, void *data)
{
    struct storage_queue *queue = arg;
    struct running *running = data;
    const struct storage_queue_callbacks *callbacks = &queue->callbacks;
    queue->job = NULL;
    for (size_t lane = 0; lane < STORAGE_LANES; lane++) {
        queue->held[lane] -= running->held[lane];
    }
    callbacks->on_batch(callbacks->arg, &running->batch, running->problem);
    LIST_EACH(&running->batch.operations, node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        list_remove(node);
        op->on_done(op->arg, op);
    }
    callbacks->on_idle(callbacks->arg);
    queue->running = NULL;
    free_running(running);
    submit(queue);
}

/* Makes the next batch, unless one runs, and starts it, unless there is no thread. */
static void submit(struct storage_queue *queue)
{
    bool empty =
        list_is_empty(&queue->lanes[STORAGE_LOCAL]) && list_is_empty(&queue->lanes[STORAGE_REMOTE]);
    if (queue->job != NULL || (queue->running == NULL && empty)) {
        return;
    }
    if (queue->running == NULL) {
        struct running *running = xalloc(sizeof(*running));
        list_init(&running->batch.operations);
        running->file = queue->file;
        take_lane(queue, STORAGE_LOCAL, UINT32_MAX, running);
        take_lane(queue, STORAGE_REMOTE, REMOTE_STEPS, running);
        queue->running = running;
    }
    queue->callbacks.prepare(queue->callbacks.arg, &queue->running->batch);
    queue->job = worker_submit(queue->worker, "storage", run, on_done, queue, queue->running, NULL);
    if (queue->job == NULL) {
        timer_start(&queue->retry, RETRY_MS);
    }
}

/* At the end of the turn, so that what one turn brings shares a batch. */
static void on_begin(void *arg)
{
    submit(arg);
}

/* ---- the queue ---- */

struct storage_queue *storage_queue_new(struct loop *loop, struct worker *worker,
                                        const char *directory,
                                        const struct storage_queue_callbacks *callbacks)
{
    struct storage_queue *queue = xalloc(sizeof(*queue));
    queue->worker = worker;
    queue->callbacks = *callbacks;
    queue->file = storage_file_new(directory);
    for (size_t lane = 0; lane < STORAGE_LANES; lane++) {
        list_init(&queue->lanes[lane]);
    }
    deferred_init(&queue->begin, loop, on_begin, queue);
    timer_init(&queue->retry, loop, on_begin, queue);
    return queue;
}

void storage_queue_free(struct storage_queue *queue)
{
    if (queue == NULL) {
        return;
    }
    if (queue->job != NULL) {
        job_finish(queue->worker, queue->job);
    }
    if (queue->running != NULL) {
        free_running(queue->running);
    }
    for (size_t lane = 0; lane < STORAGE_LANES; lane++) {
        free_all(&queue->lanes[lane]);
    }
    deferred_cancel(&queue->begin);
    timer_stop(&queue->retry);
    storage_file_free(queue->file);
    free(queue);
}

static void note_added(struct storage_queue *queue, enum storage_lane lane,
                       const struct storage_op *op)
{
    queue->held[lane] += storage_op_held(op);
    deferred_schedule(&queue->begin);
}

void storage_queue_add(struct storage_queue *queue, enum storage_lane lane, struct storage_op *op)
{
    list_append(&queue->lanes[lane], &op->node);
    note_added(queue, lane, op);
}

void storage_queue_add_first(struct storage_queue *queue, enum storage_lane lane,
                             struct storage_op *op)
{
    struct list *first = list_first(&queue->lanes[lane]);
    list_append(first == NULL ? &queue->lanes[lane] : first, &op->node); /* before the first */
    note_added(queue, lane, op);
}

size_t storage_queue_held(const struct storage_queue *queue, enum storage_lane lane)
{
    return queue->held[lane];
}

static size_t held_by(const struct storage_queue *queue, uint64_t session)
{
    size_t held = 0;
    LIST_EACH(&queue->lanes[STORAGE_LOCAL], node)
    {
        const struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        held += op->session == session ? storage_op_held(op) : 0;
    }
    return held;
}

bool storage_queue_admits(const struct storage_queue *queue, uint64_t session, size_t size)
{
    size_t held = queue->held[STORAGE_LOCAL] + size;
    return held <= STORAGE_LOCAL_COMFORT ||
           (held <= STORAGE_LOCAL_MOST && held_by(queue, session) + size <= STORAGE_LOCAL_SHARE);
}
