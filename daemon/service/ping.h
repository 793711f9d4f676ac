/* Ping (wire-services 4): answers pings, and knows how long a round trip to each peer takes.
 *
 * Every peer is pinged when it connects and then once an interval. One timer serves all of them:
 * the interval is cut into at most ten slots of a second or more, so a thousand idle peers cost
 * one wake-up a second. Easy to break: a pong counts only with the token of a ping that is out,
 * else a peer could name its own round-trip time. */
#ifndef RATSD_SERVICE_PING_H
#define RATSD_SERVICE_PING_H

#include "service/service.h"

extern const struct service ping_service;

#endif
