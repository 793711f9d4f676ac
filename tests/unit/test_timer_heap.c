#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/timer_heap.h"

#define TIMERS 64
#define STEPS  20000

static void put(struct timer_heap *heap, struct timer *timer, int64_t due_ms)
{
    timer->due_ms = due_ms;
    timer_heap_put(heap, timer);
}

static void an_empty_heap_has_no_first(void **state)
{
    (void)state;
    struct timer_heap heap;
    timer_heap_init(&heap);
    assert_null(timer_heap_first(&heap));
    assert_null(timer_heap_take_due(&heap, INT64_MAX, UINT64_MAX));
    timer_heap_fini(&heap);
}

static void ties_come_in_order_of_start(void **state)
{
    (void)state;
    struct timer_heap heap;
    struct timer timers[20];
    memset(timers, 0, sizeof timers);
    timer_heap_init(&heap);
    for (size_t i = 0; i < 20; i++) {
        put(&heap, &timers[i], 7);
    }
    put(&heap, &timers[0], 7); /* started again: now the last */
    for (size_t i = 1; i <= 20; i++) {
        assert_ptr_equal(timer_heap_take_due(&heap, 7, UINT64_MAX), &timers[i % 20]);
    }
    assert_null(timer_heap_first(&heap));
    timer_heap_fini(&heap);
}

static void a_timer_started_after_the_mark_waits(void **state)
{
    (void)state;
    struct timer_heap heap;
    struct timer old = {.place = 0};
    struct timer young = {.place = 0};
    timer_heap_init(&heap);
    put(&heap, &old, 5);
    uint64_t mark = heap.next_sequence;
    put(&heap, &young, 5);
    assert_ptr_equal(timer_heap_take_due(&heap, 5, mark), &old);
    assert_null(timer_heap_take_due(&heap, 5, mark));
    assert_ptr_equal(timer_heap_take_due(&heap, 5, heap.next_sequence), &young);
    timer_heap_fini(&heap);
}

/* The model is a plain array searched from end to end. */
struct model {
    struct timer timers[TIMERS];
    uint64_t started[TIMERS];
    uint64_t starts;
};

static struct timer *first_of_model(struct model *model)
{
    struct timer *best = NULL;
    size_t best_index = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        struct timer *timer = &model->timers[i];
        if (!timer_is_running(timer)) {
            continue;
        }
        if (best == NULL || timer->due_ms < best->due_ms ||
            (timer->due_ms == best->due_ms && model->started[i] < model->started[best_index])) {
            best = timer;
            best_index = i;
        }
    }
    return best;
}

static void random_starts_and_stops_agree_with_a_sorted_list(void **state)
{
    (void)state;
    static struct model model;
    struct timer_heap heap;
    unsigned seed = 20260101;
    timer_heap_init(&heap);
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)rand_r(&seed) % TIMERS;
        if (rand_r(&seed) % 3 == 0) {
            timer_heap_remove(&heap, &model.timers[i]);
            assert_false(timer_is_running(&model.timers[i]));
        } else {
            put(&heap, &model.timers[i], rand_r(&seed) % 50);
            model.started[i] = model.starts++;
            assert_true(timer_is_running(&model.timers[i]));
        }
        assert_ptr_equal(timer_heap_first(&heap), first_of_model(&model));
    }
    while (heap.count > 0) {
        struct timer *expected = first_of_model(&model);
        assert_ptr_equal(timer_heap_take_due(&heap, INT64_MAX, UINT64_MAX), expected);
        assert_int_equal(expected->place, 0);
    }
    timer_heap_fini(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_heap_has_no_first),
        cmocka_unit_test(ties_come_in_order_of_start),
        cmocka_unit_test(a_timer_started_after_the_mark_waits),
        cmocka_unit_test(random_starts_and_stops_agree_with_a_sorted_list),
    };
    return cmocka_run_group_tests_name("timer_heap", tests, NULL, NULL);
}
