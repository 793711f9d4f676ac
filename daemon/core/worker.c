#include "core/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/alloc.h"

#define STACK_SIZE ((size_t)256 * 1024)
#define IDLE_S     10

/* on_done, arg and may_be_left belong to the loop's thread alone, so cancelling needs no lock. */
struct job {
    struct list node;
    const char *name;
    void (*run)(void *data);
    void (*on_done)(void *arg, void *data); /* NULL when cancelled */
    void *arg;
    void *data;
    void (*free_data)(void *data);
    bool may_be_left;
    bool has_run; /* under the worker's mutex */
};

struct thread {
    struct list node;
    struct worker *worker;
    pthread_t id;
    struct job *job;  /* running now */
    const char *name; /* of the last job */
    bool is_left;     /* nobody joins it */
};

struct worker {
    struct io io; /* the eventfd that says: look at done and ended */
    size_t max_threads;
    size_t max_jobs;
    int event_fd;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t work;
    pthread_cond_t finished; /* a job has */
    struct list queued;
    struct list done;
    struct list threads;
    struct list ended; /* threads to join */
    size_t holders;    /* the owner and threads that were left; the last of them frees this */
    size_t queued_count;
    size_t thread_count;
    size_t idle_count;
    bool stopping;
};

static void job_free(struct job *job)
{
    if (job->free_data != NULL) {
        job->free_data(job->data);
    }
    free(job);
}

static struct job *take_job(struct list *from)
{
    struct list *node = list_first(from);
    if (node == NULL) {
        return NULL;
    }
    list_remove(node);
    return CONTAINER_OF(node, struct job, node);
}

static void wake_loop(const struct worker *worker)
{
    uint64_t one = 1;
    ssize_t written = write(worker->event_fd, &one, sizeof one);
    (void)written; /* only a full counter can fail, and then the loop is awake already */
}

/* With the mutex held. While something lies there the loop knows, and has not looked yet. */
static void add_done(struct worker *worker, struct job *job)
{
    bool knows = !list_is_empty(&worker->done);
    job->has_run = true;
    list_append(&worker->done, &job->node);
    if (!knows) {
        wake_loop(worker);
    }
}

/* With the mutex held: the next job, or NULL when stopping or idle for too long. */
static struct job *wait_for_job(struct worker *worker)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    int waited = 0;
    worker->idle_count++;
    while (!worker->stopping && list_is_empty(&worker->queued) && waited != ETIMEDOUT) {
        waited = pthread_cond_timedwait(&worker->work, &worker->mutex, &until);
    }
    worker->idle_count--;
    if (worker->stopping) {
        return NULL;
    }
    struct job *job = take_job(&worker->queued);
    if (job != NULL) {
        worker->queued_count--;
    }
    return job;
}

static void destroy(struct worker *worker)
{
    (void)pthread_cond_destroy(&worker->work);
    (void)pthread_cond_destroy(&worker->finished);
    (void)pthread_mutex_destroy(&worker->mutex);
    free(worker);
}

/* With the mutex held, which this gives up: the loop has gone on without this thread. */
static void end_left(struct thread *thread)
{
    struct worker *worker = thread->worker;
    bool is_last = --worker->holders == 0;
    (void)pthread_mutex_unlock(&worker->mutex);
    job_free(thread->job);
    free(thread);
    if (is_last) {
        destroy(worker);
    }
}

/* Names are literals: most jobs follow one of the same name. */
static void take_name(struct thread *thread, const char *name)
{
    if (thread->name != name) {
        thread->name = name;
        (void)pthread_setname_np(pthread_self(), name);
    }
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    struct worker *worker = thread->worker;
    (void)pthread_mutex_lock(&worker->mutex);
    struct job *job;
    while ((job = wait_for_job(worker)) != NULL) {
        thread->job = job;
        (void)pthread_mutex_unlock(&worker->mutex);
        take_name(thread, job->name);
        job->run(job->data);
        (void)pthread_mutex_lock(&worker->mutex);
        if (thread->is_left) {
            end_left(thread);
            return NULL;
        }
        thread->job = NULL;
        (void)pthread_cond_broadcast(&worker->finished);
        add_done(worker, job);
    }
    worker->thread_count--;
    list_remove(&thread->node);
    list_append(&worker->ended, &thread->node);
    wake_loop(worker);
    (void)pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* With the mutex held. All signals are for the loop's thread. */
static int start_thread(struct worker *worker)
{
    struct thread *thread = xalloc(sizeof *thread);
    thread->worker = worker;
    list_init(&thread->node);
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->id, &attributes, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (error != 0) {
        free(thread);
        return -error;
    }
    list_append(&worker->threads, &thread->node);
    worker->thread_count++;
    return 0;
}

static void join_threads(struct list *threads)
{
    LIST_EACH(threads, node)
    {
        struct thread *thread = CONTAINER_OF(node, struct thread, node);
        (void)pthread_join(thread->id, NULL);
        list_remove(node);
        free(thread);
    }
}

static void move_all(struct list *from, struct list *to)
{
    LIST_EACH(from, node)
    {
        list_remove(node);
        list_append(to, node);
    }
}

static void on_news(void *arg, unsigned ready)
{
    struct worker *worker = arg;
    uint64_t count;
    struct list done;
    struct list ended;
    (void)ready;
    list_init(&done);
    list_init(&ended);
    ssize_t got = read(worker->event_fd, &count, sizeof count);
    (void)got;
    (void)pthread_mutex_lock(&worker->mutex);
    move_all(&worker->done, &done);
    move_all(&worker->ended, &ended);
    (void)pthread_mutex_unlock(&worker->mutex);
    join_threads(&ended);
    LIST_EACH(&done, node)
    {
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (job->on_done != NULL) {
            job->on_done(job->arg, job->data);
        }
        job_free(job);
    }
}

static void init_locks(struct worker *worker)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&worker->work, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    (void)pthread_cond_init(&worker->finished, NULL);
    (void)pthread_mutex_init(&worker->mutex, NULL);
}

int worker_new(struct loop *loop, size_t max_threads, size_t max_jobs, struct worker **ret_worker)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    struct worker *worker = xalloc(sizeof *worker);
    worker->max_threads = max_threads;
    worker->max_jobs = max_jobs;
    worker->event_fd = fd;
    worker->holders = 1;
    init_locks(worker);
    list_init(&worker->queued);
    list_init(&worker->done);
    list_init(&worker->threads);
    list_init(&worker->ended);
    io_init(&worker->io, loop, fd, on_news, worker);
    int result = io_want(&worker->io, IO_READ);
    if (result != 0) {
        worker_free(worker);
        return result;
    }
    *ret_worker = worker;
    return 0;
}

/* With the mutex held. */
static void leave_threads(struct worker *worker)
{
    LIST_EACH(&worker->threads, node)
    {
        struct thread *thread = CONTAINER_OF(node, struct thread, node);
        if (thread->job != NULL && thread->job->may_be_left) {
            thread->is_left = true;
            (void)pthread_detach(thread->id);
            list_remove(node);
            worker->thread_count--;
            worker->holders++;
        }
    }
}

/* Every thread moves itself from threads to ended; so both are walked until both are empty. */
static void stop_threads(struct worker *worker)
{
    (void)pthread_mutex_lock(&worker->mutex);
    worker->stopping = true;
    leave_threads(worker);
    (void)pthread_cond_broadcast(&worker->work);
    while (worker->thread_count > 0 || !list_is_empty(&worker->ended)) {
        struct list *node = list_first(&worker->ended);
        if (node == NULL) {
            node = list_first(&worker->threads);
        }
        struct thread *thread = CONTAINER_OF(node, struct thread, node);
        (void)pthread_mutex_unlock(&worker->mutex);
        (void)pthread_join(thread->id, NULL);
        (void)pthread_mutex_lock(&worker->mutex);
        list_remove(&thread->node);
        free(thread);
    }
    (void)pthread_mutex_unlock(&worker->mutex);
}

static void drop_jobs(struct list *jobs)
{
    LIST_EACH(jobs, node)
    {
        job_free(CONTAINER_OF(node, struct job, node));
    }
}

void worker_free(struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    stop_threads(worker);
    drop_jobs(&worker->queued);
    drop_jobs(&worker->done);
    io_fini(&worker->io);
    (void)close(worker->event_fd);
    (void)pthread_mutex_lock(&worker->mutex);
    bool is_last = --worker->holders == 0;
    (void)pthread_mutex_unlock(&worker->mutex);
    if (is_last) {
        destroy(worker);
    }
}

struct job *worker_submit(struct worker *worker, const char *name, void (*run)(void *data),
                          void (*on_done)(void *arg, void *data), void *arg, void *data,
                          void (*free_data)(void *data))
{
    struct job *job = xalloc(sizeof *job);
    *job = (struct job){
        .name = name,
        .run = run,
        .on_done = on_done,
        .arg = arg,
        .data = data,
        .free_data = free_data,
    };
    list_init(&job->node);
    (void)pthread_mutex_lock(&worker->mutex);
    bool accepted = worker->queued_count < worker->max_jobs;
    if (accepted && worker->queued_count >= worker->idle_count &&
        worker->thread_count < worker->max_threads) {
        /* Without a new thread the job waits for a running one; without any it would for ever. */
        accepted = start_thread(worker) == 0 || worker->thread_count > 0;
    }
    if (accepted) {
        list_append(&worker->queued, &job->node);
        worker->queued_count++;
        (void)pthread_cond_signal(&worker->work);
    }
    (void)pthread_mutex_unlock(&worker->mutex);
    if (!accepted) {
        free(job);
        return NULL;
    }
    return job;
}

void job_may_be_left(struct job *job)
{
    job->may_be_left = true;
}

void job_cancel(struct job *job)
{
    job->on_done = NULL;
}

void job_finish(struct worker *worker, struct job *job)
{
    job_cancel(job);
    (void)pthread_mutex_lock(&worker->mutex);
    if (!job->has_run && list_is_linked(&job->node)) { /* behind others that may hang */
        list_remove(&job->node);
        worker->queued_count--;
        (void)pthread_mutex_unlock(&worker->mutex);
        job->run(job->data);
        (void)pthread_mutex_lock(&worker->mutex);
        add_done(worker, job);
    }
    while (!job->has_run) {
        (void)pthread_cond_wait(&worker->finished, &worker->mutex);
    }
    (void)pthread_mutex_unlock(&worker->mutex);
}
