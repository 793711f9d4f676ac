/* The bytes of the socket on their way into the inbox: read into a chunk, cut into frames, handed
 * over as slices; the incomplete tail stays.
 *
 *     room = stream_room(...); n = recv(fd, room, space); stream_filled(&stream, n);
 *     while (stream_next(&stream, &frame) == FRAME_OK) { look at the frame }
 *     stream_hand_over(&stream, inbox, stream.parsed, epoch, wanted);
 *
 * A frame larger than LARGE_FRAME is read to its last byte and no further, into a chunk with room
 * for all of it, so that it is not copied again. Owned by the reader thread; the inbox is locked
 * by the caller where one is passed. */
#ifndef LIBRATS_STREAM_H
#define LIBRATS_STREAM_H

#include "inbox.h"
#include "proto/frame.h"

#define LARGE_FRAME ((size_t)64 * 1024)

struct stream {
    struct chunk *chunk;
    size_t start;    /* first byte not handed over */
    size_t parsed;   /* end of the whole frames seen */
    size_t filled;   /* end of the bytes read */
    size_t expected; /* total size of the frame at `parsed`, once its header is there; else 0 */
    bool after_large;
};

void stream_init(struct stream *stream);
void stream_fini(struct stream *stream, struct inbox *inbox);

/* Where to read to. Only after everything parsed was handed over. NULL when out of memory. */
uint8_t *stream_room(struct stream *stream, struct inbox *inbox, size_t *ret_space);
void stream_filled(struct stream *stream, size_t size);
/* The next whole frame, FRAME_INCOMPLETE, or what is wrong with the bytes. The frame's pointers are
 * valid until the next call with this stream. */
enum frame_status stream_next(struct stream *stream, struct frame *ret_frame);
/* Offset of the frame that stream_next() just returned. */
size_t stream_frame_start(const struct stream *stream, const struct frame *frame);
/* Everything before `end` (at most parsed) goes to the inbox if wanted, else away. 0 or -ENOMEM. */
int stream_hand_over(struct stream *stream, struct inbox *inbox, size_t end, unsigned epoch,
                     bool wanted);

#endif
