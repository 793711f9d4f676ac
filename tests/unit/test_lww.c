#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/lww.h"

#define NOW UINT64_C(1700000000000)

static const char low[] = "0000000000000000000000000000000000000000000000000000000000000000";
static const char high[] = "f000000000000000000000000000000000000000000000000000000000000000";

static const struct lww_limits limits = {
    .max_key = 10,
    .max_value = 100,
    .max_keys = 3,
    .max_total = 120,
    .ahead_ms = 300000,
    .tombstone_ms = 1000000,
};

static struct entry entry_at(uint64_t timestamp_ms, const char *by)
{
    return (struct entry){
        .key = bytes_from_string("key"),
        .type = ENTRY_STRING,
        .timestamp_ms = timestamp_ms,
        .origin = bytes_from_string(by),
        .data = bytes_from_string("value"),
    };
}

static struct lww_known known_at(uint64_t timestamp_ms, const char *by)
{
    return (struct lww_known){
        .timestamp_ms = timestamp_ms, .origin = bytes_from_string(by), .size = 8};
}

static enum lww_verdict judge(const struct entry *entry, const struct lww_known *known)
{
    struct lww_totals totals = {.keys = known == NULL ? 0 : 1, .bytes = known == NULL ? 0 : 8};
    return lww_judge(&limits, &totals, entry, known, NOW);
}

static void the_later_one_wins(void **state)
{
    (void)state;
    struct lww_known known = known_at(NOW - 10, high);
    struct entry later = entry_at(NOW - 9, low);
    struct entry earlier = entry_at(NOW - 11, high);
    assert_int_equal(judge(&later, &known), LWW_WINS);
    assert_int_equal(judge(&earlier, &known), LWW_LOSES);
    assert_int_equal(judge(&earlier, NULL), LWW_WINS);
}

static void of_two_at_once_the_larger_origin_wins_and_the_same_loses(void **state)
{
    (void)state;
    struct lww_known known = known_at(NOW, low);
    struct entry larger = entry_at(NOW, high);
    struct entry same = entry_at(NOW, low);
    struct entry nobodys = entry_at(NOW, "");
    assert_int_equal(judge(&larger, &known), LWW_WINS);
    assert_int_equal(judge(&same, &known), LWW_LOSES);
    assert_int_equal(judge(&nobodys, &known), LWW_LOSES);
    known = known_at(NOW, "");
    assert_int_equal(judge(&same, &known), LWW_WINS);
    assert_int_equal(judge(&nobodys, &known), LWW_LOSES);
}

static void an_entry_from_the_future_is_refused_but_a_clock_may_be_a_little_ahead(void **state)
{
    (void)state;
    struct lww_known known = known_at(NOW - 10, low);
    struct entry entry = entry_at(NOW + limits.ahead_ms, low);
    assert_int_equal(judge(&entry, &known), LWW_WINS);
    entry.timestamp_ms++;
    assert_int_equal(judge(&entry, &known), LWW_AHEAD);
    assert_int_equal(judge(&entry, NULL), LWW_AHEAD);
    entry.timestamp_ms = UINT64_MAX;
    assert_int_equal(judge(&entry, NULL), LWW_AHEAD);
}

static void a_local_change_comes_after_what_it_replaces(void **state)
{
    (void)state;
    struct lww_known known = known_at(NOW + 5000, high);
    assert_int_equal(lww_stamp(NULL, NOW), NOW);
    assert_int_equal(lww_stamp(&known, NOW), NOW + 5001);
    known.timestamp_ms = NOW;
    assert_int_equal(lww_stamp(&known, NOW), NOW + 1);
    known.timestamp_ms = NOW - 1;
    assert_int_equal(lww_stamp(&known, NOW), NOW);
}

static void sizes_are_limited(void **state)
{
    (void)state;
    static const char large[200] = {0};
    struct lww_totals totals = {0};
    struct entry entry = entry_at(NOW, low);
    entry.data = bytes_make(large, 100);
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, NULL), LWW_WINS);
    entry.data = bytes_make(large, 101);
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, NULL), LWW_VALUE_SIZE);
    entry.key = bytes_make(large, 11);
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, NULL), LWW_KEY_SIZE);
}

static void a_full_store_takes_no_new_key_but_changes_those_it_has(void **state)
{
    (void)state;
    struct lww_known known = known_at(NOW - 1, low);
    struct lww_totals totals = {.keys = 2, .tombstones = 1, .bytes = 24};
    struct entry entry = entry_at(NOW, low);
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, NULL), LWW_FULL_KEYS);
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, &known), LWW_WINS);
    assert_int_equal(lww_judge(&limits, &totals, &entry, NULL, NOW), LWW_FULL_KEYS);
}

static void a_store_full_of_bytes_takes_what_makes_it_smaller(void **state)
{
    (void)state;
    static const char large[100] = {0};
    struct lww_known known = known_at(NOW - 1, low);
    struct lww_totals totals = {.keys = 2, .bytes = 120};
    struct entry entry = entry_at(NOW, low);
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, &known), LWW_WINS);
    entry.data = bytes_make(large, 6); /* one more than was there */
    assert_int_equal(lww_judge_local(&limits, &totals, &entry, &known), LWW_FULL_BYTES);
    entry.deleted = true;
    entry.data = bytes_make(NULL, 0);
    assert_int_equal(lww_judge(&limits, &totals, &entry, &known, NOW), LWW_WINS);
    totals.bytes = 1000; /* the limit was lowered meanwhile */
    assert_int_equal(lww_judge(&limits, &totals, &entry, &known, NOW), LWW_WINS);
}

static void totals_follow_what_is_stored(void **state)
{
    (void)state;
    struct lww_totals totals = {0};
    struct entry entry = entry_at(NOW, low);
    lww_account(&totals, &entry, NULL);
    assert_int_equal(totals.keys, 1);
    assert_int_equal(totals.bytes, 8);
    struct lww_known known = known_at(NOW, low);
    entry.deleted = true;
    entry.data = bytes_make(NULL, 0);
    lww_account(&totals, &entry, &known);
    assert_int_equal(totals.keys, 0);
    assert_int_equal(totals.tombstones, 1);
    assert_int_equal(totals.bytes, 3);
    known = (struct lww_known){.timestamp_ms = NOW, .deleted = true, .size = 3};
    entry = entry_at(NOW + 1, low);
    lww_account(&totals, &entry, &known);
    assert_int_equal(totals.keys, 1);
    assert_int_equal(totals.tombstones, 0);
    assert_int_equal(totals.bytes, 8);
}

static void a_forgotten_tombstone_is_not_taken_up_again(void **state)
{
    (void)state;
    struct lww_known known = known_at(1, low);
    struct entry entry = entry_at(NOW - limits.tombstone_ms - 1, low);
    entry.deleted = true;
    entry.data = bytes_make(NULL, 0);
    assert_int_equal(judge(&entry, NULL), LWW_LOSES);
    assert_int_equal(judge(&entry, &known), LWW_WINS); /* there is something to delete */
    entry.timestamp_ms++;
    assert_int_equal(judge(&entry, NULL), LWW_WINS);
    assert_int_equal(lww_forget_before(&limits, 5), 0);
}

/* Whatever the order, the same entry is left: of all pairs of a small set. */
static void every_order_of_arrival_ends_alike(void **state)
{
    (void)state;
    static const char *const origins[] = {"", low, high};
    struct entry entries[6];
    for (size_t i = 0; i < 6; i++) {
        entries[i] = entry_at(NOW + i / 3, origins[i % 3]);
    }
    for (size_t seed = 0; seed < 720; seed++) {
        size_t left[6] = {0, 1, 2, 3, 4, 5};
        size_t number = seed;
        size_t winner = 6;
        for (size_t count = 6; count > 0; count--) {
            size_t pick = number % count;
            size_t i = left[pick];
            number /= count;
            left[pick] = left[count - 1];
            struct lww_known known = {0};
            if (winner < 6) {
                known = (struct lww_known){.timestamp_ms = entries[winner].timestamp_ms,
                                           .origin = entries[winner].origin,
                                           .size = 8};
            }
            winner = judge(&entries[i], winner < 6 ? &known : NULL) == LWW_WINS ? i : winner;
        }
        assert_int_equal(winner, 5);
    }
}

static void every_verdict_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < LWW_VERDICT_COUNT; i++) {
        assert_true(strlen(lww_verdict_name((enum lww_verdict)i)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_later_one_wins),
        cmocka_unit_test(of_two_at_once_the_larger_origin_wins_and_the_same_loses),
        cmocka_unit_test(an_entry_from_the_future_is_refused_but_a_clock_may_be_a_little_ahead),
        cmocka_unit_test(a_local_change_comes_after_what_it_replaces),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(a_full_store_takes_no_new_key_but_changes_those_it_has),
        cmocka_unit_test(a_store_full_of_bytes_takes_what_makes_it_smaller),
        cmocka_unit_test(totals_follow_what_is_stored),
        cmocka_unit_test(a_forgotten_tombstone_is_not_taken_up_again),
        cmocka_unit_test(every_order_of_arrival_ends_alike),
        cmocka_unit_test(every_verdict_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
