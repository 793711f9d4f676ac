/* proto/validate: each type, its limits, and the sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/methods.h"
#include "proto/validate.h"

static const struct field sample[] = {
    {.name = "port", .type = T_UINT, .flags = FIELD_REQUIRED, .min = 1, .max = 65535},
    {.name = "count", .type = T_UINT},
    {.name = "offset", .type = T_INT, .min = -5, .max = 5},
    {.name = "any", .type = T_INT},
    {.name = "on", .type = T_BOOL},
    {.name = "rate", .type = T_REAL, .flags = FIELD_NULLABLE},
    {.name = "text", .type = T_TEXT, .min = 1, .max = 3},
    {.name = "peer", .type = T_PEER_ID},
    {.name = "level", .type = T_CHOICE, .choices = "warn|info"},
    {.name = "words", .type = T_WORDS, .choices = "a|b", .max = 2},
    {.name = "free", .type = T_OBJECT},
    {.name = "list",
     .type = T_ARRAY,
     .fields = FIELDS({.name = "id", .type = T_UINT, .flags = FIELD_REQUIRED})},
    {.type = T_END},
};

static const char *sentence(const char *text, const char **ret_field)
{
    static char error[256];
    error[0] = '\0';
    json_t *object = text == NULL ? NULL : json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_true(text == NULL || object != NULL);
    *ret_field = NULL;
    const int result = validate_fields(sample, object, ret_field, error, sizeof error);
    json_decref(object);
    assert_int_equal(result, error[0] == '\0' ? 0 : -1);
    return error;
}

/* Each member is tried beside a good port. */
static void accepts(const char *member)
{
    char text[512];
    snprintf(text, sizeof text, "{\"port\":1,%s}", member);
    const char *field;
    assert_string_equal(sentence(text, &field), "");
    assert_null(field);
}

static void refuses(const char *member, const char *name, const char *expected)
{
    char text[512];
    snprintf(text, sizeof text, "{\"port\":1,%s}", member);
    const char *field;
    assert_string_equal(sentence(text, &field), expected);
    assert_string_equal(field, name);
}

static void a_missing_member_is_named(void **state)
{
    (void)state;
    const char *field;
    assert_string_equal(sentence("{}", &field), "parameter 'port' is missing");
    assert_string_equal(field, "port");
    assert_string_equal(sentence(NULL, &field), "parameter 'port' is missing");
}

static void numbers_keep_their_range(void **state)
{
    (void)state;
    const char *field;
    assert_string_equal(sentence("{\"port\":70000}", &field),
                        "parameter 'port' is 70000; allowed are 1 to 65535");
    assert_string_equal(sentence("{\"port\":0}", &field),
                        "parameter 'port' is 0; allowed are 1 to 65535");
    assert_string_equal(sentence("{\"port\":\"1\"}", &field),
                        "parameter 'port' is text; it must be an integer");
    accepts("\"count\":9223372036854775807");
    refuses("\"count\":-1", "count", "parameter 'count' is -1; allowed are 0 and more");
    accepts("\"offset\":-5");
    refuses("\"offset\":-6", "offset", "parameter 'offset' is -6; allowed are -5 to 5");
    accepts("\"any\":-9223372036854775808");
    refuses("\"any\":1.5", "any", "parameter 'any' is a real number; it must be an integer");
    accepts("\"on\":false");
    refuses("\"on\":1", "on", "parameter 'on' is an integer; it must be true or false");
    accepts("\"rate\":1");
    accepts("\"rate\":1.5");
    accepts("\"rate\":null");
    refuses("\"on\":null", "on", "parameter 'on' is null; it must be true or false");
}

static void text_and_words_keep_theirs(void **state)
{
    (void)state;
    accepts("\"text\":\"abc\"");
    refuses("\"text\":\"abcd\"", "text", "parameter 'text' has 4 bytes; allowed are 1 to 3");
    refuses("\"text\":\"\"", "text", "parameter 'text' has 0 bytes; allowed are 1 to 3");
    refuses("\"text\":\"a\\u0000\"", "text", "parameter 'text' contains a NUL character");
    accepts("\"peer\":\"00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100\"");
    refuses("\"peer\":\"0011\"", "peer",
            "parameter 'peer' is not a peer id; it must be 64 hexadecimal digits");
    accepts("\"level\":\"info\"");
    refuses("\"level\":\"in\"", "level", "parameter 'level' is \"in\"; allowed are warn, info");
    refuses("\"level\":\"warn|info\"", "level",
            "parameter 'level' is \"warn|info\"; allowed are warn, info");
    refuses("\"level\":\"\\u001b[31m\xc3\xa9\"", "level",
            "parameter 'level' is \"?[31m??\"; allowed are warn, info");
    accepts("\"words\":[\"a\",\"b\"]");
    accepts("\"words\":[]");
    refuses("\"words\":[\"c\"]", "words", "parameter 'words' is \"c\"; allowed are a, b");
    refuses("\"words\":[\"a\",\"a\",\"a\"]", "words",
            "parameter 'words' has 3 items; allowed are 0 to 2");
}

static void objects_are_checked_inside(void **state)
{
    (void)state;
    accepts("\"free\":{\"x\":[1]}");
    refuses("\"free\":[]", "free", "parameter 'free' is an array; it must be an object");
    accepts("\"list\":[{\"id\":1},{\"id\":2,\"more\":true}]");
    refuses("\"list\":[{\"id\":1},{}]", "id", "parameter 'id' is missing");
    refuses("\"list\":[1]", "list",
            "parameter 'list' is an integer; it must be an array of objects");
    accepts("\"unknown\":\"is ignored\"");
}

static void the_sentence_fits_any_room(void **state)
{
    (void)state;
    char small[10];
    const char *field;
    assert_int_equal(validate_fields(sample, NULL, &field, small, sizeof small), -1);
    assert_string_equal(small, "parameter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_member_is_named),  cmocka_unit_test(numbers_keep_their_range),
        cmocka_unit_test(text_and_words_keep_theirs), cmocka_unit_test(objects_are_checked_inside),
        cmocka_unit_test(the_sentence_fits_any_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
