/* How the bare programs of bench/ set their TCP connections. */
#ifndef RATSD_BENCH_LOCAL_TCP_H
#define RATSD_BENCH_LOCAL_TCP_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* As the daemon does within a machine: what is to be a bound must not be that of the machine's
 * congestion control. */
static inline void use_reno(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
}

#endif
