/* What a running ratsd has of its own on disk: the state directory, which nobody else may use
 * meanwhile, and the identity in it. Easy to break: it is closed after everything that writes
 * there, since from then on another ratsd may have it. */
#ifndef RATSD_STATE_H
#define RATSD_STATE_H

#include <stddef.h>

#include "options.h"
#include "paths.h"
#include "peer/identity.h"

struct state {
    const struct paths *paths; /* borrowed */
    int directory_fd;
    int lock_fd;
    struct identity identity;
};

#define STATE_NONE                                                                                 \
    {                                                                                              \
        .directory_fd = -1, .lock_fd = -1                                                          \
    }

/* Opens and locks the directory. -EBUSY: another ratsd has it; any other negative errno; the error
 * is a sentence. paths is borrowed until state_close(). */
int state_open(struct state *state, const struct paths *paths, char *error, size_t error_size);
/* Loads the identity, or makes one, as the options say; their descriptor of a key is closed, so
 * that it is read once. -EINVAL: it is damaged; any other negative errno; the error is a sentence.
 */
int state_load_identity(struct state *state, struct options *options, char *error,
                        size_t error_size);
/* Also of one that was never opened, or only in part. */
void state_close(struct state *state);

#endif
