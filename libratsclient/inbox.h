/* What came from the daemon and waits for the application: slices of the memory it was read into.
 *
 * A chunk is a piece of memory the reader fills; a slice is a run of whole frames in one. Chunks
 * are counted references: the reader holds one for the chunk it fills, every slice one more. The
 * byte behind a slice belongs to whoever holds the slice, so that a text at its end can be
 * terminated in place; the reader leaves a gap of one byte and only closes it while the slice still
 * waits.
 *
 * Everything under the handle's lock. `bytes` counts what waits and what is held. */
#ifndef LIBRATS_INBOX_H
#define LIBRATS_INBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/list.h"

#define CHUNK_SIZE   ((size_t)256 * 1024)
#define INBOX_MARK   ((size_t)4 * 1024 * 1024)  /* above it the reader pauses */
#define INBOX_MOST   ((size_t)64 * 1024 * 1024) /* above it messages are dropped and counted */
#define INBOX_SPARES 4

struct chunk {
    unsigned references;
    size_t capacity;
    uint8_t data[];
};

struct slice {
    struct list link;
    struct chunk *chunk;
    size_t offset;
    size_t size;
    unsigned epoch; /* the rats_start() it belongs to */
};

struct inbox {
    struct list waiting;
    struct list held; /* taken and not released */
    size_t bytes;
    pthread_cond_t arrived;
    int event_fd; /* readable while something waits; -1 when nobody asked for one */
    struct chunk *spares[INBOX_SPARES];
    size_t spare_count;
};

/* 0 or a negative errno. */
int inbox_init(struct inbox *inbox);
void inbox_fini(struct inbox *inbox);

/* A chunk of at least that capacity with one reference; NULL when out of memory. */
struct chunk *inbox_get_chunk(struct inbox *inbox, size_t capacity);
void inbox_put_chunk(struct inbox *inbox, struct chunk *chunk);

/* Queues chunk[offset, offset + size). When the last slice still waits, ends one byte earlier and
 * is of the same epoch, the gap is closed and the slice grows: *ret_joined, and the data now begins
 * one byte earlier. 0 or -ENOMEM. */
int inbox_push(struct inbox *inbox, struct chunk *chunk, size_t offset, size_t size, unsigned epoch,
               bool *ret_joined);
/* Queues a copy of bytes as a slice of its own. 0 or -ENOMEM. */
int inbox_push_copy(struct inbox *inbox, struct bytes from, unsigned epoch);
/* The oldest slice, now held by the caller; NULL. */
struct slice *inbox_take(struct inbox *inbox);
void inbox_release(struct inbox *inbox, struct slice *slice);
/* The held slice whose bytes begin there; NULL. */
struct slice *inbox_find_held(struct inbox *inbox, const void *data);
/* Drops what waits. */
void inbox_purge(struct inbox *inbox);
/* event_fd, made by the first who asks; a negative errno. */
int inbox_event_fd(struct inbox *inbox);
/* Makes event_fd readable although nothing waits: the handle is closing. */
void inbox_alarm(struct inbox *inbox);

static inline uint8_t *slice_data(const struct slice *slice)
{
    return slice->chunk->data + slice->offset;
}

#endif
