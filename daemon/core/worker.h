/* Threads for what must block: name lookup, disk sync, big hashes.
 *
 * A job gets its own copy of what it needs, runs on some worker thread, and its done callback runs
 * in the loop's thread. Jobs are never interrupted; a cancelled job still runs, only its result is
 * freed instead of delivered. Threads start on demand (at most the given number) and end when idle
 * for 10 s. Only worker.c knows a mutex. */
#ifndef RATSD_CORE_WORKER_H
#define RATSD_CORE_WORKER_H

#include "core/loop.h"

struct worker;
struct job;

int worker_new(struct loop *loop, size_t max_threads, size_t max_jobs, struct worker **ret_worker);
/* Waits for running jobs, except those that may be left; drops queued ones (their free_data runs).
 * The thread of a job that was left ends with it, and so does what it held. */
void worker_free(struct worker *worker);

/* run(data) on a thread; then on_done(arg, data) in the loop; then free_data(data), which may be
 * NULL. name (borrowed for good, at most 15 characters) names the thread meanwhile.
 * Returns the job for job_cancel(), or NULL when max_jobs are waiting or there is no thread to be
 * had (data is still the caller's). */
struct job *worker_submit(struct worker *worker, const char *name, void (*run)(void *data),
                          void (*on_done)(void *arg, void *data), void *arg, void *data,
                          void (*free_data)(void *data));
/* The job may hang for minutes, and nothing depends on it: the end of the worker does not wait for
 * it. Not after on_done has run. */
void job_may_be_left(struct job *job);
/* Not after on_done has run. */
void job_cancel(struct job *job);
/* Blocks until the job has run, however long it takes, and cancels it: for those who must not go
 * before. It runs here when no thread has come to it yet. Its data is freed in a later turn of the
 * loop. Not after on_done has run. */
void job_finish(struct worker *worker, struct job *job);

#endif
