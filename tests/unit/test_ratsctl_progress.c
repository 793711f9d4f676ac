#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ratsctl/progress.h"
#include "util/reader.h"
#include "util/text.h"

#define MIB (UINT64_C(1) << 20)

static const struct progress tree = {
    .name = "photos",
    .done_bytes = 300 * MIB,
    .total_bytes = 1200 * MIB,
    .done_files = 3,
    .total_files = 120,
    .rate = 40 * MIB,
};

/* Columns it takes at most: a character beyond the Latin scripts may take two. */
static size_t columns_of(const char *line)
{
    struct reader reader;
    size_t columns = 0;
    reader_init(&reader, bytes_from_string(line));
    while (reader_left(&reader) > 0) {
        uint32_t code = 0;
        assert_true(text_take(&reader, &code) > 0);
        assert_true(code >= 0x20 && code != 0x7f);
        columns += code >= 0x1100 ? 2 : 1;
    }
    return columns;
}

static void expect(const struct progress *progress, size_t width, const char *expected)
{
    char line[PROGRESS_SIZE];
    assert_string_equal(progress_format(progress, width, line), expected);
    assert_true(columns_of(line) <= width);
}

static void percent_is_100_only_when_nothing_is_missing(void **state)
{
    (void)state;
    struct progress progress = tree;
    assert_int_equal(progress_percent(&progress), 25);
    progress.done_bytes = progress.total_bytes - 1;
    assert_int_equal(progress_percent(&progress), 99);
    progress.done_bytes = progress.total_bytes;
    assert_int_equal(progress_percent(&progress), 99); /* files are missing, or not yet verified */
    progress.done_files = progress.total_files;
    assert_int_equal(progress_percent(&progress), 100);
    progress = (struct progress){.done_bytes = UINT64_MAX - 1, .total_bytes = UINT64_MAX};
    assert_int_equal(progress_percent(&progress), 99);
}

static void without_bytes_the_files_count(void **state)
{
    (void)state;
    const struct progress half = {.done_files = 1, .total_files = 2};
    const struct progress nothing = {.done_files = 0};
    assert_int_equal(progress_percent(&half), 50);
    assert_int_equal(progress_percent(&nothing), 100);
}

static void everything_is_shown_where_there_is_room(void **state)
{
    (void)state;
    expect(&tree, 120,
           "photos  [========>                             ]   25%   300 MiB of 1.2 GiB  40.0 "
           "MiB/s     0:22 left  3 of 120 files");
    expect(&tree, 100,
           "photos  [====>                ]   25%   300 MiB of 1.2 GiB  40.0 MiB/s     0:22 left  "
           "3 of "
           "120 files");
}

static void the_less_important_goes_first(void **state)
{
    (void)state;
    expect(&tree, 80,
           "photos  [====>                 ]   25%  40.0 MiB/s     0:22 left  3 of 120 files");
    expect(&tree, 64, "photos  [===>              ]   25%     0:22 left  3 of 120 files");
    expect(&tree, 48, "photos  [===>              ]   25%     0:22 left");
    expect(&tree, 30, "photos  [==>           ]   25%");
    expect(&tree, 20, "photos   25%");
    expect(&tree, 8, "ph   25%");
    expect(&tree, 4, " 25%");
    expect(&tree, 3, "");
}

static void of_one_file_no_number_of_files_is_shown(void **state)
{
    (void)state;
    const struct progress file = {
        .name = "a.iso", .done_bytes = 512, .total_bytes = 1024, .total_files = 1, .rate = 1};
    expect(&file, 70, "a.iso  [=============>               ]   50%       1 B/s     8:32 left");
}

static void the_time_left_has_hours_and_days(void **state)
{
    (void)state;
    struct progress file = {.name = "x", .total_bytes = 3723, .total_files = 1, .rate = 1};
    expect(&file, 48, "x  [                       ]    0%  1:02:03 left");
    file.total_bytes = UINT64_C(400) * 3600;
    expect(&file, 48, "x  [                     ]    0%  16 d 16 h left");
    file.total_bytes = UINT64_MAX;
    expect(&file, 48, "x  [                       ]    0%     long left");
}

static void a_note_stands_in_place_of_the_rate(void **state)
{
    (void)state;
    struct progress progress = tree;
    progress.note = "paused";
    expect(&progress, 90,
           "photos  [======>                      ]   25%   300 MiB of 1.2 GiB  paused  3 of "
           "120 files");
    progress.note = NULL;
    progress.rate = 0; /* nothing came for a second: when it will be done is not known */
    expect(&progress, 48, "photos  [=======>                        ]   25%");
}

static void a_long_name_is_cut_and_marked(void **state)
{
    (void)state;
    struct progress progress = tree;
    progress.name = "a name that is a little too long for a line of this width, by any measure";
    expect(&progress, 80,
           "a name that is ...  [=>        ]   25%  40.0 MiB/s     0:22 left  3 of 120 files");
    progress.name = "\u6f22\u5b57\u6f22\u5b57\u6f22\u5b57"; /* two columns each */
    expect(&progress, 30, "\u6f22\u5b57\u6f22...  [=>         ]   25%");
}

static void no_name_and_no_width_leaves_its_line(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",
        "x",
        "\x1b[2J\r\n\t",
        "\xff\xfe\xc0\xaf",
        "\u202e\u2066 txt.exe",
        "\u6f22",
        "e\u0301",
        "\U0001f4f7\U0001f4f7",
        "100% [====>] done of everything",
    };
    char name[4096];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i <= sizeof names / sizeof names[0]; i++) {
        struct progress progress = tree;
        progress.name = i < sizeof names / sizeof names[0] ? names[i] : name;
        progress.note = i % 2 == 0 ? NULL : "waiting for the peer";
        progress.done_bytes = progress.total_bytes = progress.rate = UINT64_MAX;
        progress.done_files = progress.total_files = UINT64_MAX;
        for (size_t width = 0; width < 700; width++) {
            char line[PROGRESS_SIZE];
            assert_true(columns_of(progress_format(&progress, width, line)) <= width);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent_is_100_only_when_nothing_is_missing),
        cmocka_unit_test(without_bytes_the_files_count),
        cmocka_unit_test(everything_is_shown_where_there_is_room),
        cmocka_unit_test(the_less_important_goes_first),
        cmocka_unit_test(of_one_file_no_number_of_files_is_shown),
        cmocka_unit_test(the_time_left_has_hours_and_days),
        cmocka_unit_test(a_note_stands_in_place_of_the_rate),
        cmocka_unit_test(a_long_name_is_cut_and_marked),
        cmocka_unit_test(no_name_and_no_width_leaves_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
