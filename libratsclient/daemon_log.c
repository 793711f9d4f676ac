#include "daemon_log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* "2026-01-01T00:00:00.000Z info  topic: text" of ratsd(8): our log has its own time and level. */
static void pass_on(const char *line)
{
    static const struct {
        const char *word;
        enum log_level level;
    } levels[] = {
        {"error ", LOG_ERROR}, {"warn ", LOG_WARN}, {"info ", LOG_INFO}, {"debug ", LOG_DEBUG}};
    const char *text = strchr(line, ' ');
    for (size_t i = 0; text != NULL && i < sizeof levels / sizeof levels[0]; i++) {
        const size_t length = strlen(levels[i].word);
        if (strncmp(text + 1, levels[i].word, length) == 0) {
            text += 1 + length;
            text += strspn(text, " ");
            log_write(levels[i].level, "ratsd: %s", text);
            return;
        }
    }
    log_write(LOG_WARN, "ratsd: %s", line); /* a sanitizer's word, say */
}

static void take_lines(struct daemon_log *log)
{
    char *end;
    while ((end = memchr(log->line, '\n', log->size)) != NULL || log->size == sizeof log->line) {
        const size_t length = end == NULL ? log->size - 1 : (size_t)(end - log->line);
        log->line[length] = '\0';
        pass_on(log->line);
        log->size -= length + 1;
        memmove(log->line, log->line + length + 1, log->size);
    }
}

void daemon_log_read(struct daemon_log *log)
{
    while (log->fd >= 0) {
        const ssize_t got = read(log->fd, log->line + log->size, sizeof log->line - log->size);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            daemon_log_close(log);
        } else if (got < 0) {
            return;
        } else {
            log->size += (size_t)got;
            take_lines(log);
        }
    }
}

void daemon_log_close(struct daemon_log *log)
{
    if (log->fd >= 0) {
        (void)close(log->fd);
        log->fd = -1;
    }
}
