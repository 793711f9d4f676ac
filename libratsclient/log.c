#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "librats.h"

#define LINE_SIZE     1024
#define MAX_RETENTION 1000

/* The settings of api.md 3.4 and the open file; all under lock. */
static struct {
    pthread_mutex_t lock;
    enum log_level level;
    bool file_enabled;
    bool colors;
    bool timestamps;
    size_t rotation_size;
    int retention;
    char path[PATH_MAX];
    int fd;
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .level = LOG_WARN,
    .colors = true,
    .timestamps = true,
    .rotation_size = (size_t)10 * 1024 * 1024,
    .retention = 5,
    .fd = -1,
};

void log_before_fork(void)
{
    (void)pthread_mutex_lock(&state.lock);
}

void log_after_fork(void)
{
    (void)pthread_mutex_unlock(&state.lock);
}

static void make_directories(const char *path)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return; /* opening the file will tell */
        }
    }
}

static void close_file(void)
{
    if (state.fd >= 0) {
        (void)close(state.fd);
        state.fd = -1;
    }
}

/* 0 or a negative errno. */
static int open_file(void)
{
    close_file();
    if (!state.file_enabled || state.path[0] == '\0') {
        return 0;
    }
    make_directories(state.path);
    state.fd = open(state.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    return state.fd < 0 ? -errno : 0;
}

/* PATH.1 becomes PATH.2 and so on; what is beyond the number to keep goes. */
static void rotate(void)
{
    char from[PATH_MAX + 16];
    char to[PATH_MAX + 16];
    for (int i = state.retention; i >= 0; i--) {
        snprintf(from, sizeof from, i == 0 ? "%s" : "%s.%d", state.path, i);
        snprintf(to, sizeof to, "%s.%d", state.path, i + 1);
        if (i == state.retention) {
            (void)unlink(from);
        } else {
            (void)rename(from, to);
        }
    }
    (void)open_file();
}

/* The log has nobody to report its own failures to. */
static void write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(fd, text, size);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return;
        }
        text += written;
        size -= (size_t)written;
    }
}

static void write_file(const char *line, size_t size)
{
    if (state.fd < 0) {
        return;
    }
    struct stat info;
    if (state.rotation_size != 0 && fstat(state.fd, &info) == 0 && info.st_size > 0 &&
        (size_t)info.st_size + size > state.rotation_size) {
        rotate();
    }
    if (state.fd >= 0) {
        write_all(state.fd, line, size);
    }
}

static size_t format_time(char *out, size_t size)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &parts) == NULL) {
        return 0;
    }
    size_t used = strftime(out, size, "%Y-%m-%d %H:%M:%S", &parts);
    const int more = snprintf(out + used, size - used, ".%03ld ", now.tv_nsec / 1000000);
    return more < 0 ? used : used + (size_t)more;
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
    static const char *const colors[] = {"\033[36m", "\033[32m", "\033[33m", "\033[31m"};
    (void)pthread_mutex_lock(&state.lock);
    if (level < state.level) {
        (void)pthread_mutex_unlock(&state.lock);
        return;
    }
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    char moment[64] = "";
    const size_t moment_size = format_time(moment, sizeof moment);
    char line[LINE_SIZE + 128];
    int size = snprintf(line, sizeof line, "%.*s%s librats: %s\n", (int)moment_size, moment,
                        names[level], text);
    if (size > 0) {
        write_file(line, (size_t)size);
    }
    const bool colored = state.colors && isatty(STDERR_FILENO) == 1;
    size = snprintf(line, sizeof line, "%s%s%s%s librats: %s\n", state.timestamps ? moment : "",
                    colored ? colors[level] : "", names[level], colored ? "\033[0m" : "", text);
    if (size > 0) {
        write_all(STDERR_FILENO, line, (size_t)size);
    }
    (void)pthread_mutex_unlock(&state.lock);
}

bool log_allowed(struct log_limit *limit, uint64_t *ret_skipped)
{
    const int64_t now = clock_now_ms();
    if (now < limit->next_ms) {
        limit->skipped++;
        return false;
    }
    limit->next_ms = now + 1000;
    *ret_skipped = limit->skipped;
    limit->skipped = 0;
    return true;
}

/* The public setters ------------------------------------------------------------------------ */

void rats_set_logging_enabled(int enabled)
{
    error_clear();
    (void)pthread_mutex_lock(&state.lock);
    state.file_enabled = enabled != 0;
    const int rc = open_file();
    (void)pthread_mutex_unlock(&state.lock);
    if (rc < 0) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "the log file cannot be opened: %s",
                        strerror(-rc));
    }
}

void rats_set_log_level(const char *level)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"DEBUG", LOG_DEBUG}, {"WARN", LOG_WARN}, {"WARNING", LOG_WARN}, {"ERROR", LOG_ERROR}};
    error_clear();
    if (level == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the log level is NULL");
        return;
    }
    enum log_level chosen = LOG_INFO;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcasecmp(level, levels[i].name) == 0) {
            chosen = levels[i].level;
        }
    }
    (void)pthread_mutex_lock(&state.lock);
    state.level = chosen;
    (void)pthread_mutex_unlock(&state.lock);
}

/* Whether the handle is there; the last error is set accordingly. */
static bool check_handle(rats_client_t client)
{
    error_clear();
    if (client == NULL) {
        (void)error_set(RATS_ERROR_INVALID_HANDLE, "the handle is NULL");
    }
    return client != NULL;
}

void rats_set_log_file_path(rats_client_t client, const char *path)
{
    if (!check_handle(client)) {
        return;
    }
    if (path == NULL || strlen(path) >= sizeof state.path) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the path is NULL or too long");
        return;
    }
    (void)pthread_mutex_lock(&state.lock);
    memcpy(state.path, path, strlen(path) + 1);
    const int rc = open_file();
    (void)pthread_mutex_unlock(&state.lock);
    if (rc < 0) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "the log file cannot be opened: %s",
                        strerror(-rc));
    }
}

char *rats_get_log_file_path(rats_client_t client)
{
    if (!check_handle(client)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&state.lock);
    char *path = strdup(state.path);
    (void)pthread_mutex_unlock(&state.lock);
    if (path == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    return path;
}

static void set_flag(rats_client_t client, bool *flag, int enabled)
{
    if (check_handle(client)) {
        (void)pthread_mutex_lock(&state.lock);
        *flag = enabled != 0;
        (void)pthread_mutex_unlock(&state.lock);
    }
}

static int get_flag(rats_client_t client, const bool *flag)
{
    if (!check_handle(client)) {
        return 0;
    }
    (void)pthread_mutex_lock(&state.lock);
    const bool value = *flag;
    (void)pthread_mutex_unlock(&state.lock);
    return value ? 1 : 0;
}

void rats_set_log_colors_enabled(rats_client_t client, int enabled)
{
    set_flag(client, &state.colors, enabled);
}

int rats_is_log_colors_enabled(rats_client_t client)
{
    return get_flag(client, &state.colors);
}

void rats_set_log_timestamps_enabled(rats_client_t client, int enabled)
{
    set_flag(client, &state.timestamps, enabled);
}

int rats_is_log_timestamps_enabled(rats_client_t client)
{
    return get_flag(client, &state.timestamps);
}

void rats_set_log_rotation_size(rats_client_t client, size_t size_bytes)
{
    if (check_handle(client)) {
        (void)pthread_mutex_lock(&state.lock);
        state.rotation_size = size_bytes;
        (void)pthread_mutex_unlock(&state.lock);
    }
}

void rats_set_log_retention_count(rats_client_t client, int count)
{
    if (check_handle(client)) {
        (void)pthread_mutex_lock(&state.lock);
        state.retention = count < 0 ? 0 : count > MAX_RETENTION ? MAX_RETENTION : count;
        (void)pthread_mutex_unlock(&state.lock);
    }
}

void rats_clear_log_file(rats_client_t client)
{
    if (!check_handle(client)) {
        return;
    }
    (void)pthread_mutex_lock(&state.lock);
    if (state.path[0] != '\0' && truncate(state.path, 0) != 0 && errno != ENOENT) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "the log file cannot be emptied: %s",
                        strerror(errno));
    }
    (void)pthread_mutex_unlock(&state.lock);
}
