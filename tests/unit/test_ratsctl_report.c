#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ratsctl/report.h"

static void every_error_has_an_exit_code_that_is_documented(void **state)
{
    (void)state;
    for (int i = 0; i < PROTO_ERROR_COUNT; i++) {
        const enum exit_code code = exit_from_error((enum proto_error)i);
        bool documented = false;
        for (const struct exit_row *row = exit_rows; row->meaning != NULL; row++) {
            documented = documented || row->code == code;
        }
        assert_true(documented);
        assert_int_not_equal(code, EXIT_DONE);
    }
}

static void the_codes_scripts_rely_on_stay(void **state)
{
    (void)state;
    assert_int_equal(exit_from_error(E_OPERATION_FAILED), 1);
    assert_int_equal(exit_from_error(E_INVALID_PARAMETER), 2);
    assert_int_equal(EXIT_NO_DAEMON, 3);
    assert_int_equal(exit_from_error(E_NOT_PERMITTED), 4);
    assert_int_equal(exit_from_error(E_TIMEOUT), 5);
    assert_int_equal(exit_from_error(E_PEER_NOT_FOUND), 6);
    assert_int_equal(exit_from_error(E_VERSION), 7);
    assert_int_equal(EXIT_INTERRUPTED, 130);
}

static void codes_of_the_library_find_their_error(void **state)
{
    (void)state;
    assert_int_equal(error_from_code(-5), E_PEER_NOT_FOUND);
    assert_int_equal(error_from_code(-4), E_OPERATION_FAILED);
    assert_int_equal(error_from_code(-9), E_NOT_SUPPORTED);
    assert_int_equal(error_from_code(-8), E_NOT_PERMITTED);
    assert_int_equal(error_from_code(-10), E_TIMEOUT);
    assert_int_equal(error_from_code(-4711), E_OPERATION_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_an_exit_code_that_is_documented),
        cmocka_unit_test(the_codes_scripts_rely_on_stay),
        cmocka_unit_test(codes_of_the_library_find_their_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
