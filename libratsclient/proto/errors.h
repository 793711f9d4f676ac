/* Errors of the local protocol: one row each, from which errno, the wire name, rats_error_t and
 * the Python exception follow. The enum is our shorthand; the name crosses the socket. */
#ifndef RATS_PROTO_ERRORS_H
#define RATS_PROTO_ERRORS_H

#include <stddef.h>

enum proto_error {
    E_INVALID_PARAMETER,
    E_MALFORMED,
    E_UNKNOWN_METHOD,
    E_VERSION,
    E_NOT_PERMITTED,
    E_NOT_RUNNING,
    E_NOT_SUPPORTED,
    E_PEER_NOT_FOUND,
    E_NOT_FOUND,
    E_BUSY,
    E_LIMIT,
    E_TOO_LARGE,
    E_TIMEOUT,
    E_CANCELLED,
    E_CONNECT_FAILED,
    E_OUT_OF_MEMORY,
    E_OPERATION_FAILED,
    PROTO_ERROR_COUNT,
};

struct proto_error_row {
    const char *name;      /* on the wire: lower-case words, "peer_not_found" */
    int error_number;      /* positive errno that means this */
    int code;              /* rats_error_t value of librats.h */
    const char *exception; /* class in librats_py.exceptions */
    const char *meaning;   /* one sentence for the manual */
};

extern const struct proto_error_row proto_errors[PROTO_ERROR_COUNT];

/* The row of a negative errno; E_OPERATION_FAILED when none fits. */
enum proto_error proto_error_from_errno(int negative_errno);
/* The row with this name, or E_OPERATION_FAILED for names from a newer daemon. */
enum proto_error proto_error_from_name(const char *name);

#endif
