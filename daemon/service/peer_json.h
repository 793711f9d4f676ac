/* One peer as the JSON object that peer.get, hello and the peer events show. */
#ifndef RATSD_SERVICE_PEER_JSON_H
#define RATSD_SERVICE_PEER_JSON_H

#include <jansson.h>

#include "peer/mesh.h"

/* A new reference. now_ms is loop time. */
json_t *peer_json(const struct peer *peer, int64_t now_ms);

#endif
