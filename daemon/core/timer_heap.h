/* The heap behind struct timer, shared by the real loop and the virtual one: a binary heap by
 * due time (ties in order of start), each timer knowing its place. */
#ifndef RATSD_CORE_TIMER_HEAP_H
#define RATSD_CORE_TIMER_HEAP_H

#include "core/loop.h"

struct timer_heap {
    struct timer **timers; /* from index 1 */
    size_t count;
    size_t capacity;
};

void timer_heap_init(struct timer_heap *heap);
void timer_heap_fini(struct timer_heap *heap);
void timer_heap_put(struct timer_heap *heap, struct timer *timer); /* inserts or moves */
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);
/* The earliest, or NULL; stays in the heap. */
struct timer *timer_heap_first(const struct timer_heap *heap);

#endif
