/* The command line of ratsd. */
#ifndef RATSD_OPTIONS_H
#define RATSD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

#define OPTIONS_MAX_SETTINGS 16

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
    const char *runtime; /* NULL: the user's or the system's, and none when a socket is given */
    const char *settings[OPTIONS_MAX_SETTINGS]; /* SECTION.KEY=VALUE */
    size_t setting_count;
    bool is_private;
    int64_t exit_idle_ms; /* 0: it runs until it is told to end */
    bool background;
    int ready_fd;    /* -1: nobody is told */
    int identity_fd; /* -1: the key stays as it is */
};

/* 0, or -EINVAL with a sentence. Texts point into argv. */
int options_parse(int argc, char **argv, struct options *ret_options, char *error,
                  size_t error_size);
/* Puts the options of ratsd.conf(5) that the command line stands for over what the file says. 0, or
 * -EINVAL with a sentence. */
int options_apply(const struct options *options, struct config *config, char *error,
                  size_t error_size);
void options_print_help(void);

#endif
