/* proto/describe: the document holds every row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/describe.h"
#include "proto/events.h"
#include "proto/methods.h"
#include "proto/validate.h"

static void the_whole_contract_is_there(void **state)
{
    (void)state;
    json_t *all = describe_protocol(NULL);
    assert_non_null(all);
    assert_int_equal(json_array_size(json_object_get(all, "methods")), METHOD_COUNT);
    assert_int_equal(json_array_size(json_object_get(all, "events")), EVENT_COUNT);
    assert_int_equal(json_array_size(json_object_get(all, "errors")), PROTO_ERROR_COUNT);
    const char *field;
    char error[200];
    assert_int_equal(validate_fields(proto_methods[M_PROTOCOL_DESCRIBE].result, all, &field, error,
                                     sizeof error),
                     0);
    json_decref(all);
}

/* Longer than a head it comes as the body of its REPLY. */
static void it_is_a_small_answer(void **state)
{
    (void)state;
    json_t *all = describe_protocol(NULL);
    char *text = json_dumps(all, JSON_COMPACT);
    assert_true(strlen(text) < 256000);
    free(text);
    json_decref(all);
}

static void one_method_comes_with_types_limits_and_errors(void **state)
{
    (void)state;
    json_t *one = describe_protocol("peer.connect");
    json_t *methods = json_object_get(one, "methods");
    assert_int_equal(json_array_size(methods), 1);
    assert_null(json_object_get(one, "events"));
    json_t *method = json_array_get(methods, 0);
    assert_string_equal(json_string_value(json_object_get(method, "name")), "peer.connect");
    assert_string_equal(json_string_value(json_object_get(method, "permission")), "use");
    json_t *port = json_array_get(json_object_get(method, "params"), 1);
    assert_string_equal(json_string_value(json_object_get(port, "name")), "port");
    assert_string_equal(json_string_value(json_object_get(port, "type")), "uint");
    assert_true(json_is_true(json_object_get(port, "required")));
    assert_int_equal(json_integer_value(json_object_get(port, "min")), 1);
    assert_int_equal(json_integer_value(json_object_get(port, "max")), 65535);
    json_t *api = json_object_get(method, "api");
    assert_int_equal(json_array_size(api), 3);
    assert_string_equal(json_string_value(json_array_get(api, 0)), "rats_connect");
    assert_int_equal(json_array_size(json_object_get(method, "errors")), 9);
    json_decref(one);
}

static void an_unknown_method_has_no_description(void **state)
{
    (void)state;
    assert_null(describe_protocol("peer.embrace"));
    assert_null(describe_protocol(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_contract_is_there),
        cmocka_unit_test(it_is_a_small_answer),
        cmocka_unit_test(one_method_comes_with_types_limits_and_errors),
        cmocka_unit_test(an_unknown_method_has_no_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
