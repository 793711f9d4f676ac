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

bool daemon_log_read(struct daemon_log *log)
{
    ssize_t got = 0;
    while (log->fd >= 0 &&
           (got = read(log->fd, log->line + log->size, sizeof log->line - log->size)) > 0) {
        log->size += (size_t)got;
        take_lines(log);
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

void daemon_log_close(struct daemon_log *log)
{
    if (log->fd >= 0) {
        (void)close(log->fd);
        log->fd = -1;
    }
}
