#include "core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE     1024
#define LIMIT_TOKENS  10
#define LIMIT_STEP_MS 1000

static enum log_level current_level = LOG_LEVEL_INFO;

static const struct {
    const char *name;
    int priority; /* of syslog(3), as sd-daemon(3) prefixes want it */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARN] = {"warn", 4},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

void log_set_level(enum log_level level)
{
    current_level = level;
}

enum log_level log_get_level(void)
{
    return current_level;
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(name, levels[i].name) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* systemd.exec(5): JOURNAL_STREAM is the device and inode of the stream the journal reads. Compared
 * each time because it is inherited by those whose standard error goes elsewhere. */
static bool goes_to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[64];
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, own) == 0;
}

static size_t put_prefix(char *line, size_t size, enum log_level level, const char *topic)
{
    if (goes_to_journal()) {
        return (size_t)snprintf(line, size, "<%d>%.64s: ", levels[level].priority, topic);
    }
    struct timespec now;
    struct tm utc;
    char date[32];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    return (size_t)snprintf(line, size, "%s.%03ldZ %-5s %.64s: ", date, now.tv_nsec / 1000000,
                            levels[level].name, topic);
}

/* Cuts text to size bytes at a whole character and shows that something is missing. */
static size_t cut(char *text, size_t size)
{
    size -= 3;
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80) {
        size--;
    }
    memset(text + size, '.', 3);
    return size + 3;
}

static void write_line(enum log_level level, const char *topic, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static void write_line(enum log_level level, const char *topic, const char *format, va_list args)
{
    int saved_errno = errno;
    char line[LINE_SIZE + 1];
    size_t prefix = put_prefix(line, sizeof line, level, topic);
    size_t room = LINE_SIZE - prefix; /* for the text and its newline */
    int wanted = vsnprintf(line + prefix, room + 1, format, args);
    size_t size = wanted < 0 ? 0 : (size_t)wanted;
    if (size > room - 1) {
        size = cut(line + prefix, room - 1);
    }
    for (size_t i = 0; i < prefix + size; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte < 0x20 || byte == 0x7f) {
            line[i] = ' ';
        }
    }
    line[prefix + size] = '\n';
    /* One write, so that lines of several processes do not mix. A log that cannot be written has
     * nobody to be told about it. */
    ssize_t written = write(STDERR_FILENO, line, prefix + size + 1);
    (void)written;
    errno = saved_errno;
}

void log_write(enum log_level level, const char *topic, const char *format, ...)
{
    if (level > current_level) {
        return;
    }
    va_list args;
    va_start(args, format);
    write_line(level, topic, format, args);
    va_end(args);
}

static void refill(struct log_limit *limit, int64_t now_ms)
{
    if (!limit->started) {
        limit->started = true;
        limit->tokens = LIMIT_TOKENS;
        limit->next_ms = now_ms + LIMIT_STEP_MS;
        return;
    }
    if (now_ms < limit->next_ms) {
        return;
    }
    int64_t earned = 1 + (now_ms - limit->next_ms) / LIMIT_STEP_MS;
    limit->next_ms += earned * LIMIT_STEP_MS;
    limit->tokens = earned >= LIMIT_TOKENS - (int64_t)limit->tokens
                        ? LIMIT_TOKENS
                        : limit->tokens + (uint32_t)earned;
}

void log_limited(struct log_limit *limit, int64_t now_ms, enum log_level level, const char *topic,
                 const char *format, ...)
{
    if (level > current_level) {
        return;
    }
    refill(limit, now_ms);
    if (limit->tokens == 0) {
        limit->held_back++;
        return;
    }
    limit->tokens--;
    if (limit->held_back > 0) {
        log_write(level, topic, "%u similar lines held back", limit->held_back);
        limit->held_back = 0;
    }
    va_list args;
    va_start(args, format);
    write_line(level, topic, format, args);
    va_end(args);
}
