/* The replicated store as a service: storage.* calls of programs, message type 6 of peers (api.md
 * 6.6, wire-services 7).
 *
 * This file only connects: what wins is decided in lww.h, kept by storage_file.h, done in order by
 * storage_queue.h and spread by storage_peers.h. A call that changes something is answered once the
 * change is on disk, and not before; whoever is to hear of a change (programs that watch, peers)
 * hears of it after that too. */
#ifndef RATSD_SERVICE_STORAGE_H
#define RATSD_SERVICE_STORAGE_H

#include "service/service.h"

extern const struct service storage_service;

#endif
