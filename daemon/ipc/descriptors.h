/* Descriptors that came over a client's socket, until the frame they belong to takes them.
 *
 * They are attached to the first byte of their frame (rats-ipc(7), Frame). The kernel ends a read
 * with the piece that carries descriptors, but may put bytes sent earlier before it: so all that is
 * known of a batch is between which bytes of the stream it came. Every descriptor is closed by
 * whoever holds it last: this one closes what nobody took. */
#ifndef RATSD_IPC_DESCRIPTORS_H
#define RATSD_IPC_DESCRIPTORS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "proto/frame.h"

#define DESCRIPTORS_MAX_BATCHES 2   /* of the frame at the front, and of the one behind it */
#define DESCRIPTORS_ROOM        253 /* SCM_MAX_FD: all are received, so that all can be closed */

struct descriptor_batch {
    uint64_t from; /* it came with bytes from here */
    uint64_t to;   /* up to here */
    size_t count;
    int fds[FRAME_MAX_FDS];
};

struct descriptors {
    size_t count;
    struct descriptor_batch batches[DESCRIPTORS_MAX_BATCHES];
};

/* Takes what a recvmsg() of the stream's bytes from..to brought. False, and all are closed, when
 * those are more than any frame may carry, or more batches than can be waiting. */
bool descriptors_receive(struct descriptors *descriptors, struct msghdr *header, uint64_t from,
                         uint64_t to);
/* The descriptors of the frame that occupies these bytes and says it has count: 0 and they are the
 * caller's; -EBADMSG when others came, or none. */
int descriptors_take(struct descriptors *descriptors, uint64_t frame_from, uint64_t frame_to,
                     size_t count, int ret_fds[FRAME_MAX_FDS]);
void descriptors_close(struct descriptors *descriptors);

#endif
