/* Messages between two ratsd, on a channel no program gets: "RDC1" and a JSON object with the
 * member "op" (api.md 7.5). A plain librats 2.x ignores the channel, and another program's channel
 * may have the same number: what is not exactly this is not ours. Never trust what comes; look for
 * each member. */
#ifndef RATSD_SERVICE_CTL_H
#define RATSD_SERVICE_CTL_H

#include <jansson.h>

#include "peer/mesh.h"

#define CTL_CHANNEL    "ratsd.ctl"
#define CTL_CHANNEL_ID 0x564du
#define CTL_MAX_SIZE   ((size_t)16 * 1024)

/* The object, with a text as "op"; NULL when it is none of ours. */
json_t *ctl_decode(struct bytes payload);
/* message is taken. 0, -EMSGSIZE, -ENOMEM, or what sending gave. */
int ctl_send(struct mesh *mesh, const struct peer_id *to, json_t *message);
/* A text member; NULL when there is none, or it is longer than max bytes. */
const char *ctl_text(const json_t *message, const char *name, size_t max);

#endif
