#include "transport/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/net.h"
#include "util/alloc.h"

#define LISTEN_BACKLOG   128 /* wire-core 10 */
#define ACCEPTS_PER_TURN 64  /* so that a flood of connections does not starve those that are */
#define ACCEPT_PAUSE_MS  100 /* when the process has no descriptor left */

struct tcp_link {
    struct link link;
    struct loop *loop;
    struct io io;
    struct deferred failure; /* reports an error found where no callback may run */
    int error;
    int fd; /* -1 once closed */
    bool connecting;
    bool want_read;
    bool want_write;
};

static struct tcp_link *tcp_of(struct link *link)
{
    return CONTAINER_OF(link, struct tcp_link, link);
}

static void stop_io(struct tcp_link *tcp)
{
    io_fini(&tcp->io);
    tcp->want_read = false;
    tcp->want_write = false;
}

static void fail(struct tcp_link *tcp, int error)
{
    stop_io(tcp);
    deferred_cancel(&tcp->failure);
    if (tcp->link.callbacks.on_closed != NULL) {
        tcp->link.callbacks.on_closed(tcp->link.arg, error);
    }
}

static void on_failure(void *arg)
{
    struct tcp_link *tcp = arg;
    fail(tcp, tcp->error);
}

static void update(struct tcp_link *tcp)
{
    unsigned wanted = (tcp->want_read && !tcp->connecting ? IO_READ : 0u) |
                      (tcp->want_write || tcp->connecting ? IO_WRITE : 0u);
    int rc = io_want(&tcp->io, wanted);
    if (rc != 0) {
        tcp->error = rc;
        deferred_schedule(&tcp->failure);
    }
}

static ssize_t tcp_read(struct link *link, void *out, size_t size)
{
    return net_read(tcp_of(link)->fd, out, size);
}

static ssize_t tcp_write(struct link *link, const struct iovec *parts, int count)
{
    struct tcp_link *tcp = tcp_of(link);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].iov_len;
    }
    ssize_t written = tcp->connecting ? -EAGAIN : net_write(tcp->fd, parts, count);
    if (written == -EAGAIN) {
        written = 0;
    }
    if (written >= 0 && (size_t)written < total && !tcp->want_write) {
        tcp->want_write = true;
        update(tcp);
    }
    return written;
}

static void tcp_set_reading(struct link *link, bool wanted)
{
    struct tcp_link *tcp = tcp_of(link);
    if (tcp->want_read != wanted) {
        tcp->want_read = wanted;
        update(tcp);
    }
}

static size_t tcp_unsent(struct link *link)
{
    return net_unsent(tcp_of(link)->fd);
}

/* close() sends a FIN, or a reset when bytes are left unread; there is no harsher way to end a
 * stream that would be of use, so graceful makes no difference here. */
static void tcp_close(struct link *link, bool graceful)
{
    (void)graceful;
    struct tcp_link *tcp = tcp_of(link);
    stop_io(tcp);
    deferred_cancel(&tcp->failure);
    (void)close(tcp->fd);
    tcp->fd = -1;
    tcp->link.callbacks = (struct link_callbacks){0};
    loop_free_later(tcp->loop, free, tcp);
}

static const struct link_ops tcp_ops = {
    .read = tcp_read,
    .write = tcp_write,
    .set_reading = tcp_set_reading,
    .unsent = tcp_unsent,
    .close = tcp_close,
};

static void finish_connecting(struct tcp_link *tcp)
{
    int rc = net_socket_error(tcp->fd);
    if (rc != 0) {
        fail(tcp, rc);
        return;
    }
    tcp->connecting = false;
    update(tcp);
    if (tcp->link.callbacks.on_connected != NULL) {
        tcp->link.callbacks.on_connected(tcp->link.arg);
    }
}

static void on_ready(void *arg, unsigned ready)
{
    struct tcp_link *tcp = arg;
    if (tcp->connecting) {
        finish_connecting(tcp);
        return;
    }
    if ((ready & IO_WRITE) != 0 && tcp->want_write) {
        tcp->want_write = false;
        update(tcp);
        tcp->link.callbacks.on_writable(tcp->link.arg);
    }
    /* The callback above may have closed the link, or stopped reading: both clear want_read. */
    if ((ready & IO_READ) != 0 && tcp->want_read) {
        tcp->link.callbacks.on_readable(tcp->link.arg);
    }
}

static struct tcp_link *new_link(struct loop *loop, int fd, const struct endpoint *remote)
{
    struct tcp_link *tcp = try_alloc(sizeof *tcp);
    if (tcp == NULL) {
        return NULL;
    }
    *tcp = (struct tcp_link){
        .link = {.ops = &tcp_ops, .kind = TRANSPORT_TCP, .remote = *remote},
        .loop = loop,
        .fd = fd,
    };
    io_init(&tcp->io, loop, fd, on_ready, tcp);
    deferred_init(&tcp->failure, loop, on_failure, tcp);
    net_tune_tcp(fd, remote);
    return tcp;
}

int tcp_dial(struct loop *loop, const struct endpoint *to, struct link **ret_link)
{
    int fd = -1;
    int rc = net_connect_tcp(to, &fd);
    if (rc != 0) {
        return rc;
    }
    struct tcp_link *tcp = new_link(loop, fd, to);
    if (tcp == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    tcp->link.outgoing = true;
    tcp->connecting = true;
    update(tcp);
    *ret_link = &tcp->link;
    return 0;
}

struct tcp_listener {
    struct loop *loop;
    struct io io;
    struct timer pause;
    struct log_limit log;
    int fd;
    uint16_t port;
    void (*on_accept)(void *arg, struct link *link);
    void *arg;
};

static void on_pause_over(void *arg)
{
    struct tcp_listener *listener = arg;
    if (io_want(&listener->io, IO_READ) != 0) {
        timer_start(&listener->pause, ACCEPT_PAUSE_MS);
    }
}

/* The connections that wait stay in the kernel's queue; trying again at once would only spin. */
static void pause_accepting(struct tcp_listener *listener, int reason)
{
    log_limited(&listener->log, loop_now_ms(listener->loop), LOG_LEVEL_WARN, "tcp",
                "cannot accept connections for the moment: %s; raise the limit of open files "
                "(LimitNOFILE) or lower network.max_peers",
                strerror(-reason));
    (void)io_want(&listener->io, 0);
    timer_start(&listener->pause, ACCEPT_PAUSE_MS);
}

static void on_listener_ready(void *arg, unsigned ready)
{
    (void)ready;
    struct tcp_listener *listener = arg;
    for (int i = 0; i < ACCEPTS_PER_TURN && listener->fd >= 0; i++) {
        int fd = -1;
        struct endpoint peer = {0};
        int rc = net_accept(listener->fd, &fd, &peer);
        if (rc <= 0) {
            if (rc < 0) {
                pause_accepting(listener, rc);
            }
            return;
        }
        struct tcp_link *tcp = new_link(listener->loop, fd, &peer);
        if (tcp == NULL) {
            (void)close(fd);
            continue;
        }
        listener->on_accept(listener->arg, &tcp->link);
    }
}

int tcp_listen(struct loop *loop, const struct endpoint *bind_to,
               void (*on_accept)(void *arg, struct link *link), void *arg,
               struct tcp_listener **ret_listener)
{
    int fd = -1;
    int rc = net_listen_tcp(bind_to, LISTEN_BACKLOG, &fd);
    return rc != 0 ? rc : tcp_adopt(loop, fd, on_accept, arg, ret_listener);
}

int tcp_adopt(struct loop *loop, int fd, void (*on_accept)(void *arg, struct link *link), void *arg,
              struct tcp_listener **ret_listener)
{
    struct endpoint local = {0};
    struct tcp_listener *listener = xalloc(sizeof *listener);
    listener->loop = loop;
    listener->fd = fd;
    listener->on_accept = on_accept;
    listener->arg = arg;
    io_init(&listener->io, loop, fd, on_listener_ready, listener);
    timer_init(&listener->pause, loop, on_pause_over, listener);
    int rc = net_local(fd, &local);
    if (rc == 0) {
        rc = io_want(&listener->io, IO_READ);
    }
    if (rc != 0) {
        tcp_listener_close(listener);
        return rc;
    }
    listener->port = local.port;
    *ret_listener = listener;
    return 0;
}

uint16_t tcp_listener_port(const struct tcp_listener *listener)
{
    return listener->port;
}

void tcp_listener_close(struct tcp_listener *listener)
{
    if (listener == NULL || listener->fd < 0) {
        return;
    }
    io_fini(&listener->io);
    timer_stop(&listener->pause);
    (void)close(listener->fd);
    listener->fd = -1; /* we may be inside on_accept: the loop above looks */
    loop_free_later(listener->loop, free, listener);
}
