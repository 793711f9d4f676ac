#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"

static const struct config_item network_items[] = {
    {"port", CONFIG_UINT, "8080", 0, 65535, NULL, false, "Port to listen on."},
    {"listen", CONFIG_TEXT, "", 0, 0, NULL, false, "Address to listen on."},
    {"transport", CONFIG_CHOICE, "noise", 0, 0, "noise|plaintext|both", false, "How to talk."},
    {.key = NULL},
};
static const struct config_item limit_items[] = {
    {"memory", CONFIG_SIZE, "64M", 4096, UINT64_C(2) << 30, NULL, true, "Memory for queues."},
    {"timeout", CONFIG_SECONDS, "15", 1, 7200, NULL, true, "When to give up."},
    {"strict", CONFIG_BOOL, "no", 0, 0, NULL, true, "Refuse strangers."},
    {"total", CONFIG_UINT, "1", 0, UINT64_MAX, NULL, true, "Any number."},
    {.key = NULL},
};
static const struct config_section sections[] = {
    {"network", network_items},
    {"limits", limit_items},
};

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    char error[512] = "";
    int result =
        config_parse(sections, 2, "r.conf", bytes_from_string(text), &config, error, sizeof error);
    assert_string_equal(error, "");
    assert_int_equal(result, 0);
    return config;
}

static void assert_refused(const char *text, const char *message)
{
    struct config *config = NULL;
    char error[512] = "";
    assert_int_equal(
        config_parse(sections, 2, "r.conf", bytes_from_string(text), &config, error, sizeof error),
        -EINVAL);
    assert_null(config);
    assert_string_equal(error, message);
}

static void without_a_file_the_defaults_hold(void **state)
{
    (void)state;
    struct config *config = NULL;
    char error[64];
    assert_int_equal(config_load(sections, 2, NULL, &config, error, sizeof error), 0);
    assert_int_equal(config_uint(config, "network", "port"), 8080);
    assert_string_equal(config_text(config, "network", "listen"), "");
    assert_string_equal(config_text(config, "network", "transport"), "noise");
    assert_int_equal(config_uint(config, "limits", "memory"), 64 << 20);
    assert_int_equal(config_uint(config, "limits", "timeout"), 15);
    assert_false(config_bool(config, "limits", "strict"));
    config_free(config);
    config_free(NULL);
}

static void every_type_is_read(void **state)
{
    (void)state;
    struct config *config = parse("\xef\xbb\xbf# a comment\n"
                                  "[network]\r\n"
                                  "port = 1 ; inline\r\n"
                                  "  listen: ::1\n"
                                  "transport=both\n"
                                  "; another\n"
                                  "\n"
                                  "[limits]\n"
                                  "memory = 2G\n"
                                  "timeout = 2h\n"
                                  "strict = on\n"
                                  "total = 18446744073709551615\n"
                                  "[network]");
    assert_int_equal(config_uint(config, "network", "port"), 1);
    assert_string_equal(config_text(config, "network", "listen"), "::1");
    assert_string_equal(config_text(config, "network", "transport"), "both");
    assert_int_equal(config_uint(config, "limits", "memory"), UINT64_C(2) << 30);
    assert_int_equal(config_uint(config, "limits", "timeout"), 7200);
    assert_true(config_bool(config, "limits", "strict"));
    assert_true(config_uint(config, "limits", "total") == UINT64_MAX);
    assert_true(config_size(config, "limits", "memory") == (size_t)2 << 30);
    assert_true(config_size(config, "limits", "total") == SIZE_MAX);
    config_free(config);
}

static void units_multiply(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *key;
        uint64_t number;
    } cases[] = {
        {"[limits]\nmemory = 4096", "memory", 4096},  {"[limits]\nmemory = 4K", "memory", 4096},
        {"[limits]\nmemory = 3M", "memory", 3 << 20}, {"[limits]\ntimeout = 7s", "timeout", 7},
        {"[limits]\ntimeout = 3m", "timeout", 180},   {"[limits]\ntimeout = 1h", "timeout", 3600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *config = parse(cases[i].text);
        assert_int_equal(config_uint(config, "limits", cases[i].key), cases[i].number);
        config_free(config);
    }
}

static void every_word_for_yes_and_no_is_read(void **state)
{
    (void)state;
    static const char *const words[][2] = {{"yes", "no"}, {"true", "false"}, {"on", "off"}};
    for (size_t i = 0; i < 6; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "[limits]\nstrict = %s\n", words[i / 2][i % 2]);
        struct config *config = parse(text);
        assert_int_equal(config_bool(config, "limits", "strict"), i % 2 == 0);
        config_free(config);
    }
}

static void a_value_out_of_range_names_file_line_option_and_range(void **state)
{
    (void)state;
    assert_refused("# x\n[network]\nport = 99999\n",
                   "r.conf:3: [network] port = 99999: must be 0 to 65535");
    assert_refused("[limits]\nmemory = 3G", "r.conf:2: [limits] memory = 3G: must be 4K to 2G");
    assert_refused("[limits]\nmemory = 4095", "r.conf:2: [limits] memory = 4095: must be 4K to 2G");
    assert_refused("[limits]\ntimeout = 0", "r.conf:2: [limits] timeout = 0: must be 1s to 2h");
    assert_refused("[limits]\ntotal = 18446744073709551616",
                   "r.conf:2: [limits] total = 18446744073709551616: must be 0 to "
                   "18446744073709551615");
    assert_refused("[limits]\nmemory = 18446744073709551615G",
                   "r.conf:2: [limits] memory = 18446744073709551615G: must be 4K to 2G");
}

static void what_is_no_number_says_what_would_be(void **state)
{
    (void)state;
    assert_refused("[network]\nport = http", "r.conf:2: [network] port = http: not a whole number; "
                                             "must be 0 to 65535");
    assert_refused("[network]\nport =", "r.conf:2: [network] port = : not a whole number; "
                                        "must be 0 to 65535");
    assert_refused("[network]\nport = -1", "r.conf:2: [network] port = -1: not a whole number; "
                                           "must be 0 to 65535");
    assert_refused("[network]\nport = 1K", "r.conf:2: [network] port = 1K: not a whole number; "
                                           "must be 0 to 65535");
    assert_refused("[limits]\nmemory = 4k",
                   "r.conf:2: [limits] memory = 4k: not a size (bytes, or a number with K, M or "
                   "G); must be 4K to 2G");
    assert_refused("[limits]\ntimeout = 1m30s",
                   "r.conf:2: [limits] timeout = 1m30s: not a time (seconds, or a number with s, m "
                   "or h); must be 1s to 2h");
    assert_refused("[limits]\nstrict = maybe",
                   "r.conf:2: [limits] strict = maybe: must be yes or no");
}

static void a_choice_must_be_one_of_the_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"nois", "noise|plaintext", "tls", "plaintext2"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        char message[128];
        (void)snprintf(text, sizeof text, "[network]\ntransport = %s", bad[i]);
        (void)snprintf(message, sizeof message,
                       "r.conf:2: [network] transport = %s: must be noise, plaintext or both",
                       bad[i]);
        assert_refused(text, message);
    }
    assert_refused("[network]\ntransport =",
                   "r.conf:2: [network] transport = : must be noise, plaintext or both");
}

static void unknown_names_are_answered_with_the_known_ones(void **state)
{
    (void)state;
    assert_refused("[network]\nprot = 1",
                   "r.conf:2: [network] prot: unknown option; [network] has port, listen, "
                   "transport");
    assert_refused("\n[netwrk]\nport = 1",
                   "r.conf:2: [netwrk]: unknown section; there are [network], [limits]");
    assert_refused("[network]\nport = 1\n\n  [empty]  \n",
                   "r.conf:4: [empty]: unknown section; there are [network], [limits]");
    assert_refused("port = 1\n[network]\n", "r.conf:1: port: stands before the first [section]");
}

static void setting_an_option_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("[network]\nport = 1\n[limits]\n[network]\nport = 1\n",
                   "r.conf:5: [network] port = 1: already set in line 2; keep one of the two");
}

static void lines_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    static const char remedy[] = "neither \"key = value\" nor \"[section]\"";
    char message[128];
    (void)snprintf(message, sizeof message, "r.conf:3: %s", remedy);
    assert_refused("[network]\n\njust words\nport = 99999", message);
    assert_refused("[network]\nport = 1\n[network\n", message);
    (void)snprintf(message, sizeof message, "r.conf:2: %s", remedy);
    assert_refused("[network]\nport\n", message);
    /* Not a continuation of the line above. */
    assert_refused("[network]\nport = 1\n   2\n", "r.conf:3: neither \"key = value\" nor "
                                                  "\"[section]\"");
}

static void overlong_lines_are_refused(void **state)
{
    (void)state;
    char text[400];
    size_t start = (size_t)snprintf(text, sizeof text, "[network]\nlisten = ");
    memset(text + start, 'x', sizeof text - start);
    text[sizeof text - 1] = '\0';
    assert_refused(text, "r.conf:2: longer than 198 characters");
    text[10 + 198] = '\0'; /* the longest that fits */
    struct config *config = parse(text);
    assert_int_equal(strlen(config_text(config, "network", "listen")), 198 - strlen("listen = "));
    config_free(config);
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    assert_refused("[network]\nlisten = \xff\n", "r.conf:2: not text (UTF-8)");
    struct config *config = NULL;
    char error[128];
    static const char with_nul[] = "[network]\nport = 1\0junk\n";
    assert_int_equal(config_parse(sections, 2, "r.conf", bytes_make(with_nul, sizeof with_nul - 1),
                                  &config, error, sizeof error),
                     -EINVAL);
    assert_string_equal(error, "r.conf:2: not text (UTF-8)");
    assert_refused("[network]\nport = \x1b[31m",
                   "r.conf:2: [network] port = \\x1b[31m: not a whole "
                   "number; must be 0 to 65535");
}

static void messages_fit_the_room_they_are_given(void **state)
{
    (void)state;
    struct config *config = NULL;
    char error[20];
    assert_int_equal(config_parse(sections, 2, "r.conf", bytes_from_string("[network]\nport = x"),
                                  &config, error, sizeof error),
                     -EINVAL);
    assert_string_equal(error, "r.conf:2: [network]");
    assert_int_equal(
        config_parse(sections, 2, "r.conf", bytes_from_string("[nosuch]"), &config, error, 1),
        -EINVAL);
    assert_string_equal(error, "");
}

static void files_are_read_and_missing_ones_named(void **state)
{
    (void)state;
    char path[] = "/tmp/ratsd-config-XXXXXX";
    char error[256];
    char expected[256];
    struct config *config = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[network]\nport = 7\n", 19), 19);
    assert_int_equal(config_load(sections, 2, path, &config, error, sizeof error), 0);
    assert_int_equal(config_uint(config, "network", "port"), 7);
    config_free(config);
    assert_int_equal(write(fd, "port = 8\n", 9), 9);
    assert_int_equal(config_load(sections, 2, path, &config, error, sizeof error), -EINVAL);
    (void)snprintf(expected, sizeof expected,
                   "%s:3: [network] port = 8: already set in line 2; keep one of the two", path);
    assert_string_equal(error, expected);
    assert_int_equal(ftruncate(fd, 2 << 20), 0);
    assert_int_equal(config_load(sections, 2, path, &config, error, sizeof error), -EFBIG);
    (void)close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(config_load(sections, 2, path, &config, error, sizeof error), -ENOENT);
    (void)snprintf(expected, sizeof expected,
                   "%s: No such file or directory; check that the file exists and may be read",
                   path);
    assert_string_equal(error, expected);
    assert_int_equal(config_load(sections, 2, "/tmp", &config, error, sizeof error), -EISDIR);
}

static void the_command_line_overrides_the_file_with_the_same_checks(void **state)
{
    (void)state;
    struct config *config = parse("[network]\nport = 1\n");
    char error[256] = "";
    assert_int_equal(config_set(config, "network", "port", "2", error, sizeof error), 0);
    assert_int_equal(config_set(config, "network", "port", "3", error, sizeof error), 0);
    assert_string_equal(error, "");
    assert_int_equal(config_set(config, "network", "port", "99999", error, sizeof error), -EINVAL);
    assert_string_equal(error, "[network] port = 99999: must be 0 to 65535");
    assert_int_equal(config_set(config, "net", "port", "1", error, sizeof error), -EINVAL);
    assert_string_equal(error, "[net]: unknown section; there are [network], [limits]");
    assert_int_equal(config_uint(config, "network", "port"), 3);
    config_free(config);
}

/* What is printed, once its comments are taken off, is a file with every default. */
static void the_printed_sample_is_a_valid_file(void **state)
{
    (void)state;
    char path[] = "/tmp/ratsd-config-XXXXXX";
    char text[2048];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_true(dup2(fd, STDOUT_FILENO) >= 0);
    config_print(sections, 2);
    (void)fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    (void)close(saved);
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    (void)close(fd);
    (void)unlink(path);
    assert_true(size > 0);
    text[size] = '\0';
    assert_non_null(strstr(text, "[network]\n# Port to listen on.\n# port = 8080\n# Address"));
    assert_non_null(strstr(text, "\n\n[limits]\n# Memory for queues.\n# memory = 64M\n"));
    config_free(parse(text));
    char *at = text;
    while ((at = strstr(at, "# ")) != NULL) {
        const char *end = strchr(at, '\n');
        const char *equals = strchr(at, '=');
        if (equals != NULL && equals < end) {
            memcpy(at, "  ", 2);
        }
        at += 2;
    }
    config_free(parse(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file_the_defaults_hold),
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(units_multiply),
        cmocka_unit_test(every_word_for_yes_and_no_is_read),
        cmocka_unit_test(a_value_out_of_range_names_file_line_option_and_range),
        cmocka_unit_test(what_is_no_number_says_what_would_be),
        cmocka_unit_test(a_choice_must_be_one_of_the_words),
        cmocka_unit_test(unknown_names_are_answered_with_the_known_ones),
        cmocka_unit_test(setting_an_option_twice_is_refused),
        cmocka_unit_test(lines_that_mean_nothing_are_refused),
        cmocka_unit_test(overlong_lines_are_refused),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(messages_fit_the_room_they_are_given),
        cmocka_unit_test(files_are_read_and_missing_ones_named),
        cmocka_unit_test(the_command_line_overrides_the_file_with_the_same_checks),
        cmocka_unit_test(the_printed_sample_is_a_valid_file),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
