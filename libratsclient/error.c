#include "error.h"

#include <stdarg.h>
#include <stdio.h>

struct last_error {
    int code;
    char text[ERROR_TEXT_SIZE];
};

static _Thread_local struct last_error last;

void error_clear(void)
{
    last.code = RATS_SUCCESS;
    last.text[0] = '\0';
}

int error_set(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last.text, sizeof last.text, format, arguments);
    va_end(arguments);
    last.code = code;
    return code;
}

int error_note(char error[ERROR_TEXT_SIZE], int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, ERROR_TEXT_SIZE, format, arguments);
    va_end(arguments);
    return code;
}

int error_code(void)
{
    return last.code;
}

rats_error_t error_v1(int code)
{
    switch (code) {
    case RATS_SUCCESS:
    case RATS_ERROR_INVALID_HANDLE:
    case RATS_ERROR_INVALID_PARAMETER:
    case RATS_ERROR_NOT_RUNNING:
    case RATS_ERROR_OPERATION_FAILED:
    case RATS_ERROR_PEER_NOT_FOUND:
    case RATS_ERROR_MEMORY_ALLOCATION:
    case RATS_ERROR_JSON_PARSE:
        return (rats_error_t)code;
    case RATS_ERROR_TOO_LARGE:
        return RATS_ERROR_INVALID_PARAMETER;
    default:
        return RATS_ERROR_OPERATION_FAILED;
    }
}

int rats_last_error(rats_client_t client)
{
    (void)client;
    return last.code;
}

const char *rats_last_error_message(rats_client_t client)
{
    (void)client;
    return last.text;
}

const char *rats_error_string(int code)
{
    switch (code) {
    case RATS_SUCCESS:
        return "success";
    case RATS_ERROR_INVALID_HANDLE:
        return "the handle is NULL";
    case RATS_ERROR_INVALID_PARAMETER:
        return "an argument is missing, malformed or out of range";
    case RATS_ERROR_NOT_RUNNING:
        return "the session is not started, or the daemon is gone";
    case RATS_ERROR_OPERATION_FAILED:
        return "the operation failed";
    case RATS_ERROR_PEER_NOT_FOUND:
        return "no peer with that id is connected";
    case RATS_ERROR_MEMORY_ALLOCATION:
        return "out of memory";
    case RATS_ERROR_JSON_PARSE:
        return "the text is not JSON";
    case RATS_ERROR_NOT_PERMITTED:
        return "this needs control permission at the daemon";
    case RATS_ERROR_NOT_SUPPORTED:
        return "not supported by the instance, the peer or the daemon's version";
    case RATS_ERROR_TIMEOUT:
        return "it did not happen in the time allowed";
    case RATS_ERROR_NO_DAEMON:
        return "no daemon listens there";
    case RATS_ERROR_TOO_LARGE:
        return "larger than the protocol allows";
    case RATS_ERROR_BUSY:
        return "held by somebody else, or a limit is reached";
    case RATS_ERROR_NOT_FOUND:
        return "what was named does not exist";
    default:
        return "unknown error";
    }
}
