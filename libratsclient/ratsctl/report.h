/* How ratsctl ends: its exit codes and its one-line errors (usability C3, C4).
 *
 * An error is one line on standard error, "ratsctl: what failed; what to do". Whatever stands in it
 * may come from a peer or a daemon, so the whole line is escaped. */
#ifndef RATSCTL_REPORT_H
#define RATSCTL_REPORT_H

#include <stdbool.h>

#include "proto/errors.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_DAEMON = 3,
    EXIT_DENIED = 4,
    EXIT_TIMEOUT = 5,
    EXIT_NOT_FOUND = 6,
    EXIT_VERSION = 7,
    EXIT_INTERRUPTED = 130,
};

struct exit_row {
    enum exit_code code;
    const char *meaning;
};

/* Every code ratsctl ends with; the last row's meaning is NULL. Help and manual are checked
 * against it. */
extern const struct exit_row exit_rows[];

/* Prints the line and returns code, so that a command can end with `return report(...)`. */
enum exit_code report(enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether error lines are coloured. */
void report_set_color(bool color);

/* The exit code of a failed call, and what its user can do about it (NULL when nothing general). */
enum exit_code exit_from_error(enum proto_error error);
const char *remedy_of_error(enum proto_error error);
/* The row whose rats_error_t is code; E_OPERATION_FAILED when none is. */
enum proto_error error_from_code(int code);

#endif
