#include "ipc/descriptors.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

/* Copies all of them out of the control data; how many. */
static size_t unpack(struct msghdr *header, int ret_fds[DESCRIPTORS_ROOM])
{
    size_t total = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (count > DESCRIPTORS_ROOM - total) {
            count = DESCRIPTORS_ROOM - total; /* the control data has no room for more */
        }
        memcpy(&ret_fds[total], CMSG_DATA(part), count * sizeof(int));
        total += count;
    }
    return total;
}

bool descriptors_receive(struct descriptors *descriptors, struct msghdr *header, uint64_t from,
                         uint64_t to)
{
    int fds[DESCRIPTORS_ROOM];
    size_t count = unpack(header, fds);
    if (count == 0) {
        return true;
    }
    if (count > FRAME_MAX_FDS || descriptors->count == DESCRIPTORS_MAX_BATCHES) {
        close_all(fds, count);
        return false;
    }
    struct descriptor_batch *batch = &descriptors->batches[descriptors->count++];
    batch->from = from;
    batch->to = to;
    batch->count = count;
    memcpy(batch->fds, fds, count * sizeof(int));
    return true;
}

int descriptors_take(struct descriptors *descriptors, uint64_t frame_from, uint64_t frame_to,
                     size_t count, int ret_fds[FRAME_MAX_FDS])
{
    struct descriptor_batch *first = &descriptors->batches[0];
    bool must_be_its = descriptors->count > 0 && first->to <= frame_to;
    if (count == 0) {
        return must_be_its ? -EBADMSG : 0;
    }
    if (descriptors->count == 0 || first->count != count || frame_from < first->from ||
        frame_from >= first->to) {
        return -EBADMSG;
    }
    memcpy(ret_fds, first->fds, count * sizeof(int));
    descriptors->count--;
    memmove(first, first + 1, descriptors->count * sizeof *first);
    return 0;
}

void descriptors_close(struct descriptors *descriptors)
{
    for (size_t i = 0; i < descriptors->count; i++) {
        close_all(descriptors->batches[i].fds, descriptors->batches[i].count);
    }
    descriptors->count = 0;
}
