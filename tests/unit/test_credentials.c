#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/credentials.h"

static void our_own_user_may_control(void **state)
{
    (void)state;
    int fds[2];
    struct credentials credentials;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(credentials_read(fds[0], NO_GROUP, &credentials), 0);
    assert_int_equal(credentials.pid, getpid());
    assert_int_equal(credentials.uid, getuid());
    assert_true(credentials.control);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void the_kernel_tells_our_program_name(void **state)
{
    (void)state;
    int fds[2];
    char name[PROGRAM_NAME_SIZE];
    assert_int_equal(prctl(PR_SET_NAME, "a name as long as the kernel keeps"), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    credentials_program_name(fds[0], getpid(), name);
    assert_string_equal(name, "a name as long "); /* 15 characters */
    credentials_program_name(fds[0], -1, name);
    assert_string_equal(name, "");
    (void)close(fds[0]);
    (void)close(fds[1]);
}

static void what_is_not_a_socket_is_an_error(void **state)
{
    (void)state;
    struct credentials credentials;
    assert_int_equal(credentials_read(STDIN_FILENO + 1000, NO_GROUP, &credentials), -EBADF);
}

static void groups_are_found_by_name_and_number(void **state)
{
    (void)state;
    gid_t group = 77;
    assert_int_equal(credentials_find_group("root", &group), 0);
    assert_int_equal(group, 0);
    assert_int_equal(credentials_find_group("1234", &group), 0);
    assert_int_equal(group, 1234);
    assert_int_equal(credentials_find_group("", &group), 0);
    assert_int_equal(group, NO_GROUP);
    assert_int_equal(credentials_find_group("no such group", &group), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_user_may_control),
        cmocka_unit_test(the_kernel_tells_our_program_name),
        cmocka_unit_test(what_is_not_a_socket_is_an_error),
        cmocka_unit_test(groups_are_found_by_name_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
