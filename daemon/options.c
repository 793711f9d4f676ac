#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INSTANCE_MAX 64

#define MAX_IDLE_S (7L * 24 * 3600)

enum {
    OPT_CHECK_CONFIG = 256,
    OPT_LIST_CONFIG,
    OPT_LISTEN,
    OPT_STATE_DIR,
    OPT_SOCKET,
    OPT_NEW_IDENTITY,
    OPT_RUNTIME_DIR,
    OPT_SET,
    OPT_PRIVATE,
    OPT_EXIT_IDLE,
    OPT_BACKGROUND,
    OPT_READY_FD,
    OPT_IDENTITY_FD,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"instance", required_argument, NULL, 'i'},
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, OPT_CHECK_CONFIG},
    {"list-config", no_argument, NULL, OPT_LIST_CONFIG},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"state-dir", required_argument, NULL, OPT_STATE_DIR},
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"new-identity", no_argument, NULL, OPT_NEW_IDENTITY},
    {"runtime-dir", required_argument, NULL, OPT_RUNTIME_DIR},
    {"set", required_argument, NULL, OPT_SET},
    {"private", no_argument, NULL, OPT_PRIVATE},
    {"exit-idle", required_argument, NULL, OPT_EXIT_IDLE},
    {"background", no_argument, NULL, OPT_BACKGROUND},
    {"ready-fd", required_argument, NULL, OPT_READY_FD},
    {"identity-fd", required_argument, NULL, OPT_IDENTITY_FD},
    {0},
};

void options_print_help(void)
{
    (void)printf(
        "ratsd " RATS_VERSION " - peer-to-peer daemon: one identity, one port, any number of "
        "programs\n"
        "\n"
        "Usage: ratsd [OPTION]...\n"
        "\n"
        "  -i, --instance NAME     name of this instance (default: default)\n"
        "  -c, --config FILE       configuration file instead of the instance's own\n"
        "      --check-config      read the configuration, say what is wrong, and exit\n"
        "      --list-config       print every option with its default as a sample file\n"
        "      --listen ADDR:PORT  listen there; port 0 takes any, an empty address all\n"
        "      --state-dir DIR     identity and state live there\n"
        "      --socket PATH       control socket for clients\n"
        "      --runtime-dir DIR   socket and by-port/ live there\n"
        "      --set SECTION.KEY=VALUE  option of ratsd.conf(5), over what the file says\n"
        "      --private           no network until a session starts; end with the last\n"
        "      --exit-idle SECONDS end when no client was attached for that long\n"
        "      --background        go to the background at once\n"
        "      --ready-fd FD       say there when clients can connect, or why they cannot\n"
        "      --identity-fd FD    the key of the identity, 32 bytes, is read from there\n"
        "      --new-identity      set the identity aside and begin anew with another id\n"
        "  -h, --help              this text\n"
        "  -V, --version           version\n"
        "\n"
        "Runs in the foreground. SIGTERM ends it, SIGHUP reloads log level and limits.\n"
        "Manual: ratsd(8), ratsd.conf(5). Control: ratsctl(1).\n");
}

/* Instance names become file names. */
static bool is_instance_name(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > INSTANCE_MAX || name[0] == '.' || name[0] == '-') {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool parse_number(const char *text, long min, long max, long *ret_number)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || number < min ||
        number > max) {
        return false;
    }
    *ret_number = number;
    return true;
}

/* 0, or -EINVAL with a sentence. */
static int take_value(int option, struct options *options, char *error, size_t error_size)
{
    long number = 0;
    if (option == OPT_EXIT_IDLE) {
        if (!parse_number(optarg, 1, MAX_IDLE_S, &number)) {
            (void)snprintf(error, error_size, "--exit-idle %s: must be 1 to %ld seconds", optarg,
                           MAX_IDLE_S);
            return -EINVAL;
        }
        options->exit_idle_ms = (int64_t)number * 1000;
    } else if (option == OPT_READY_FD) {
        if (!parse_number(optarg, 0, INT_MAX, &number) || fcntl((int)number, F_GETFD) < 0) {
            (void)snprintf(error, error_size, "--ready-fd %s: must be an open descriptor", optarg);
            return -EINVAL;
        }
        options->ready_fd = (int)number;
    } else if (option == OPT_IDENTITY_FD) {
        if (!parse_number(optarg, 0, INT_MAX, &number) || fcntl((int)number, F_GETFD) < 0) {
            (void)snprintf(error, error_size, "--identity-fd %s: must be an open descriptor",
                           optarg);
            return -EINVAL;
        }
        options->identity_fd = (int)number;
    } else if (options->setting_count == OPTIONS_MAX_SETTINGS) {
        (void)snprintf(error, error_size, "--set may be given %d times", OPTIONS_MAX_SETTINGS);
        return -EINVAL;
    } else {
        options->settings[options->setting_count++] = optarg;
    }
    return 0;
}

static void take_option(int option, struct options *options)
{
    switch (option) {
    case 'h':
        options->action = ACTION_HELP;
        break;
    case 'V':
        options->action = ACTION_VERSION;
        break;
    case 'i':
        options->instance = optarg;
        break;
    case 'c':
        options->config = optarg;
        break;
    case OPT_CHECK_CONFIG:
        options->action = ACTION_CHECK_CONFIG;
        break;
    case OPT_LIST_CONFIG:
        options->action = ACTION_LIST_CONFIG;
        break;
    case OPT_LISTEN:
        options->listen = optarg;
        break;
    case OPT_STATE_DIR:
        options->state_dir = optarg;
        break;
    case OPT_SOCKET:
        options->socket = optarg;
        break;
    case OPT_NEW_IDENTITY:
        options->new_identity = true;
        break;
    case OPT_RUNTIME_DIR:
        options->runtime = optarg;
        break;
    case OPT_PRIVATE:
        options->is_private = true;
        break;
    case OPT_BACKGROUND:
        options->background = true;
        break;
    default:
        break;
    }
}

int options_parse(int argc, char **argv, struct options *ret_options, char *error,
                  size_t error_size)
{
    struct options options = {
        .action = ACTION_RUN, .instance = "default", .ready_fd = -1, .identity_fd = -1};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":hVi:c:", long_options, NULL)) != -1) {
        if (option == '?' || option == ':') {
            (void)snprintf(error, error_size, "option '%s' %s; 'ratsd --help' lists them",
                           argv[optind - 1],
                           option == ':' ? "needs a value" : "is not known or takes no value");
            return -EINVAL;
        }
        bool has_form = option == OPT_EXIT_IDLE || option == OPT_READY_FD ||
                        option == OPT_IDENTITY_FD || option == OPT_SET;
        if (has_form && take_value(option, &options, error, error_size) < 0) {
            return -EINVAL;
        }
        take_option(option, &options);
    }
    if (optind < argc) {
        (void)snprintf(error, error_size,
                       "'%s' is not an option; ratsd takes no other arguments, 'ratsd --help' "
                       "lists the options",
                       argv[optind]);
        return -EINVAL;
    }
    if (!is_instance_name(options.instance)) {
        (void)snprintf(error, error_size,
                       "--instance %s: a name has 1 to %d letters, digits, '.', '_' or '-' and "
                       "starts with a letter, a digit or '_'",
                       options.instance, INSTANCE_MAX);
        return -EINVAL;
    }
    *ret_options = options;
    return 0;
}

/* --listen ADDR:PORT, [V6]:PORT, :PORT or PORT over what the file says. */
static int apply_listen(const struct options *options, struct config *config, char *error,
                        size_t error_size)
{
    const char *text = options->listen;
    if (text == NULL) {
        return 0;
    }
    char address[64] = "";
    const char *port = text;
    const char *colon = strrchr(text, ':');
    if (colon != NULL) {
        size_t size = (size_t)(colon - text);
        bool bracketed = size >= 2 && text[0] == '[' && colon[-1] == ']';
        (void)snprintf(address, sizeof(address), "%.*s", (int)(bracketed ? size - 2 : size),
                       bracketed ? text + 1 : text);
        port = colon + 1;
    }
    int result = config_set(config, "network", "listen", address, error, error_size);
    return result < 0 ? result : config_set(config, "network", "port", port, error, error_size);
}

int options_apply(const struct options *options, struct config *config, char *error,
                  size_t error_size)
{
    int result = apply_listen(options, config, error, error_size);
    if (result == 0 && options->is_private) {
        result = config_set(config, "network", "port_attempts", "1", error, error_size);
    }
    for (size_t i = 0; i < options->setting_count && result == 0; i++) {
        const char *text = options->settings[i];
        const char *equals = strchr(text, '=');
        const char *dot = strchr(text, '.');
        char section[64];
        char key[64];
        if (equals == NULL || dot == NULL || dot > equals || dot - text >= (int)sizeof(section) ||
            equals - dot > (int)sizeof(key)) {
            (void)snprintf(error, error_size, "--set %s: must be SECTION.KEY=VALUE", text);
            return -EINVAL;
        }
        (void)snprintf(section, sizeof(section), "%.*s", (int)(dot - text), text);
        (void)snprintf(key, sizeof(key), "%.*s", (int)(equals - dot - 1), dot + 1);
        result = config_set(config, section, key, equals + 1, error, error_size);
    }
    return result;
}
