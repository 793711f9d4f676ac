#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "sim_net.h"
#include "transport/tcp.h"
#include "util/alloc.h"
#include "util/buf.h"

struct sim_raw {
    struct link *link;
    struct buf out;
    size_t received;
    bool connected;
    bool closed;
};

static void raw_flush(struct sim_raw *raw)
{
    struct bytes rest = buf_view(&raw->out);
    if (raw->connected && !raw->closed && rest.size > 0) {
        struct iovec part = {.iov_base = raw->out.data + raw->out.start, .iov_len = rest.size};
        ssize_t written = link_write(raw->link, &part, 1);
        buf_consume(&raw->out, written > 0 ? (size_t)written : 0);
    }
}

static void raw_on_connected(void *arg)
{
    struct sim_raw *raw = arg;
    raw->connected = true;
    link_set_reading(raw->link, true);
    raw_flush(raw);
}

static void raw_on_readable(void *arg)
{
    struct sim_raw *raw = arg;
    uint8_t sink[4096];
    ssize_t got = link_read(raw->link, sink, sizeof sink);
    if (got > 0) {
        raw->received += (size_t)got;
    } else if (got != -EAGAIN) {
        raw->closed = true;
        link_set_reading(raw->link, false);
    }
}

static void raw_on_writable(void *arg)
{
    raw_flush(arg);
}

static void raw_on_closed(void *arg, int reason)
{
    (void)reason;
    struct sim_raw *raw = arg;
    raw->closed = true;
}

struct sim_raw *sim_raw_dial(struct sim_node *from, const char *address, uint16_t port)
{
    static const struct link_callbacks callbacks = {
        .on_connected = raw_on_connected,
        .on_readable = raw_on_readable,
        .on_writable = raw_on_writable,
        .on_closed = raw_on_closed,
    };
    struct endpoint to;
    struct sim_raw *raw = xalloc(sizeof *raw);
    int rc = endpoint_parse_ip(address, port, &to);
    assert(rc == 0);
    rc = tcp_dial(sim_node_loop(from), &to, &raw->link);
    assert(rc == 0);
    (void)rc;
    link_attach(raw->link, &callbacks, raw);
    return raw;
}

void sim_raw_send(struct sim_raw *raw, struct bytes bytes)
{
    (void)buf_append(&raw->out, bytes);
    raw_flush(raw);
}

size_t sim_raw_received(const struct sim_raw *raw)
{
    return raw->received;
}

bool sim_raw_is_closed(const struct sim_raw *raw)
{
    return raw->closed;
}

void sim_raw_close(struct sim_raw *raw)
{
    link_close(raw->link, true);
    buf_fini(&raw->out);
    free(raw);
}
