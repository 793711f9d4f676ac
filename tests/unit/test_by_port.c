/* core/by_port: links from ports to sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/by_port.h"

static char directory[64];
static char socket_path[80];

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/by-port-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(socket_path, sizeof socket_path, "%s/one.sock", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

static void assert_link(unsigned port, const char *target)
{
    char path[128];
    char found[128];
    snprintf(path, sizeof path, "%s/by-port/%u", directory, port);
    const ssize_t size = readlink(path, found, sizeof found - 1);
    if (target == NULL) {
        assert_int_equal(size, -1);
        return;
    }
    assert_true(size > 0);
    found[size] = '\0';
    assert_string_equal(found, target);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void a_port_is_linked_and_removed(void **state)
{
    (void)state;
    struct by_port link = {.runtime = directory, .socket = socket_path};
    by_port_publish(&link, 8080);
    assert_link(8080, socket_path);
    by_port_publish(&link, 8081);
    assert_link(8080, NULL);
    assert_link(8081, socket_path);
    by_port_withdraw(&link);
    assert_link(8081, NULL);
    by_port_withdraw(&link);
}

static void nothing_is_done_without_a_directory_or_a_port(void **state)
{
    (void)state;
    struct by_port nowhere = {.runtime = "", .socket = socket_path};
    by_port_publish(&nowhere, 8080);
    assert_int_equal(nowhere.port, 0);
    struct by_port link = {.runtime = directory, .socket = socket_path};
    by_port_publish(&link, 0);
    by_port_claim(&link, 0);
    assert_int_equal(link.port, 0);
}

static void whoever_gets_the_port_replaces_the_link(void **state)
{
    (void)state;
    struct by_port first = {.runtime = directory, .socket = socket_path};
    struct by_port second = {.runtime = directory, .socket = "/elsewhere.sock"};
    by_port_publish(&first, 8080);
    by_port_publish(&second, 8080);
    assert_link(8080, "/elsewhere.sock");
    by_port_withdraw(&first); /* not ours any more */
    assert_link(8080, "/elsewhere.sock");
}

static void a_claim_leaves_the_living_alone(void **state)
{
    (void)state;
    struct by_port first = {.runtime = directory, .socket = socket_path};
    struct by_port second = {.runtime = directory, .socket = "/elsewhere.sock"};
    by_port_publish(&first, 8080);
    const int fd = listen_at(socket_path);
    by_port_claim(&second, 8080);
    assert_int_equal(second.port, 0);
    assert_link(8080, socket_path);
    (void)close(fd);
    by_port_claim(&second, 8080);
    assert_link(8080, "/elsewhere.sock");
}

static void a_port_is_served_while_somebody_listens_behind_its_link(void **state)
{
    (void)state;
    struct by_port link = {.runtime = directory, .socket = socket_path};
    assert_false(by_port_is_served(directory, 8080, socket_path));
    by_port_publish(&link, 8080);
    assert_false(by_port_is_served(directory, 8080, socket_path));
    const int fd = listen_at(socket_path);
    assert_true(by_port_is_served(directory, 8080, socket_path));
    assert_false(by_port_is_served(directory, 8080, "/elsewhere.sock"));
    assert_false(by_port_is_served(directory, 8081, socket_path));
    (void)close(fd);
}

static void links_are_as_open_as_their_directory_whatever_the_umask(void **state)
{
    (void)state;
    static const mode_t modes[] = {0700, 0755};
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s/by-port", directory);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct by_port link = {.runtime = directory, .socket = socket_path};
        assert_int_equal(chmod(directory, modes[i]), 0);
        const mode_t before = umask(0077);
        by_port_publish(&link, 8080);
        (void)umask(before);
        assert_link(8080, socket_path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, modes[i]);
        by_port_withdraw(&link);
        assert_int_equal(rmdir(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_port_is_linked_and_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_done_without_a_directory_or_a_port, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(whoever_gets_the_port_replaces_the_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_claim_leaves_the_living_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_is_served_while_somebody_listens_behind_its_link,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_are_as_open_as_their_directory_whatever_the_umask,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
