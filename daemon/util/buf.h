/* A growable queue of bytes: appended at the end, consumed at the front.
 *
 * One allocation, moved to the front only when the tail has no room, so appending and consuming
 * are amortised constant time per byte. An empty buf owns no memory unless it was told to keep
 * some: idle connections cost nothing. Growth may fail (-ENOMEM): callers cap sizes from outside
 * before they ask. Any append or reserve may move the bytes; views into a buf end there. */
#ifndef RATSD_UTIL_BUF_H
#define RATSD_UTIL_BUF_H

#include "util/bytes.h"

struct buf {
    uint8_t *data;
    size_t start;
    size_t end;
    size_t capacity;
};

void buf_init(struct buf *buf);
/* Frees the memory; the buf is empty and usable again. */
void buf_fini(struct buf *buf);

static inline size_t buf_size(const struct buf *buf)
{
    return buf->end - buf->start;
}

static inline struct bytes buf_view(const struct buf *buf)
{
    return bytes_make(buf->data == NULL ? NULL : buf->data + buf->start, buf_size(buf));
}

/* Makes room for size more bytes at the end. 0, or -ENOMEM with the buf unchanged. On success
 * *ret_room is where they go; buf_commit() makes them part of the content. */
int buf_reserve(struct buf *buf, size_t size, uint8_t **ret_room);

static inline size_t buf_room(const struct buf *buf)
{
    return buf->capacity - buf->end;
}

static inline void buf_commit(struct buf *buf, size_t size)
{
    buf->end += size;
}

/* Reserve, copy, commit. 0 or -ENOMEM. */
int buf_append(struct buf *buf, struct bytes from);

/* Drops size bytes from the front (at most the whole content). */
void buf_consume(struct buf *buf, size_t size);

/* When empty, gives back memory beyond keep bytes of capacity; when far larger than its content,
 * shrinks. Never fails and never loses content. */
void buf_trim(struct buf *buf, size_t keep);

#endif
