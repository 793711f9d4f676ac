#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"

/* Standard error is a pipe while a case runs. */
struct capture {
    int pipe[2];
    int saved;
    char text[8192];
};

static int setup(void **state)
{
    struct capture *capture = calloc(1, sizeof *capture);
    assert_non_null(capture);
    assert_int_equal(pipe(capture->pipe), 0);
    capture->saved = dup(STDERR_FILENO);
    assert_true(dup2(capture->pipe[1], STDERR_FILENO) >= 0);
    (void)close(capture->pipe[1]);
    (void)unsetenv("JOURNAL_STREAM");
    log_set_level(LOG_LEVEL_INFO);
    *state = capture;
    return 0;
}

/* Everything logged so far; standard error is the old one again. */
static const char *captured(struct capture *capture)
{
    assert_true(dup2(capture->saved, STDERR_FILENO) >= 0);
    size_t size = 0;
    ssize_t got;
    while ((got = read(capture->pipe[0], capture->text + size, sizeof capture->text - 1 - size)) >
           0) {
        size += (size_t)got;
    }
    capture->text[size] = '\0';
    return capture->text;
}

static int teardown(void **state)
{
    struct capture *capture = *state;
    (void)close(capture->pipe[0]);
    (void)close(capture->saved);
    free(capture);
    return 0;
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    while ((text = strstr(text, part)) != NULL) {
        count++;
        text += strlen(part);
    }
    return count;
}

static void a_line_has_time_level_topic_and_text(void **state)
{
    struct capture *capture = *state;
    log_info("dht", "bootstrap done, %d nodes", 3);
    const char *line = captured(capture);
    static const char shape[] = "0000-00-00T00:00:00.000Z ";
    for (size_t i = 0; shape[i] != '\0'; i++) {
        assert_true(shape[i] == '0' ? isdigit((unsigned char)line[i]) : line[i] == shape[i]);
    }
    assert_string_equal(line + strlen(shape), "info  dht: bootstrap done, 3 nodes\n");
}

static void a_journal_gets_the_priority_instead(void **state)
{
    struct capture *capture = *state;
    struct stat st;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_error("a", "one");
    log_warn("b", "two");
    log_info("c", "three");
    log_debug("d", "four");
    assert_string_equal(captured(capture), "<3>a: one\n<4>b: two\n<6>c: three\n<7>d: four\n");
}

static void an_inherited_journal_variable_is_not_believed(void **state)
{
    struct capture *capture = *state;
    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    log_info("c", "three");
    assert_non_null(strstr(captured(capture), "info  c: three\n"));
}

static void lines_below_the_level_are_dropped(void **state)
{
    struct capture *capture = *state;
    log_set_level(LOG_LEVEL_WARN);
    assert_int_equal(log_get_level(), LOG_LEVEL_WARN);
    log_info("a", "hidden");
    log_debug("a", "hidden");
    log_warn("a", "seen");
    const char *text = captured(capture);
    assert_int_equal(count_of(text, "\n"), 1);
    assert_non_null(strstr(text, "warn  a: seen\n"));
}

static void text_stays_on_one_line(void **state)
{
    struct capture *capture = *state;
    log_info("a", "one\ntwo\r\x1b[31m\tthree\x7f");
    assert_non_null(strstr(captured(capture), "a: one two  [31m three \n"));
}

static void a_long_line_is_cut_at_a_whole_character(void **state)
{
    struct capture *capture = *state;
    char text[4096];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    text[sizeof text - 2] = '\0';
    log_info("a", "%s", text);
    log_info("ab", "%s", text); /* one byte further: the other parity */
    const char *line = captured(capture);
    for (int i = 0; i < 2; i++) {
        size_t size = strcspn(line, "\n");
        assert_true(size < 1024 && size > 1024 - 8);
        assert_memory_equal(line + size - 5, "\xc3\xa9...", 5);
        line += size + 1;
    }
}

static void errno_survives_logging(void **state)
{
    struct capture *capture = *state;
    errno = ENOSPC;
    log_info("a", "text");
    assert_int_equal(errno, ENOSPC);
    (void)captured(capture);
}

static void level_names_are_read_back(void **state)
{
    struct capture *capture = *state;
    (void)captured(capture);
    enum log_level level = LOG_LEVEL_WARN;
    assert_int_equal(log_level_parse("verbose", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_WARN);
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; i++) {
        assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
        assert_int_equal(level, i);
    }
}

static void a_flood_is_held_back_and_counted(void **state)
{
    struct capture *capture = *state;
    struct log_limit limit = {.started = false};
    for (int i = 0; i < 110; i++) {
        log_limited(&limit, 5000, LOG_LEVEL_WARN, "a", "flood");
    }
    log_limited(&limit, 5999, LOG_LEVEL_WARN, "a", "flood"); /* not yet a second */
    log_limited(&limit, 6000, LOG_LEVEL_WARN, "a", "after");
    log_limited(&limit, 6001, LOG_LEVEL_WARN, "a", "flood");
    const char *text = captured(capture);
    assert_int_equal(count_of(text, "a: flood\n"), 10);
    assert_non_null(strstr(text, "a: 101 similar lines held back\n"));
    assert_int_equal(count_of(text, "a: after\n"), 1);
    assert_int_equal(limit.held_back, 1);
}

static void a_limit_earns_at_most_ten_lines(void **state)
{
    struct capture *capture = *state;
    struct log_limit limit = {.started = false};
    for (int i = 0; i < 12; i++) {
        log_limited(&limit, 0, LOG_LEVEL_WARN, "a", "first");
    }
    for (int i = 0; i < 12; i++) {
        log_limited(&limit, 3600000, LOG_LEVEL_WARN, "a", "second");
    }
    for (int i = 0; i < 12; i++) {
        log_limited(&limit, 3600000 + 3000, LOG_LEVEL_WARN, "a", "third");
    }
    log_limited(&limit, 3700000, LOG_LEVEL_DEBUG, "a", "hidden");
    const char *text = captured(capture);
    assert_int_equal(count_of(text, "a: first\n"), 10);
    assert_int_equal(count_of(text, "a: second\n"), 10);
    assert_int_equal(count_of(text, "a: third\n"), 3);
    assert_int_equal(count_of(text, "hidden"), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_line_has_time_level_topic_and_text),
        CASE(a_journal_gets_the_priority_instead),
        CASE(an_inherited_journal_variable_is_not_believed),
        CASE(lines_below_the_level_are_dropped),
        CASE(text_stays_on_one_line),
        CASE(a_long_line_is_cut_at_a_whole_character),
        CASE(errno_survives_logging),
        CASE(level_names_are_read_back),
        CASE(a_flood_is_held_back_and_counted),
        CASE(a_limit_earns_at_most_ten_lines),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
