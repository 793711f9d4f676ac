#include "core/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_STATUS 512

/* Where $NOTIFY_SOCKET points: a path, or with an "@" in front a name in the abstract namespace.
 * The size of the address, or 0. */
static socklen_t find_manager(struct sockaddr_un *ret_address)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t size = name == NULL ? 0 : strlen(name);
    if (size < 2 || size >= sizeof ret_address->sun_path || (*name != '/' && *name != '@')) {
        return 0;
    }
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, name, size);
    if (*name == '@') {
        ret_address->sun_path[0] = '\0';
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
}

/* One datagram; whoever does not listen has not asked. */
static void tell(const char *text)
{
    struct sockaddr_un address;
    socklen_t size = find_manager(&address);
    int fd = size == 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    const struct sockaddr *to = (const struct sockaddr *)&address;
    ssize_t sent;
    do {
        sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, to, size);
    } while (sent < 0 && errno == EINTR);
    (void)close(fd);
}

static void tell_with_status(const char *what, const char *status)
{
    char text[MAX_STATUS];
    (void)snprintf(text, sizeof text, "%s\nSTATUS=%s", what, status);
    tell(text);
}

void notify_ready(const char *status)
{
    tell_with_status("READY=1", status);
}

void notify_reloading(void)
{
    /* The time tells this reload from an earlier one. */
    struct timespec now;
    char text[64];
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us);
    tell(text);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_alive(const char *status)
{
    tell_with_status("WATCHDOG=1", status);
}

/* A variable that is a decimal number and nothing else. False when it is missing or something
 * else. */
static bool read_number(const char *name, uint64_t *ret_number)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || *text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

int64_t notify_watchdog_ms(void)
{
    uint64_t silence_us = 0;
    uint64_t pid = 0;
    if (!read_number("WATCHDOG_USEC", &silence_us) || silence_us / 1000 > INT64_MAX) {
        return 0;
    }
    bool is_named = getenv("WATCHDOG_PID") != NULL;
    if (is_named && (!read_number("WATCHDOG_PID", &pid) || pid != (uint64_t)getpid())) {
        return 0; /* it watches another process, whose environment we inherited */
    }
    return (int64_t)(silence_us / 1000);
}
