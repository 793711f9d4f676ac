/* The heap behind struct timer, shared by the real loop and the virtual one: a binary heap by
 * due time (ties in order of start), each timer knowing its place. */
#ifndef RATSD_CORE_TIMER_HEAP_H
#define RATSD_CORE_TIMER_HEAP_H

#include "core/loop.h"

struct timer_heap_entry {
    struct timer *timer;
    int64_t due_ms;    /* the timer's own, kept near for comparing */
    uint64_t sequence; /* of this start */
};

struct timer_heap {
    struct timer_heap_entry *entries; /* from index 1 */
    size_t count;
    size_t capacity;
    uint64_t next_sequence;
};

void timer_heap_init(struct timer_heap *heap);
void timer_heap_fini(struct timer_heap *heap);
void timer_heap_put(struct timer_heap *heap, struct timer *timer); /* inserts or moves */
void timer_heap_remove(struct timer_heap *heap, struct timer *timer);
/* The earliest, or NULL; stays in the heap. */
struct timer *timer_heap_first(const struct timer_heap *heap);
/* Removes and returns the earliest timer that is due at now_ms and was started before the heap's
 * next_sequence was before_sequence; NULL when there is none. So a timer that restarts itself
 * without delay waits for the next turn. */
struct timer *timer_heap_take_due(struct timer_heap *heap, int64_t now_ms,
                                  uint64_t before_sequence);

#endif
