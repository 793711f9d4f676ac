/* core/launch: what is told to whoever started the daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/launch.h"

static void expect(int fd, const char *expected)
{
    char said[256] = "";
    assert_int_equal(read(fd, said, sizeof said - 1), strlen(expected));
    assert_string_equal(said, expected);
    assert_int_equal(read(fd, said, sizeof said), 0); /* closed */
    (void)close(fd);
}

static void it_says_once_that_clients_can_connect(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    launch_ready(&ends[1], "/run/x.sock");
    assert_int_equal(ends[1], -1);
    launch_failed(&ends[1], 1, "later");
    expect(ends[0], "ready /run/x.sock\n");
}

static void it_says_why_it_failed(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    launch_failed(&ends[1], 3, "another ratsd has it");
    expect(ends[0], "failed 3 another ratsd has it\n");
}

static void it_goes_on_in_another_process(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        const pid_t before = getpid();
        const int result = launch_background();
        const char word = result == 0 && getpid() != before && getsid(0) == getpid() ? 'y' : 'n';
        _exit(write(ends[1], &word, 1) == 1 ? 0 : 1);
    }
    int status = 0;
    char word = '\0';
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], &word, 1), 1);
    assert_int_equal(word, 'y');
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_once_that_clients_can_connect),
        cmocka_unit_test(it_says_why_it_failed),
        cmocka_unit_test(it_goes_on_in_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
