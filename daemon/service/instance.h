/* The instance.* and log.* methods: what this daemon is, and how much it says. */
#ifndef RATSD_SERVICE_INSTANCE_H
#define RATSD_SERVICE_INSTANCE_H

#include "service/service.h"

extern const struct service instance_service;

#endif
