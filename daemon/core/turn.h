/* The part of a turn that needs no descriptors: due timers, deferred calls, late frees. Shared by
 * the real loop and the virtual one, so that both run things in the same order.
 *
 * Easy to break: a deferred call that schedules itself while it runs, and whatever is still
 * scheduled after DEFERRED_PASSES rounds of calls scheduling calls, waits for the next turn;
 * otherwise the descriptors would never be looked at again. */
#ifndef RATSD_CORE_TURN_H
#define RATSD_CORE_TURN_H

#include "core/timer_heap.h"

#define DEFERRED_PASSES 16

struct turn {
    struct timer_heap heap;
    struct list ready;         /* deferred calls of this turn */
    struct list later;         /* of the next */
    struct deferred *current;  /* the one running */
    struct late_free *to_free; /* in reverse order of loop_free_later() */
};

void turn_init(struct turn *turn);
/* Runs the late frees that are left; deferred calls and timers are forgotten. */
void turn_fini(struct turn *turn);
/* True when there is something to run at now_ms without waiting. */
bool turn_has_work(const struct turn *turn, int64_t now_ms);
/* Timers due at now_ms, then deferred calls, then frees. */
void turn_run(struct turn *turn, int64_t now_ms);
void turn_schedule(struct turn *turn, struct deferred *deferred);
void turn_free_later(struct turn *turn, void (*free_it)(void *), void *p);

#endif
