#include "instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "error.h"
#include "proto/runtime_dir.h"
#include "starter.h"

#define HOW_TO_START  "start one with 'systemctl start ratsd' or 'ratsd'"
#define LOCK_RETRY_MS 3
#define NAME_SIZE     32
#define LOOK_MS       2000 /* at one socket of many */

int instance_policy_from_environment(enum instance_policy *ret_policy)
{
    static const char *const words[] = {"auto", "shared", "private"};
    const char *text = secure_getenv("RATS_CREATE");
    if (text == NULL || text[0] == '\0') {
        *ret_policy = POLICY_AUTO;
        return RATS_SUCCESS;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_policy = (enum instance_policy)i;
            return RATS_SUCCESS;
        }
    }
    return error_set(RATS_ERROR_INVALID_PARAMETER,
                     "RATS_CREATE=%.64s in the environment is none of auto, shared, private", text);
}

/* Attaching --------------------------------------------------------------------------------- */

/* Tries one socket. port: 0, or what the instance must have (else NO_DAEMON). */
static int try_socket(const struct instance_wish *wish, const char *path, int port,
                      struct instance_found *found, char error[ERROR_TEXT_SIZE])
{
    const struct attach_options options = {
        .path = path,
        .name = wish->client_name,
        .slow = wish->slow,
        .deadline_ms = wish->deadline_ms,
        .wake_fd = -1,
    };
    int fd = -1;
    json_t *hello = NULL;
    const int code = attach_open(&options, &fd, &hello, error);
    if (code != RATS_SUCCESS) {
        return code;
    }
    const int listens = (int)json_integer_value(json_object_get(hello, "listen_port"));
    if (port != 0 && listens != port) {
        snprintf(error, ERROR_TEXT_SIZE, "the daemon at %s listens on port %d", path, listens);
        json_decref(hello);
        (void)close(fd);
        return RATS_ERROR_NO_DAEMON;
    }
    snprintf(found->path, sizeof found->path, "%s", path);
    found->fd = fd;
    found->hello = hello;
    return RATS_SUCCESS;
}

/* A socket that was named: any failure is the answer. */
static int attach_named(const struct instance_wish *wish, struct instance_found *found)
{
    char error[ERROR_TEXT_SIZE];
    const int code = try_socket(wish, wish->socket_path, 0, found, error);
    if (code == RATS_ERROR_NO_DAEMON) {
        return error_set(code, "no ratsd: %s; " HOW_TO_START, error);
    }
    return code == RATS_SUCCESS ? code : error_set(code, "%s", error);
}

/* One place: what by-port/ leads to, if that is what is asked for, then the default instance. */
static int try_place(const struct instance_wish *wish, const struct search_place *place,
                     struct instance_found *found, char error[ERROR_TEXT_SIZE])
{
    char path[SOCKET_PATH_SIZE];
    if (!place->safe) {
        snprintf(error, ERROR_TEXT_SIZE, "%s is in somebody else's directory and was not used",
                 place->path);
        return RATS_ERROR_NO_DAEMON;
    }
    if (wish->port != 0 && search_by_port(place, wish->port, path) == 0) {
        const int code = try_socket(wish, path, wish->port, found, error);
        if (code != RATS_ERROR_NO_DAEMON && code != RATS_ERROR_NOT_PERMITTED) {
            return code;
        }
    }
    return try_socket(wish, place->path, wish->port, found, error);
}

/* The usual places, user before system. NO_DAEMON with all that was tried in error. */
static int attach_found(const struct instance_wish *wish, struct instance_found *found,
                        char tried[ERROR_TEXT_SIZE])
{
    struct search_place places[SEARCH_PLACES];
    const size_t count = search_places(places);
    size_t used = 0;
    tried[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char error[ERROR_TEXT_SIZE];
        const int code = try_place(wish, &places[i], found, error);
        if (code == RATS_SUCCESS) {
            return code; /* and nothing is said of it */
        }
        if (code != RATS_ERROR_NO_DAEMON && code != RATS_ERROR_NOT_PERMITTED) {
            snprintf(tried, ERROR_TEXT_SIZE, "%s", error);
            return code;
        }
        const int more =
            snprintf(tried + used, ERROR_TEXT_SIZE - used, "%s%s", i == 0 ? "" : "; ", error);
        used += more < 0 ? 0 : (size_t)more;
        used = used < ERROR_TEXT_SIZE ? used : ERROR_TEXT_SIZE - 1;
    }
    return RATS_ERROR_NO_DAEMON;
}

/* Whether it is what the wish describes, and for everybody. */
static bool is_alike(const struct instance_wish *wish, const json_t *hello)
{
    const char *protocol = json_string_value(json_object_get(hello, "protocol"));
    const char *security = json_string_value(json_object_get(hello, "security"));
    return json_is_true(json_object_get(hello, "shared")) && protocol != NULL && security != NULL &&
           strcmp(protocol, wish->protocol) == 0 &&
           strcmp(security, wish->security == 0 ? "plaintext" : "noise") == 0;
}

/* False when nobody there is. */
static bool look_around(const struct instance_wish *wish, const struct search_place *place,
                        struct instance_found *found)
{
    char paths[SEARCH_MOST_SOCKETS][SOCKET_PATH_SIZE];
    char error[ERROR_TEXT_SIZE];
    const size_t count = place->safe ? search_sockets(place, paths) : 0;
    for (size_t i = 0; i < count && clock_left_ms(wish->deadline_ms) > 0; i++) {
        struct instance_wish look = *wish;
        const int64_t soon_ms = clock_deadline(LOOK_MS);
        look.deadline_ms = soon_ms < wish->deadline_ms ? soon_ms : wish->deadline_ms;
        if (try_socket(&look, paths[i], 0, found, error) != RATS_SUCCESS) {
            continue;
        }
        if (is_alike(wish, found->hello)) {
            return true;
        }
        json_decref(found->hello);
        (void)close(found->fd);
    }
    return false;
}

int instance_find_alike(const struct instance_wish *wish, struct instance_found *ret_found)
{
    struct instance_found found = {.fd = -1, .log_fd = -1};
    struct search_place places[SEARCH_PLACES];
    const size_t count = search_places(places);
    for (size_t i = 0; i < count; i++) {
        if (look_around(wish, &places[i], &found)) {
            *ret_found = found;
            return RATS_SUCCESS;
        }
    }
    return error_set(RATS_ERROR_NO_DAEMON,
                     "no running ratsd has the protocol %s, and none may be started for this "
                     "handle; start one with 'ratsd --instance NAME --set network.protocol=%s'",
                     wish->protocol, wish->protocol);
}

static int explain_nobody(const struct instance_wish *wish, const char *tried)
{
    if (wish->port != 0) {
        return error_set(RATS_ERROR_NO_DAEMON,
                         "no ratsd that listens on port %d: %s; " HOW_TO_START
                         " with '--listen %d'",
                         wish->port, tried, wish->port);
    }
    return error_set(RATS_ERROR_NO_DAEMON, "no ratsd: %s; " HOW_TO_START, tried);
}

/* Starting ---------------------------------------------------------------------------------- */

/* Makes one of our directories, or finds it good. */
static int make_directory(const char *path)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "no ratsd can be started: cannot make %s: %s; set XDG_RUNTIME_DIR to a "
                         "directory of yours",
                         path, strerror(errno));
    }
    if (!runtime_dir_is_safe(path)) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "no ratsd can be started: %s is not a directory of yours alone; remove it "
                         "or set XDG_RUNTIME_DIR to a directory of yours",
                         path);
    }
    return RATS_SUCCESS;
}

/* Where ratsd keeps a user's states. False when there is no home. */
static bool find_state_home(char path[PATH_MAX])
{
    const char *state = secure_getenv("XDG_STATE_HOME");
    const char *home = secure_getenv("HOME");
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[1024];
    int size = -1;
    if (state != NULL && state[0] == '/') {
        size = snprintf(path, PATH_MAX, "%s/ratsd", state);
    } else {
        if ((home == NULL || home[0] != '/') &&
            getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != NULL) {
            home = found->pw_dir;
        }
        if (home != NULL && home[0] == '/') {
            size = snprintf(path, PATH_MAX, "%s/.local/state/ratsd", home);
        }
    }
    return size > 0 && size < PATH_MAX;
}

/* Relative to where this process is: the daemon is elsewhere. */
static bool make_absolute(const char *given, char path[PATH_MAX])
{
    char here[PATH_MAX];
    int size;
    if (given[0] == '/') {
        size = snprintf(path, PATH_MAX, "%s", given);
    } else if (getcwd(here, sizeof here) == NULL) {
        return false;
    } else {
        size = snprintf(path, PATH_MAX, "%s/%s", here, given);
    }
    return size > 0 && size < PATH_MAX;
}

/* data_dir, else DIRECTORY of the states named after the instance. False: a temporary one. */
static bool find_state(const struct instance_wish *wish, const char *name, char path[PATH_MAX])
{
    char home[PATH_MAX];
    if (wish->data_dir != NULL) {
        return make_absolute(wish->data_dir, path);
    }
    if (!find_state_home(home)) {
        return false;
    }
    const int size = snprintf(path, PATH_MAX, "%s/%s", home, name);
    return size > 0 && size < PATH_MAX;
}

/* Runs it and attaches. */
static int start(const struct instance_wish *wish, struct starter_options *options,
                 struct instance_found *found)
{
    char error[ERROR_TEXT_SIZE];
    int code = starter_run(options, &found->log_fd, error);
    if (code == RATS_ERROR_BUSY && options->is_private && wish->data_dir == NULL &&
        options->state_dir != NULL) {
        options->state_dir = NULL; /* api.md 1.3: the state of this port is in use */
        code = starter_run(options, &found->log_fd, error);
    }
    if (code == RATS_SUCCESS) {
        code = try_socket(wish, options->socket, 0, found, error);
        if (code != RATS_SUCCESS && found->log_fd >= 0) {
            (void)close(found->log_fd);
            found->log_fd = -1;
        }
    }
    return code == RATS_SUCCESS ? code : error_set(code, "%s", error);
}

static int start_private(const struct instance_wish *wish, const char *runtime,
                         struct instance_found *found)
{
    char directory[PATH_MAX];
    char socket[PATH_MAX];
    char state[PATH_MAX];
    char name[NAME_SIZE];
    uint64_t tag = 0;
    const bool named = wish->port > 0;
    (void)!getrandom(&tag, sizeof tag, 0);
    snprintf(directory, sizeof directory, "%.*s/private", PATH_MAX - 32, runtime);
    const int code = make_directory(directory);
    if (code != RATS_SUCCESS) {
        return code;
    }
    if (named) {
        snprintf(name, sizeof name, "port-%d", wish->port);
    } else {
        snprintf(name, sizeof name, "private");
    }
    snprintf(socket, sizeof socket, "%.*s/private/%016llx.sock", PATH_MAX - 64, runtime,
             (unsigned long long)tag);
    const bool has_state = (named || wish->data_dir != NULL) && find_state(wish, name, state);
    struct starter_options options = {
        .is_private = true,
        .runtime = runtime,
        .socket = socket,
        .name = name,
        .state_dir = has_state ? state : NULL,
        .port = wish->port,
        .bind_address = wish->bind_address,
        .protocol = wish->protocol,
        .security = wish->security,
        .key = wish->key,
        .deadline_ms = wish->deadline_ms,
    };
    return start(wish, &options, found);
}

static int start_default(const struct instance_wish *wish, const char *runtime,
                         struct instance_found *found)
{
    char socket[PATH_MAX];
    char state[PATH_MAX];
    snprintf(socket, sizeof socket, "%.*s/default.sock", PATH_MAX - 32, runtime);
    struct starter_options options = {
        .runtime = runtime,
        .socket = socket,
        .name = "default",
        .state_dir = find_state(wish, "default", state) ? state : NULL,
        .security = -1,
        .deadline_ms = wish->deadline_ms,
    };
    return start(wish, &options, found);
}

/* One start at a time for each port of a user. The lock ends with the descriptor. */
static int take_lock(const struct instance_wish *wish, const char *runtime, int *ret_fd)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/start-%d.lock", PATH_MAX - 64, runtime, wish->port);
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return error_set(RATS_ERROR_OPERATION_FAILED, "cannot open %s: %s", path, strerror(errno));
    }
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (clock_left_ms(wish->deadline_ms) == 0) {
            (void)close(fd);
            return error_set(RATS_ERROR_TIMEOUT,
                             "another program has been starting ratsd for too "
                             "long (it holds %s)",
                             path);
        }
        (void)poll(NULL, 0, LOCK_RETRY_MS);
    }
    *ret_fd = fd;
    return RATS_SUCCESS;
}

static bool is_special(const struct instance_wish *wish)
{
    return wish->data_dir != NULL || wish->protocol != NULL || wish->bind_address != NULL ||
           wish->security >= 0;
}

/* Nobody was found. Whoever gets the lock looks again, since its last holder may have started what
 * is wanted. */
static int start_once(const struct instance_wish *wish, const char *runtime,
                      struct instance_found *found)
{
    char tried[ERROR_TEXT_SIZE];
    int lock = -1;
    int code = take_lock(wish, runtime, &lock);
    if (code != RATS_SUCCESS) {
        return code;
    }
    code = attach_found(wish, found, tried);
    if (code == RATS_ERROR_NO_DAEMON) {
        /* Who says what the instance is to be like does not make it everybody's default. */
        const bool to_private = wish->port != 0 || is_special(wish);
        code =
            to_private ? start_private(wish, runtime, found) : start_default(wish, runtime, found);
        if (code == RATS_ERROR_BUSY && attach_found(wish, found, tried) == RATS_SUCCESS) {
            code = RATS_SUCCESS; /* somebody started it by hand at this moment */
        }
    } else if (code != RATS_SUCCESS) {
        code = error_set(code, "%s", tried);
    }
    (void)close(lock);
    return code;
}

static int start_some(const struct instance_wish *wish, struct instance_found *found)
{
    char runtime[SOCKET_PATH_SIZE];
    if (runtime_dir_of_user(runtime, sizeof runtime) < 0) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "no ratsd can be started: XDG_RUNTIME_DIR is too long for a socket in it");
    }
    const int code = make_directory(runtime);
    if (code != RATS_SUCCESS) {
        return code;
    }
    return wish->policy == POLICY_PRIVATE ? start_private(wish, runtime, found)
                                          : start_once(wish, runtime, found);
}

int instance_find(const struct instance_wish *wish, struct instance_found *ret_found)
{
    struct instance_found found = {.fd = -1, .log_fd = -1};
    int code = RATS_ERROR_NO_DAEMON;
    if (wish->socket_path != NULL) {
        code = attach_named(wish, &found);
    } else if (wish->policy == POLICY_PRIVATE) {
        code = start_some(wish, &found);
    } else {
        char tried[ERROR_TEXT_SIZE];
        code = attach_found(wish, &found, tried);
        if (code == RATS_ERROR_NO_DAEMON) {
            code = wish->policy == POLICY_SHARED ? explain_nobody(wish, tried)
                                                 : start_some(wish, &found);
        } else if (code != RATS_SUCCESS) {
            code = error_set(code, "%s", tried);
        }
    }
    if (code == RATS_SUCCESS) {
        error_clear();
        *ret_found = found;
    }
    return code;
}

int instance_restart(const struct instance_wish *wish, const char *path,
                     struct instance_found *ret_found)
{
    struct instance_found found = {.fd = -1, .log_fd = -1};
    char runtime[SOCKET_PATH_SIZE];
    char expected[SOCKET_PATH_SIZE + 16];
    char error[ERROR_TEXT_SIZE];
    int lock = -1;
    if (runtime_dir_of_user(runtime, sizeof runtime) < 0 ||
        snprintf(expected, sizeof expected, "%s/default.sock", runtime) < 0 ||
        strcmp(path, expected) != 0) {
        return error_set(RATS_ERROR_NO_DAEMON, "%s is not the default instance of this user", path);
    }
    int code = make_directory(runtime);
    if (code == RATS_SUCCESS) {
        code = take_lock(wish, runtime, &lock);
    }
    if (code != RATS_SUCCESS) {
        return code;
    }
    code = try_socket(wish, path, 0, &found, error);
    if (code == RATS_ERROR_NO_DAEMON) {
        code = start_default(wish, runtime, &found);
    } else if (code != RATS_SUCCESS) {
        code = error_set(code, "%s", error);
    }
    (void)close(lock);
    if (code == RATS_SUCCESS) {
        *ret_found = found;
    }
    return code;
}
