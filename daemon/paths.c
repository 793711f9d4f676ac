#include "paths.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/runtime_dir.h"

struct roots {
    char runtime[PATH_MAX];
    char state[PATH_MAX];
    char config[PATH_MAX];
};

/* False when the text did not fit. */
static bool put(char out[PATH_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool put(char out[PATH_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(out, PATH_MAX, format, arguments);
    va_end(arguments);
    return size >= 0 && size < PATH_MAX;
}

/* An absolute directory from the environment; relative ones are ignored (XDG base directories). */
static const char *directory_from(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] == '/' ? value : NULL;
}

/* The service manager may give several, separated by colons: the first is ours. */
static bool put_first(char out[PATH_MAX], const char *list)
{
    size_t size = strcspn(list, ":");
    return put(out, "%.*s", (int)size, list);
}

static bool find_user_roots(struct roots *roots)
{
    const char *home = directory_from("HOME");
    const char *state = directory_from("XDG_STATE_HOME");
    const char *config = directory_from("XDG_CONFIG_HOME");
    if (home == NULL && (state == NULL || config == NULL)) {
        errno = ENOENT;
        return false;
    }
    bool fits = runtime_dir_of_user(roots->runtime, sizeof(roots->runtime)) == 0;
    fits = fits && (state != NULL ? put(roots->state, "%s/ratsd", state)
                                  : put(roots->state, "%s/.local/state/ratsd", home));
    return fits && (config != NULL ? put(roots->config, "%s/ratsd", config)
                                   : put(roots->config, "%s/.config/ratsd", home));
}

static bool find_roots(struct roots *roots)
{
    const char *runtime = directory_from("RUNTIME_DIRECTORY");
    const char *state = directory_from("STATE_DIRECTORY");
    const char *config = directory_from("CONFIGURATION_DIRECTORY");
    errno = ENAMETOOLONG;
    if (runtime != NULL && state != NULL) {
        return put_first(roots->runtime, runtime) && put_first(roots->state, state) &&
               put_first(roots->config, config != NULL ? config : "/etc/ratsd");
    }
    if (geteuid() == 0 && directory_from("XDG_RUNTIME_DIR") == NULL) {
        return put(roots->runtime, RUNTIME_DIR_SYSTEM) && put(roots->state, "/var/lib/ratsd") &&
               put(roots->config, "/etc/ratsd");
    }
    return find_user_roots(roots);
}

/* A path given on the command line, relative to where ratsd was started. */
static bool put_given(char out[PATH_MAX], const char *given)
{
    char here[PATH_MAX];
    if (given[0] == '/') {
        return put(out, "%s", given);
    }
    return getcwd(here, sizeof(here)) != NULL && put(out, "%s/%s", here, given);
}

/* A private instance that was given no state directory has one beside its socket for its time. */
static bool put_state(struct paths *paths, const struct options *options, const struct roots *roots)
{
    if (options->state_dir != NULL) {
        return put_given(paths->state, options->state_dir);
    }
    paths->temporary = options->is_private;
    return paths->temporary ? put(paths->state, "%s.d", paths->socket)
                            : put(paths->state, "%s/%s", roots->state, options->instance);
}

int paths_find(const struct options *options, struct paths *ret_paths, char *error,
               size_t error_size)
{
    struct paths paths = {0};
    struct roots roots = {0};
    const char *name = options->instance;
    bool temporary = options->is_private && options->state_dir == NULL;
    bool told = (options->socket != NULL || options->runtime != NULL) &&
                (options->state_dir != NULL || temporary);
    bool found = find_roots(&roots);
    if (!found && !told) {
        (void)snprintf(error, error_size,
                       "%s; set HOME, or give --socket, --state-dir and --config",
                       errno == ENOENT ? "there is no home directory" : "a path is too long");
        return -errno;
    }
    bool fits = options->runtime != NULL
                    ? put_given(paths.runtime, options->runtime)
                    : put(paths.runtime, "%s", options->socket != NULL ? "" : roots.runtime);
    fits = fits && (options->socket != NULL ? put_given(paths.socket, options->socket)
                                            : put(paths.socket, "%s/%s.sock", paths.runtime, name));
    fits = fits && put_state(&paths, options, &roots);
    if (options->config != NULL) {
        fits = fits && put_given(paths.config, options->config);
    } else if (found) {
        fits = fits && put(paths.config, "%s/%s.conf", roots.config, name);
    }
    if (!fits) {
        (void)snprintf(error, error_size, "a path is longer than %d bytes", PATH_MAX - 1);
        return -ENAMETOOLONG;
    }
    *ret_paths = paths;
    return 0;
}

int paths_make_runtime(const struct paths *paths, char *error, size_t error_size)
{
    if (paths->runtime[0] == '\0') {
        return 0;
    }
    bool system = strncmp(paths->runtime, RUNTIME_DIR_SYSTEM, strlen(RUNTIME_DIR_SYSTEM)) == 0;
    if (mkdir(paths->runtime, system ? 0755 : 0700) < 0 && errno != EEXIST) {
        int failed = -errno;
        (void)snprintf(error, error_size, "cannot make %s: %s; use --socket to name another place",
                       paths->runtime, strerror(-failed));
        return failed;
    }
    if (!runtime_dir_is_safe(paths->runtime)) {
        (void)snprintf(error, error_size,
                       "%s must be a directory of ours that nobody else can write; remove it or "
                       "use --socket",
                       paths->runtime);
        return -EPERM;
    }
    return 0;
}

void paths_remove_temporary(const struct paths *paths)
{
    if (!paths->temporary) {
        return;
    }
    DIR *directory = opendir(paths->state);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
        (void)rmdir(paths->state);
    }
}
