/* libratsclient/search and rats_create(): where daemons are looked for, and what is said when none
 * is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_daemon.h"
#include "search.h"
#include "skip.h"

static char directory[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/librats-search-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    (void)unsetenv("RATS_SOCKET");
    assert_int_equal(setenv("RATS_CREATE", "shared", 1), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

static void the_user_comes_before_the_system(void **state)
{
    (void)state;
    struct search_place places[SEARCH_PLACES];
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    char expected[128];
    snprintf(expected, sizeof expected, "%s/ratsd/default.sock", directory);
    assert_string_equal(places[0].path, expected);
    assert_string_equal(places[1].path, "/run/ratsd/default.sock");
}

static void without_a_runtime_directory_it_is_in_tmp(void **state)
{
    (void)state;
    struct search_place places[SEARCH_PLACES];
    char expected[128];
    snprintf(expected, sizeof expected, "/tmp/ratsd-%lu/default.sock", (unsigned long)geteuid());
    (void)unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    assert_string_equal(places[0].path, expected);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    assert_string_equal(places[0].path, expected);
}

static void a_directory_of_somebody_else_is_not_safe(void **state)
{
    (void)state;
    struct search_place places[SEARCH_PLACES];
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    assert_true(places[0].safe); /* not there yet */
    char runtime[80];
    snprintf(runtime, sizeof runtime, "%s/ratsd", directory);
    assert_int_equal(mkdir(runtime, 0700), 0);
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    assert_true(places[0].safe);
    if (geteuid() == 0) {
        assert_int_equal(chown(runtime, 12345, 12345), 0);
        assert_int_equal(search_places_in("/run/ratsd", places), 2);
        assert_false(places[0].safe);
        assert_int_equal(search_places_in(runtime, places), 2);
        assert_true(places[1].safe); /* the system's belongs to the daemon's user */
    }
}

static void a_directory_others_can_write_or_a_link_is_not_safe(void **state)
{
    (void)state;
    struct search_place places[SEARCH_PLACES];
    char runtime[80];
    snprintf(runtime, sizeof runtime, "%s/ratsd", directory);
    assert_int_equal(mkdir(runtime, 0700), 0);
    assert_int_equal(chmod(runtime, 0777), 0);
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    assert_false(places[0].safe);
    assert_int_equal(rmdir(runtime), 0);
    assert_int_equal(symlink("/run", runtime), 0);
    assert_int_equal(search_places_in("/run/ratsd", places), 2);
    assert_false(places[0].safe);
}

static void a_path_that_is_too_long_is_left_out(void **state)
{
    (void)state;
    char longer[200];
    memset(longer, 'x', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(setenv("XDG_RUNTIME_DIR", longer, 1), 0);
    struct search_place places[SEARCH_PLACES];
    assert_int_equal(search_places_in("/run/ratsd", places), 1);
    assert_string_equal(places[0].path, "/run/ratsd/default.sock");
}

static void finding_nobody_names_every_socket_and_a_remedy(void **state)
{
    (void)state;
    if (access("/run/ratsd/default.sock", F_OK) == 0) {
        SKIP_BECAUSE("a daemon runs on this machine");
    }
    assert_null(rats_create(0));
    assert_int_equal(rats_last_error(NULL), RATS_ERROR_NO_DAEMON);
    const char *message = rats_last_error_message(NULL);
    assert_non_null(strstr(message, directory));
    assert_non_null(strstr(message, "/run/ratsd/default.sock"));
    assert_non_null(strstr(message, "systemctl start ratsd"));
    assert_null(rats_create(4711));
    assert_non_null(strstr(rats_last_error_message(NULL), "--listen 4711"));
}

static intptr_t create(void *arg)
{
    return rats_create(*(const int *)arg) != NULL;
}

static void another_port_than_the_daemons_is_told(void **state)
{
    (void)state;
    /* RATS_SOCKET is taken whatever the port says; the usual place must have the port. */
    struct fake_daemon daemon;
    fake_open(&daemon);
    char runtime[80];
    snprintf(runtime, sizeof runtime, "%s/ratsd", directory);
    assert_int_equal(mkdir(runtime, 0700), 0);
    fake_unlisten(&daemon);
    assert_true(snprintf(daemon.path, sizeof daemon.path, "%s/default.sock", runtime) > 0);
    fake_listen(&daemon);
    if (access("/run/ratsd/default.sock", F_OK) != 0) {
        int port = 4712;
        struct fake_task *task = fake_run(create, &port);
        fake_accept(&daemon);
        fake_answer_hello(&daemon, "");
        assert_int_equal(fake_join(task), 0);
    }
    fake_close(&daemon);
}

static intptr_t create_and_destroy(void *arg)
{
    (void)arg;
    const rats_client_t client = rats_create(1);
    if (client == NULL) {
        return -1;
    }
    const int port = rats_get_listen_port(client);
    rats_destroy(client);
    return port;
}

static void the_environment_names_the_socket_whatever_the_port(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    fake_open(&daemon);
    assert_int_equal(setenv("RATS_SOCKET", daemon.path, 1), 0);
    struct fake_task *task = fake_run(create_and_destroy, NULL);
    fake_accept(&daemon);
    fake_answer_hello(&daemon, "");
    fake_expect_end(&daemon);
    fake_hang_up(&daemon);
    assert_int_equal(fake_join(task), 4711);
    fake_unlisten(&daemon);
    assert_null(rats_create(0));
    assert_non_null(strstr(rats_last_error_message(NULL), daemon.path));
    (void)unsetenv("RATS_SOCKET");
    fake_close(&daemon);
}

static void a_socket_without_permission_names_its_group(void **state)
{
    (void)state;
    struct fake_daemon daemon;
    fake_open(&daemon);
    if (geteuid() == 0) {
        assert_int_equal(chmod(daemon.directory, 0755), 0);
        assert_int_equal(chmod(daemon.path, 0600), 0);
        assert_int_equal(seteuid(12345), 0);
    } else {
        assert_int_equal(chmod(daemon.path, 0), 0);
    }
    assert_null(rats_create_at(daemon.path));
    const int code = rats_last_error(NULL);
    char message[512];
    snprintf(message, sizeof message, "%s", rats_last_error_message(NULL));
    if (geteuid() == 12345) {
        assert_int_equal(seteuid(0), 0);
    }
    fake_close(&daemon);
    assert_int_equal(code, RATS_ERROR_NOT_PERMITTED);
    assert_non_null(strstr(message, "group"));
    assert_non_null(strstr(message, daemon.path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_user_comes_before_the_system),
        TEST(without_a_runtime_directory_it_is_in_tmp),
        TEST(a_directory_of_somebody_else_is_not_safe),
        TEST(a_directory_others_can_write_or_a_link_is_not_safe),
        TEST(a_path_that_is_too_long_is_left_out),
        TEST(finding_nobody_names_every_socket_and_a_remedy),
        TEST(another_port_than_the_daemons_is_told),
        TEST(the_environment_names_the_socket_whatever_the_port),
        TEST(a_socket_without_permission_names_its_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
