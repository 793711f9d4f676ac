#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define INSTANCE_MAX 64

enum {
    OPT_CHECK_CONFIG = 256,
    OPT_LIST_CONFIG,
    OPT_LISTEN,
    OPT_STATE_DIR,
    OPT_SOCKET,
    OPT_NEW_IDENTITY
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
    {0},
};

void options_print_help(void)
{
    (void)printf("ratsd " RATS_VERSION
                 " - peer-to-peer daemon: one identity, one port, any number of "
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
    default:
        break;
    }
}

int options_parse(int argc, char **argv, struct options *ret_options, char *error,
                  size_t error_size)
{
    struct options options = {.action = ACTION_RUN, .instance = "default"};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":hVi:c:", long_options, NULL)) != -1) {
        if (option == '?' || option == ':') {
            (void)snprintf(error, error_size, "option '%s' %s; 'ratsd --help' lists them",
                           argv[optind - 1],
                           option == ':' ? "needs a value" : "is not known or takes no value");
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
