#include "state.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/statefile.h"

static int lock(struct state *state, char *error, size_t error_size)
{
    char line[PATH_MAX + 64];
    char holder[PATH_MAX + 64] = "";
    const char *directory = state->paths->state;
    (void)snprintf(line, sizeof(line), "pid %ld, socket %s", (long)getpid(), state->paths->socket);
    int result = statefile_lock(state->directory_fd, line, &state->lock_fd, holder, sizeof(holder));
    if (result == -EBUSY) {
        (void)snprintf(error, error_size,
                       "another ratsd (%s) uses the state directory %s; stop it, or use --instance "
                       "or --state-dir for a second one",
                       holder, directory);
    } else if (result < 0) {
        (void)snprintf(error, error_size,
                       "cannot lock the state directory %s: %s; it must be writable for uid %ld",
                       directory, strerror(-result), (long)geteuid());
    }
    return result;
}

int state_open(struct state *state, const struct paths *paths, char *error, size_t error_size)
{
    state->paths = paths;
    int result = statefile_open_directory(paths->state, &state->directory_fd);
    if (result < 0) {
        (void)snprintf(error, error_size,
                       "cannot use the state directory %s: %s; it must be writable for uid %ld and "
                       "for nobody else, or name another with --state-dir",
                       paths->state, strerror(-result), (long)geteuid());
        return result;
    }
    return lock(state, error, error_size);
}

/* The key that --identity-fd gives. */
static int install_identity(const struct state *state, struct options *options, bool *ret_installed,
                            char *error, size_t error_size)
{
    uint8_t secret[X25519_SIZE];
    int result = identity_read_secret(options->identity_fd, secret);
    if (result < 0) {
        (void)snprintf(error, error_size,
                       "--identity-fd %d: %s; it must hold the %d bytes of a key and end there",
                       options->identity_fd, strerror(-result), X25519_SIZE);
    }
    (void)close(options->identity_fd);
    options->identity_fd = -1;
    if (result == 0) {
        result = identity_install(state->directory_fd, state->paths->state, secret, ret_installed,
                                  error, error_size);
    }
    explicit_bzero(secret, sizeof(secret));
    return result;
}

static void tell_of_identity(const struct state *state, const struct identity_report *report,
                             bool installed)
{
    const char *directory = state->paths->state;
    if (report->created) {
        log_info("identity", "made a new identity in %s", directory);
    }
    if (installed) {
        log_info("identity", "the identity in %s is the one that was given", directory);
    }
    if (report->fixed_mode) {
        log_warn("identity", "%s/" IDENTITY_FILE " was readable by others; now it is not",
                 directory);
    }
    if (report->record_added && !installed) {
        log_warn("identity", "%s/" IDENTITY_RECORD " was missing; made again from the key",
                 directory);
    }
    if (report->record_repaired) {
        log_warn("identity", "%s/" IDENTITY_RECORD " was damaged, the key is not; made again",
                 directory);
    }
}

int state_load_identity(struct state *state, struct options *options, char *error,
                        size_t error_size)
{
    struct identity_report report = {0};
    bool installed = false;
    const char *directory = state->paths->state;
    int result = 0;
    if (options->new_identity) {
        result = identity_set_aside(state->directory_fd, directory, error, error_size);
    }
    if (result == 0 && options->identity_fd >= 0) {
        result = install_identity(state, options, &installed, error, error_size);
    }
    if (result == 0) {
        result = identity_load(state->directory_fd, directory, &state->identity, &report, error,
                               error_size);
    }
    if (result == 0) {
        tell_of_identity(state, &report, installed);
    }
    return result;
}

void state_close(struct state *state)
{
    identity_wipe(&state->identity);
    if (state->lock_fd >= 0) {
        (void)close(state->lock_fd);
    }
    if (state->directory_fd >= 0) {
        paths_remove_temporary(state->paths);
        (void)close(state->directory_fd);
    }
    *state = (struct state)STATE_NONE;
}
