/* Socket calls on endpoints; with sockaddr.h the only place that knows struct sockaddr. Every
 * descriptor is non-blocking and close-on-exec. */
#ifndef RATSD_CORE_NET_H
#define RATSD_CORE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/endpoint.h"

/* Where to listen: an endpoint whose ip_size is 0 means dual-stack on every address (IPv6 socket,
 * V6ONLY off; plain IPv4 where the machine has no IPv6). An IPv6 literal is IPv6 only. */
int net_listen_tcp(const struct endpoint *bind_to, int backlog, int *ret_fd);
/* What net_listen_tcp() would say, found out without listening: whoever listens or begins to is not
 * disturbed. */
int net_try_bind_tcp(const struct endpoint *bind_to);
/* 1 and a descriptor; 0 when none is waiting; -EMFILE etc. when the process or system is short
 * (stop accepting for a while); other errors of one connection are swallowed. */
int net_accept(int listen_fd, int *ret_fd, struct endpoint *ret_peer);
/* Starts connecting. 0 (in progress or done) or a negative errno at once. */
int net_connect_tcp(const struct endpoint *to, int *ret_fd);
int net_socket_error(int fd); /* 0 or negative errno of SO_ERROR */
int net_local(int fd, struct endpoint *ret_endpoint);
int net_peer(int fd, struct endpoint *ret_endpoint);
/* TCP_NODELAY, keep-alive 60 s idle / 15 s / 4 probes, TCP_USER_TIMEOUT 120 s (wire-core 17.6). A
 * connection to this machine uses Reno, whatever congestion control the machine is set to. */
void net_tune_tcp(int fd, const struct endpoint *remote);
/* Bytes written (may be short), or -EAGAIN, or another negative errno. Never raises SIGPIPE. */
ssize_t net_write(int fd, const struct iovec *parts, int count);
/* Bytes in the kernel that the other end of a TCP connection has not acknowledged. */
size_t net_unsent(int fd);
/* Bytes, 0 at the end of the stream, or a negative errno. */
ssize_t net_read(int fd, void *out, size_t size);

/* All addresses of all interfaces that are up, IPv4 first, loopback and link-local included.
 * Returns how many were written, at most max. */
size_t net_interfaces(struct endpoint *ret_addresses, size_t max);

#endif
