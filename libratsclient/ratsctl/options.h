/* The command line of ratsctl: one table of options, which drives the parser, --help and the test
 * of the manual page. Options may stand before or behind the command; "--" ends them. */
#ifndef RATSCTL_OPTIONS_H
#define RATSCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
    /* Every command takes these. */
    OPT_SOCKET,
    OPT_INSTANCE,
    OPT_JSON,
    OPT_FORMAT,
    OPT_COLOR,
    OPT_TIMEOUT,
    OPT_HELP,
    OPT_VERSION,
    OPT_GLOBAL_COUNT,
    /* These belong to the commands that name them. */
    OPT_CHANNEL = OPT_GLOBAL_COUNT,
    OPT_AS,
    OPT_TYPE,
    OPT_COUNT,
    OPT_UNTIL,
    OPT_SINCE,
    OPT_PEER,
    OPT_PEERS,
    OPT_ONLINE,
    OPT_FOR,
    OPT_REASON,
    OPT_MESSAGES,
    OPT_BYTES,
    OPT_CLEAR,
    OPT_NAME,
    OPT_ALL,
    OPT_SHOW_SECRETS,
    OPTION_COUNT,
};

struct option_row {
    const char *name;    /* "--socket" */
    const char *value;   /* "PATH"; "[=lines]" when optional; NULL when it takes none */
    const char *summary; /* one line for --help */
};

extern const struct option_row option_rows[OPTION_COUNT];

enum json_mode { JSON_NONE, JSON_DOCUMENT, JSON_LINES };
enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

#define OPTIONS_MAX_CHANNELS 64 /* and types */

struct options {
    uint32_t seen; /* bit 1 << option_id */
    const char *socket_path;
    const char *instance;
    enum json_mode json;
    bool tab;
    enum color_mode color;
    int timeout_ms; /* -1: not given */
    const char *channels[OPTIONS_MAX_CHANNELS];
    size_t channel_count;
    const char *types[OPTIONS_MAX_CHANNELS];
    size_t type_count;
    const char *as;
    uint64_t count; /* 0: not given */
    const char *until;
    uint64_t since;
    const char *peer;
    uint64_t peers;
    uint64_t for_seconds; /* 0: not given */
    const char *reason;
    uint64_t messages;
    uint64_t bytes;
    const char *name;
    char **arguments; /* the command and what follows it; argv, reordered */
    int argument_count;
};

static inline bool options_have(const struct options *options, enum option_id id)
{
    return (options->seen & (1u << id)) != 0;
}

/* Reads argv[1..], moving what is no option to the front of argv (borrowed by ret_options, with
 * every text in it). 0, or -EINVAL with one sentence in error. */
int options_parse(int argc, char **argv, struct options *ret_options, char *error,
                  size_t error_size);

#endif
