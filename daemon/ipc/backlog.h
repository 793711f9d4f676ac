/* The bytes queued to one client, in order, with an account of how many of them are control
 * frames (replies, failures, events) and how many are messages: messages may be dropped for a slow
 * client, control frames never, so each kind has its own limit (design, Flow). */
#ifndef RATSD_IPC_BACKLOG_H
#define RATSD_IPC_BACKLOG_H

#include <sys/uio.h>

#include "util/buf.h"

enum backlog_kind {
    BACKLOG_CONTROL,
    BACKLOG_MESSAGE,
    BACKLOG_BODY, /* answers with a body: never dropped, but made only while few are unread */
    BACKLOG_KIND_COUNT,
};

#define BACKLOG_MAX_LOANS 62 /* views at a time; more are copied */
#define BACKLOG_MAX_PARTS (2 * BACKLOG_MAX_LOANS + 1)

/* Bytes that were not copied: they stand behind the first `at` bytes of our own. */
struct backlog_loan {
    size_t at;
    struct bytes view;
};

/* A run of bytes of one kind. */
struct backlog_run {
    size_t size;
    enum backlog_kind kind;
};

struct backlog {
    struct buf bytes;
    struct backlog_loan *loans; /* BACKLOG_MAX_LOANS of them while there is one; NULL */
    size_t loan_count;
    size_t lent; /* bytes in them */
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
/* The same for a frame whose body lies elsewhere and stays there until backlog_keep(): room only
 * for its head. */
int backlog_lend(struct backlog *backlog, enum backlog_kind kind, size_t head_size,
                 struct bytes body, uint8_t **ret_head);
/* Copies what is still lent. 0 or -ENOMEM. */
int backlog_keep(struct backlog *backlog);
/* All bytes in order, as so many parts of at most BACKLOG_MAX_PARTS. */
size_t backlog_parts(const struct backlog *backlog, struct iovec *ret_parts);
/* The first size bytes were written. */
void backlog_consume(struct backlog *backlog, size_t size);

static inline size_t backlog_size(const struct backlog *backlog)
{
    return buf_size(&backlog->bytes) + backlog->lent;
}

#endif
