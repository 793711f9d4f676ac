/* core/loop.h on virtual time: many loops, one clock that moves only when nothing is left to do.
 *
 * Linked instead of core/loop.c (dependency virtual_loop_dep). Each struct loop runs the same turns
 * as the real one (core/turn.h); the world picks the loop whose timer is due first, ties in the
 * order the loops were made, so a run depends on nothing but its inputs. Descriptors are only
 * numbers here: virtual_io_ready() is what the kernel would say, or virtual_loop_poll() asks it.
 * The world outlives its loops. */
#ifndef RATSD_TESTS_VIRTUAL_LOOP_H
#define RATSD_TESTS_VIRTUAL_LOOP_H

#include "core/loop.h"

/* Wall clock when a world begins: 2026-01-01T00:00:00Z. The monotonic clock begins at 1000 s, so
 * that a forgotten 0 shows. */
#define VIRTUAL_EPOCH_UNIX_MS INT64_C(1767225600000)
#define VIRTUAL_EPOCH_MS      INT64_C(1000000)

struct virtual_world;

struct virtual_world *virtual_world_new(void);
void virtual_world_free(struct virtual_world *world);
int64_t virtual_world_now_ms(const struct virtual_world *world);
/* Sets the wall clock forward or back; the monotonic clock knows nothing of it. */
void virtual_world_set_clock(struct virtual_world *world, int64_t by_ms);
/* The same for one loop: clocks of different machines differ. */
void virtual_loop_set_clock(struct loop *loop, int64_t by_ms);
/* A loop of this world. loop_new() makes one in a world of its own, which loop_free() ends. */
struct loop *virtual_loop_new(struct virtual_world *world);
struct virtual_world *virtual_loop_world(struct loop *loop);

/* One turn of the loop that has something to do first; the clock moves to that moment. False when
 * no loop will ever have anything to do by itself. */
bool virtual_world_step(struct virtual_world *world);
/* Runs everything due up to until_ms (of virtual_world_now_ms), which it then is. */
void virtual_world_run(struct virtual_world *world, int64_t until_ms);
/* What runs now takes so long by loop_clock_us(), and no time at all by every other clock. */
void virtual_world_work(struct virtual_world *world, int64_t us);
/* Runs what is due now, without moving the clock. */
void virtual_world_settle(struct virtual_world *world);

/* Reports what the descriptor is ready for, as far as it is wanted, and finishes the turn (unless
 * called from within one). False when none of it is wanted. */
bool virtual_io_ready(struct io *io, unsigned what);
/* For tests on virtual time with real descriptors: waits at most timeout_ms of real time until one
 * that the loop watches is ready, and reports all that are. False when none was. */
bool virtual_loop_poll(struct loop *loop, int timeout_ms);
/* Delivers a signal. False when nobody watches it. */
bool virtual_signal(struct loop *loop, int signal_number);

#endif
