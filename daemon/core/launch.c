#include "core/launch.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int launch_background(void)
{
    pid_t child = fork();
    if (child < 0) {
        return -errno;
    }
    if (child > 0) {
        _exit(0);
    }
    (void)setsid();
    return 0;
}

static void say(int *fd, const char *line, int size)
{
    if (size > 0) {
        ssize_t written = write(*fd, line, (size_t)size);
        (void)written; /* whoever asked has gone: nobody needs to know */
    }
    (void)close(*fd);
    *fd = -1;
}

void launch_ready(int *fd, const char *socket)
{
    char line[4096];
    if (*fd >= 0) {
        int size = snprintf(line, sizeof(line), "ready %.4000s\n", socket);
        say(fd, line, size);
    }
}

void launch_failed(int *fd, int code, const char *text)
{
    char line[4096];
    if (*fd >= 0) {
        int size = snprintf(line, sizeof(line), "failed %d %.4000s\n", code, text);
        say(fd, line, size);
    }
}
