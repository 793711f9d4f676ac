/* proto/methods, proto/events and proto/shapes: every row is complete and findable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/events.h"
#include "proto/methods.h"

static void check_fields(const struct field *fields, unsigned depth)
{
    assert_non_null(fields);
    assert_true(depth < 8);
    for (const struct field *field = fields; field->type != T_END; field++) {
        assert_non_null(field->name);
        assert_in_range(field->type, T_BOOL, T_ARRAY);
        assert_true(strlen(field->summary) > 3);
        assert_true(field->max == 0 || field->min <= field->max);
        assert_true(field->type != T_CHOICE || field->choices != NULL);
        assert_true(field->default_text == NULL || !(field->flags & FIELD_REQUIRED));
        for (const struct field *other = fields; other != field; other++) {
            assert_string_not_equal(other->name, field->name);
        }
        if (field->fields != NULL) {
            assert_true(field->type == T_OBJECT || field->type == T_ARRAY);
            check_fields(field->fields, depth + 1);
        }
    }
}

static void every_method_is_described_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        const struct method_row *row = &proto_methods[i];
        assert_non_null(row->name);
        assert_true(row->since <= PROTO_MINOR);
        assert_true(strcmp(row->stability, "stable") == 0 ||
                    strcmp(row->stability, "experimental") == 0);
        assert_int_equal(row->summary[strlen(row->summary) - 1], '.');
        check_fields(row->params, 0);
        check_fields(row->result, 0);
        assert_non_null(row->errors);
        if (row->permission == PERMISSION_CONTROL) {
            const enum proto_error *error = row->errors;
            while (*error != E_NOT_PERMITTED) {
                assert_int_not_equal(*error++, PROTO_ERROR_COUNT);
            }
        }
        assert_int_equal(row->before_hello, i == M_HELLO);
        assert_int_equal(method_find(row->name, strlen(row->name)), i);
    }
}

static void every_event_is_described_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        const struct event_row *row = &proto_events[i];
        assert_int_equal(row->summary[strlen(row->summary) - 1], '.');
        check_fields(row->fields, 0);
        assert_int_equal(event_find(row->name, strlen(row->name)), i);
    }
}

static void names_are_matched_whole(void **state)
{
    (void)state;
    assert_int_equal(method_find("hell", 4), METHOD_COUNT);
    assert_int_equal(method_find("hello!", 6), METHOD_COUNT);
    assert_int_equal(method_find("hello!", 5), M_HELLO);
    assert_int_equal(method_find("", 0), METHOD_COUNT);
    assert_int_equal(event_find("", 0), EVENT_COUNT);
    assert_int_equal(event_find("lost.", 5), EVENT_COUNT);
    assert_int_equal(event_find("lost.", 4), EV_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_described_and_found),
        cmocka_unit_test(every_event_is_described_and_found),
        cmocka_unit_test(names_are_matched_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
