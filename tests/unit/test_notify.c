#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/notify.h"

static void without_a_service_manager_nothing_happens(void **state)
{
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    notify_ready("serving");
    notify_reloading();
    notify_stopping();
    notify_alive("serving");
    assert_int_equal(notify_watchdog_ms(), 0);
}

/* We are the service manager, at an abstract socket. */
static int open_manager(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int length = snprintf(name, sizeof name, "@ratsd-test-%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    memcpy(address.sun_path + 1, name + 1, (size_t)length - 1);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)length);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static void assert_told(int fd, const char *expected)
{
    char text[256];
    ssize_t size = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(size > 0);
    text[size] = '\0';
    assert_int_equal(strncmp(text, expected, strlen(expected)), 0);
}

static void the_service_manager_is_told(void **state)
{
    (void)state;
    int fd = open_manager();
    notify_ready("100% ready");
    assert_told(fd, "READY=1\nSTATUS=100% ready");
    notify_reloading();
    assert_told(fd, "RELOADING=1\nMONOTONIC_USEC=");
    notify_stopping();
    assert_told(fd, "STOPPING=1");
    notify_alive("3 peers");
    assert_told(fd, "WATCHDOG=1\nSTATUS=3 peers");
    (void)close(fd);
    (void)unsetenv("NOTIFY_SOCKET");
}

static void the_watchdog_is_ours_only_when_it_names_us(void **state)
{
    (void)state;
    char pid[32];
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    (void)setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    (void)setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)unsetenv("WATCHDOG_PID");
    assert_int_equal(notify_watchdog_ms(), 30000);
    (void)setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)unsetenv("WATCHDOG_USEC");
    assert_int_equal(notify_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_service_manager_nothing_happens),
        cmocka_unit_test(the_service_manager_is_told),
        cmocka_unit_test(the_watchdog_is_ours_only_when_it_names_us),
    };
    return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
