/* One connection to a daemon: connect to its socket and say hello (rats-ipc(7), Hello). */
#ifndef LIBRATS_ATTACH_H
#define LIBRATS_ATTACH_H

#include <stdint.h>

#include <jansson.h>

#include "error.h"

struct attach_options {
    const char *path;
    const char *name;
    const char *slow;
    int64_t deadline_ms;
    int wake_fd; /* readable: give up; -1 */
};

/* RATS_SUCCESS: *ret_fd is a non-blocking socket, *ret_hello the result of hello; nothing more was
 * read. Otherwise a code of rats_error_t and a sentence:
 * NO_DAEMON (no socket, nobody listens), NOT_PERMITTED (the caller may not open it), NOT_SUPPORTED
 * (versions), TIMEOUT, OPERATION_FAILED, MEMORY_ALLOCATION. */
int attach_open(const struct attach_options *options, int *ret_fd, json_t **ret_hello,
                char error[ERROR_TEXT_SIZE]);

/* Writes a CALL frame {"m":method,"p":params} to a new block (free()), all but its body of that
 * size; fds descriptors are to go with it. params is JSON text. 0; -E2BIG when the head would be
 * too large; -ENOMEM. */
int call_frame(uint64_t id, const char *method, const char *params, uint8_t fds, size_t body_size,
               uint8_t **ret_frame, size_t *ret_size);

#endif
