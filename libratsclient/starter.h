/* Starting a ratsd: the program is found, run in the background, and waited for until it says that
 * clients can connect. It is no child of this process, holds none of its descriptors, and does not
 * see what a service manager told this process about itself. */
#ifndef LIBRATS_STARTER_H
#define LIBRATS_STARTER_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

#define KEY_SIZE 32u /* of an identity's private key */

struct starter_options {
    bool is_private;          /* else the user's default instance, on demand */
    const char *runtime;      /* runtime directory, which is there */
    const char *socket;       /* absolute path */
    const char *name;         /* of the instance */
    const char *state_dir;    /* NULL: a temporary one */
    int port;                 /* private: to listen on, 0 = any */
    const char *bind_address; /* NULL: all */
    const char *protocol;     /* NULL: as configured */
    int security;             /* -1 as configured, 0 plaintext, 1 Noise */
    const uint8_t *key;       /* of its identity, KEY_SIZE bytes, through a pipe; NULL: its own */
    int64_t deadline_ms;
};

/* RATS_SUCCESS with the read end of its log (a private one's; else -1); RATS_ERROR_BUSY: another
 * daemon has the socket or the state directory; RATS_ERROR_NO_DAEMON: no program; another code.
 * Each with a sentence in error. */
int starter_run(const struct starter_options *options, int *ret_log_fd,
                char error[ERROR_TEXT_SIZE]);

#endif
