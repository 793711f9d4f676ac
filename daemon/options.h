/* The command line of ratsd. */
#ifndef RATSD_OPTIONS_H
#define RATSD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum action {
    ACTION_RUN,
    ACTION_HELP,
    ACTION_VERSION,
    ACTION_CHECK_CONFIG,
    ACTION_LIST_CONFIG,
};

struct options {
    enum action action;
    const char *instance;
    const char *config;    /* NULL: the instance's own file, if there is one */
    const char *listen;    /* NULL: as configured */
    const char *state_dir; /* NULL: by the instance's name */
    const char *socket;    /* NULL: by the instance's name */
    bool new_identity;
};

/* 0, or -EINVAL with a sentence. Texts point into argv. */
int options_parse(int argc, char **argv, struct options *ret_options, char *error,
                  size_t error_size);
void options_print_help(void);

#endif
