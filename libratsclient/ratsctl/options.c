#include "ratsctl/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ratsctl/words.h"

_Static_assert(OPTION_COUNT <= 32, "struct options keeps what was seen in 32 bits");

const struct option_row option_rows[OPTION_COUNT] = {
    [OPT_SOCKET] = {"--socket", "PATH", "the daemon's socket"},
    [OPT_INSTANCE] = {"--instance", "NAME", "the instance of that name instead of default"},
    [OPT_JSON] = {"--json", "[=lines]", "a JSON document, or one JSON object per line"},
    [OPT_FORMAT] = {"--format", "tab", "fixed columns between tabs, for commands that list"},
    [OPT_COLOR] = {"--color", "auto|always|never", "colours; auto: on a terminal"},
    [OPT_TIMEOUT] = {"--timeout", "SECONDS", "give up after that long, in decimal"},
    [OPT_HELP] = {"--help", NULL, "this text, or that of a command"},
    [OPT_VERSION] = {"--version", NULL, "the same as the command version"},
    [OPT_CHANNEL] = {"--channel", "NAME", "a named channel; recv takes several"},
    [OPT_AS] =
        {"--as", "string|binary|json|int64|double",
         "which kind of untyped message to send, or of value to store; numbers only with kv"},
    [OPT_TYPE] = {"--type", "NAME", "typed JSON messages of that type; recv takes several"},
    [OPT_COUNT] = {"--count", "N", "end after that many"},
    [OPT_UNTIL] = {"--until", "EVENT", "end behind the first event of that name or pattern"},
    [OPT_SINCE] = {"--since", "SEQ", "show only what has a higher sequence number"},
    [OPT_PEER] = {"--peer", "ID", "wait: for that peer; connect, accept: no other"},
    [OPT_PEERS] = {"--peers", "N", "wait until that many peers are connected"},
    [OPT_ONLINE] = {"--online", NULL, "wait until the daemon answers and listens"},
    [OPT_FOR] = {"--for", "TIME", "how long, as in 90, 30m, 2h or 7d; else until lifted"},
    [OPT_REASON] = {"--reason", "TEXT", "why, for those who see the list"},
    [OPT_MESSAGES] = {"--messages", "N", "messages in a second; 0 is any number"},
    [OPT_BYTES] = {"--bytes", "SIZE", "bytes in a second, as in 64K or 2M; 0 is any number"},
    [OPT_CLEAR] = {"--clear", NULL, "the limits of all hold again"},
    [OPT_NAME] = {"--name", "NAME", "what the peer is shown instead of the file's own name"},
    [OPT_ALL] = {"--all", NULL, "also those that ended in the last ten minutes"},
    [OPT_SHOW_SECRETS] = {"--show-secrets", NULL, "print private keys instead of hiding them"},
};

#define ERROR(...) ((void)snprintf(error, error_size, __VA_ARGS__), -EINVAL)

static int take_choice(enum option_id id, const char *value, const char *const *words, int count,
                       char *error, size_t error_size)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            return i;
        }
    }
    return ERROR("%s is '%s'; allowed is %s", option_rows[id].name, value, option_rows[id].value);
}

static int take_number(enum option_id id, const char *value, uint64_t min, uint64_t *ret_number,
                       char *error, size_t error_size)
{
    if (number_parse(value, min, INT64_MAX, ret_number) != 0) {
        return ERROR("%s is '%s'; it takes a number%s", option_rows[id].name, value,
                     min > 0 ? " from 1" : "");
    }
    return 0;
}

static int take_json(struct options *options, const char *value, char *error, size_t error_size)
{
    if (*value == '\0') {
        options->json = JSON_DOCUMENT;
    } else if (strcmp(value, "lines") == 0) {
        options->json = JSON_LINES;
    } else {
        return ERROR("--json is '%s'; allowed are --json and --json=lines", value);
    }
    return 0;
}

/* One more of an option that may be given several times. */
static int take_name(enum option_id id, const char *value, const char **names, size_t *count,
                     char *error, size_t error_size)
{
    if (*count == OPTIONS_MAX_CHANNELS) {
        return ERROR("more than %d %s options", OPTIONS_MAX_CHANNELS, option_rows[id].name);
    }
    names[(*count)++] = value;
    return 0;
}

/* Those whose value is a number or one of a few words. */
static int take_checked(struct options *options, enum option_id id, const char *value, char *error,
                        size_t error_size)
{
    static const char *const colors[] = {"auto", "always", "never"};
    static const char *const formats[] = {"tab"};
    static const char *const kinds[] = {"string", "binary", "json", "int64", "double"};
    int choice = 0;
    switch (id) {
    case OPT_FORMAT:
        choice = take_choice(id, value, formats, 1, error, error_size);
        options->tab = true;
        break;
    case OPT_COLOR:
        choice = take_choice(id, value, colors, 3, error, error_size);
        options->color = choice < 0 ? COLOR_AUTO : (enum color_mode)choice;
        break;
    case OPT_AS:
        choice = take_choice(id, value, kinds, 5, error, error_size);
        options->as = value;
        break;
    case OPT_TIMEOUT:
        if (seconds_parse(value, &options->timeout_ms) != 0) {
            return ERROR("--timeout is '%s'; it takes seconds, as in 5 or 0.5", value);
        }
        break;
    case OPT_COUNT:
        return take_number(id, value, 1, &options->count, error, error_size);
    case OPT_SINCE:
        return take_number(id, value, 0, &options->since, error, error_size);
    case OPT_PEERS:
        return take_number(id, value, 1, &options->peers, error, error_size);
    case OPT_MESSAGES:
        return take_number(id, value, 0, &options->messages, error, error_size);
    case OPT_FOR:
        if (duration_parse(value, &options->for_seconds) != 0) {
            return ERROR("--for is '%s'; it takes seconds, or a number with m, h or d", value);
        }
        break;
    case OPT_BYTES:
        if (size_parse(value, &options->bytes) != 0) {
            return ERROR("--bytes is '%s'; it takes bytes, or a number with K, M or G", value);
        }
        break;
    default:
        break;
    }
    return choice < 0 ? choice : 0;
}

static int take(struct options *options, enum option_id id, const char *value, char *error,
                size_t error_size)
{
    options->seen |= 1u << id;
    switch (id) {
    case OPT_SOCKET:
        options->socket_path = value;
        return 0;
    case OPT_INSTANCE:
        options->instance = value;
        return 0;
    case OPT_UNTIL:
        options->until = value;
        return 0;
    case OPT_PEER:
        options->peer = value;
        return 0;
    case OPT_REASON:
        options->reason = value;
        return 0;
    case OPT_NAME:
        options->name = value;
        return 0;
    case OPT_JSON:
        return take_json(options, value, error, error_size);
    case OPT_CHANNEL:
        return take_name(id, value, options->channels, &options->channel_count, error, error_size);
    case OPT_TYPE:
        return take_name(id, value, options->types, &options->type_count, error, error_size);
    default:
        return take_checked(options, id, value, error, error_size);
    }
}

static enum option_id find(const char *word, size_t size)
{
    if (size == 2 && memcmp(word, "-h", 2) == 0) {
        return OPT_HELP;
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (strlen(option_rows[i].name) == size && memcmp(option_rows[i].name, word, size) == 0) {
            return (enum option_id)i;
        }
    }
    return OPTION_COUNT;
}

/* argv[*index] is an option; its value may be the next word. */
static int take_word(struct options *options, int argc, char **argv, int *index, char *error,
                     size_t error_size)
{
    const char *word = argv[*index];
    const size_t size = strcspn(word, "=");
    const char *value = word[size] == '=' ? word + size + 1 : NULL;
    const enum option_id id = find(word, size);
    if (id == OPTION_COUNT) {
        return ERROR("unknown option %.*s", (int)size, word);
    }
    const struct option_row *row = &option_rows[id];
    if (row->value == NULL && value != NULL) {
        return ERROR("%s takes no value", row->name);
    }
    if (row->value != NULL && row->value[0] != '[' && value == NULL) {
        if (*index + 1 >= argc) {
            return ERROR("%s needs a value: %s", row->name, row->value);
        }
        value = argv[++*index];
    }
    return take(options, id, value == NULL ? "" : value, error, error_size);
}

int options_parse(int argc, char **argv, struct options *ret_options, char *error,
                  size_t error_size)
{
    struct options options = {.timeout_ms = -1, .arguments = argv + 1};
    bool ended = false;
    for (int i = 1; i < argc; i++) {
        if (!ended && strcmp(argv[i], "--") == 0) {
            ended = true;
        } else if (!ended && argv[i][0] == '-' && argv[i][1] != '\0') {
            int result = take_word(&options, argc, argv, &i, error, error_size);
            if (result != 0) {
                return result;
            }
        } else {
            options.arguments[options.argument_count++] = argv[i];
        }
    }
    if (options_have(&options, OPT_SOCKET) && options_have(&options, OPT_INSTANCE)) {
        return ERROR("--socket and --instance exclude each other");
    }
    if (options.tab && options.json != JSON_NONE) {
        return ERROR("--format and --json exclude each other");
    }
    *ret_options = options;
    return 0;
}
