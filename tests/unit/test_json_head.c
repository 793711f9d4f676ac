/* proto/json_head: what is a head, and every limit at its edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "proto/json_head.h"

static char problem[128];

static json_t *parse(const char *text)
{
    /* Without the NUL and at its exact size, so that a sanitizer sees reads beyond the end. */
    const size_t size = strlen(text);
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    memcpy(exact, text, size);
    problem[0] = '\0';
    json_t *value = json_head_parse(exact, size, problem, sizeof problem);
    free(exact);
    return value;
}

static void accepts(const char *text)
{
    json_t *value = parse(text);
    assert_non_null(value);
    json_decref(value);
}

static void refuses(const char *text, const char *part_of_sentence)
{
    assert_null(parse(text));
    if (strstr(problem, part_of_sentence) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", problem, part_of_sentence);
    }
}

static void objects_are_heads(void **state)
{
    (void)state;
    accepts("{}");
    accepts(" {\"m\": \"hello\", \"p\": {\"versions\": [[1,0]], \"x\": null}} \n");
    accepts("{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":1.5,\"d\":\"]{\\\"\"}");
}

static void other_things_are_not(void **state)
{
    (void)state;
    refuses("", "empty");
    refuses("[]", "not a JSON object");
    refuses("1", "not a JSON object");
    refuses("\"x\"", "not a JSON object");
    refuses("{", "not valid JSON");
    refuses("}", "not valid JSON");
    refuses("{\"a\":1}x", "not valid JSON");
    refuses("{\"a\":9223372036854775808}", "not valid JSON");
    refuses("{\"a\":\"\\u0000\"}", "not valid JSON");
    refuses("{\"a\":\"\xff\"}", "not valid JSON");
    refuses("{\"a\":1,\"a\":2}", "twice");
}

static void a_nul_byte_does_not_hide_what_follows(void **state)
{
    (void)state;
    assert_null(json_head_parse((const uint8_t *)"{}\0{}", 5, problem, sizeof problem));
    assert_non_null(strstr(problem, "NUL"));
}

static char *nested(size_t depth)
{
    /* {"a":[[[...]]]} */
    char *text = malloc(depth * 2 + 16);
    if (text == NULL) {
        abort();
    }
    size_t used = (size_t)sprintf(text, "{\"a\":");
    memset(text + used, '[', depth - 1);
    used += depth - 1;
    memset(text + used, ']', depth - 1);
    used += depth - 1;
    strcpy(text + used, "}");
    return text;
}

static void depth_ends_at_the_limit(void **state)
{
    (void)state;
    char *text = nested(JSON_HEAD_MAX_DEPTH);
    accepts(text);
    free(text);
    text = nested(JSON_HEAD_MAX_DEPTH + 1);
    refuses(text, "32 levels");
    free(text);
    text = nested(30000);
    refuses(text, "32 levels");
    free(text);
}

static char *members(size_t count)
{
    char *text = malloc(count * 12 + 16);
    if (text == NULL) {
        abort();
    }
    size_t used = (size_t)sprintf(text, "{");
    for (size_t i = 0; i < count; i++) {
        used += (size_t)sprintf(text + used, "%s\"%zu\":0", i == 0 ? "" : ",", i);
    }
    strcpy(text + used, "}");
    return text;
}

static void members_end_at_the_limit(void **state)
{
    (void)state;
    char *text = members(1024);
    accepts(text);
    free(text);
    text = members(1025);
    refuses(text, "1024 members");
    free(text);
}

static void a_head_has_at_most_64_kib(void **state)
{
    (void)state;
    const size_t size = FRAME_MAX_HEAD + 1;
    uint8_t *text = malloc(size);
    memset(text, ' ', size);
    text[0] = '{';
    text[1] = '}';
    assert_null(json_head_parse(text, size, problem, sizeof problem));
    assert_non_null(strstr(problem, "64 KiB"));
    json_t *value = json_head_parse(text, size - 1, problem, sizeof problem);
    assert_non_null(value);
    json_decref(value);
    free(text);
}

int main(void)
{
    json_head_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nul_byte_does_not_hide_what_follows),
        cmocka_unit_test(objects_are_heads),
        cmocka_unit_test(other_things_are_not),
        cmocka_unit_test(depth_ends_at_the_limit),
        cmocka_unit_test(members_end_at_the_limit),
        cmocka_unit_test(a_head_has_at_most_64_kib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
