#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ratsctl/options.h"

#define MAX_WORDS 128

static char words[MAX_WORDS][64];
static char *arguments[MAX_WORDS + 1];
static char error[256];

/* Parses "ratsctl" and the words, which end with NULL. */
static int parse(struct options *options, ...)
{
    int count = 1;
    va_list list;
    arguments[0] = strcpy(words[0], "ratsctl");
    va_start(list, options);
    for (const char *word = va_arg(list, const char *); word != NULL;
         word = va_arg(list, const char *)) {
        assert_true(count < MAX_WORDS && strlen(word) < sizeof words[0]);
        arguments[count] = strcpy(words[count], word);
        count++;
    }
    va_end(list);
    arguments[count] = NULL;
    error[0] = '\0';
    return options_parse(count, arguments, options, error, sizeof error);
}

static void nothing_given_means_the_defaults(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, NULL), 0);
    assert_int_equal(options.argument_count, 0);
    assert_int_equal(options.timeout_ms, -1);
    assert_int_equal(options.json, JSON_NONE);
    assert_int_equal(options.seen, 0);
}

static void options_stand_before_and_behind_the_command(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "--socket", "/s", "send", "--channel=a", "abcd", "--timeout",
                           "1.5", "text", "--channel", "b", NULL),
                     0);
    assert_int_equal(options.argument_count, 3);
    assert_string_equal(options.arguments[0], "send");
    assert_string_equal(options.arguments[1], "abcd");
    assert_string_equal(options.arguments[2], "text");
    assert_string_equal(options.socket_path, "/s");
    assert_int_equal(options.timeout_ms, 1500);
    assert_int_equal(options.channel_count, 2);
    assert_string_equal(options.channels[1], "b");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "send", "abcd", "--", "--json", "--", NULL), 0);
    assert_int_equal(options.argument_count, 4);
    assert_string_equal(options.arguments[2], "--json");
    assert_string_equal(options.arguments[3], "--");
    assert_int_equal(options.json, JSON_NONE);
}

static void one_dash_is_an_argument(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "send", "abcd", "-", NULL), 0);
    assert_int_equal(options.argument_count, 3);
    assert_string_equal(options.arguments[2], "-");
}

static void json_takes_its_value_only_behind_an_equals_sign(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "--json", "peers", NULL), 0);
    assert_int_equal(options.json, JSON_DOCUMENT);
    assert_string_equal(options.arguments[0], "peers");
    assert_int_equal(parse(&options, "peers", "--json=lines", NULL), 0);
    assert_int_equal(options.json, JSON_LINES);
    assert_int_not_equal(parse(&options, "peers", "--json=document", NULL), 0);
    assert_non_null(strstr(error, "--json=lines"));
}

static void choices_and_numbers_are_checked(void **state)
{
    (void)state;
    struct options options;
    assert_int_equal(parse(&options, "--color=never", "--as", "json", "--count", "3", "--since=0",
                           "--peers", "2", "--online", "--until", "lost", "--peer=abcd",
                           "--instance=x", NULL),
                     0);
    assert_int_equal(options.color, COLOR_NEVER);
    assert_int_equal(options.count, 3);
    assert_int_equal(options.peers, 2);
    assert_true(options_have(&options, OPT_ONLINE));
    assert_true(options_have(&options, OPT_SINCE));
    static const char *const bad[] = {"--color=red", "--format=csv",  "--as=xml",
                                      "--count=0",   "--count=",      "--peers=0",
                                      "--since=-1",  "--timeout=soon"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(parse(&options, bad[i], NULL), 0);
        assert_non_null(strstr(error, "--"));
    }
}

static void every_option_is_found_by_its_name(void **state)
{
    (void)state;
    for (int i = 0; i < OPTION_COUNT; i++) {
        struct options options;
        const bool needs_value = option_rows[i].value != NULL && option_rows[i].value[0] != '[';
        const int result = parse(&options, option_rows[i].name, NULL);
        assert_int_equal(result == 0, !needs_value);
        if (needs_value) {
            assert_non_null(strstr(error, "needs a value"));
        }
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    struct options options = {.timeout_ms = 7};
    assert_int_not_equal(parse(&options, "--sockt", "/s", NULL), 0);
    assert_string_equal(error, "unknown option --sockt");
    assert_int_not_equal(parse(&options, "-x", NULL), 0);
    assert_int_not_equal(parse(&options, "--online=yes", NULL), 0);
    assert_string_equal(error, "--online takes no value");
    assert_int_not_equal(parse(&options, "--socket", "/s", "--instance", "x", NULL), 0);
    assert_int_not_equal(parse(&options, "--json", "--format=tab", NULL), 0);
    assert_int_equal(options.timeout_ms, 7); /* outputs are written only on success */
}

static void too_many_channels_are_refused(void **state)
{
    (void)state;
    static char channel[] = "--channel=c";
    char *many[OPTIONS_MAX_CHANNELS + 2];
    struct options options;
    many[0] = words[0];
    for (size_t i = 1; i < sizeof many / sizeof many[0]; i++) {
        many[i] = channel;
    }
    assert_int_equal(options_parse(OPTIONS_MAX_CHANNELS + 1, many, &options, error, sizeof error),
                     0);
    assert_int_not_equal(
        options_parse(OPTIONS_MAX_CHANNELS + 2, many, &options, error, sizeof error), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_means_the_defaults),
        cmocka_unit_test(options_stand_before_and_behind_the_command),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(one_dash_is_an_argument),
        cmocka_unit_test(json_takes_its_value_only_behind_an_equals_sign),
        cmocka_unit_test(choices_and_numbers_are_checked),
        cmocka_unit_test(every_option_is_found_by_its_name),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(too_many_channels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
