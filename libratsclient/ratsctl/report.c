#include "ratsctl/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "ratsctl/bar.h"
#include "util/text.h"

#define LINE_SIZE 4096

const struct exit_row exit_rows[] = {
    {EXIT_DONE, "done"},
    {EXIT_FAILED, "the operation failed"},
    {EXIT_USAGE, "wrong usage: an option or an argument"},
    {EXIT_NO_DAEMON, "the daemon cannot be reached, or went away"},
    {EXIT_DENIED, "permission denied"},
    {EXIT_TIMEOUT, "it did not happen within the time allowed"},
    {EXIT_NOT_FOUND, "no such object: peer, method or name"},
    {EXIT_VERSION, "ratsctl and the daemon have no protocol version in common"},
    {EXIT_INTERRUPTED, "interrupted from the keyboard"},
    {EXIT_DONE, NULL},
};

static bool colored;

void report_set_color(bool color)
{
    colored = color;
}

enum exit_code report(enum exit_code code, const char *format, ...)
{
    char text[LINE_SIZE];
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* What was asked for is complete before the reason why the rest is not. */
    bar_clear();
    (void)fflush(stdout);
    (void)fprintf(stderr, "%sratsctl:%s %s\n", colored ? "\033[31m" : "", colored ? "\033[0m" : "",
                  text_escape(bytes_from_string(text), line, sizeof line));
    return code;
}

enum exit_code exit_from_error(enum proto_error error)
{
    switch (error) {
    case E_INVALID_PARAMETER:
        return EXIT_USAGE;
    case E_UNKNOWN_METHOD:
    case E_VERSION:
        return EXIT_VERSION;
    case E_NOT_PERMITTED:
        return EXIT_DENIED;
    case E_PEER_NOT_FOUND:
    case E_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case E_TIMEOUT:
        return EXIT_TIMEOUT;
    default:
        return EXIT_FAILED;
    }
}

const char *remedy_of_error(enum proto_error error)
{
    switch (error) {
    case E_NOT_PERMITTED:
        return "this needs control permission: run it as root, as the daemon's user, or as a "
               "member of its control group";
    case E_UNKNOWN_METHOD:
        return "the daemon is older than this ratsctl; update it";
    case E_PEER_NOT_FOUND:
        return "`ratsctl peers` lists who is connected";
    case E_TIMEOUT:
        return "--timeout gives it longer";
    case E_CONNECT_FAILED:
        return "check the address, and that a node with the same protocol listens there";
    default:
        return NULL;
    }
}

enum proto_error error_from_code(int code)
{
    /* From the end: of those that share a code, the general ones stand last. */
    for (int i = PROTO_ERROR_COUNT - 1; i >= 0; i--) {
        if (proto_errors[i].code == code) {
            return (enum proto_error)i;
        }
    }
    return E_OPERATION_FAILED;
}
