#include "outbox.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "proto/frame.h"

#define KEEP_CAPACITY ((size_t)256 * 1024)
#define MOST_ROUNDS   8 /* system calls a sender makes for others once its own frame is out */

/* Descriptors and the first byte of the frame they travel with. That frame is in fill or drain. */
struct parcel {
    struct list link;
    uint64_t at;
    size_t count;
    int fds[FRAME_MAX_FDS];
};

/* A frame that its sender writes from its own memory, behind drain and before fill. */
struct direct {
    struct bytes head;
    struct bytes payload;
};

int outbox_init(struct outbox *outbox, pthread_mutex_t *lock, void (*on_left)(void *arg), void *arg)
{
    *outbox = (struct outbox){
        .lock = lock,
        .fd = -1,
        .broken = true,
        .timeout_ms = OUTBOX_TIMEOUT_MS,
        .on_left = on_left,
        .arg = arg,
    };
    buf_init(&outbox->fill);
    buf_init(&outbox->drain);
    list_init(&outbox->parcels);
    return condition_init(&outbox->room);
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

static void end_parcel(struct parcel *parcel)
{
    list_remove(&parcel->link);
    close_all(parcel->fds, parcel->count);
    free(parcel);
}

static void end_parcels(struct outbox *outbox)
{
    LIST_EACH(&outbox->parcels, node)
    {
        end_parcel(CONTAINER_OF(node, struct parcel, link));
    }
}

void outbox_fini(struct outbox *outbox)
{
    end_parcels(outbox);
    buf_fini(&outbox->fill);
    buf_fini(&outbox->drain);
    (void)pthread_cond_destroy(&outbox->room);
}

void outbox_attach(struct outbox *outbox, int fd)
{
    outbox->fd = fd;
    outbox->broken = false;
    outbox->accepted = 0;
    outbox->written = 0;
    outbox->told = false;
}

static void mark_broken(struct outbox *outbox)
{
    outbox->broken = true;
    (void)pthread_cond_broadcast(&outbox->room);
}

void outbox_detach(struct outbox *outbox)
{
    mark_broken(outbox);
    while (outbox->writing) {
        /* Its poll() or sendmsg() ends at once: the socket has been shut down. */
        (void)condition_wait(&outbox->room, outbox->lock, CLOCK_FOR_EVER);
    }
    end_parcels(outbox);
    buf_fini(&outbox->fill);
    buf_fini(&outbox->drain);
    outbox->fd = -1;
}

static size_t buffered(const struct outbox *outbox)
{
    return buf_size(&outbox->fill) + buf_size(&outbox->drain);
}

bool outbox_has_left(const struct outbox *outbox)
{
    return !outbox->broken && !outbox->writing && buffered(outbox) > 0;
}

static struct bytes skip(struct bytes from, size_t size)
{
    return bytes_make(from.data + size, from.size - size);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Accounts for size bytes the kernel took, in stream order. */
static void advance(struct outbox *outbox, struct direct *direct, size_t size)
{
    outbox->written += size;
    size_t part = smaller(size, buf_size(&outbox->drain));
    buf_consume(&outbox->drain, part);
    size -= part;
    if (direct != NULL) {
        part = smaller(size, direct->head.size);
        direct->head = skip(direct->head, part);
        size -= part;
        direct->payload = skip(direct->payload, size);
    }
}

static struct iovec make_iovec(struct bytes from)
{
    union {
        const uint8_t *in;
        void *out;
    } cast = {.in = from.data};
    return (struct iovec){.iov_base = cast.out, .iov_len = from.size};
}

/* Room for a parcel beside a message. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
};

static void attach_parcel(struct msghdr *message, union control *control,
                          const struct parcel *parcel)
{
    const size_t size = sizeof(int) * parcel->count;
    memset(control, 0, sizeof *control);
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), parcel->fds, size);
}

/* Attaches the parcel whose byte is the next and lets the message end before the byte of the one
 * after. Returns the parcel that goes with the message; NULL. */
static struct parcel *load_parcels(const struct outbox *outbox, struct msghdr *message,
                                   union control *control)
{
    struct list *next = list_first(&outbox->parcels);
    struct parcel *loaded = NULL;
    if (next != NULL && CONTAINER_OF(next, struct parcel, link)->at == outbox->written) {
        loaded = CONTAINER_OF(next, struct parcel, link);
        attach_parcel(message, control, loaded);
        next = next->next == &outbox->parcels ? NULL : next->next;
    }
    if (next != NULL) {
        const uint64_t most = CONTAINER_OF(next, struct parcel, link)->at - outbox->written;
        if (most < message->msg_iov[0].iov_len) {
            message->msg_iov[0].iov_len = (size_t)most;
            message->msg_iovlen = 1;
        }
    }
    return loaded;
}

/* One attempt without the lock: bytes written, or a negative errno. */
static ssize_t write_once(struct outbox *outbox, const struct direct *direct)
{
    struct iovec parts[3];
    size_t count = 0;
    parts[count++] = make_iovec(buf_view(&outbox->drain));
    if (direct != NULL) {
        parts[count++] = make_iovec(direct->head);
        parts[count++] = make_iovec(direct->payload);
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    union control control;
    struct parcel *parcel = load_parcels(outbox, &message, &control);
    const int fd = outbox->fd;
    (void)pthread_mutex_unlock(outbox->lock);
    ssize_t written;
    do {
        written = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (written < 0 && errno == EINTR);
    const ssize_t result = written < 0 ? -errno : written;
    (void)pthread_mutex_lock(outbox->lock);
    if (parcel != NULL && result > 0) {
        end_parcel(parcel); /* they went with the first byte */
    }
    return result;
}

/* 0 when the socket may take more; -ETIMEDOUT. */
static int wait_writable(struct outbox *outbox, int64_t deadline_ms)
{
    const int left = clock_left_ms(deadline_ms);
    if (left == 0) {
        return -ETIMEDOUT;
    }
    struct pollfd item = {.fd = outbox->fd, .events = POLLOUT};
    (void)pthread_mutex_unlock(outbox->lock);
    (void)poll(&item, 1, left);
    (void)pthread_mutex_lock(outbox->lock);
    return 0;
}

/* Being the writer: writes until nothing is left. When the socket is full or too much has come up:
 * returns 0 if `goal` bytes of the stream are out (the rest is left to the reader), else waits
 * until the deadline. */
static int write_out(struct outbox *outbox, struct direct *direct, uint64_t goal,
                     int64_t deadline_ms)
{
    outbox->writing = true;
    outbox->told = false;
    int rc = 0;
    int rounds = 0;
    while (rc == 0 && !outbox->broken) {
        if (outbox->written >= goal && rounds++ == MOST_ROUNDS) {
            break; /* others append as fast as we write; no sender serves them for ever */
        }
        if (direct != NULL && direct->head.size + direct->payload.size == 0) {
            direct = NULL;
        }
        if (direct == NULL && buf_size(&outbox->drain) == 0) {
            const struct buf empty = outbox->drain;
            outbox->drain = outbox->fill;
            outbox->fill = empty;
            buf_trim(&outbox->fill, KEEP_CAPACITY);
            if (buf_size(&outbox->drain) == 0) {
                break;
            }
        }
        const ssize_t written = write_once(outbox, direct);
        if (written >= 0) {
            advance(outbox, direct, (size_t)written);
        } else if (written != -EAGAIN && written != -ENOBUFS && written != -ETOOMANYREFS) {
            mark_broken(outbox);
        } else if (outbox->written >= goal) {
            break;
        } else {
            rc = wait_writable(outbox, deadline_ms);
        }
    }
    outbox->writing = false;
    (void)pthread_cond_broadcast(&outbox->room);
    return outbox->broken ? -ENOTCONN : rc;
}

static void cut(struct buf *buf, size_t offset, size_t size)
{
    uint8_t *at = buf->data + buf->start + offset;
    memmove(at, at + size, buf_size(buf) - offset - size);
    buf->end -= size;
}

/* After a timeout: takes the sender's frame back if no byte of it is out, so that -ETIMEDOUT is
 * the truth; otherwise it counts as sent and what remains of it is kept for the next writer. */
static int take_back(struct outbox *outbox, const struct direct *direct, uint64_t frame_start,
                     size_t frame_size)
{
    if (outbox->written > frame_start) {
        if (direct == NULL) {
            return 0;
        }
        /* Everything before it is out, so drain is empty and the rest of it belongs there. */
        if (buf_append(&outbox->drain, direct->head) < 0 ||
            buf_append(&outbox->drain, direct->payload) < 0) {
            (void)shutdown(outbox->fd, SHUT_RDWR);
            mark_broken(outbox);
            return -ENOTCONN;
        }
        return 0;
    }
    if (direct == NULL) {
        const size_t offset = (size_t)(frame_start - outbox->written);
        const size_t drained = buf_size(&outbox->drain);
        if (offset < drained) {
            cut(&outbox->drain, offset, frame_size);
        } else {
            cut(&outbox->fill, offset - drained, frame_size);
        }
    }
    LIST_EACH(&outbox->parcels, node)
    {
        struct parcel *parcel = CONTAINER_OF(node, struct parcel, link);
        parcel->at -= parcel->at > frame_start ? frame_size : 0;
    }
    outbox->accepted -= frame_size;
    return -ETIMEDOUT;
}

/* Tells the reader, once, when something is left to write. */
static void leave(struct outbox *outbox)
{
    if (outbox_has_left(outbox) && !outbox->told && outbox->on_left != NULL) {
        outbox->told = true;
        outbox->on_left(outbox->arg);
    }
}

/* Whether this frame is one of many in quick succession and may gather with those to come. */
static bool may_gather(struct outbox *outbox, int64_t now_ns, size_t frame_size)
{
    const bool pause = now_ns - outbox->last_send_ns > OUTBOX_PAUSE_NS;
    outbox->last_send_ns = now_ns;
    outbox->burst = pause ? 0 : outbox->burst + 1;
    return outbox->burst > OUTBOX_BURST && outbox->on_left != NULL &&
           buffered(outbox) + frame_size <= OUTBOX_DIRECT;
}

/* Waits until no more than the mark is buffered. */
static int wait_for_room(struct outbox *outbox, int64_t deadline_ms)
{
    while (!outbox->broken && buffered(outbox) > OUTBOX_MARK) {
        int rc;
        if (outbox->writing) {
            rc = condition_wait(&outbox->room, outbox->lock, deadline_ms);
        } else {
            rc = write_out(outbox, NULL, outbox->accepted - OUTBOX_MARK / 2, deadline_ms);
            leave(outbox);
        }
        if (rc == -ETIMEDOUT) {
            return rc;
        }
    }
    return outbox->broken ? -ENOTCONN : 0;
}

static int append(struct outbox *outbox, struct bytes head, struct bytes payload)
{
    uint8_t *room;
    if (buf_reserve(&outbox->fill, head.size + payload.size, &room) < 0) {
        return -ENOMEM;
    }
    memcpy(room, head.data, head.size);
    if (payload.size > 0) {
        memcpy(room + head.size, payload.data, payload.size);
    }
    buf_commit(&outbox->fill, head.size + payload.size);
    outbox->accepted += head.size + payload.size;
    return 0;
}

int outbox_send(struct outbox *outbox, struct bytes head, struct bytes payload)
{
    const int64_t now_ns = clock_now_ns();
    const int64_t deadline_ms = now_ns / 1000000 + outbox->timeout_ms;
    int rc = wait_for_room(outbox, deadline_ms);
    if (rc < 0) {
        return rc;
    }
    const uint64_t frame_start = outbox->accepted;
    const size_t frame_size = head.size + payload.size;
    const bool gather = may_gather(outbox, now_ns, frame_size);
    struct direct direct = {head, payload};
    struct direct *own = NULL;
    if (!outbox->writing && payload.size > OUTBOX_DIRECT && buffered(outbox) == 0) {
        own = &direct;
        outbox->accepted += frame_size;
    } else {
        rc = append(outbox, head, payload);
    }
    if (rc < 0 || outbox->writing) {
        return rc;
    }
    if (gather) {
        leave(outbox);
        return 0;
    }
    rc = write_out(outbox, own, frame_start + frame_size, deadline_ms);
    if (rc == -ETIMEDOUT) {
        rc = take_back(outbox, own, frame_start, frame_size);
    }
    leave(outbox);
    return rc;
}

int outbox_queue(struct outbox *outbox, struct bytes frame)
{
    if (outbox->broken) {
        return -ENOTCONN;
    }
    const int rc = append(outbox, frame, bytes_make(NULL, 0));
    leave(outbox); /* whoever is writing now finds it, or tells */
    return rc;
}

int outbox_post(struct outbox *outbox, struct bytes frame)
{
    return outbox_post_with(outbox, frame, NULL, 0);
}

/* Queues descriptors for the next frame to be appended; NULL without memory. */
static struct parcel *add_parcel(struct outbox *outbox, const int *fds, size_t count)
{
    struct parcel *parcel = malloc(sizeof *parcel);
    if (parcel != NULL) {
        *parcel = (struct parcel){.at = outbox->accepted, .count = count};
        memcpy(parcel->fds, fds, count * sizeof *fds);
        list_init(&parcel->link);
        list_append(&outbox->parcels, &parcel->link);
    }
    return parcel;
}

int outbox_post_with(struct outbox *outbox, struct bytes frame, const int *fds, size_t count)
{
    struct parcel *parcel = NULL;
    int rc = outbox->broken ? -ENOTCONN : 0;
    if (rc == 0 && count > 0) {
        parcel = add_parcel(outbox, fds, count);
        rc = parcel == NULL ? -ENOMEM : 0;
    }
    if (rc < 0) {
        close_all(fds, count);
        return rc;
    }
    rc = append(outbox, frame, bytes_make(NULL, 0));
    if (rc < 0 && parcel != NULL) {
        end_parcel(parcel);
    }
    if (rc == 0 && !outbox->writing) {
        outbox_continue(outbox);
        leave(outbox);
    }
    return rc;
}

void outbox_continue(struct outbox *outbox)
{
    if (outbox_has_left(outbox)) {
        (void)write_out(outbox, NULL, 0, CLOCK_FOR_EVER); /* with that goal it never waits */
    }
}

int outbox_flush(struct outbox *outbox, int64_t deadline_ms)
{
    while (!outbox->broken && buffered(outbox) + (outbox->writing ? 1 : 0) > 0) {
        int rc;
        if (outbox->writing) {
            rc = condition_wait(&outbox->room, outbox->lock, deadline_ms);
        } else {
            rc = write_out(outbox, NULL, outbox->accepted, deadline_ms);
        }
        if (rc == -ETIMEDOUT) {
            leave(outbox);
            return rc;
        }
    }
    return outbox->broken ? -ENOTCONN : 0;
}
