/* The log of a private instance, which comes through a pipe and goes where the library's own does
 * (api.md D10). */
#ifndef LIBRATS_DAEMON_LOG_H
#define LIBRATS_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct daemon_log {
    int fd; /* does not block; -1 = none */
    size_t size;
    char line[1100]; /* a line of ratsd has 1024 bytes at most */
};

/* Passes on what there is. False when no more will come: close it. */
bool daemon_log_read(struct daemon_log *log);
void daemon_log_close(struct daemon_log *log);

#endif
