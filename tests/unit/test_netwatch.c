/* Real rtnetlink in a network namespace of our own, on virtual time. */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/netwatch.h"
#include "skip.h"
#include "virtual_loop.h"

#define GUARD_MS    20000
#define DEBOUNCE_MS 2000

static void set_loopback(bool up)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    int flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
    request.ifr_flags = (short)flags;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    (void)close(fd);
}

static void on_change(void *arg)
{
    int *changes = arg;
    (*changes)++;
}

static void let_pass(struct loop *loop, int64_t ms)
{
    virtual_world_run(virtual_loop_world(loop), loop_now_ms(loop) + ms);
}

static void a_change_is_told_once_and_only_when_it_lasts(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        SKIP_BECAUSE("the kernel lets us make no network namespace");
    }
    struct loop *loop;
    struct netwatch *netwatch;
    int changes = 0;
    assert_int_equal(loop_new(&loop), 0);
    assert_int_equal(netwatch_new(loop, on_change, &changes, &netwatch), 0);

    set_loopback(true);
    assert_true(virtual_loop_poll(loop, GUARD_MS));
    let_pass(loop, DEBOUNCE_MS - 1);
    assert_int_equal(changes, 0);
    let_pass(loop, 1);
    assert_int_equal(changes, 1);

    /* Gone and back within the two seconds: the addresses are what they were. */
    set_loopback(false);
    assert_true(virtual_loop_poll(loop, GUARD_MS));
    let_pass(loop, 1000);
    set_loopback(true);
    assert_true(virtual_loop_poll(loop, GUARD_MS));
    let_pass(loop, 2 * DEBOUNCE_MS);
    assert_int_equal(changes, 1);

    set_loopback(false);
    assert_true(virtual_loop_poll(loop, GUARD_MS));
    let_pass(loop, DEBOUNCE_MS);
    assert_int_equal(changes, 2);
    assert_false(virtual_loop_poll(loop, 0)); /* everything was read */
    netwatch_free(netwatch);
    netwatch_free(NULL);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_told_once_and_only_when_it_lasts),
    };
    return cmocka_run_group_tests_name("netwatch", tests, NULL, NULL);
}
