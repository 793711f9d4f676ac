/* Where an instance lives (design, Instances): under a service manager in the directories it
 * gives; as root in /run, /var/lib and /etc; else in the user's XDG directories. */
#ifndef RATSD_PATHS_H
#define RATSD_PATHS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "options.h"

struct paths {
    char runtime[PATH_MAX]; /* of the socket and by-port/; "" when only --socket says where */
    char socket[PATH_MAX];
    char state[PATH_MAX];
    char config[PATH_MAX]; /* "" when there is no home to look in */
    bool temporary;        /* the state directory is removed at the end */
};

/* 0, or -ENAMETOOLONG or -ENOENT (no home) with a sentence. All paths are absolute. */
int paths_find(const struct options *options, struct paths *ret_paths, char *error,
               size_t error_size);
/* Makes the runtime directory (0700 for a user, 0755 for the system) and checks that it is ours.
 * 0, or a negative errno and a sentence. */
int paths_make_runtime(const struct paths *paths, char *error, size_t error_size);
/* Removes a temporary state directory with the files in it. */
void paths_remove_temporary(const struct paths *paths);

#endif
