/* The event loop: descriptors, timers, deferred calls and the clock of one daemon.
 *
 * One turn: wait for events, run what they cause, run due timers, run deferred calls until none is
 * left, flush, wait again. So whatever one turn produced for one destination leaves in one write:
 * writers arm a deferred call instead of writing at once. A timer or deferred call that re-arms
 * itself without delay runs again in the next turn, so it cannot keep descriptors waiting. libevent
 * is seen only by the .c file; tests/support has a second implementation on virtual time.
 *
 * All members below are embedded in the object they serve and must be stopped before it goes. */
#ifndef RATSD_CORE_LOOP_H
#define RATSD_CORE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

struct loop;
struct intake_scratch;
struct loans;

int loop_new(struct loop **ret_loop); /* 0, -ENOMEM, -EMFILE ... */
void loop_free(struct loop *loop);
/* Runs until loop_quit(). 0, or a negative errno when waiting itself fails. A descriptor that the
 * kernel refuses to watch (out of memory, or no file for epoll) ends the process with status 1, as
 * xalloc() does: something would never be heard of again. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop);

/* Monotonic milliseconds, read once a turn. Never jumps. */
int64_t loop_now_ms(const struct loop *loop);
/* Monotonic microseconds, read now. */
int64_t loop_clock_us(const struct loop *loop);
/* Wall clock, seconds and milliseconds since 1970. Only for showing and storing. */
int64_t loop_unix_ms(const struct loop *loop);
/* The read buffer all connections of this loop share (util/intake.h). */
struct intake_scratch *loop_scratch(struct loop *loop);
/* What is lent of it, or of a connection's own buffer (core/loans.h). */
struct loans *loop_loans(struct loop *loop);

/* Descriptors. */
#define IO_READ  1u
#define IO_WRITE 2u

struct io {
    struct loop *loop;
    void *event; /* the loop's own */
    void (*on_ready)(void *arg, unsigned ready);
    void *arg;
    int fd;
    unsigned wanted;
};

void io_init(struct io *io, struct loop *loop, int fd, void (*on_ready)(void *, unsigned),
             void *arg);
/* Says which of IO_READ, IO_WRITE to report, level-triggered; 0 = neither. 0 or -ENOMEM. */
int io_want(struct io *io, unsigned wanted);
/* Forgets the descriptor (does not close it). Safe on a zeroed or already closed io, and inside
 * its own callback. */
void io_fini(struct io *io);

/* Timers: one heap, one wake-up for the earliest. */
struct timer {
    struct loop *loop;
    void (*on_due)(void *arg);
    void *arg;
    int64_t due_ms;
    size_t place; /* in the heap, from 1; 0 = not running */
};

void timer_init(struct timer *timer, struct loop *loop, void (*on_due)(void *), void *arg);
void timer_start(struct timer *timer, int64_t delay_ms); /* restarts when running */
void timer_stop(struct timer *timer);
static inline bool timer_is_running(const struct timer *timer)
{
    return timer->place != 0;
}

/* A call at the end of this turn; scheduling it twice runs it once. */
struct deferred {
    struct list node;
    struct loop *loop;
    void (*on_run)(void *arg);
    void *arg;
};

void deferred_init(struct deferred *deferred, struct loop *loop, void (*on_run)(void *), void *arg);
void deferred_schedule(struct deferred *deferred);
void deferred_cancel(struct deferred *deferred);

/* Frees p after the turn: for objects that must not go inside their own callback. */
void loop_free_later(struct loop *loop, void (*free_it)(void *), void *p);

/* Signals: delivered in the loop's thread, by a descriptor, so that none is lost. 0 or negative
 * errno. NULL removes. Once watched they stay blocked, without the loop as well: a second SIGTERM
 * does not cut the end short. Threads of others block them. */
int loop_on_signal(struct loop *loop, int signal_number, void (*on_signal)(void *, int), void *arg);

#endif
