#include "stream.h"

#include <errno.h>
#include <string.h>

#define LEAST_ROOM ((size_t)16 * 1024) /* with less left, a chunk is done */
/* After a large frame another is likely: a short read shows its size before much of it is read
 * into a chunk that cannot hold it. */
#define CAUTIOUS_READ ((size_t)4 * 1024)

void stream_init(struct stream *stream)
{
    *stream = (struct stream){0};
}

void stream_fini(struct stream *stream, struct inbox *inbox)
{
    inbox_put_chunk(inbox, stream->chunk);
    stream_init(stream);
}

/* Moves the tail to the front of another chunk. 0 or -ENOMEM. */
static int move_to_chunk(struct stream *stream, struct inbox *inbox, size_t capacity)
{
    const size_t tail = stream->filled - stream->start;
    const size_t least = tail + LEAST_ROOM + 1;
    struct chunk *chunk = inbox_get_chunk(inbox, capacity < least ? least : capacity);
    if (chunk == NULL) {
        return -ENOMEM;
    }
    if (stream->chunk != NULL && tail > 0) {
        memcpy(chunk->data, stream->chunk->data + stream->start, tail);
    }
    inbox_put_chunk(inbox, stream->chunk);
    stream->chunk = chunk;
    stream->start = 0;
    stream->parsed = 0;
    stream->filled = tail;
    return 0;
}

uint8_t *stream_room(struct stream *stream, struct inbox *inbox, size_t *ret_space)
{
    const bool large = stream->expected > LARGE_FRAME;
    const size_t needed = large ? stream->expected + 1 : LEAST_ROOM + 1;
    if (stream->chunk == NULL ||
        stream->chunk->capacity - (large ? stream->start : stream->filled) < needed) {
        const size_t capacity = needed > CHUNK_SIZE ? needed : CHUNK_SIZE;
        if (move_to_chunk(stream, inbox, capacity) < 0) {
            return NULL;
        }
    }
    size_t space = stream->chunk->capacity - 1 - stream->filled;
    if (large) {
        space = stream->start + stream->expected - stream->filled;
    } else if (stream->after_large) {
        space = space < CAUTIOUS_READ ? space : CAUTIOUS_READ;
    }
    *ret_space = space;
    return stream->chunk->data + stream->filled;
}

void stream_filled(struct stream *stream, size_t size)
{
    stream->filled += size;
}

enum frame_status stream_next(struct stream *stream, struct frame *ret_frame)
{
    size_t size = 0;
    if (stream->filled == stream->parsed) {
        stream->expected = 0;
        return FRAME_INCOMPLETE;
    }
    const enum frame_status status = frame_decode(
        stream->chunk->data + stream->parsed, stream->filled - stream->parsed, ret_frame, &size);
    if (status == FRAME_OK) {
        stream->parsed += size;
        stream->after_large = size > LARGE_FRAME;
        stream->expected = 0;
    } else if (status == FRAME_INCOMPLETE) {
        stream->expected = size;
    }
    return status;
}

size_t stream_frame_start(const struct stream *stream, const struct frame *frame)
{
    return (size_t)(frame->head - FRAME_HEADER_SIZE - stream->chunk->data);
}

/* Moves what follows `end` by one byte, so that the byte behind the slice is nobody else's. */
static int leave_gap(struct stream *stream, struct inbox *inbox, size_t end)
{
    if (stream->filled + 1 >= stream->chunk->capacity) {
        stream->start = end;
        stream->parsed -= end;
        const size_t parsed = stream->parsed;
        const int rc = move_to_chunk(stream, inbox, CHUNK_SIZE);
        stream->parsed = parsed;
        return rc;
    }
    uint8_t *data = stream->chunk->data;
    memmove(data + end + 1, data + end, stream->filled - end);
    stream->start = end + 1;
    stream->parsed++;
    stream->filled++;
    return 0;
}

int stream_hand_over(struct stream *stream, struct inbox *inbox, size_t end, unsigned epoch,
                     bool wanted)
{
    if (end == stream->start) {
        return 0;
    }
    if (wanted) {
        bool joined;
        int rc =
            inbox_push(inbox, stream->chunk, stream->start, end - stream->start, epoch, &joined);
        if (rc < 0) {
            return rc;
        }
        if (!joined) {
            return leave_gap(stream, inbox, end);
        }
        /* Its last byte is free now: that is the gap. */
    } else if (stream->chunk->references == 1) {
        memmove(stream->chunk->data, stream->chunk->data + end, stream->filled - end);
        stream->parsed -= end;
        stream->filled -= end;
        stream->start = 0;
        return 0;
    }
    stream->start = end;
    return 0;
}
