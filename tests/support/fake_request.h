/* Requests and the ways out of a service, recorded: what a service answers, delivers and sends.
 * Linked instead of service/host.c, ipc/ and peer/. */
#ifndef RATSD_TESTS_FAKE_REQUEST_H
#define RATSD_TESTS_FAKE_REQUEST_H

#include "service/service.h"

/* The answer to the last fake_call(): result is NULL after a failure. */
struct fake_answer {
    json_t *result;
    enum proto_error error; /* PROTO_ERROR_COUNT after a reply */
    char text[512];
};

struct fake_delivery {
    size_t count; /* deliveries so far */
    uint64_t sessions[16];
    size_t session_count;
    char name[64];
    uint8_t payload[64];
    size_t payload_size;
    uint8_t flags;
    struct peer_id sender;
    struct peer_id forwarder; /* zero: none */
    unsigned of_session[16];  /* how many each session got, by its number */
};

struct fake_sending {
    size_t count;
    int result; /* what host_send() and host_broadcast() answer next */
    bool broadcast;
    enum wire_type type;
    struct peer_id to;
    uint16_t channel;
    size_t payload_size;
    uint8_t payload[64]; /* its beginning */
};

/* What mesh_find() finds once fake_peer() has made it. */
struct peer {
    struct peer_id id;
    bool gone;
    bool congested;
    unsigned frames; /* that peer_send() took */
    uint8_t last_op; /* first byte of the last of them */
    unsigned news;   /* that sessions were told of */
};

extern struct fake_delivery fake_delivered;
extern struct fake_sending fake_sent;
extern size_t fake_control_count; /* messages between daemons, beginning with "RDC1" */

/* Calls the service's handler with parameters as json_pack() makes them (taken). The answer is
 * valid until the next call; fake_reset() frees it. */
const struct fake_answer *fake_call(const struct service *service, void *self,
                                    enum method_id method, uint64_t session, json_t *params);
void fake_reset(void);
/* A peer that has no more than an id; the same for the same id. At most 16. */
struct peer *fake_peer(const struct peer_id *id);

#endif
