/* Whom this instance keeps out, and whom it slows down: the ban.* and limit.* methods.
 *
 * The mesh enforces both (mesh_bans(), peer_set_limit()); here they are changed, answered for and
 * kept. A change is in force at once and answered for when it is on disk. */
#ifndef RATSD_SERVICE_GUARD_H
#define RATSD_SERVICE_GUARD_H

#include "service/service.h"

extern const struct service guard_service;

#endif
