/* Typed JSON messages (wire-services 2, api.md 3.11 and 7.2): messages told apart by a type, any
 * number of sessions on each. The sender is the link's authenticated peer; the JSON text passes
 * through as it is, whoever receives it judges it. */
#ifndef RATSD_SERVICE_TYPED_H
#define RATSD_SERVICE_TYPED_H

#include "service/service.h"

extern const struct service typed_service;

#endif
