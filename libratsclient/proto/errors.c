#include "proto/errors.h"

#include <errno.h>
#include <string.h>

const struct proto_error_row proto_errors[PROTO_ERROR_COUNT] = {
    [E_INVALID_PARAMETER] = {"invalid_parameter", EINVAL, -2, "RatsInvalidParameterError",
                             "A parameter is missing, of the wrong type or out of range."},
    [E_MALFORMED] = {"malformed", EBADMSG, -4, "RatsError",
                     "A frame or its head breaks the rules of rats-ipc(7)."},
    [E_UNKNOWN_METHOD] =
        {"unknown_method", ENOSYS, -9, "RatsNotSupportedError",
         "The daemon has no method of that name; it may be older than the client."},
    [E_VERSION] = {"version", EPROTONOSUPPORT, -9, "RatsDaemonError",
                   "Client and daemon have no protocol version in common."},
    [E_NOT_PERMITTED] = {"not_permitted", EPERM, -8, "RatsPermissionError",
                         "The caller lacks the control permission this needs."},
    [E_NOT_RUNNING] = {"not_running", ENETDOWN, -3, "RatsNotRunningError",
                       "The session is not started, or the daemon is gone."},
    [E_NOT_SUPPORTED] = {"not_supported", EOPNOTSUPP, -9, "RatsNotSupportedError",
                         "The instance or the peer cannot do this."},
    [E_PEER_NOT_FOUND] = {"peer_not_found", ENOTCONN, -5, "RatsPeerNotFoundError",
                          "No peer with that id is connected."},
    [E_NOT_FOUND] = {"not_found", ENOENT, -14, "RatsError", "What was named does not exist."},
    [E_BUSY] = {"busy", EBUSY, -13, "RatsError", "Somebody else holds what was asked for."},
    [E_LIMIT] = {"limit", EDQUOT, -13, "RatsError",
                 "A limit of this session or of the instance is reached."},
    [E_TOO_LARGE] = {"too_large", EMSGSIZE, -12, "RatsError",
                     "The message is larger than the protocol allows."},
    [E_TIMEOUT] = {"timeout", ETIMEDOUT, -10, "RatsTimeoutError",
                   "It did not happen within the time allowed."},
    [E_CANCELLED] = {"cancelled", ECANCELED, -4, "RatsError", "The client gave the call up."},
    [E_CONNECT_FAILED] = {"connect_failed", ECONNREFUSED, -4, "RatsConnectionError",
                          "The peer could not be reached, or refused the link."},
    [E_OUT_OF_MEMORY] = {"out_of_memory", ENOMEM, -6, "RatsError", "Out of memory."},
    [E_OPERATION_FAILED] = {"operation_failed", EIO, -4, "RatsError",
                            "It failed; the sentence with the error says why."},
};

enum proto_error proto_error_from_errno(int negative_errno)
{
    switch (-negative_errno) {
    /* What the kernel says of a dial or a file, beside the row's own number. */
    case EACCES:
        return E_NOT_PERMITTED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return E_CONNECT_FAILED;
    case EEXIST:
        return E_BUSY;
    case E2BIG:
        return E_TOO_LARGE;
    default:
        break;
    }
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        if (proto_errors[i].error_number == -negative_errno) {
            return (enum proto_error)i;
        }
    }
    return E_OPERATION_FAILED;
}

enum proto_error proto_error_from_name(const char *name)
{
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        if (strcmp(proto_errors[i].name, name) == 0) {
            return (enum proto_error)i;
        }
    }
    return E_OPERATION_FAILED;
}
