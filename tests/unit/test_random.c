#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"

#define LARGE 100000 /* the kernel may answer such a request in parts */

static void every_byte_asked_for_is_filled_and_no_other(void **state)
{
    (void)state;
    static uint8_t bytes[LARGE + 1];
    size_t zeros = 0;
    random_bytes(bytes, LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        zeros += bytes[i] == 0;
    }
    /* 390 expected; more than 1000 has probability below 1e-100. */
    assert_true(zeros < 1000);
    assert_int_equal(bytes[LARGE], 0);
    random_bytes(bytes, 0);
}

static void numbers_do_not_repeat(void **state)
{
    (void)state;
    uint64_t seen[64];
    for (size_t i = 0; i < 64; i++) {
        seen[i] = random_u64();
        for (size_t j = 0; j < i; j++) {
            assert_true(seen[i] != seen[j]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_asked_for_is_filled_and_no_other),
        cmocka_unit_test(numbers_do_not_repeat),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
