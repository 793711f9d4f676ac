/* The peer.* methods and events: who is connected, connecting and disconnecting. Listed first, so
 * that a peer is announced before anything it sends, and its end comes last. */
#ifndef RATSD_SERVICE_PEERS_H
#define RATSD_SERVICE_PEERS_H

#include "service/service.h"

extern const struct service peers_service;

#endif
