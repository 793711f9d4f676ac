/* The library's log: levels, file, rotation, retention, colours, times (api.md 3.4). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "librats.h"
#include "log.h"

static char directory[] = "/tmp/librats-log-XXXXXX";
static char path[128];
static rats_client_t handle;
static int real_stderr;
static char caught[128];

/* Standard error goes to a file, so that what is printed can be looked at. */
static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/deep/er/log", directory);
    snprintf(caught, sizeof caught, "%s/stderr", directory);
    handle = rats_create(-1);
    real_stderr = dup(STDERR_FILENO);
    const int fd = open(caught, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    (void)close(fd);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    rats_destroy(handle);
    char command[256];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

/* The content of a file, "" if there is none. Static. */
static const char *content(const char *file)
{
    static char text[65536];
    FILE *from = fopen(file, "r");
    if (from == NULL) {
        return "";
    }
    const size_t size = fread(text, 1, sizeof text - 1, from);
    text[size] = '\0';
    (void)fclose(from);
    return text;
}

static const char *printed(void)
{
    static char copy[65536];
    snprintf(copy, sizeof copy, "%s", content(caught));
    assert_int_equal(truncate(caught, 0), 0);
    return copy;
}

static void warnings_go_to_standard_error_and_less_does_not(void **state)
{
    (void)state;
    log_write(LOG_INFO, "quiet");
    log_write(LOG_WARN, "loud %d", 7);
    const char *text = printed();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "WARN  librats: loud 7\n"));
    assert_int_equal(text[0], '2'); /* the year */
}

static void levels_are_words_in_either_case(void **state)
{
    (void)state;
    rats_set_log_level("error");
    log_write(LOG_WARN, "no");
    assert_string_equal(printed(), "");
    rats_set_log_level("Debug");
    log_write(LOG_DEBUG, "yes");
    assert_non_null(strstr(printed(), "DEBUG librats: yes"));
    rats_set_log_level("whatever");
    log_write(LOG_DEBUG, "no");
    log_write(LOG_INFO, "yes");
    assert_null(strstr(printed(), "no"));
    rats_set_log_level("WARNING");
    log_write(LOG_INFO, "no");
    assert_string_equal(printed(), "");
}

static void times_and_colours_can_be_switched(void **state)
{
    (void)state;
    assert_int_equal(rats_is_log_timestamps_enabled(handle), 1);
    assert_int_equal(rats_is_log_colors_enabled(handle), 1);
    rats_set_log_timestamps_enabled(handle, 0);
    rats_set_log_colors_enabled(handle, 0);
    assert_int_equal(rats_is_log_timestamps_enabled(handle), 0);
    assert_int_equal(rats_is_log_colors_enabled(handle), 0);
    log_write(LOG_ERROR, "x");
    assert_string_equal(printed(), "ERROR librats: x\n");
    rats_set_log_timestamps_enabled(handle, 2);
    rats_set_log_colors_enabled(handle, 2);
    assert_int_equal(rats_is_log_timestamps_enabled(handle), 1);
    log_write(LOG_ERROR, "x");
    assert_null(strstr(printed(), "\033")); /* not a terminal */
}

static void the_file_needs_both_the_flag_and_a_path(void **state)
{
    (void)state;
    char *text = rats_get_log_file_path(handle);
    assert_string_equal(text, "");
    rats_string_free(text);
    rats_set_log_file_path(handle, path);
    text = rats_get_log_file_path(handle);
    assert_string_equal(text, path);
    rats_string_free(text);
    log_write(LOG_ERROR, "not yet");
    assert_int_not_equal(access(path, F_OK), 0);
    rats_set_logging_enabled(1);
    assert_int_equal(rats_last_error(NULL), RATS_SUCCESS);
    log_write(LOG_ERROR, "now");
    assert_non_null(strstr(content(path), "ERROR librats: now\n"));
    rats_set_logging_enabled(0);
    log_write(LOG_ERROR, "no more");
    assert_null(strstr(content(path), "no more"));
    rats_set_logging_enabled(1);
    rats_clear_log_file(handle);
    assert_string_equal(content(path), "");
    log_write(LOG_ERROR, "again");
    assert_non_null(strstr(content(path), "again"));
}

static void a_full_file_is_put_aside_and_old_ones_go(void **state)
{
    (void)state;
    char old[160];
    rats_set_log_file_path(handle, path);
    rats_set_logging_enabled(1);
    rats_clear_log_file(handle);
    rats_set_log_rotation_size(handle, 100);
    rats_set_log_retention_count(handle, 2);
    for (int i = 1; i <= 5; i++) {
        log_write(LOG_ERROR, "line %d %060d", i, 0);
    }
    assert_non_null(strstr(content(path), "line 5"));
    snprintf(old, sizeof old, "%s.1", path);
    assert_non_null(strstr(content(old), "line 4"));
    snprintf(old, sizeof old, "%s.2", path);
    assert_non_null(strstr(content(old), "line 3"));
    snprintf(old, sizeof old, "%s.3", path);
    assert_int_not_equal(access(old, F_OK), 0);
    rats_set_log_rotation_size(handle, 0);
    for (int i = 6; i <= 9; i++) {
        log_write(LOG_ERROR, "line %d %060d", i, 0);
    }
    assert_non_null(strstr(content(path), "line 6"));
    assert_non_null(strstr(content(path), "line 9"));
    rats_set_log_rotation_size(handle, 100);
    rats_set_log_retention_count(handle, 0);
    log_write(LOG_ERROR, "alone");
    assert_null(strstr(content(path), "line"));
    assert_non_null(strstr(content(path), "alone"));
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    rats_set_logging_enabled(1);
    rats_set_log_file_path(handle, "/proc/none/log");
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_OPERATION_FAILED);
    log_write(LOG_ERROR, "still on standard error");
    assert_non_null(strstr(printed(), "still"));
    rats_set_log_file_path(handle, "");
    assert_int_equal(rats_last_error(NULL), RATS_SUCCESS);
}

static void what_peers_provoke_is_said_once_a_second(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    uint64_t skipped = 7;
    assert_true(log_allowed(&limit, &skipped));
    assert_int_equal(skipped, 0);
    assert_false(log_allowed(&limit, &skipped));
    assert_false(log_allowed(&limit, &skipped));
    limit.next_ms = 0; /* a second later */
    assert_true(log_allowed(&limit, &skipped));
    assert_int_equal(skipped, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warnings_go_to_standard_error_and_less_does_not),
        cmocka_unit_test(levels_are_words_in_either_case),
        cmocka_unit_test(times_and_colours_can_be_switched),
        cmocka_unit_test(the_file_needs_both_the_flag_and_a_path),
        cmocka_unit_test(a_full_file_is_put_aside_and_old_ones_go),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_an_error),
        cmocka_unit_test(what_peers_provoke_is_said_once_a_second),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
