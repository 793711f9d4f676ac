/* What topics.c and topics_query.c share; nobody else includes it. */
#ifndef RATSD_SERVICE_TOPICS_PRIVATE_H
#define RATSD_SERVICE_TOPICS_PRIVATE_H

#include "service/gossip_engine.h"
#include "service/patience.h"
#include "service/registry.h"
#include "service/topics.h"

struct topics_values {
    uint64_t delivered;
    uint64_t waits;
    uint64_t given_up;
};

struct topics {
    struct host *host;
    struct registry registry; /* who of our sessions subscribes */
    struct gossip *gossip;    /* subscribes while a session does */
    struct patience patience;
    struct peer_set *owed; /* while a large message is published: who is to get it */
    struct timer beat;
    struct timer expiry; /* of patience */
    struct topics_values values;
};

struct bytes topics_requested(const struct request *request);

/* topics_query.c */
/* Ids of the topic's peers, sorted. */
json_t *topics_peers_json(const struct topics *topics, struct bytes name, enum gossip_who who);
void topics_on_list(void *self, struct request *request);
void topics_on_peers(void *self, struct request *request);
void topics_on_mesh(void *self, struct request *request);
void topics_on_statistics(void *self, struct request *request);
void topics_on_all(void *self, struct request *request);

#endif
