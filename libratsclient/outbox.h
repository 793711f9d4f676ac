/* What goes to the daemon: frames appended by any thread, written by whoever finds nobody writing.
 *
 * Group commit: a sender that finds a writer at work only appends and returns; the writer takes all
 * that was gathered with one system call. Two buffers: senders append to `fill` under the handle's
 * lock, the writer empties `drain` without it. A frame of which a byte has gone out is always
 * finished, by this writer or the next: half a frame would end the session. When the socket is full
 * and the writer's own frame is out, the rest is left to the reader thread (outbox_continue()).
 *
 * One sender in a hurry gets the same: once OUTBOX_BURST small frames have followed each other
 * without a pause, the next ones are only appended and the reader thread writes them, or the sender
 * itself when OUTBOX_DIRECT bytes have gathered. The first frame after a pause always goes out at
 * once, so a question and its answer never wait.
 *
 * Descriptors travel with the first byte of their frame (rats-ipc(7), Frame): a parcel says at
 * which byte of the stream, and no write reaches past the next parcel's byte. They are the outbox's
 * from the moment they are given and closed once they are out, or never will be.
 *
 * Every function expects the handle's lock to be held, and may release it while it waits or writes,
 * but for outbox_queue().
 */
#ifndef LIBRATS_OUTBOX_H
#define LIBRATS_OUTBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/list.h"

#define OUTBOX_MARK ((size_t)1024 * 1024) /* appended and not written: senders wait above it */
#define OUTBOX_DIRECT                                                                              \
    ((size_t)16 * 1024) /* larger payloads are written from the caller's memory                    \
                         */
#define OUTBOX_TIMEOUT_MS 10000
#define OUTBOX_BURST      16
#define OUTBOX_PAUSE_NS   20000 /* ends a burst */

struct outbox {
    pthread_mutex_t *lock; /* borrowed */
    pthread_cond_t room;   /* a writer left, or the connection broke */
    struct buf fill;
    struct buf drain;
    struct list parcels; /* descriptors that are not out yet, in the order of the stream */
    int fd;              /* borrowed; -1 while there is no connection */
    bool writing;        /* somebody is the writer */
    bool broken;         /* the connection is of no use any more */
    int timeout_ms;      /* how long a send waits for a full socket */
    uint64_t accepted;   /* bytes taken from senders since outbox_attach() */
    uint64_t written;    /* of those, bytes the kernel has */
    int64_t last_send_ns;
    unsigned burst;             /* small frames since the last pause */
    bool told;                  /* on_left() was called and nobody has written since */
    void (*on_left)(void *arg); /* something is left for outbox_continue() */
    void *arg;
};

/* 0 or a negative errno. */
int outbox_init(struct outbox *outbox, pthread_mutex_t *lock, void (*on_left)(void *arg),
                void *arg);
void outbox_fini(struct outbox *outbox);

void outbox_attach(struct outbox *outbox, int fd);
/* Fails everybody who waits, drops what is left, and returns once nobody uses the descriptor. */
void outbox_detach(struct outbox *outbox);

/* One frame: head and payload. 0: it is in order behind all earlier ones and will go out whole.
 * -ENOTCONN: no connection. -ETIMEDOUT: the socket took nothing of it in time; it is not sent.
 * -ENOMEM: not sent. */
int outbox_send(struct outbox *outbox, struct bytes head, struct bytes payload);
/* The same for a small frame that must not wait for room: calls and cancels. */
int outbox_post(struct outbox *outbox, struct bytes frame);
/* The same with at most FRAME_MAX_FDS descriptors, taken whatever it returns. */
int outbox_post_with(struct outbox *outbox, struct bytes frame, const int *fds, size_t count);

/* The same for one that others will write: the lock is never released, so that what is said of each
 * entry of a table may be said while walking it. */
int outbox_queue(struct outbox *outbox, struct bytes frame);

/* Whether somebody should write when the socket can take more. */
bool outbox_has_left(const struct outbox *outbox);
/* Writes what the socket takes now. */
void outbox_continue(struct outbox *outbox);
/* Until everything is written, the deadline passes (-ETIMEDOUT) or the connection breaks
 * (-ENOTCONN). */
int outbox_flush(struct outbox *outbox, int64_t deadline_ms);

#endif
