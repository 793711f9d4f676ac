#include "starter.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define LOG_FD        2
#define READY_FD      3
#define KEY_FD        4
#define HIGH_FD       10 /* our ends of pipes are above those the daemon gets */
#define EXIT_IDLE     "60"
#define DAEMON_OWNED  3 /* exit status of ratsd(8) */
#define LINE_SIZE     1024
#define MAX_ARGUMENTS 32
#define MAX_SETTINGS  4
#define SETTING_SIZE  (PATH_MAX + 32)

/* Only its address counts: it lies in the library. */
static const char anchor = 0;

/* The program ------------------------------------------------------------------------------- */

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

/* "<directory of this library>/<relative>". */
static bool find_near_library(const char *relative, char path[PATH_MAX])
{
    Dl_info info;
    char resolved[PATH_MAX];
    if (dladdr(&anchor, &info) == 0 || realpath(info.dli_fname, resolved) == NULL) {
        return false;
    }
    char *slash = strrchr(resolved, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    const int size = snprintf(path, PATH_MAX, "%s/%s", resolved, relative);
    return size > 0 && size < PATH_MAX && is_program(path);
}

static bool find_in_path(const char *name, char path[PATH_MAX])
{
    const char *list = getenv("PATH");
    while (list != NULL && *list != '\0') {
        const size_t length = strcspn(list, ":");
        const int size = snprintf(path, PATH_MAX, "%.*s/%s", (int)length, list, name);
        if (list[0] == '/' && size > 0 && size < PATH_MAX && is_program(path)) {
            return true;
        }
        list += length + (list[length] == ':');
    }
    return false;
}

/* RATSD; what is installed or built with this library; PATH. A program with more rights than its
 * caller does not let the caller choose. */
static bool find_program(char path[PATH_MAX])
{
    static const char *const near_library[] = {"../bin/ratsd", "../../bin/ratsd",
                                               "../daemon/ratsd"};
    const char *given = secure_getenv("RATSD");
    if (given != NULL && given[0] != '\0') {
        if (strchr(given, '/') == NULL) {
            return find_in_path(given, path);
        }
        return realpath(given, path) != NULL && is_program(path);
    }
    if (getauxval(AT_SECURE) == 0) {
        for (size_t i = 0; i < sizeof near_library / sizeof near_library[0]; i++) {
            if (find_near_library(near_library[i], path)) {
                return true;
            }
        }
    }
    if (is_program(RATSD_INSTALLED)) {
        snprintf(path, PATH_MAX, "%s", RATSD_INSTALLED);
        return true;
    }
    return getauxval(AT_SECURE) == 0 && find_in_path("ratsd", path);
}

/* Arguments and environment ----------------------------------------------------------------- */

struct command {
    char program[PATH_MAX];
    char settings[MAX_SETTINGS][SETTING_SIZE];
    size_t setting_count;
    const char *words[MAX_ARGUMENTS];
    size_t count;
};

static void add(struct command *command, const char *first, const char *second)
{
    command->words[command->count++] = first;
    if (second != NULL) {
        command->words[command->count++] = second;
    }
}

__attribute__((format(printf, 2, 3))) static void set(struct command *command, const char *format,
                                                      ...)
{
    char *text = command->settings[command->setting_count++];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, SETTING_SIZE, format, arguments);
    va_end(arguments);
    add(command, "--set", text);
}

static void build_command(const struct starter_options *options, struct command *command)
{
    add(command, command->program, "--background");
    add(command, "--ready-fd", "3");
    if (options->key != NULL) {
        add(command, "--identity-fd", "4");
    }
    add(command, "--instance", options->name);
    add(command, "--runtime-dir", options->runtime);
    add(command, "--socket", options->socket);
    if (options->state_dir != NULL) {
        add(command, "--state-dir", options->state_dir);
    }
    if (options->is_private) {
        add(command, "--private", NULL);
        set(command, "network.port=%d", options->port);
    } else {
        add(command, "--exit-idle", EXIT_IDLE);
    }
    if (options->bind_address != NULL) {
        set(command, "network.listen=%s", options->bind_address);
    }
    if (options->protocol != NULL) {
        set(command, "network.protocol=%s", options->protocol);
    }
    if (options->security >= 0) {
        set(command, "network.security=%s", options->security == 0 ? "plaintext" : "noise");
    }
    command->words[command->count] = NULL;
}

/* What a service manager says to this process is not meant for the daemon. */
static bool is_for_us(const char *entry)
{
    static const char *const prefixes[] = {
        "NOTIFY_SOCKET=",     "LISTEN_",          "WATCHDOG_",
        "RUNTIME_DIRECTORY=", "STATE_DIRECTORY=", "CONFIGURATION_DIRECTORY=",
        "JOURNAL_STREAM="};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* Entries are borrowed from environ. NULL when out of memory. */
static char **copy_environment(void)
{
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 1, sizeof *copy);
    size_t kept = 0;
    for (size_t i = 0; copy != NULL && i < count; i++) {
        if (!is_for_us(environ[i])) {
            copy[kept++] = environ[i];
        }
    }
    return copy;
}

/* Running ----------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* Both ends where the daemon's own descriptors are not. 0 or a negative errno. */
static int make_pipe(int ends[2])
{
    int low[2];
    if (pipe2(low, O_CLOEXEC) < 0) {
        return -errno;
    }
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        ends[i] = fcntl(low[i], F_DUPFD_CLOEXEC, HIGH_FD);
        rc = ends[i] < 0 ? -errno : rc;
        (void)close(low[i]);
    }
    if (rc < 0) {
        close_fd(&ends[0]);
        close_fd(&ends[1]);
    }
    return rc;
}

/* What the daemon is given besides words. */
struct files {
    int log;   /* -1: the log goes into a file beside the socket */
    int ready; /* where it says that it is ready */
    int key;   /* where its key stands; -1 */
};

/* 0 or an errno. */
static int add_files(posix_spawn_file_actions_t *files, const struct starter_options *options,
                     const struct files *given)
{
    char log_path[PATH_MAX];
    snprintf(log_path, sizeof log_path, "%s/%s.log", options->runtime, options->name);
    int rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0) {
        rc = posix_spawn_file_actions_addopen(files, 1, "/dev/null", O_WRONLY, 0);
    }
    if (rc == 0) {
        rc = given->log >= 0 ? posix_spawn_file_actions_adddup2(files, given->log, LOG_FD)
                             : posix_spawn_file_actions_addopen(
                                   files, LOG_FD, log_path,
                                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0600);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(files, given->ready, READY_FD);
    }
    if (rc == 0 && given->key >= 0) {
        rc = posix_spawn_file_actions_adddup2(files, given->key, KEY_FD);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_addclosefrom_np(files,
                                                      given->key >= 0 ? KEY_FD + 1 : READY_FD + 1);
    }
    return rc == 0 ? posix_spawn_file_actions_addchdir_np(files, "/") : rc;
}

/* 0 or an errno. */
static int add_attributes(posix_spawnattr_t *attributes)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    int rc = posix_spawnattr_setsigmask(attributes, &signals);
    if (rc == 0) {
        (void)sigfillset(&signals);
        rc = posix_spawnattr_setsigdefault(attributes, &signals);
    }
    return rc == 0 ? posix_spawnattr_setflags(attributes,
                                              POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)
                   : rc;
}

static int run(const struct starter_options *options, struct command *command,
               const struct files *given, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    char **environment = copy_environment();
    if (environment == NULL) {
        return ENOMEM;
    }
    int rc = posix_spawn_file_actions_init(&files);
    if (rc == 0) {
        rc = posix_spawnattr_init(&attributes);
        if (rc == 0) {
            union {
                const char **in;
                char **out;
                char *const *words;
            } cast = {.in = command->words}; /* execve() does not change what they point to */
            rc = add_files(&files, options, given);
            rc = rc == 0 ? add_attributes(&attributes) : rc;
            rc = rc == 0 ? posix_spawn(ret_pid, command->program, &files, &attributes, cast.words,
                                       environment)
                         : rc;
            (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&files);
    }
    free(environment);
    return rc;
}

/* The one line of --ready-fd. 0; -ETIMEDOUT; -ECONNRESET when it ended without one. */
static int read_line(int fd, int64_t deadline_ms, char line[LINE_SIZE])
{
    size_t size = 0;
    while (size == 0 || line[size - 1] != '\n') {
        struct pollfd item = {.fd = fd, .events = POLLIN};
        const int ready = poll(&item, 1, clock_left_ms(deadline_ms));
        if (ready == 0) {
            return -ETIMEDOUT;
        }
        const ssize_t got = ready < 0 ? -1 : read(fd, line + size, LINE_SIZE - 1 - size);
        if (got == 0) {
            return -ECONNRESET;
        }
        size += got < 0 ? 0 : (size_t)got;
        if (size == LINE_SIZE - 1) {
            break;
        }
    }
    line[size - (line[size - 1] == '\n')] = '\0';
    return 0;
}

/* What the daemon says of its failure, and with which status it ends; NULL when the line says
 * something else. */
static const char *failure_in(const char *line, long *ret_status)
{
    static const char word[] = "failed ";
    char *end = NULL;
    if (strncmp(line, word, sizeof word - 1) != 0) {
        return NULL;
    }
    const char *number = line + sizeof word - 1;
    *ret_status = strtol(number, &end, 10);
    return end == number || *end != ' ' ? NULL : end + 1;
}

static int wait_ready(const struct starter_options *options, const char *program, int fd,
                      char error[ERROR_TEXT_SIZE])
{
    char line[LINE_SIZE];
    const int rc = read_line(fd, options->deadline_ms, line);
    if (rc == -ETIMEDOUT) {
        return error_note(error, RATS_ERROR_TIMEOUT, "%s was started but did not get ready",
                          program);
    }
    if (rc == 0 && strncmp(line, "ready ", 6) == 0) {
        return RATS_SUCCESS;
    }
    long status = 0;
    const char *why = rc == 0 ? failure_in(line, &status) : NULL;
    if (why != NULL) {
        return error_note(error,
                          status == DAEMON_OWNED ? RATS_ERROR_BUSY : RATS_ERROR_OPERATION_FAILED,
                          "%s did not start: %s", program, why);
    }
    return error_note(error, RATS_ERROR_OPERATION_FAILED,
                      "%s ended before it was ready; is it a ratsd of this version?", program);
}

/* The process that was started has only made another one. One that stays although it was given up
 * hangs, or is no ratsd: it is ended. SIGCHLD may be ignored here, then there is nobody to end. */
static void reap(pid_t pid, bool given_up)
{
    if (given_up && waitpid(pid, NULL, WNOHANG) == 0) {
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Its own ends of what it waits on and reads. The log's never wait: nobody waits for a log. */
static int make_pipes(const struct starter_options *options, int ready[2], int log[2], int key[2])
{
    int rc = make_pipe(ready);
    if (rc == 0 && options->is_private) {
        rc = make_pipe(log);
        for (int i = 0; i < 2 && rc == 0; i++) {
            rc = fcntl(log[i], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
        }
    }
    if (rc == 0 && options->key != NULL) {
        rc = make_pipe(key);
        /* A new pipe has room for it. */
        if (rc == 0 && write(key[1], options->key, KEY_SIZE) != (ssize_t)KEY_SIZE) {
            rc = -EIO;
        }
        close_fd(&key[1]);
    }
    return rc;
}

int starter_run(const struct starter_options *options, int *ret_log_fd, char error[ERROR_TEXT_SIZE])
{
    struct command *command = calloc(1, sizeof *command);
    int ready[2] = {-1, -1};
    int log[2] = {-1, -1};
    int key[2] = {-1, -1};
    pid_t pid = -1;
    if (command == NULL) {
        return error_note(error, RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    int code = RATS_SUCCESS;
    if (!find_program(command->program)) {
        code =
            error_note(error, RATS_ERROR_NO_DAEMON,
                       "no ratsd program is installed with this library or in PATH; install it, or "
                       "name it in the environment variable RATSD");
        goto out;
    }
    build_command(options, command);
    int rc = make_pipes(options, ready, log, key);
    if (rc == 0) {
        const struct files given = {.log = log[1], .ready = ready[1], .key = key[0]};
        rc = -run(options, command, &given, &pid);
    }
    if (rc < 0) {
        code = error_note(error, RATS_ERROR_OPERATION_FAILED, "cannot start %s: %s",
                          command->program, strerror(-rc));
        goto out;
    }
    close_fd(&ready[1]);
    code = wait_ready(options, command->program, ready[0], error);
    reap(pid, code != RATS_SUCCESS);
    if (code == RATS_SUCCESS) {
        *ret_log_fd = log[0];
        log[0] = -1;
    }
out:
    close_fd(&ready[0]);
    close_fd(&ready[1]);
    close_fd(&log[0]);
    close_fd(&log[1]);
    close_fd(&key[0]);
    close_fd(&key[1]);
    free(command);
    return code;
}
