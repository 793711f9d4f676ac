/* The bytes queued to one client, in order, with an account of how many of them are control
 * frames (replies, failures, events) and how many are messages: messages may be dropped for a slow
 * client, control frames never, so each kind has its own limit (design, Flow). */
#ifndef RATSD_IPC_BACKLOG_H
#define RATSD_IPC_BACKLOG_H

#include "util/buf.h"

enum backlog_kind {
    BACKLOG_CONTROL,
    BACKLOG_MESSAGE,
    BACKLOG_BODY, /* answers with a body: never dropped, but made only while few are unread */
    BACKLOG_KIND_COUNT,
};

/* A run of bytes of one kind. */
struct backlog_run {
    size_t size;
    enum backlog_kind kind;
};

struct backlog {
    struct buf bytes;
    size_t queued[BACKLOG_KIND_COUNT];
    struct backlog_run *runs; /* a ring */
    size_t first;
    size_t count;
    size_t capacity;
};

void backlog_init(struct backlog *backlog);
void backlog_fini(struct backlog *backlog);
/* Room for one whole frame of size bytes, to be filled at once. 0 or -ENOMEM. */
int backlog_add(struct backlog *backlog, enum backlog_kind kind, size_t size, uint8_t **ret_room);
/* The first size bytes were written. */
void backlog_consume(struct backlog *backlog, size_t size);

static inline size_t backlog_size(const struct backlog *backlog)
{
    return buf_size(&backlog->bytes);
}

#endif
