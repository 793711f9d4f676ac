/* The list of services, in the order they start. services.c is the only file besides main.c that
 * names them all. */
#ifndef RATSD_SERVICES_H
#define RATSD_SERVICES_H

#include "service/service.h"

extern const struct service *const services[];
extern const size_t service_count;

#endif
