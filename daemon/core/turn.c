#include "core/turn.h"

#include <stdlib.h>

#include "util/alloc.h"

struct late_free {
    struct late_free *next;
    void (*free_it)(void *);
    void *p;
};

void turn_init(struct turn *turn)
{
    timer_heap_init(&turn->heap);
    list_init(&turn->ready);
    list_init(&turn->later);
    turn->current = NULL;
    turn->to_free = NULL;
}

static void move_all(struct list *from, struct list *to)
{
    struct list *node;
    while ((node = list_first(from)) != NULL) {
        list_remove(node);
        list_append(to, node);
    }
}

/* Freeing one object may give others to loop_free_later(): hence the outer loop. */
static void run_frees(struct turn *turn)
{
    while (turn->to_free != NULL) {
        struct late_free *oldest = NULL;
        while (turn->to_free != NULL) {
            struct late_free *next = turn->to_free->next;
            turn->to_free->next = oldest;
            oldest = turn->to_free;
            turn->to_free = next;
        }
        while (oldest != NULL) {
            struct late_free *entry = oldest;
            oldest = entry->next;
            entry->free_it(entry->p);
            free(entry);
        }
    }
}

void turn_fini(struct turn *turn)
{
    run_frees(turn);
    struct timer *timer;
    while ((timer = timer_heap_first(&turn->heap)) != NULL) {
        timer_heap_remove(&turn->heap, timer);
    }
    timer_heap_fini(&turn->heap);
    move_all(&turn->later, &turn->ready);
    struct list *node;
    while ((node = list_first(&turn->ready)) != NULL) {
        list_remove(node);
    }
}

bool turn_has_work(const struct turn *turn, int64_t now_ms)
{
    const struct timer *first = timer_heap_first(&turn->heap);
    return !list_is_empty(&turn->ready) || turn->to_free != NULL ||
           (first != NULL && first->due_ms <= now_ms);
}

static void run_timers(struct turn *turn, int64_t now_ms)
{
    uint64_t mark = turn->heap.next_sequence;
    struct timer *timer;
    while ((timer = timer_heap_take_due(&turn->heap, now_ms, mark)) != NULL) {
        timer->on_due(timer->arg);
    }
}

static void run_deferred(struct turn *turn)
{
    for (int pass = 0; pass < DEFERRED_PASSES && !list_is_empty(&turn->ready); pass++) {
        struct list running;
        list_init(&running);
        move_all(&turn->ready, &running);
        struct list *node;
        while ((node = list_first(&running)) != NULL) {
            struct deferred *deferred = CONTAINER_OF(node, struct deferred, node);
            list_remove(node);
            turn->current = deferred;
            deferred->on_run(deferred->arg);
        }
    }
    turn->current = NULL;
    move_all(&turn->later, &turn->ready);
}

void turn_run(struct turn *turn, int64_t now_ms)
{
    run_timers(turn, now_ms);
    run_deferred(turn);
    run_frees(turn);
}

void turn_schedule(struct turn *turn, struct deferred *deferred)
{
    if (!list_is_linked(&deferred->node)) {
        list_append(deferred == turn->current ? &turn->later : &turn->ready, &deferred->node);
    }
}

void turn_free_later(struct turn *turn, void (*free_it)(void *), void *p)
{
    struct late_free *entry = xalloc(sizeof *entry);
    *entry = (struct late_free){.next = turn->to_free, .free_it = free_it, .p = p};
    turn->to_free = entry;
}
