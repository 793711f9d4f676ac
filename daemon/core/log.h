/* One line per event, to standard error: "<priority>topic: text" under a journal, time and level
 * in words on a terminal.
 *
 * The function that decides logs; the one that fails returns (style 7). error: an operator must
 * act. warn: we carried on, and how. info: a life event a stranger understands. debug: the rest.
 * No payloads, no keys. Text chosen by strangers goes through text_escape() first. What a remote
 * peer can provoke uses log_limited(). The level is the only global of the daemon. */
#ifndef RATSD_CORE_LOG_H
#define RATSD_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
const char *log_level_name(enum log_level level);                 /* "error" ... */
int log_level_parse(const char *name, enum log_level *ret_level); /* 0 or -EINVAL */

void log_write(enum log_level level, const char *topic, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_get_level() >= LOG_LEVEL_DEBUG) {                                                  \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                               \
        }                                                                                          \
    } while (0)

/* A token bucket of 10 lines, one more every second; when it lets a line through again it says how
 * many were held back. */
struct log_limit {
    int64_t next_ms;
    uint32_t tokens;
    uint32_t held_back;
    bool started;
};

void log_limited(struct log_limit *limit, int64_t now_ms, enum log_level level, const char *topic,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
