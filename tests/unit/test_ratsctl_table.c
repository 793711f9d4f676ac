#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ratsctl/table.h"

static const char *const headings[] = {"NAME", "N", "END", NULL};

enum form { ALIGNED, COLORED, TABS };

/* What the table prints. Release with free(). */
static char *print(const struct table *table, enum form form)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    if (form == TABS) {
        table_print_tabs(table, file);
    } else {
        table_print_aligned(table, file, form == COLORED);
    }
    assert_int_equal(fclose(file), 0);
    return text;
}

static void expect(const struct table *table, enum form form, const char *expected)
{
    char *text = print(table, form);
    assert_string_equal(text, expected);
    free(text);
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, headings);
    table_add(&table, "a");
    table_add_format(&table, "%d", 12345);
    table_add(&table, "x");
    table_add(&table, "longer name");
    table_add(&table, "1");
    table_add(&table, "");
    expect(&table, ALIGNED,
           "NAME         N      END\n"
           "a            12345  x\n"
           "longer name  1\n");
    table_fini(&table);
}

static void width_counts_characters_not_bytes(void **state)
{
    (void)state;
    struct table table;
    table_init_plain(&table, 2);
    table_add(&table, "\xc3\xa4\xc3\xb6");
    table_add(&table, "1");
    table_add(&table, "abc");
    table_add(&table, "2");
    expect(&table, ALIGNED, "\xc3\xa4\xc3\xb6   1\nabc  2\n");
    table_fini(&table);
}

static void an_empty_table_is_its_heading_or_nothing(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, headings);
    expect(&table, ALIGNED, "NAME  N  END\n");
    expect(&table, COLORED, "\033[1mNAME  N  END\033[0m\n");
    expect(&table, TABS, "");
    table_fini(&table);
}

static void tabs_have_no_heading_and_a_dash_for_nothing(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, headings);
    table_add(&table, "a");
    table_add(&table, NULL);
    table_add(&table, "c");
    table_add(&table, "half a row is not printed");
    expect(&table, TABS, "a\t-\tc\n");
    table_fini(&table);
}

/* C6: whatever a stranger chose, a row stays a row and a cell a cell. */
static void a_cell_cannot_be_left(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "a\tb",
        "a\nb",
        "a\rb",
        "\033[2J",
        "\x7f",
        "\xc2\x9b"
        "31m",
        "\xe2\x80\xae",
        "\xe2\x80\xa8",
        "\xff\xfe",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xc0\x80",
        "\a\b\v\f",
        "\xe2\x81\xa6"
        "evil",
        "\\x1b",
    };
    struct table table;
    table_init_plain(&table, 1);
    const size_t count = sizeof hostile / sizeof hostile[0];
    for (size_t i = 0; i < count; i++) {
        table_add(&table, hostile[i]);
    }
    char *text = print(&table, TABS);
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char byte = (unsigned char)*at;
        lines += byte == '\n';
        assert_true(byte == '\n' || (byte >= 0x20 && byte < 0x7f));
    }
    assert_int_equal(lines, count);
    free(text);
    table_fini(&table);
}

static void long_text_is_escaped_whole(void **state)
{
    (void)state;
    const size_t size = 100000;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    memset(bytes, 0x01, size);
    char *text = escape_new(bytes, size);
    assert_int_equal(strlen(text), size * 4);
    assert_memory_equal(text + size * 4 - 8, "\\x01\\x01", 8);
    free(text);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
        cmocka_unit_test(width_counts_characters_not_bytes),
        cmocka_unit_test(an_empty_table_is_its_heading_or_nothing),
        cmocka_unit_test(tabs_have_no_heading_and_a_dash_for_nothing),
        cmocka_unit_test(a_cell_cannot_be_left),
        cmocka_unit_test(long_text_is_escaped_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
