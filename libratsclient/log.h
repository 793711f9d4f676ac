/* The log of the library itself, one for the process: standard error, and a file when asked for.
 *
 * What is logged here is what no function result can tell: the daemon went away, a message was
 * dropped. Safe from any thread and across fork(). */
#ifndef LIBRATS_LOG_H
#define LIBRATS_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

/* For what a remote peer can provoke: true at most once a second; *ret_skipped is how many were
 * not said since. */
struct log_limit {
    int64_t next_ms;
    uint64_t skipped;
};
bool log_allowed(struct log_limit *limit, uint64_t *ret_skipped);

/* For pthread_atfork(). */
void log_before_fork(void);
void log_after_fork(void);

#endif
