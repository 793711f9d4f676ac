/* json_read() beside jansson's own reader, and where it must differ. */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/json_head.h"

/* At its exact size, so that a sanitizer sees reads beyond the end. */
static int read_exact(const char *text, json_t **ret_value)
{
    const size_t size = strlen(text);
    char *exact = malloc(size == 0 ? 1 : size);
    memcpy(exact, text, size);
    const int result = json_read(exact, size, ret_value);
    free(exact);
    return result;
}

static void same_as_jansson(const char *text)
{
    json_t *ours = NULL;
    json_t *theirs = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(theirs);
    assert_int_equal(read_exact(text, &ours), 0);
    char *left = json_dumps(ours, JSON_ENCODE_ANY | JSON_COMPACT);
    char *right = json_dumps(theirs, JSON_ENCODE_ANY | JSON_COMPACT);
    assert_string_equal(left, right);
    assert_true(json_equal(ours, theirs));
    free(left);
    free(right);
    json_decref(ours);
    json_decref(theirs);
}

static void refuses(const char *text, int error)
{
    json_t *value = NULL;
    assert_int_equal(read_exact(text, &value), error);
    assert_null(value);
}

static void every_kind_of_value_is_read(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "\"\"",
        "{}",
        "[]",
        "0",
        "-0",
        "-17",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "-2.25e-3",
        "1E+2",
        " [ 1 , [ ] , { } , [ [ \"a\" ] ] ] ",
        "{\"a\":1,\"b\":{\"a\":2,\"c\":[{\"a\":[]},3]},\"d\":\"e\"}\n",
        "{\"\":{\"\":\"\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        same_as_jansson(texts[i]);
    }
}

static void strings_are_unescaped(void **state)
{
    (void)state;
    same_as_jansson("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"");
    same_as_jansson("\"\\u0041\\u00e9\\u20AC\\ud83D\\uDE00\"");
    same_as_jansson("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\udbff\\udfff\"");
    same_as_jansson("\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    same_as_jansson("{\"\\u006b\\\"ey\":\"v\\u00e4lue\"}");
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "]",
        "{\"a\"}",
        "[1,]",
        "01",
        "1 2",
        "\"\xff\"",
        "nul",
        "{1:2}",
        "1.",
        "+1",
        "1e400",
        "-1e400",
        "\"\\u0000\"",
        "{\"\\u0000\":1}",
        "9223372036854775808",
        "-9223372036854775809",
        "\"\\ud800\"",
        "\"\x01\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refuses(texts[i], -EINVAL);
    }
}

static void a_key_comes_once(void **state)
{
    (void)state;
    refuses("{\"a\":1,\"a\":1}", -EEXIST);
    refuses("[{\"x\":{\"a\":1,\"b\":2,\"\\u0061\":1}}]", -EEXIST);
}

static void depth_ends_at_the_limit(void **state)
{
    (void)state;
    char text[2 * JSON_HEAD_MAX_DEPTH + 3] = "";
    memset(text, '[', JSON_HEAD_MAX_DEPTH);
    memset(text + JSON_HEAD_MAX_DEPTH, ']', JSON_HEAD_MAX_DEPTH);
    same_as_jansson(text);
    memset(text, '[', JSON_HEAD_MAX_DEPTH + 1);
    memset(text + JSON_HEAD_MAX_DEPTH + 1, ']', JSON_HEAD_MAX_DEPTH + 1);
    refuses(text, -EINVAL);
}

static void a_number_does_not_depend_on_the_locale(void **state)
{
    (void)state;
    /* Where none with a decimal comma is installed this says nothing. */
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    for (size_t i = 0; i < sizeof locales / sizeof locales[0]; i++) {
        (void)setlocale(LC_NUMERIC, locales[i]);
    }
    json_t *value = NULL;
    assert_int_equal(read_exact("2.5", &value), 0);
    assert_true(json_real_value(value) > 2.4);
    json_decref(value);
    (void)setlocale(LC_NUMERIC, "C");
}

/* jansson's allocator, failing from the n-th call on. */
static long left_allocations;

static void *allocate(size_t size)
{
    return left_allocations-- > 0 ? malloc(size) : NULL;
}

static void running_out_of_memory_is_told(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a long key, longer than sixteen\":[\"a long string, too, and then"
        " \\u20ac\",1.5,{\"b\":[[],{},12345678901234567]},\"x\",\"y\",\"z\"],"
        "\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,\"8\":1,"
        "\"9\":1,\"10\":1,\"11\":1}";
    int result = -ENOMEM;
    long allowed = 0;
    json_set_alloc_funcs(allocate, free);
    while (result == -ENOMEM) {
        json_t *value = NULL;
        left_allocations = allowed++;
        result = read_exact(text, &value);
        json_decref(value);
    }
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(result, 0);
    assert_true(allowed > 20);
}

int main(void)
{
    json_head_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(a_key_comes_once),
        cmocka_unit_test(depth_ends_at_the_limit),
        cmocka_unit_test(a_number_does_not_depend_on_the_locale),
        cmocka_unit_test(running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
