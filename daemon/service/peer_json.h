/* Peers in requests and answers: the object that peer.get, hello and the peer events show, the
 * parameter that names one, and the answer when there is none. */
#ifndef RATSD_SERVICE_PEER_JSON_H
#define RATSD_SERVICE_PEER_JSON_H

#include <jansson.h>

#include "peer/mesh.h"
#include "service/request.h"

/* A new reference. now_ms is loop time. */
json_t *peer_json(const struct peer *peer, int64_t now_ms);

/* The parameter "peer". The row says that it is an id; where it is optional and absent the id is
 * zero. */
struct peer_id peer_param(const struct request *request);
/* Fails the request with peer_not_found. */
void fail_not_connected(struct request *request, const struct peer_id *id);

#endif
