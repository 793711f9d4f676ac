#include "core/net.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/sockaddr.h"

#define MAX_PARTS     1024 /* IOV_MAX of Linux */
#define NOTSENT_BYTES (256 * 1024)

static int set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : -errno;
}

static int open_tcp(sa_family_t family, int *ret_fd)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

/* backlog 0: only binds. */
static int bind_and_listen(int fd, const struct endpoint *bind_to, int backlog)
{
    struct sockaddr_storage address;
    socklen_t size = sockaddr_from_endpoint(bind_to, &address);
    int result = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result == 0 && address.ss_family == AF_INET6) {
        result = set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, bind_to->ip_size == 16);
    }
    if (result == 0 && (bind(fd, (struct sockaddr *)&address, size) != 0 ||
                        (backlog > 0 && listen(fd, backlog) != 0))) {
        result = -errno;
    }
    return result;
}

static int listen_at(const struct endpoint *bind_to, int backlog, int *ret_fd)
{
    int fd = -1;
    int result = open_tcp(bind_to->ip_size == 4 ? AF_INET : AF_INET6, &fd);
    if (result != 0) {
        return result;
    }
    result = bind_and_listen(fd, bind_to, backlog);
    if (result != 0) {
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

int net_listen_tcp(const struct endpoint *bind_to, int backlog, int *ret_fd)
{
    int result = listen_at(bind_to, backlog, ret_fd);
    /* No IPv6 in the kernel, or switched off by sysctl: the second shows only at bind(). */
    if (bind_to->ip_size == 0 && (result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL)) {
        struct endpoint any = {.ip_size = 4, .port = bind_to->port};
        result = listen_at(&any, backlog, ret_fd);
    }
    return result;
}

int net_try_bind_tcp(const struct endpoint *bind_to)
{
    int fd = -1;
    int result = net_listen_tcp(bind_to, 0, &fd);
    if (result == 0) {
        (void)close(fd);
    }
    return result;
}

/* accept(2): errors already pending on the new connection are reported by accept() itself. */
static bool is_of_one_connection(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

int net_accept(int listen_fd, int *ret_fd, struct endpoint *ret_peer)
{
    for (;;) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t size = sizeof address;
        int fd =
            accept4(listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            if (sockaddr_to_endpoint((struct sockaddr *)&address, ret_peer) == 0) {
                *ret_fd = fd;
                return 1;
            }
            (void)close(fd);
            return -EAFNOSUPPORT;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return 0;
        }
        if (!is_of_one_connection(errno)) {
            return -errno;
        }
    }
}

int net_connect_tcp(const struct endpoint *to, int *ret_fd)
{
    if (to->ip_size == 0) {
        return -EDESTADDRREQ;
    }
    struct sockaddr_storage address;
    socklen_t size = sockaddr_from_endpoint(to, &address);
    int fd = -1;
    int result = open_tcp(address.ss_family, &fd);
    if (result != 0) {
        return result;
    }
    if (connect(fd, (struct sockaddr *)&address, size) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        result = -errno;
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

int net_socket_error(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return -errno;
    }
    return -error;
}

int net_local(int fd, struct endpoint *ret_endpoint)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        return -errno;
    }
    return sockaddr_to_endpoint((struct sockaddr *)&address, ret_endpoint);
}

int net_peer(int fd, struct endpoint *ret_endpoint)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0) {
        return -errno;
    }
    return sockaddr_to_endpoint((struct sockaddr *)&address, ret_endpoint);
}

static bool is_this_machine(int fd, const struct endpoint *remote)
{
    struct endpoint local = {0};
    return endpoint_is_loopback(remote) ||
           (net_local(fd, &local) == 0 && endpoint_same_ip(&local, remote));
}

void net_tune_tcp(int fd, const struct endpoint *remote)
{
    /* Each is an improvement, none a condition: a socket without one still works. */
    (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    (void)set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
    (void)set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 120 * 1000);
    /* Beyond what is under way, that much may wait in the kernel: the rest stays here, where what
     * is urgent can still go before it. */
    (void)set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_BYTES);
    if (is_this_machine(fd, remote)) {
        /* Within a machine there is no queue to spare: BBR would only spend a timer per segment on
         * pacing. Reno is in every kernel, costs least and is open to every user. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
    }
}

ssize_t net_write(int fd, const struct iovec *parts, int count)
{
    /* sendmsg() does not write through msg_iov; only its type lacks the const. */
    union {
        const struct iovec *given;
        struct iovec *wanted;
    } pointer = {.given = parts};
    struct msghdr message = {
        .msg_iov = pointer.wanted,
        .msg_iovlen = (size_t)(count < MAX_PARTS ? count : MAX_PARTS),
    };
    ssize_t sent;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : -errno;
}

ssize_t net_read(int fd, void *out, size_t size)
{
    ssize_t got;
    do {
        got = recv(fd, out, size, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    return got >= 0 ? got : -errno;
}

size_t net_interfaces(struct endpoint *ret_addresses, size_t max)
{
    static const sa_family_t order[] = {AF_INET, AF_INET6};
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0) {
        return 0;
    }
    size_t count = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        for (const struct ifaddrs *at = all; at != NULL && count < max; at = at->ifa_next) {
            if (at->ifa_addr != NULL && at->ifa_addr->sa_family == order[i] &&
                (at->ifa_flags & IFF_UP) != 0 &&
                sockaddr_to_endpoint(at->ifa_addr, &ret_addresses[count]) == 0) {
                count++;
            }
        }
    }
    freeifaddrs(all);
    return count;
}

size_t net_unsent(int fd)
{
    int unsent = 0;
    return ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent > 0 ? (size_t)unsent : 0;
}
