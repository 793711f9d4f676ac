#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/listen_fds.h"

#define FIRST 3
#define LAST  15 /* descriptors from FIRST to here are the test's */

static char directory[64];
static char path[80];
static int next;
static struct listen_fds fds;
static char error[512];

static int begin(void **state)
{
    (void)state;
    for (int fd = FIRST; fd <= LAST; fd++) {
        (void)close(fd);
    }
    (void)snprintf(directory, sizeof directory, "/tmp/test_listen_fds.XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/c.sock", directory);
    next = FIRST;
    fds = (struct listen_fds){.control = -1};
    error[0] = '\0';
    return 0;
}

static int end(void **state)
{
    (void)state;
    listen_fds_close(&fds);
    for (int fd = FIRST; fd <= LAST; fd++) {
        (void)close(fd);
    }
    (void)unlink(path);
    return rmdir(directory);
}

/* The next descriptor becomes this socket. */
static void give(int fd)
{
    assert_true(fd >= 0);
    if (fd != next) {
        assert_int_equal(dup2(fd, next), next);
        (void)close(fd);
    }
    next++;
}

static void give_unix(int type, bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, type, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_true(!listening || listen(fd, 1) == 0);
    give(fd);
}

static void give_tcp(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    assert_int_equal(listen(fd, 1), 0); /* bound to a port of the kernel's choice */
    give(fd);
}

static int take(const char *names)
{
    char number[32];
    (void)snprintf(number, sizeof number, "%ld", (long)getpid());
    (void)setenv("LISTEN_PID", number, 1);
    (void)snprintf(number, sizeof number, "%d", next - FIRST);
    (void)setenv("LISTEN_FDS", number, 1);
    if (names != NULL) {
        (void)setenv("LISTEN_FDNAMES", names, 1);
    }
    int result = listen_fds_take(&fds, error, sizeof error);
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_FDNAMES"));
    return result;
}

static void assert_all_closed(void)
{
    for (int fd = FIRST; fd < next; fd++) {
        assert_int_equal(fcntl(fd, F_GETFD), -1);
    }
}

static void nothing_offered_is_nothing_taken(void **state)
{
    (void)state;
    assert_int_equal(listen_fds_take(&fds, error, sizeof error), 0);
    assert_int_equal(fds.control, -1);
    assert_int_equal(fds.peer_count, 0);
}

static void sockets_are_taken_by_name(void **state)
{
    (void)state;
    give_tcp(AF_INET);
    give_unix(SOCK_STREAM, true);
    give_tcp(AF_INET);
    assert_int_equal(take("peer:control:peer"), 0);
    assert_int_equal(fds.control, FIRST + 1);
    assert_string_equal(fds.control_path, path);
    assert_int_equal(fds.peer_count, 2);
    assert_int_equal(fds.peers[0], FIRST);
    assert_int_equal(fds.peers[1], FIRST + 2);
    for (int fd = FIRST; fd < next; fd++) {
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    }
}

static void without_a_known_name_the_kind_decides(void **state)
{
    (void)state;
    give_unix(SOCK_STREAM, true);
    give_tcp(AF_INET);
    assert_int_equal(take("ratsd.socket:"), 0);
    assert_int_equal(fds.control, FIRST);
    assert_int_equal(fds.peer_count, 1);
}

static void names_may_be_missing_altogether(void **state)
{
    (void)state;
    give_unix(SOCK_STREAM, true);
    assert_int_equal(take(NULL), 0);
    assert_int_equal(fds.control, FIRST);
}

static void a_socket_without_a_file_has_no_path(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    /* Only the family: the kernel chooses an abstract name. */
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address.sun_family), 0);
    assert_int_equal(listen(fd, 1), 0);
    give(fd);
    assert_int_equal(take("control"), 0);
    assert_string_equal(fds.control_path, "");
}

static void a_socket_of_another_kind_than_its_name_is_refused(void **state)
{
    (void)state;
    give_tcp(AF_INET);
    assert_int_equal(take("control"), -EINVAL);
    assert_non_null(strstr(error, "descriptor 3 (\"control\")"));
    next = FIRST;
    (void)close(FIRST);
    give_unix(SOCK_STREAM, true);
    assert_int_equal(take("peer"), -EINVAL);
    assert_non_null(strstr(error, "another kind"));
}

static void what_does_not_listen_is_refused_and_the_others_closed(void **state)
{
    (void)state;
    give_tcp(AF_INET);
    give_unix(SOCK_STREAM, false);
    assert_int_equal(take("peer:control"), -EINVAL);
    assert_non_null(strstr(error, "no listening stream socket"));
    assert_int_equal(fcntl(FIRST, F_GETFD), -1);
}

static void datagram_sockets_and_files_are_refused(void **state)
{
    (void)state;
    give_unix(SOCK_DGRAM, false);
    assert_int_equal(take("x"), -EINVAL);
    (void)close(FIRST);
    next = FIRST;
    give(open("/dev/null", O_RDONLY));
    assert_int_equal(take("x"), -EINVAL);
    (void)close(FIRST); /* and a descriptor that is not even open */
    assert_int_equal(take("x"), -EINVAL);
}

static void one_control_socket_is_enough(void **state)
{
    (void)state;
    give_unix(SOCK_STREAM, true);
    give(dup(FIRST));
    assert_int_equal(take("control:control"), -EINVAL);
    assert_non_null(strstr(error, "one too many"));
}

static void peer_sockets_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < LISTEN_FDS_PEERS; i++) {
        give_tcp(AF_INET);
    }
    assert_int_equal(take(NULL), 0);
    assert_int_equal(fds.peer_count, LISTEN_FDS_PEERS);
    listen_fds_close(&fds);
    assert_all_closed();
    next = FIRST;
    for (int i = 0; i <= LISTEN_FDS_PEERS; i++) {
        give_tcp(AF_INET);
    }
    assert_int_equal(take(NULL), -EINVAL);
    assert_non_null(strstr(error, "one too many"));
}

static void what_was_meant_for_our_parent_is_left_alone(void **state)
{
    (void)state;
    give_unix(SOCK_STREAM, true);
    (void)setenv("LISTEN_PID", "1", 1);
    (void)setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(listen_fds_take(&fds, error, sizeof error), 0);
    assert_int_equal(fds.control, -1);
    assert_true(fcntl(FIRST, F_GETFD) >= 0);
    assert_null(getenv("LISTEN_PID"));
}

static void a_number_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "-1", "1x", " 1", "10", "99999999999999999999"};
    char pid[32];
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        (void)setenv("LISTEN_PID", pid, 1);
        (void)setenv("LISTEN_FDS", wrong[i], 1);
        assert_int_equal(listen_fds_take(&fds, error, sizeof error), -EINVAL);
        assert_non_null(strstr(error, "LISTEN_FDS"));
    }
}

static void a_name_for_each_or_none_at_all(void **state)
{
    (void)state;
    give_unix(SOCK_STREAM, true);
    give_tcp(AF_INET);
    assert_int_equal(take("control"), -EINVAL);
    assert_non_null(strstr(error, "1 names for 2 descriptors"));
    assert_int_equal(take("control:peer:peer"), -EINVAL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_offered_is_nothing_taken),
        CASE(sockets_are_taken_by_name),
        CASE(without_a_known_name_the_kind_decides),
        CASE(names_may_be_missing_altogether),
        CASE(a_socket_without_a_file_has_no_path),
        CASE(a_socket_of_another_kind_than_its_name_is_refused),
        CASE(what_does_not_listen_is_refused_and_the_others_closed),
        CASE(datagram_sockets_and_files_are_refused),
        CASE(one_control_socket_is_enough),
        CASE(peer_sockets_are_bounded),
        CASE(what_was_meant_for_our_parent_is_left_alone),
        CASE(a_number_that_is_none_is_refused),
        CASE(a_name_for_each_or_none_at_all),
    };
    return cmocka_run_group_tests_name("listen_fds", tests, NULL, NULL);
}
