#include "util/buf.h"

#include <errno.h>
#include <stdlib.h>

/* Below this much, growth is by doubling from here: small queues settle after one allocation. */
#define SMALLEST_CAPACITY 256
/* Not worth a copy to give back less than this. */
#define TRIM_SLACK 4096

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_fini(struct buf *buf)
{
    if (buf != NULL) {
        free(buf->data);
        buf_init(buf);
    }
}

static void move_to_front(struct buf *buf)
{
    if (buf->start > 0) {
        size_t size = buf_size(buf);
        memmove(buf->data, buf->data + buf->start, size);
        buf->start = 0;
        buf->end = size;
    }
}

/* Gives the content memory of exactly capacity bytes; capacity is at least its size and not 0. */
static int resize(struct buf *buf, size_t capacity)
{
    if (buf->data != NULL && buf->start > 0) {
        uint8_t *moved = malloc(capacity);
        if (moved == NULL) {
            return -ENOMEM;
        }
        size_t size = buf_size(buf);
        if (size > 0) {
            memcpy(moved, buf->data + buf->start, size);
        }
        free(buf->data);
        *buf = (struct buf){.data = moved, .end = size, .capacity = capacity};
        return 0;
    }
    /* Content already at the front: realloc may extend in place, and remaps large ones. */
    uint8_t *grown = realloc(buf->data, capacity);
    if (grown == NULL) {
        return -ENOMEM;
    }
    buf->data = grown;
    buf->capacity = capacity;
    return 0;
}

int buf_reserve(struct buf *buf, size_t size, uint8_t **ret_room)
{
    size_t content = buf_size(buf);
    if (buf->data == NULL || buf_room(buf) < size) {
        if (size > SIZE_MAX / 2 - content) {
            return -ENOMEM;
        }
        /* Moving costs the content's size, so it must be paid for by as much consumed. */
        if (buf->data != NULL && buf->capacity - content >= size && buf->start >= content) {
            move_to_front(buf);
        } else {
            size_t capacity = content + content / 2;
            capacity = capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : capacity;
            capacity = capacity < content + size ? content + size : capacity;
            int rc = resize(buf, capacity);
            if (rc != 0) {
                return rc;
            }
        }
    }
    *ret_room = buf->data + buf->end;
    return 0;
}

int buf_append(struct buf *buf, struct bytes from)
{
    if (from.size == 0) {
        return 0;
    }
    uint8_t *room = NULL;
    int rc = buf_reserve(buf, from.size, &room);
    if (rc != 0) {
        return rc;
    }
    memcpy(room, from.data, from.size);
    buf_commit(buf, from.size);
    return 0;
}

void buf_consume(struct buf *buf, size_t size)
{
    if (size >= buf_size(buf)) {
        buf->start = 0;
        buf->end = 0;
    } else {
        buf->start += size;
    }
}

void buf_trim(struct buf *buf, size_t keep)
{
    size_t content = buf_size(buf);
    if (content == 0 && keep == 0) {
        buf_fini(buf);
        return;
    }
    if (content > 0 && buf->capacity / 4 < content + TRIM_SLACK) {
        return;
    }
    size_t wanted = content < keep ? keep : content;
    if (buf->capacity > wanted) {
        (void)resize(buf, wanted); /* refused: the memory simply stays */
    }
}
