/* proto/json_text: one JSON value of any kind, and nothing else. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/json_head.h"

static int check_bytes(const char *text, size_t size)
{
    char *exact = malloc(size == 0 ? 1 : size);
    memcpy(exact, text, size);
    const int result = json_text_check(exact, size);
    free(exact);
    return result;
}

static const char *const good[] = {
    "0",
    "-0",
    "12.5e+10",
    "1E-5",
    " true ",
    "false",
    "null",
    "\"\"",
    "\"\\u0000\\ud83d\\ude00\\n\\/\"",
    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\"",
    "123456789012345678901234567890",
    "1e999",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[1,[2,[3]],{}]",
    "{\"a\":1,\"a\":{\"b\":[{}]}}",
    "\t\r\n[1 , 2]\n",
};

static const char *const bad[] = {
    "",
    " ",
    "01",
    "-",
    "+1",
    ".5",
    "1.",
    "1e",
    "1e+",
    "nul",
    "nulll",
    "True",
    "'a'",
    "\"a",
    "\"\t\"",
    "\"\\x\"",
    "\"\\u12g4\"",
    "\"\\ud800\"",
    "\"\\udc00\"",
    "\"\\ud800\\u0041\"",
    "\"\xff\"",
    "\"\xc0\x80\"",
    "\"\xed\xa0\x80\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xe2\x82\"",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,]",
    "{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "[1}",
    "{\"a\":1]",
    "1 2",
    "[] []",
    "\"\\",
    "\"\\u",
    "NaN",
    "Infinity",
    "[1 2]",
};

static void json_values_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (check_bytes(good[i], strlen(good[i])) != 0) {
            fail_msg("refused: %s", good[i]);
        }
    }
}

static void other_texts_do_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (check_bytes(bad[i], strlen(bad[i])) == 0) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(check_bytes("1\0", 2), -1);
    assert_int_equal(check_bytes("\"a\0b\"", 5), -1);
}

static void every_truncation_of_a_document_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,{\"b\":\"\\u00e9\xc3\xa9\"},true,null],\"c\":-1.5e3}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        assert_int_equal(check_bytes(text, size), -1);
    }
    assert_int_equal(check_bytes(text, sizeof text - 1), 0);
}

static void depth_ends_at_2048_in_constant_stack(void **state)
{
    (void)state;
    const size_t most = 1000000;
    char *text = malloc(most);
    for (size_t i = 0; i < 2048; i++) {
        text[i] = '[';
        text[4095 - i] = ']';
    }
    assert_int_equal(check_bytes(text, 4096), 0);
    for (size_t i = 0; i < 2049; i++) {
        text[i] = '[';
        text[4097 - i] = ']';
    }
    assert_int_equal(check_bytes(text, 4098), -1);
    memset(text, '[', most);
    assert_int_equal(check_bytes(text, most), -1);
    free(text);
}

static void a_depth_of_ones_own_is_told_from_other_faults(void **state)
{
    (void)state;
    assert_int_equal(json_text_check_depth("[[1]]", 5, 2), 0);
    assert_int_equal(json_text_check_depth("[[]]", 4, 2), 0);
    assert_int_equal(json_text_check_depth("[[1]]", 5, 1), -E2BIG);
    assert_int_equal(json_text_check_depth("[[]]", 4, 1), -E2BIG);
    assert_int_equal(json_text_check_depth("[[", 2, 1), -E2BIG);
    assert_int_equal(json_text_check_depth("[1", 2, 1), -EINVAL);
    assert_int_equal(json_text_check_depth("1 1", 3, 0), -EINVAL);
    assert_int_equal(json_text_check_depth("1", 1, 0), 0);
    assert_int_equal(json_text_check_depth("{}", 2, 0), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values_pass),
        cmocka_unit_test(other_texts_do_not),
        cmocka_unit_test(every_truncation_of_a_document_is_refused),
        cmocka_unit_test(depth_ends_at_2048_in_constant_stack),
        cmocka_unit_test(a_depth_of_ones_own_is_told_from_other_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
