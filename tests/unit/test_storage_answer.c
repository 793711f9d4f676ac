#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/request.h"
#include "service/storage_answer.h"

/* A request that only notes how it failed. */
struct request {
    enum proto_error error;
    char field[16];
    char text[512];
};

static struct request request;

void request_fail(struct request *failed, enum proto_error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(failed->text, sizeof failed->text, format, arguments);
    va_end(arguments);
    failed->error = error;
}

void request_fail_details(struct request *failed, enum proto_error error, json_t *details,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(failed->text, sizeof failed->text, format, arguments);
    va_end(arguments);
    failed->error = error;
    (void)snprintf(failed->field, sizeof failed->field, "%s",
                   json_string_value(json_object_get(details, "field")));
    json_decref(details);
}

static const struct lww_limits limits = {
    .max_key = 5, .max_value = 6, .max_keys = 7, .max_total = 8};

static enum proto_error failure(int result, enum lww_verdict verdict, bool closed)
{
    struct storage_op op = {.request = &request, .result = result, .verdict = verdict};
    request = (struct request){.error = PROTO_ERROR_COUNT};
    assert_int_equal(buf_append(&op.key, bytes_from_string("a\nkey")), 0);
    storage_answer_fail(&op, &limits, closed);
    buf_fini(&op.key);
    return request.error;
}

static void each_failure_has_its_error_and_a_remedy(void **state)
{
    (void)state;
    assert_int_equal(failure(-ENOENT, LWW_WINS, false), E_NOT_FOUND);
    assert_non_null(strstr(request.text, "a\\x0akey"));
    assert_int_equal(failure(-EMSGSIZE, LWW_KEY_SIZE, false), E_TOO_LARGE);
    assert_string_equal(request.field, "key");
    assert_non_null(strstr(request.text, "max_key"));
    assert_int_equal(failure(-EMSGSIZE, LWW_VALUE_SIZE, false), E_TOO_LARGE);
    assert_string_equal(request.field, "body");
    assert_non_null(strstr(request.text, "max_value"));
    assert_int_equal(failure(-EDQUOT, LWW_FULL_KEYS, false), E_LIMIT);
    assert_non_null(strstr(request.text, "max_keys"));
    assert_int_equal(failure(-EDQUOT, LWW_FULL_BYTES, false), E_LIMIT);
    assert_non_null(strstr(request.text, "max_total"));
    assert_int_equal(failure(-ENOSPC, LWW_WINS, false), E_OPERATION_FAILED);
    assert_non_null(strstr(request.text, "disk is full"));
    assert_int_equal(failure(-EDQUOT, LWW_WINS, false), E_OPERATION_FAILED); /* of the disk */
    assert_int_equal(failure(-EIO, LWW_WINS, false), E_OPERATION_FAILED);
    assert_int_equal(failure(-ENOMEM, LWW_WINS, false), E_OUT_OF_MEMORY);
    assert_int_equal(failure(-EACCES, LWW_WINS, true), E_OPERATION_FAILED);
    assert_non_null(strstr(request.text, "cannot be opened"));
}

static void types_have_names_both_ways(void **state)
{
    (void)state;
    for (int type = ENTRY_BINARY; type <= ENTRY_JSON; type++) {
        json_t *word = json_string(storage_type_name((enum entry_type)type));
        assert_int_equal(storage_type_find(word), type);
        json_decref(word);
    }
    assert_int_equal(storage_type_find(NULL), ENTRY_BINARY);
}

static void an_origin_that_nobody_gave_is_left_out(void **state)
{
    (void)state;
    struct entry entry = {.key = bytes_from_string("k"), .type = ENTRY_JSON, .timestamp_ms = 5};
    json_t *value = storage_value_json(&entry);
    json_t *change = storage_change_json(&entry, true);
    assert_null(json_object_get(value, "origin"));
    assert_null(json_object_get(change, "origin"));
    assert_true(json_is_true(json_object_get(change, "remote")));
    assert_int_equal(json_integer_value(json_object_get(value, "timestamp_ms")), 5);
    json_decref(value);
    json_decref(change);
}

static void keys_are_taken_apart_at_their_ends(void **state)
{
    (void)state;
    json_t *result = storage_keys_json(bytes_make("a\0bc\0", 5), false);
    json_t *keys = json_object_get(result, "keys");
    assert_int_equal(json_array_size(keys), 2);
    assert_string_equal(json_string_value(json_array_get(keys, 1)), "bc");
    assert_true(json_is_false(json_object_get(result, "more")));
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failure_has_its_error_and_a_remedy),
        cmocka_unit_test(types_have_names_both_ways),
        cmocka_unit_test(an_origin_that_nobody_gave_is_left_out),
        cmocka_unit_test(keys_are_taken_apart_at_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
