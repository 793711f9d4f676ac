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

#include "ratsctl/search.h"
#include "skip.h"

static char scratch[64];

static int set_up(void **state)
{
    (void)state;
    (void)strcpy(scratch, "/tmp/ratsctl-search-XXXXXX");
    if (mkdtemp(scratch) == NULL) {
        return -1;
    }
    (void)unsetenv("RATS_SOCKET");
    return setenv("XDG_RUNTIME_DIR", scratch, 1);
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(scratch);
}

static void the_users_directory_comes_before_the_systems(void **state)
{
    (void)state;
    struct search search;
    char expected[128];
    assert_int_equal(search_sockets(NULL, NULL, &search), 0);
    assert_int_equal(search.count, 2);
    assert_false(search.given);
    (void)snprintf(expected, sizeof expected, "%s/ratsd/default.sock", scratch);
    assert_string_equal(search.paths[0], expected);
    assert_string_equal(search.paths[1], "/run/ratsd/default.sock");
}

static void an_instance_is_looked_for_by_its_name(void **state)
{
    (void)state;
    struct search search;
    assert_int_equal(search_sockets(NULL, "lab-2", &search), 0);
    assert_string_equal(search.paths[1], "/run/ratsd/lab-2.sock");
    static const char *const bad[] = {"", ".", "..", "a/b", "../x", "a b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(search_sockets(NULL, bad[i], &search) < 0);
    }
}

static void a_named_socket_is_the_only_place(void **state)
{
    (void)state;
    struct search search;
    assert_int_equal(setenv("RATS_SOCKET", "/from/environment", 1), 0);
    assert_int_equal(search_sockets("/s", NULL, &search), 0);
    assert_int_equal(search.count, 1);
    assert_true(search.given);
    assert_string_equal(search.paths[0], "/s");
    assert_int_equal(search_sockets(NULL, NULL, &search), 0);
    assert_int_equal(search.count, 1);
    assert_string_equal(search.paths[0], "/from/environment");
    assert_int_equal(search_sockets(NULL, "named", &search), 0); /* the option wins */
    assert_int_equal(search.count, 2);
    assert_int_equal(unsetenv("RATS_SOCKET"), 0);
    assert_true(search_sockets("", NULL, &search) < 0);
}

static void a_strangers_directory_is_passed_over(void **state)
{
    (void)state;
    struct search search;
    char path[128];
    if (geteuid() != 0) {
        SKIP_BECAUSE("only root can make what belongs to somebody else");
    }
    (void)snprintf(path, sizeof path, "%s/ratsd", scratch);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, 12345, 12345), 0);
    assert_int_equal(search_sockets(NULL, NULL, &search), 0);
    assert_int_equal(search.count, 1);
    assert_string_equal(search.paths[0], "/run/ratsd/default.sock");
    assert_int_equal(rmdir(path), 0);
}

static void what_was_found_is_said(void **state)
{
    (void)state;
    bool denied = true;
    char group[64];
    assert_string_equal(search_diagnose("/nonexistent/x.sock", &denied, group, sizeof group),
                        "no such socket");
    assert_false(denied);
    assert_string_equal(search_diagnose("/dev/null", &denied, group, sizeof group), "not a socket");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_users_directory_comes_before_the_systems, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_instance_is_looked_for_by_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_named_socket_is_the_only_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_strangers_directory_is_passed_over, set_up, tear_down),
        cmocka_unit_test(what_was_found_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
