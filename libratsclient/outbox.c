#include "outbox.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "clock.h"

#define KEEP_CAPACITY ((size_t)256 * 1024)
#define MOST_ROUNDS   8 /* system calls a sender makes for others once its own frame is out */

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
    return condition_init(&outbox->room);
}

void outbox_fini(struct outbox *outbox)
{
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
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    const int fd = outbox->fd;
    (void)pthread_mutex_unlock(outbox->lock);
    ssize_t written;
    do {
        written = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (written < 0 && errno == EINTR);
    const ssize_t result = written < 0 ? -errno : written;
    (void)pthread_mutex_lock(outbox->lock);
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
        } else if (written != -EAGAIN && written != -ENOBUFS) {
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
    if (outbox->broken) {
        return -ENOTCONN;
    }
    const int rc = append(outbox, frame, bytes_make(NULL, 0));
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
