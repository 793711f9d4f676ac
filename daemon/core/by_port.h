/* by-port/<port> in the runtime directory: a symbolic link from a listen port to the control socket
 * of the instance that has it (api.md 1.2). Whoever follows one asks the daemon there whether it is
 * true, so a link that is out of date does no harm; it is replaced by whoever gets the port. */
#ifndef RATSD_CORE_BY_PORT_H
#define RATSD_CORE_BY_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* The link of one instance. The texts are borrowed. */
struct by_port {
    const char *runtime; /* directory; "": there is none, and nothing is done */
    const char *socket;
    uint16_t port; /* whose link is ours; 0 = none */
};

/* Makes or replaces the link of a port that is ours now, and removes that of the one before. */
void by_port_publish(struct by_port *by_port, uint16_t port);
/* The same for a port that is only going to be used: a living daemon's link is left alone. */
void by_port_claim(struct by_port *by_port, uint16_t port);
/* Whether the link of that port leads to that socket, and somebody listens there. */
bool by_port_is_served(const char *runtime, uint16_t port, const char *socket);
/* Removes the link, unless it leads elsewhere by now. */
void by_port_withdraw(struct by_port *by_port);

#endif
