/* Topics (wire-services 1, api.md 3.14): what sessions subscribe to and publish, over the gossip
 * engine and between the sessions of this instance. */
#ifndef RATSD_SERVICE_TOPICS_H
#define RATSD_SERVICE_TOPICS_H

#include "service/service.h"

extern const struct service topics_service;

#endif
