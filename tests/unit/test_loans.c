#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/loans.h"

static int ends;

static void count_end(void *arg)
{
    (void)arg;
    ends++;
}

static void only_views_within_the_region_are_covered(void **state)
{
    (void)state;
    static const uint8_t memory[100];
    struct loans loans;
    loans_init(&loans);
    assert_false(loans_cover(&loans, bytes_make(memory, 1)));
    loans_begin(&loans, bytes_make(memory + 10, 50));
    assert_true(loans_cover(&loans, bytes_make(memory + 10, 50)));
    assert_true(loans_cover(&loans, bytes_make(memory + 59, 1)));
    assert_false(loans_cover(&loans, bytes_make(memory + 9, 2)));
    assert_false(loans_cover(&loans, bytes_make(memory + 59, 2)));
    assert_false(loans_cover(&loans, bytes_make(memory + 61, 1)));
    assert_false(loans_cover(&loans, bytes_make(memory + 20, SIZE_MAX)));
    loans_end(&loans);
    assert_false(loans_cover(&loans, bytes_make(memory + 10, 1)));
}

static void each_taker_is_told_once_unless_it_cancelled(void **state)
{
    (void)state;
    static const uint8_t memory[10];
    struct loans loans;
    struct loan first;
    struct loan second;
    loans_init(&loans);
    loan_init(&first, count_end, NULL);
    loan_init(&second, count_end, NULL);
    for (int round = 1; round <= 2; round++) {
        ends = 0;
        loans_begin(&loans, bytes_make(memory, sizeof(memory)));
        loan_take(&loans, &first);
        loan_take(&loans, &second);
        loan_take(&loans, &first);
        loan_cancel(&second);
        assert_int_equal(ends, 0);
        loans_end(&loans);
        assert_int_equal(ends, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_views_within_the_region_are_covered),
        cmocka_unit_test(each_taker_is_told_once_unless_it_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
