#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "util/bucket.h"

static void a_burst_passes_and_then_so_many_a_second(void **state)
{
    (void)state;
    struct bucket bucket;
    int taken = 0;
    bucket_init(&bucket, 10, 5, 1000);
    for (int i = 0; i < 20; i++) {
        taken += bucket_take(&bucket, 1000);
    }
    assert_int_equal(taken, 5);
    for (int64_t now_ms = 1001; now_ms <= 11000; now_ms++) {
        taken += bucket_take(&bucket, now_ms);
    }
    assert_int_equal(taken, 5 + 100);
}

static void what_is_not_taken_is_kept_up_to_the_burst(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, 1000000, 3, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(bucket_take(&bucket, INT64_MAX / 2));
    }
    assert_false(bucket_take(&bucket, INT64_MAX / 2));
}

static void a_debt_says_how_long_it_lasts(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, 100, 100, 0);
    bucket_spend(&bucket, 299, 0);
    assert_int_equal(bucket_wait_ms(&bucket, 0), 2000);
    assert_int_equal(bucket_wait_ms(&bucket, 1999), 1);
    assert_int_equal(bucket_wait_ms(&bucket, 2000), 0);
    assert_true(bucket_take(&bucket, 2000));
    assert_false(bucket_take(&bucket, 2000));
}

static void extremes_neither_overflow_nor_run_backwards(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, INT64_MAX, INT64_MAX, 0);
    bucket_spend(&bucket, INT64_MAX, 0);
    assert_int_equal(bucket.tokens, 0);
    bucket_fill(&bucket, INT64_MAX);
    assert_int_equal(bucket.tokens, BUCKET_MAX * BUCKET_TOKEN);
    bucket_init(&bucket, 1, 1, 5000);
    assert_true(bucket_take(&bucket, 5000));
    assert_false(bucket_take(&bucket, 1000)); /* a clock that went back fills nothing */
    assert_true(bucket_take(&bucket, 6000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_so_many_a_second),
        cmocka_unit_test(what_is_not_taken_is_kept_up_to_the_burst),
        cmocka_unit_test(a_debt_says_how_long_it_lasts),
        cmocka_unit_test(extremes_neither_overflow_nor_run_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
