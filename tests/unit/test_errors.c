/* proto/errors: the table is complete and its two lookups agree with it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/errors.h"

static void every_row_is_filled_and_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        const struct proto_error_row *row = &proto_errors[i];
        assert_non_null(row->name);
        assert_true(row->error_number > 0);
        assert_in_range(-row->code, 2, 14);
        assert_int_equal(strncmp(row->exception, "Rats", 4), 0);
        assert_true(strlen(row->meaning) > 10);
        assert_int_equal(row->meaning[strlen(row->meaning) - 1], '.');
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(row->name, proto_errors[j].name);
            assert_int_not_equal(row->error_number, proto_errors[j].error_number);
        }
    }
}

static void errno_and_name_lead_back_to_the_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        assert_int_equal(proto_error_from_errno(-proto_errors[i].error_number), i);
        assert_int_equal(proto_error_from_name(proto_errors[i].name), i);
    }
}

static void what_is_unknown_is_a_failed_operation(void **state)
{
    (void)state;
    assert_int_equal(proto_error_from_name("quota_of_tomorrow"), E_OPERATION_FAILED);
    assert_int_equal(proto_error_from_name(""), E_OPERATION_FAILED);
    assert_int_equal(proto_error_from_errno(-EDOM), E_OPERATION_FAILED);
    assert_int_equal(proto_error_from_errno(INT32_MAX), E_OPERATION_FAILED);
}

static void what_the_kernel_says_of_dials_is_a_failed_connect(void **state)
{
    (void)state;
    assert_int_equal(proto_error_from_errno(-ECONNREFUSED), E_CONNECT_FAILED);
    assert_int_equal(proto_error_from_errno(-EHOSTUNREACH), E_CONNECT_FAILED);
    assert_int_equal(proto_error_from_errno(-ENETUNREACH), E_CONNECT_FAILED);
    assert_int_equal(proto_error_from_errno(-EACCES), E_NOT_PERMITTED);
    assert_int_equal(proto_error_from_errno(-EEXIST), E_BUSY);
    assert_int_equal(proto_error_from_errno(-E2BIG), E_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_filled_and_unique),
        cmocka_unit_test(errno_and_name_lead_back_to_the_row),
        cmocka_unit_test(what_is_unknown_is_a_failed_operation),
        cmocka_unit_test(what_the_kernel_says_of_dials_is_a_failed_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
