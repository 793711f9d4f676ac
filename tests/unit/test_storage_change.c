#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage_fixture.h"

static void a_put_is_stamped_and_ours(void **state)
{
    (void)state;
    struct storage_op *op = op_put("key", "value");
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->change_count, 1);
    const struct entry *entry = &op->changes[0].entry;
    assert_int_equal(entry->timestamp_ms, NOW);
    assert_true(bytes_equal(entry->origin, bytes_from_string(OURS)));
    assert_true(bytes_equal(entry->data, bytes_from_string("value")));
    assert_int_equal(op->changes[0].seq, 1);
    assert_int_equal(store.head, 1);
    assert_string_equal(value_of("key"), "value");
}

static void a_put_wins_over_what_came_from_a_clock_ahead(void **state)
{
    (void)state;
    assert_int_equal(merge_one("key", "theirs", NOW + 200000, THEIRS), 1);
    struct storage_op *op = op_put("key", "ours");
    storage_run();
    assert_int_equal(op->changes[0].entry.timestamp_ms, NOW + 200001);
    assert_string_equal(value_of("key"), "ours");
    op = op_remove("key");
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->changes[0].entry.timestamp_ms, NOW + 200002);
}

static void a_removal_leaves_a_tombstone(void **state)
{
    (void)state;
    assert_int_equal(put("key", "value"), 0);
    struct storage_op *first = op_remove("key");
    struct storage_op *second = op_remove("key");
    struct storage_op *never = op_remove("other");
    storage_run();
    assert_int_equal(first->result, 0);
    assert_true(first->changes[0].entry.deleted);
    assert_int_equal(first->changes[0].entry.data.size, 0);
    assert_int_equal(second->result, -ENOENT);
    assert_int_equal(never->result, -ENOENT);
    assert_int_equal(store.totals.keys, 0);
    assert_int_equal(store.totals.tombstones, 1);
    assert_int_equal(store.totals.bytes, 3);
    assert_int_equal(put("key", "again"), 0);
    assert_int_equal(store.totals.tombstones, 0);
    assert_string_equal(value_of("key"), "again");
}

static void what_there_is_no_room_for_is_refused_alone(void **state)
{
    (void)state;
    store.limits.max_keys = 2;
    store.limits.max_value = 10;
    struct storage_op *first = op_put("a", "1");
    struct storage_op *large = op_put("b", "longer than ten bytes");
    struct storage_op *second = op_put("b", "2");
    struct storage_op *third = op_put("c", "3");
    struct storage_op *change = op_put("a", "4");
    storage_run();
    assert_int_equal(first->result, 0);
    assert_int_equal(large->result, -EMSGSIZE);
    assert_int_equal(large->verdict, LWW_VALUE_SIZE);
    assert_int_equal(second->result, 0);
    assert_int_equal(third->result, -EDQUOT);
    assert_int_equal(third->verdict, LWW_FULL_KEYS);
    assert_int_equal(change->result, 0);
    assert_int_equal(store.totals.keys, 2);
    assert_string_equal(value_of("a"), "4");
}

static void a_list_is_merged_in_steps(void **state)
{
    (void)state;
    struct storage_op *op = op_merge();
    for (unsigned i = 0; i < STORAGE_STEP + 10; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        add_entry(op, key, "v", NOW - i, THEIRS);
    }
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->change_count, STORAGE_STEP);
    assert_int_equal(op->count, 10);
    assert_true(bytes_equal(op->changes[1].entry.key, bytes_from_string("k1")));
    list_remove(&op->node);
    list_append(&store.waiting, &op->node);
    storage_run();
    assert_int_equal(op->change_count, 10);
    assert_int_equal(op->count, 0);
    assert_int_equal(store.totals.keys, STORAGE_STEP + 10);
    assert_int_equal(store.head, STORAGE_STEP + 10);
}

static void damaged_entries_are_passed_over_until_one_cannot_be_found(void **state)
{
    (void)state;
    struct storage_op *op = op_merge();
    add_entry(op, "a", "1", NOW, THEIRS);
    size_t second = buf_size(&op->data);
    add_entry(op, "b", "2", NOW, THEIRS);
    size_t third = buf_size(&op->data);
    add_entry(op, "c", "3", NOW, THEIRS);
    size_t fourth = buf_size(&op->data);
    add_entry(op, "d", "4", NOW, THEIRS);
    add_entry(op, "e", "5", NOW, THEIRS);
    op->data.data[op->data.start + third - 1] ^= 1;  /* checksum of b */
    op->data.data[op->data.start + fourth + 3] ^= 1; /* length of d */
    assert_true(second < third);
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->change_count, 2);
    assert_int_equal(op->malformed, 2);
    assert_int_equal(op->count, 0);
    assert_string_equal(value_of("a"), "1");
    assert_string_equal(value_of("c"), "3");
    assert_string_equal(value_of("e"), "");
}

static void a_list_that_promises_more_than_it_has_ends_there(void **state)
{
    (void)state;
    struct storage_op *op = op_merge();
    add_entry(op, "a", "1", NOW, THEIRS);
    op->count = UINT32_MAX;
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->change_count, 1);
    assert_int_equal(op->count, 0);
}

static void refusals_are_counted_by_reason(void **state)
{
    (void)state;
    assert_int_equal(put("mine", "1"), 0);
    struct storage_op *op = op_merge();
    add_entry(op, "mine", "2", NOW - 1, THEIRS);
    add_entry(op, "future", "3", NOW + 300001, THEIRS);
    add_entry(op, "future", "3", NOW + 300002, THEIRS);
    add_entry(op, "fine", "4", NOW, THEIRS);
    storage_run();
    assert_int_equal(op->refused[LWW_LOSES], 1);
    assert_int_equal(op->refused[LWW_AHEAD], 2);
    assert_int_equal(op->change_count, 1);
}

static void old_tombstones_are_forgotten(void **state)
{
    (void)state;
    struct storage_op *op = op_merge();
    add_entry(op, "old", NULL, NOW - store.limits.tombstone_ms, THEIRS);
    add_entry(op, "young", NULL, NOW - 5, THEIRS);
    add_entry(op, "live", "1", 5, THEIRS);
    storage_run();
    assert_int_equal(op->change_count, 3);
    op = op_collect();
    storage_run();
    assert_int_equal(op->count, 0);
    store.now_ms++;
    op = op_collect();
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->count, 1);
    assert_false(op->more);
    assert_int_equal(store.totals.tombstones, 1);
    assert_int_equal(store.totals.keys, 1);
    assert_int_equal(store.totals.bytes, strlen("young") + strlen("live1"));
    assert_int_equal(merge_one("old", NULL, NOW - store.limits.tombstone_ms, THEIRS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_put_is_stamped_and_ours),
        CASE(a_put_wins_over_what_came_from_a_clock_ahead),
        CASE(a_removal_leaves_a_tombstone),
        CASE(what_there_is_no_room_for_is_refused_alone),
        CASE(a_list_is_merged_in_steps),
        CASE(damaged_entries_are_passed_over_until_one_cannot_be_found),
        CASE(a_list_that_promises_more_than_it_has_ends_there),
        CASE(refusals_are_counted_by_reason),
        CASE(old_tombstones_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
