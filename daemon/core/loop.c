#include "core/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "core/loans.h"
#include "core/log.h"
#include "core/turn.h"
#include "util/alloc.h"
#include "util/intake.h"

#define US_PER_S 1000000

struct signal_watch {
    struct list node;
    void (*on_signal)(void *arg, int number);
    void *arg;
    int number;
};

struct loop {
    struct event_base *base;
    struct intake_scratch *scratch;
    struct turn turn;
    struct loans loans;
    struct list signals;
    struct io signal_io; /* a signalfd; -1 until the first is watched */
    sigset_t caught;
    struct io wake;  /* a timerfd: the one wake-up for the earliest timer */
    int64_t wake_ms; /* what it is set to; INT64_MAX = nothing */
    int64_t now_ms;
    bool is_awake; /* now_ms is of this turn */
    bool quit;
};

static void on_library_failure(int code)
{
    (void)code;
    log_error("loop", "the event loop cannot go on");
    _exit(1);
}

/* That a descriptor is not watched libevent tells by its log alone: with a change list epoll_ctl()
 * runs long after event_add(). Better a new start than a peer or a client that is never heard. */
static void on_library_log(int severity, const char *text)
{
    static const char not_watched[] = "Epoll ";
    if (severity >= EVENT_LOG_WARN) {
        log_write(severity == EVENT_LOG_ERR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "loop", "%s", text);
    }
    if (severity == EVENT_LOG_WARN && strncmp(text, not_watched, strlen(not_watched)) == 0) {
        on_library_failure(EXIT_FAILURE);
    }
}

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

/* Reads the clock after waiting, before the first callback of the turn. */
static void wake_up(struct loop *loop)
{
    if (!loop->is_awake) {
        loop->now_ms = clock_us(CLOCK_MONOTONIC) / 1000;
        loop->is_awake = true;
    }
}

static void on_wake(void *arg, unsigned ready)
{
    struct loop *loop = arg;
    uint64_t expirations;
    (void)ready;
    if (read(loop->wake.fd, &expirations, sizeof expirations) > 0) {
        loop->wake_ms = INT64_MAX;
    }
}

/* Sets the wake-up when the earliest timer is now earlier. When it is later the old wake-up stays:
 * one idle turn costs less than a system call in each turn that pushes a deadline back. */
static int arm_wake(struct loop *loop)
{
    const struct timer *first = timer_heap_first(&loop->turn.heap);
    if (first == NULL || first->due_ms >= loop->wake_ms) {
        return 0;
    }
    struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(first->due_ms / 1000),
                     .tv_nsec = (long)(first->due_ms % 1000) * 1000000L},
    };
    if (timerfd_settime(loop->wake.fd, TFD_TIMER_ABSTIME, &at, NULL) != 0) {
        return -errno;
    }
    loop->wake_ms = first->due_ms;
    return 0;
}

static int open_base(struct loop *loop)
{
    struct event_config *config = event_config_new();
    if (config == NULL) {
        return -ENOMEM;
    }
    /* No lock: one thread. Change list: a descriptor whose wish changes back and forth within a
     * turn costs at most one epoll_ctl. No cached time: libevent's timers are not used. */
    (void)event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
                                            EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST |
                                            EVENT_BASE_FLAG_NO_CACHE_TIME);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (loop->base == NULL) {
        return -ENOMEM;
    }
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    io_init(&loop->wake, loop, fd, on_wake, loop);
    return io_want(&loop->wake, IO_READ);
}

int loop_new(struct loop **ret_loop)
{
    struct loop *loop = xalloc(sizeof *loop);
    event_set_mem_functions(xmalloc, xrealloc, free);
    event_set_log_callback(on_library_log);
    event_set_fatal_callback(on_library_failure);
    loop->wake.fd = -1;
    loop->wake_ms = INT64_MAX;
    turn_init(&loop->turn);
    loans_init(&loop->loans);
    list_init(&loop->signals);
    loop->signal_io.fd = -1;
    (void)sigemptyset(&loop->caught);
    int result = -ENOMEM;
    loop->scratch = try_alloc(sizeof *loop->scratch);
    if (loop->scratch == NULL) {
        goto out;
    }
    result = open_base(loop);
out:
    if (result != 0) {
        loop_free(loop);
        return result;
    }
    *ret_loop = loop;
    return 0;
}

static void signal_watch_free(struct signal_watch *watch)
{
    list_remove(&watch->node);
    free(watch);
}

static void close_io(struct io *io)
{
    int fd = io->fd;
    io_fini(io);
    if (fd >= 0) {
        (void)close(fd);
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    turn_fini(&loop->turn);
    LIST_EACH(&loop->signals, node)
    {
        signal_watch_free(CONTAINER_OF(node, struct signal_watch, node));
    }
    close_io(&loop->wake);
    close_io(&loop->signal_io);
    if (loop->base != NULL) {
        event_base_free(loop->base);
    }
    free(loop->scratch);
    free(loop);
}

int loop_run(struct loop *loop)
{
    int result = 0;
    while (!loop->quit && result == 0) {
        bool busy = turn_has_work(&loop->turn, loop_now_ms(loop));
        loop->is_awake = false;
        result = busy ? 0 : arm_wake(loop);
        if (result != 0) {
            break;
        }
        /* ONCE in both cases: NONBLOCK alone would go on for as long as anything is ready. */
        int flags = EVLOOP_ONCE | (busy ? EVLOOP_NONBLOCK : EVLOOP_NO_EXIT_ON_EMPTY);
        if (event_base_loop(loop->base, flags) < 0) {
            result = errno != 0 ? -errno : -EIO;
        }
        wake_up(loop);
        turn_run(&loop->turn, loop->now_ms);
    }
    loop->is_awake = false;
    loop->quit = false;
    return result;
}

void loop_quit(struct loop *loop)
{
    loop->quit = true;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->is_awake ? loop->now_ms : clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t loop_clock_us(const struct loop *loop)
{
    (void)loop;
    return clock_us(CLOCK_MONOTONIC);
}

int64_t loop_unix_ms(const struct loop *loop)
{
    (void)loop;
    return clock_us(CLOCK_REALTIME) / 1000;
}

struct intake_scratch *loop_scratch(struct loop *loop)
{
    return loop->scratch;
}

struct loans *loop_loans(struct loop *loop)
{
    return &loop->loans;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct io *io = arg;
    (void)fd;
    wake_up(io->loop);
    unsigned ready =
        ((what & EV_READ) != 0 ? IO_READ : 0) | ((what & EV_WRITE) != 0 ? IO_WRITE : 0);
    io->on_ready(io->arg, ready);
}

void io_init(struct io *io, struct loop *loop, int fd, void (*on_ready)(void *, unsigned),
             void *arg)
{
    *io = (struct io){.loop = loop, .fd = fd, .on_ready = on_ready, .arg = arg};
}

int io_want(struct io *io, unsigned wanted)
{
    if (wanted == io->wanted) {
        return 0;
    }
    if (io->event == NULL) {
        io->event = event_new(io->loop->base, io->fd, 0, on_event, io);
        if (io->event == NULL) {
            return -ENOMEM;
        }
    }
    if (io->wanted != 0) {
        (void)event_del(io->event);
        io->wanted = 0;
    }
    if (wanted == 0) {
        return 0;
    }
    short what = EV_PERSIST;
    if ((wanted & IO_READ) != 0) {
        what |= EV_READ;
    }
    if ((wanted & IO_WRITE) != 0) {
        what |= EV_WRITE;
    }
    if (event_assign(io->event, io->loop->base, io->fd, what, on_event, io) != 0 ||
        event_add(io->event, NULL) != 0) {
        return -ENOMEM;
    }
    io->wanted = wanted;
    return 0;
}

void io_fini(struct io *io)
{
    if (io->event != NULL) {
        event_free(io->event);
    }
    io->event = NULL;
    io->wanted = 0;
    io->fd = -1;
}

void timer_init(struct timer *timer, struct loop *loop, void (*on_due)(void *), void *arg)
{
    *timer = (struct timer){.loop = loop, .on_due = on_due, .arg = arg};
}

void timer_start(struct timer *timer, int64_t delay_ms)
{
    timer->due_ms = loop_now_ms(timer->loop) + (delay_ms > 0 ? delay_ms : 0);
    timer_heap_put(&timer->loop->turn.heap, timer);
}

void timer_stop(struct timer *timer)
{
    if (timer->place != 0) {
        timer_heap_remove(&timer->loop->turn.heap, timer);
    }
}

void deferred_init(struct deferred *deferred, struct loop *loop, void (*on_run)(void *), void *arg)
{
    *deferred = (struct deferred){.loop = loop, .on_run = on_run, .arg = arg};
    list_init(&deferred->node);
}

void deferred_schedule(struct deferred *deferred)
{
    turn_schedule(&deferred->loop->turn, deferred);
}

void deferred_cancel(struct deferred *deferred)
{
    if (deferred->node.next != NULL) {
        list_remove(&deferred->node);
    }
}

void loop_free_later(struct loop *loop, void (*free_it)(void *), void *p)
{
    turn_free_later(&loop->turn, free_it, p);
}

/* What has come, each number once however often it was sent. A read that fails is tried again: the
 * descriptor stays readable. */
static void on_signals(void *arg, unsigned ready)
{
    struct loop *loop = arg;
    struct signalfd_siginfo info;
    (void)ready;
    while (read(loop->signal_io.fd, &info, sizeof info) == (ssize_t)sizeof info) {
        LIST_EACH(&loop->signals, node)
        {
            const struct signal_watch *watch = CONTAINER_OF(node, struct signal_watch, node);
            if (watch->number == (int)info.ssi_signo) {
                watch->on_signal(watch->arg, watch->number);
            }
        }
    }
}

/* Has the signals of loop->caught come by a descriptor. */
static int catch_signals(struct loop *loop)
{
    int fd = signalfd(loop->signal_io.fd, &loop->caught, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (loop->signal_io.fd < 0) {
        io_init(&loop->signal_io, loop, fd, on_signals, loop);
    }
    int result = io_want(&loop->signal_io, IO_READ);
    return result != 0 ? result : -pthread_sigmask(SIG_BLOCK, &loop->caught, NULL);
}

int loop_on_signal(struct loop *loop, int signal_number, void (*on_signal)(void *, int), void *arg)
{
    LIST_EACH(&loop->signals, node)
    {
        struct signal_watch *old = CONTAINER_OF(node, struct signal_watch, node);
        if (old->number == signal_number) {
            signal_watch_free(old);
        }
    }
    if (on_signal == NULL) {
        return 0;
    }
    if (sigaddset(&loop->caught, signal_number) != 0) {
        return -errno;
    }
    int result = catch_signals(loop);
    if (result != 0) {
        return result;
    }
    struct signal_watch *watch = xalloc(sizeof *watch);
    *watch = (struct signal_watch){.on_signal = on_signal, .arg = arg, .number = signal_number};
    list_append(&loop->signals, &watch->node);
    return 0;
}
