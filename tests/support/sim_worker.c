/* core/worker.h on virtual time: a job runs at once, its end is told at the end of the turn, or
 * after as long as the test says that it took. */
#include "sim_worker.h"

#include <stdlib.h>

#include "core/worker.h"
#include "util/alloc.h"

struct worker {
    struct loop *loop;
    struct list jobs;
};

struct job {
    struct list node;
    struct deferred done;
    struct timer timer;
    void (*on_done)(void *arg, void *data);
    void *arg;
    void *data;
    void (*free_data)(void *data);
};

static int64_t job_ms;

void sim_worker_set_job_ms(int64_t ms)
{
    job_ms = ms;
}

static void job_free(struct job *job)
{
    list_remove(&job->node);
    deferred_cancel(&job->done);
    timer_stop(&job->timer);
    if (job->free_data != NULL) {
        job->free_data(job->data);
    }
    free(job);
}

static void on_done(void *arg)
{
    struct job *job = arg;
    if (job->on_done != NULL) {
        job->on_done(job->arg, job->data);
    }
    job_free(job);
}

int worker_new(struct loop *loop, size_t max_threads, size_t max_jobs, struct worker **ret_worker)
{
    (void)max_threads;
    (void)max_jobs;
    struct worker *worker = xalloc(sizeof(*worker));
    worker->loop = loop;
    list_init(&worker->jobs);
    *ret_worker = worker;
    return 0;
}

void worker_free(struct worker *worker)
{
    LIST_EACH(&worker->jobs, node)
    {
        job_free(CONTAINER_OF(node, struct job, node));
    }
    free(worker);
}

struct job *worker_submit(struct worker *worker, const char *name, void (*run)(void *data),
                          void (*done)(void *arg, void *data), void *arg, void *data,
                          void (*free_data)(void *data))
{
    (void)name;
    struct job *job = xalloc(sizeof(*job));
    job->on_done = done;
    job->arg = arg;
    job->data = data;
    job->free_data = free_data;
    list_append(&worker->jobs, &job->node);
    deferred_init(&job->done, worker->loop, on_done, job);
    timer_init(&job->timer, worker->loop, on_done, job);
    run(data);
    if (job_ms > 0) {
        timer_start(&job->timer, job_ms);
    } else {
        deferred_schedule(&job->done);
    }
    return job;
}

void job_cancel(struct job *job)
{
    job->on_done = NULL;
}

void job_finish(struct worker *worker, struct job *job)
{
    (void)worker;
    job_cancel(job);
}
