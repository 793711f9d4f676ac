#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/storage_op.h"

static void a_new_operation_owns_nothing_and_asks_nothing(void **state)
{
    (void)state;
    struct storage_op *op = storage_op_new(STORAGE_GET);
    assert_int_equal(op->kind, STORAGE_GET);
    assert_int_equal(buf_size(&op->key) + buf_size(&op->data) + buf_size(&op->value), 0);
    assert_int_equal(op->verdict, LWW_WINS);
    assert_null(op->changes);
    storage_op_free(op);
    storage_op_free(NULL);
}

static void only_some_operations_write(void **state)
{
    (void)state;
    static const bool writes[] = {
        [STORAGE_PUT] = true,   [STORAGE_REMOVE] = true, [STORAGE_MERGE] = true,
        [STORAGE_GET] = false,  [STORAGE_KEYS] = false,  [STORAGE_PAGE] = false,
        [STORAGE_LOOK] = false, [STORAGE_COLLECT] = true};
    for (size_t i = 0; i < sizeof writes; i++) {
        struct storage_op op = {.kind = (enum storage_op_kind)i};
        assert_int_equal(storage_op_writes(&op), writes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_operation_owns_nothing_and_asks_nothing),
        cmocka_unit_test(only_some_operations_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
