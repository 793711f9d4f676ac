/* libratsclient/daemon_log: a private instance's log goes where the library's own does. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_log.h"
#include "librats.h"

static int saved_stderr;
static int said[2];

static int set_up(void **state)
{
    (void)state;
    saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(pipe2(said, O_NONBLOCK), 0);
    assert_int_equal(dup2(said[1], STDERR_FILENO), STDERR_FILENO);
    rats_set_log_level("INFO");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    (void)close(said[0]);
    (void)close(said[1]);
    return 0;
}

static void expect(const char *word, const char *absent)
{
    char text[8192] = "";
    const ssize_t size = read(said[0], text, sizeof text - 1);
    text[size < 0 ? 0 : size] = '\0';
    if (word != NULL) {
        assert_non_null(strstr(text, word));
    }
    if (absent != NULL) {
        assert_null(strstr(text, absent));
    }
}

static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void lines_come_with_their_level(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    struct daemon_log log = {.fd = ends[0]};
    put(ends[1], "2026-01-01T00:00:00.000Z info  mesh: listening on po");
    assert_true(daemon_log_read(&log));
    expect(NULL, "mesh");
    put(ends[1], "rt 1\n2026-01-01T00:00:00.000Z debug mesh: details\n");
    assert_true(daemon_log_read(&log));
    expect("ratsd: mesh: listening on port 1", "details");
    put(ends[1], "==1==ERROR: something else\n");
    (void)close(ends[1]);
    assert_false(daemon_log_read(&log)); /* its end */
    expect("==1==ERROR: something else", NULL);
    daemon_log_close(&log);
    assert_false(daemon_log_read(&log));
}

static void a_line_without_an_end_is_cut(void **state)
{
    (void)state;
    int ends[2];
    char text[3000];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    struct daemon_log log = {.fd = ends[0]};
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put(ends[1], text);
    assert_true(daemon_log_read(&log));
    expect("xxxx", NULL);
    (void)close(ends[1]);
    daemon_log_close(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_come_with_their_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_without_an_end_is_cut, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
