#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/path_rule.h"
#include "vectors.h"

static const char *directory;

static void upstream_and_we_agree_on_what_is_unsafe(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "file_transfer.json");
    size_t i;
    json_t *row;
    size_t count = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "path_rule"), i, row)
    {
        struct bytes path = vectors_text_bytes(row, "path");
        bool safe = vectors_bool(row, "safe");
        assert_true(path_rule_is_safe(path) == safe);
        if (!safe) { /* ours only refuses more */
            assert_non_null(path_rule_check(path));
        }
        count++;
    }
    assert_int_equal(count, 24);
    vectors_close(vectors);
}

static void every_hostile_name_is_refused(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "hostile_names.json");
    json_t *names = vectors_array(vectors_root(vectors), "names");
    size_t i;
    json_t *row;
    json_array_foreach(names, i, row)
    {
        if (path_rule_check(vectors_hex(vectors, row, "hex")) == NULL) {
            fail_msg("%s (%s) passes", vectors_text(row, "hex"), vectors_text(row, "why"));
        }
    }
    assert_true(json_array_size(names) >= 500);
    vectors_close(vectors);
}

static void ordinary_names_pass(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a",
        "a/b",
        ".hidden",
        "a..b",
        "..a",
        "~root",
        "console",
        "com",
        "com10",
        "lpt",
        "nul1",
        "x/y/z.tar.gz",
        "a b",
        "(1) - copy's \"name\"!",
        "-rf",
        "*",
        "d\xc3\xa9j\xc3\xa0 vu",
        "\xe6\x97\xa5\xe6\x9c\xac/\xe8\xaa\x9e",
        "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x94\xac",
        "wait\xe2\x80\xa6 what",
        "$HOME",
        "%2e%2e%2f",
    };
    char longest[PATH_RULE_MAX_COMPONENT + 1] = {0};
    memset(longest, 'n', PATH_RULE_MAX_COMPONENT);
    assert_null(path_rule_check(bytes_from_string(longest)));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (path_rule_check(bytes_from_string(names[i])) != NULL) {
            fail_msg("%s %s", names[i], path_rule_check(bytes_from_string(names[i])));
        }
    }
}

static void the_fault_is_named(void **state)
{
    (void)state;
    assert_string_equal(path_rule_check(bytes_make("a\0b", 3)), "has a control character");
    assert_string_equal(path_rule_check(bytes_from_string("x/nul.txt")),
                        "has a component that names a device");
    assert_string_equal(path_rule_check(bytes_from_string("\xff")), "is not UTF-8");
    assert_string_equal(path_rule_check(bytes_make(NULL, 0)), "is empty");
}

static void what_a_receiver_may_refuse_may_be_offered(void **state)
{
    (void)state;
    static const char *const names[] = {"ab:c", "12:30 photo.jpg", "con", "a\nb", "...", "a ",
                                        "x."};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(path_rule_check_offered(bytes_from_string(names[i])));
        assert_non_null(path_rule_check(bytes_from_string(names[i])));
    }
    char longest[PATH_RULE_MAX_SIZE + 2] = {0};
    memset(longest, 'n', PATH_RULE_MAX_SIZE + 1);
    assert_non_null(path_rule_check_offered(bytes_from_string(longest)));
    assert_non_null(path_rule_check_offered(bytes_from_string("a:b")));
    assert_non_null(path_rule_check_offered(bytes_from_string("a/../b")));
    assert_non_null(path_rule_check_offered(bytes_from_string("\xff")));
    assert_non_null(path_rule_check_offered(bytes_make("a\0b", 3)));
    assert_non_null(path_rule_check_offered(bytes_make(NULL, 0)));
}

int main(int argc, char **argv)
{
    assert_true(argc > 1);
    directory = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upstream_and_we_agree_on_what_is_unsafe),
        cmocka_unit_test(every_hostile_name_is_refused),
        cmocka_unit_test(ordinary_names_pass),
        cmocka_unit_test(the_fault_is_named),
        cmocka_unit_test(what_a_receiver_may_refuse_may_be_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
