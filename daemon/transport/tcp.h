/* Links over TCP: a listener that accepts and a dial that connects (wire-core 8.1, 10).
 *
 * tests/support/sim_tcp.c is a second implementation of this header on a simulated network. */
#ifndef RATSD_TRANSPORT_TCP_H
#define RATSD_TRANSPORT_TCP_H

#include "core/loop.h"
#include "transport/link.h"

struct tcp_listener;

/* Opens the listen socket. bind_to with ip_size 0: every address, dual-stack; port 0: ephemeral.
 * on_accept gets a link it owns. 0, -EADDRINUSE or another negative errno. */
int tcp_listen(struct loop *loop, const struct endpoint *bind_to,
               void (*on_accept)(void *arg, struct link *link), void *arg,
               struct tcp_listener **ret_listener);
/* The same on a socket that already listens: taken, also when this fails. */
int tcp_adopt(struct loop *loop, int fd, void (*on_accept)(void *arg, struct link *link), void *arg,
              struct tcp_listener **ret_listener);
uint16_t tcp_listener_port(const struct tcp_listener *listener);
void tcp_listener_close(struct tcp_listener *listener);

/* Starts connecting; the outcome comes as on_connected or on_closed. 0 or a negative errno. */
int tcp_dial(struct loop *loop, const struct endpoint *to, struct link **ret_link);

#endif
