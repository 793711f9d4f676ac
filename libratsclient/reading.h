/* Whose turn it is to read the socket.
 *
 * One thread reads at a time. A deliverer (the dispatcher, or a thread in rats_take_batch()) that
 * has nothing to deliver reads for itself: what it finds it delivers at once, without another
 * thread being woken on the way. While the deliverers are busy it is the reader thread's turn, so
 * that answers arrive and the mirror is kept however long a callback takes. The reader thread also
 * takes the turn for what only it does: attaching again, moving, leaving.
 *
 * Taking turns must not wake anybody: the reader thread waits in an epoll set, and the deliverer
 * takes the socket out of it and puts it back. The socket is watched with EPOLLONESHOT, `armed` is
 * what for.
 *
 * Everything under the handle's lock. Easy to break: whoever changes what a waiting deliverer looks
 * at calls reading_interrupt(). */
#ifndef LIBRATS_READING_H
#define LIBRATS_READING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

struct reading {
    int epoll_fd; /* the reader thread's */
    int kick_fd;  /* ends a deliverer's poll() */
    uint32_t armed;
    bool by_deliverer;
    bool by_reader;
    bool wanted;         /* the reader thread waits for its turn */
    bool kicked;         /* kick_fd is readable */
    int error;           /* a deliverer found the connection to be over; a negative errno */
    pthread_cond_t free; /* the deliverer has left */
};

/* What the reader thread is woken for. */
enum reading_source { SOURCE_SOCKET, SOURCE_WAKE, SOURCE_LOG };

/* 0 or a negative errno; nothing to undo then. */
int reading_init(struct reading *reading, int wake_fd);
void reading_fini(struct reading *reading);

/* (locked) The reader thread's set gets a descriptor, or loses it before it is closed. */
int reading_add(struct reading *reading, enum reading_source source, int fd);
void reading_remove(struct reading *reading, int fd);

/* (locked) For the reader thread. */
/* Takes the turn, waits for a deliverer to leave first. */
void reading_claim(struct client *client);
/* Gives the turn back and waits until there is something to do; returns a mask of 1 << source.
 * With the socket in it the turn is the reader's again. The lock is released meanwhile. */
unsigned reading_wait(struct client *client);

/* (locked) For deliverers: waits until there may be something in the inbox, or something else has
 * changed. 0, or -ETIMEDOUT. */
int reading_await(struct client *client, int64_t deadline_ms);
/* (locked) Every waiting deliverer looks at the handle's state again. */
void reading_interrupt(struct client *client);

#endif
