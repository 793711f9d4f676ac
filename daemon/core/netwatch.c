#include "core/netwatch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/net.h"
#include "util/alloc.h"

#define DEBOUNCE_MS   2000
#define MAX_ADDRESSES 64

/* The kernel also reports renewed lifetimes, radio statistics and the like; so what it says is only
 * taken as a hint to look, and the addresses themselves are compared. */
struct netwatch {
    struct io io;
    struct timer debounce;
    void (*on_change)(void *arg);
    void *arg;
    size_t count;
    struct endpoint addresses[MAX_ADDRESSES];
    int fd;
};

static void on_readable(void *arg, unsigned ready)
{
    struct netwatch *netwatch = arg;
    char ignored[8192];
    (void)ready;
    /* ENOBUFS means that messages were lost: just as good a hint. */
    ssize_t got;
    do {
        got = recv(netwatch->fd, ignored, sizeof ignored, MSG_DONTWAIT);
    } while (got > 0 || (got < 0 && (errno == ENOBUFS || errno == EINTR)));
    /* Not restarted: a link that flaps for an hour is looked at every 2 s, not never. */
    if (!timer_is_running(&netwatch->debounce)) {
        timer_start(&netwatch->debounce, DEBOUNCE_MS);
    }
}

static bool same_address(const struct endpoint *a, const struct endpoint *b)
{
    return endpoint_same_ip(a, b) && a->scope == b->scope;
}

static void on_quiet(void *arg)
{
    struct netwatch *netwatch = arg;
    struct endpoint now[MAX_ADDRESSES];
    size_t count = net_interfaces(now, MAX_ADDRESSES);
    bool same = count == netwatch->count;
    for (size_t i = 0; same && i < count; i++) {
        same = same_address(&now[i], &netwatch->addresses[i]);
    }
    if (same) {
        return;
    }
    memcpy(netwatch->addresses, now, count * sizeof now[0]);
    netwatch->count = count;
    netwatch->on_change(netwatch->arg);
}

int netwatch_new(struct loop *loop, void (*on_change)(void *arg), void *arg,
                 struct netwatch **ret_netwatch)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return -errno;
    }
    struct netwatch *netwatch = xalloc(sizeof *netwatch);
    *netwatch = (struct netwatch){.on_change = on_change, .arg = arg, .fd = fd};
    io_init(&netwatch->io, loop, fd, on_readable, netwatch);
    timer_init(&netwatch->debounce, loop, on_quiet, netwatch);
    struct sockaddr_nl address = {
        .nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
    };
    int result = 0;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        result = -errno;
        goto out;
    }
    result = io_want(&netwatch->io, IO_READ);
    netwatch->count = net_interfaces(netwatch->addresses, MAX_ADDRESSES);
out:
    if (result != 0) {
        netwatch_free(netwatch);
        return result;
    }
    *ret_netwatch = netwatch;
    return 0;
}

void netwatch_free(struct netwatch *netwatch)
{
    if (netwatch == NULL) {
        return;
    }
    timer_stop(&netwatch->debounce);
    io_fini(&netwatch->io);
    (void)close(netwatch->fd);
    free(netwatch);
}
