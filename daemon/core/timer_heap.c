#include "core/timer_heap.h"

#include <stdlib.h>

#include "util/alloc.h"

void timer_heap_init(struct timer_heap *heap)
{
    *heap = (struct timer_heap){.entries = NULL};
}

void timer_heap_fini(struct timer_heap *heap)
{
    free(heap->entries);
    timer_heap_init(heap);
}

static bool is_before(const struct timer_heap_entry *a, const struct timer_heap_entry *b)
{
    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->sequence < b->sequence);
}

static void put_at(struct timer_heap *heap, size_t place, struct timer_heap_entry entry)
{
    heap->entries[place] = entry;
    entry.timer->place = place;
}

/* Finds the place of entry, starting from a free place that may be too high or too low. */
static void settle(struct timer_heap *heap, size_t place, struct timer_heap_entry entry)
{
    while (place > 1 && is_before(&entry, &heap->entries[place / 2])) {
        put_at(heap, place, heap->entries[place / 2]);
        place /= 2;
    }
    for (;;) {
        size_t child = place * 2;
        if (child < heap->count && is_before(&heap->entries[child + 1], &heap->entries[child])) {
            child++;
        }
        if (child > heap->count || !is_before(&heap->entries[child], &entry)) {
            break;
        }
        put_at(heap, place, heap->entries[child]);
        place = child;
    }
    put_at(heap, place, entry);
}

void timer_heap_put(struct timer_heap *heap, struct timer *timer)
{
    struct timer_heap_entry entry = {
        .timer = timer,
        .due_ms = timer->due_ms,
        .sequence = heap->next_sequence++,
    };
    if (timer->place == 0) {
        if (heap->count + 1 >= heap->capacity) {
            heap->capacity = heap->capacity == 0 ? 16 : heap->capacity * 2;
            heap->entries = xrealloc(heap->entries, heap->capacity * sizeof *heap->entries);
        }
        heap->count++;
        timer->place = heap->count;
    }
    settle(heap, timer->place, entry);
}

void timer_heap_remove(struct timer_heap *heap, struct timer *timer)
{
    size_t place = timer->place;
    if (place == 0) {
        return;
    }
    timer->place = 0;
    struct timer_heap_entry last = heap->entries[heap->count];
    heap->count--;
    if (place <= heap->count) {
        settle(heap, place, last);
    }
}

struct timer *timer_heap_first(const struct timer_heap *heap)
{
    return heap->count == 0 ? NULL : heap->entries[1].timer;
}

struct timer *timer_heap_take_due(struct timer_heap *heap, int64_t now_ms, uint64_t before_sequence)
{
    if (heap->count == 0) {
        return NULL;
    }
    const struct timer_heap_entry *first = &heap->entries[1];
    if (first->due_ms > now_ms || first->sequence >= before_sequence) {
        return NULL;
    }
    struct timer *timer = first->timer;
    timer_heap_remove(heap, timer);
    return timer;
}
