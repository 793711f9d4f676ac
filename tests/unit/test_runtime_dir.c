#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/runtime_dir.h"

static char scratch[64];

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(scratch, "/tmp/ratsd-runtime-XXXXXX");
    return mkdtemp(scratch) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unsetenv("XDG_RUNTIME_DIR");
    return rmdir(scratch);
}

static void it_stands_in_the_directory_of_the_session(void **state)
{
    (void)state;
    char path[128];
    char expected[128];
    (void)setenv("XDG_RUNTIME_DIR", scratch, 1);
    (void)snprintf(expected, sizeof expected, "%s/ratsd", scratch);
    assert_int_equal(runtime_dir_of_user(path, sizeof path), 0);
    assert_string_equal(path, expected);
    assert_int_equal(runtime_dir_of_user(path, strlen(expected) + 1), 0);
    assert_int_equal(runtime_dir_of_user(path, strlen(expected)), -ENAMETOOLONG);
}

static void without_one_it_is_named_after_the_user(void **state)
{
    (void)state;
    char path[128];
    char expected[128];
    (void)snprintf(expected, sizeof expected, "/tmp/ratsd-%lu", (unsigned long)geteuid());
    static const char *const none[] = {"", "run", NULL};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        (void)(none[i] == NULL ? unsetenv("XDG_RUNTIME_DIR")
                               : setenv("XDG_RUNTIME_DIR", none[i], 1));
        assert_int_equal(runtime_dir_of_user(path, sizeof path), 0);
        assert_string_equal(path, expected);
    }
}

static void only_a_directory_that_nobody_else_can_write_is_safe(void **state)
{
    (void)state;
    char path[128];
    static const struct {
        mode_t mode;
        bool safe;
    } cases[] = {{0700, true}, {0755, true}, {0770, false}, {0702, false}, {01777, false}};
    (void)snprintf(path, sizeof path, "%s/ratsd", scratch);
    assert_true(runtime_dir_is_safe(path)); /* nothing is there */
    assert_int_equal(mkdir(path, 0700), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(chmod(path, cases[i].mode), 0);
        assert_int_equal(runtime_dir_is_safe(path), cases[i].safe);
    }
    if (geteuid() == 0) { /* only root can make what belongs to somebody else */
        assert_int_equal(chmod(path, 0700), 0);
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_false(runtime_dir_is_safe(path));
    }
    assert_int_equal(rmdir(path), 0);
}

static void what_is_no_directory_is_not_safe(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/ratsd", scratch);
    assert_int_equal(symlink("/run", path), 0);
    assert_false(runtime_dir_is_safe(path));
    assert_int_equal(unlink(path), 0);
    assert_false(runtime_dir_is_safe("/dev/null"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(it_stands_in_the_directory_of_the_session),
        CASE(without_one_it_is_named_after_the_user),
        CASE(only_a_directory_that_nobody_else_can_write_is_safe),
        CASE(what_is_no_directory_is_not_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
