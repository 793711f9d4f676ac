#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/turn.h"

struct call {
    struct deferred deferred;
    struct turn *turn;
    struct call *next; /* scheduled when this one runs; may be itself */
    int runs;
};

static void on_run(void *arg)
{
    struct call *call = arg;
    call->runs++;
    if (call->next != NULL) {
        turn_schedule(call->turn, &call->next->deferred);
    }
}

static void call_init(struct call *call, struct turn *turn, struct call *next)
{
    *call = (struct call){.turn = turn, .next = next};
    call->deferred = (struct deferred){.on_run = on_run, .arg = call};
    list_init(&call->deferred.node);
}

static void calls_that_schedule_others_finish_within_the_turn(void **state)
{
    (void)state;
    struct turn turn;
    struct call calls[5];
    turn_init(&turn);
    for (size_t i = 0; i < 5; i++) {
        call_init(&calls[i], &turn, i < 4 ? &calls[i + 1] : NULL);
    }
    turn_schedule(&turn, &calls[0].deferred);
    turn_schedule(&turn, &calls[0].deferred);
    assert_true(turn_has_work(&turn, 0));
    turn_run(&turn, 0);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(calls[i].runs, 1);
    }
    assert_false(turn_has_work(&turn, 0));
    turn_fini(&turn);
}

static void a_call_that_schedules_itself_runs_once_a_turn(void **state)
{
    (void)state;
    struct turn turn;
    struct call call;
    turn_init(&turn);
    call_init(&call, &turn, &call);
    turn_schedule(&turn, &call.deferred);
    turn_run(&turn, 0);
    assert_int_equal(call.runs, 1);
    assert_true(turn_has_work(&turn, 0));
    turn_run(&turn, 0);
    assert_int_equal(call.runs, 2);
    turn_fini(&turn);
    assert_false(list_is_linked(&call.deferred.node));
}

static void two_calls_that_schedule_each_other_end_the_turn_in_time(void **state)
{
    (void)state;
    struct turn turn;
    struct call a;
    struct call b;
    turn_init(&turn);
    call_init(&a, &turn, &b);
    call_init(&b, &turn, &a);
    turn_schedule(&turn, &a.deferred);
    turn_run(&turn, 0);
    assert_int_equal(a.runs + b.runs, DEFERRED_PASSES);
    assert_true(turn_has_work(&turn, 0));
    turn_fini(&turn);
}

static void a_timer_is_work_only_when_due(void **state)
{
    (void)state;
    struct turn turn;
    struct call call;
    struct timer timer = {.due_ms = 10, .on_due = on_run, .arg = &call};
    turn_init(&turn);
    call_init(&call, &turn, NULL);
    timer_heap_put(&turn.heap, &timer);
    assert_false(turn_has_work(&turn, 9));
    turn_run(&turn, 9);
    assert_int_equal(call.runs, 0);
    assert_true(turn_has_work(&turn, 10));
    turn_run(&turn, 10);
    assert_int_equal(call.runs, 1);
    timer_heap_put(&turn.heap, &timer);
    turn_fini(&turn);
    assert_false(timer_is_running(&timer));
}

static void count_free(void *p)
{
    int *count = p;
    (*count)++;
}

static void late_frees_are_work_and_are_not_forgotten(void **state)
{
    (void)state;
    struct turn turn;
    int count = 0;
    turn_init(&turn);
    turn_free_later(&turn, count_free, &count);
    assert_true(turn_has_work(&turn, 0));
    turn_run(&turn, 0);
    assert_int_equal(count, 1);
    turn_free_later(&turn, count_free, &count);
    turn_fini(&turn);
    assert_int_equal(count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_schedule_others_finish_within_the_turn),
        cmocka_unit_test(a_call_that_schedules_itself_runs_once_a_turn),
        cmocka_unit_test(two_calls_that_schedule_each_other_end_the_turn_in_time),
        cmocka_unit_test(a_timer_is_work_only_when_due),
        cmocka_unit_test(late_frees_are_work_and_are_not_forgotten),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
