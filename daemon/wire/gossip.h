/* Messages of topics (wire-services 1): PUBLISH, and what peers tell each other about topics.
 *
 * Decoding only gives views into what was decoded. Whoever encodes a topic longer than
 * GOSSIP_MAX_TOPIC makes a corrupt frame: it is refused before (an assertion here). */
#ifndef RATSD_WIRE_GOSSIP_H
#define RATSD_WIRE_GOSSIP_H

#include "util/peer_id.h"
#include "util/writer.h"

#define GOSSIP_ID_SIZE     40u /* origin, then its number for the message */
#define GOSSIP_MAX_TOPIC   65535u
#define GOSSIP_MAX_IDS     65535u
#define GOSSIP_PUBLISH_MIN (1u + GOSSIP_ID_SIZE + 2u) /* a PUBLISH without topic and data */

enum gossip_op {
    GOSSIP_PUBLISH = 0,
    GOSSIP_SUBSCRIBE = 1,
    GOSSIP_UNSUBSCRIBE = 2,
    GOSSIP_GRAFT = 3,
    GOSSIP_PRUNE = 4,
    GOSSIP_IHAVE = 5,
    GOSSIP_IWANT = 6,
};

struct gossip_frame {
    enum gossip_op op;
    struct bytes topic; /* all but IWANT */
    struct bytes id;    /* PUBLISH: GOSSIP_ID_SIZE bytes */
    struct bytes data;  /* PUBLISH */
    struct bytes ids;   /* IHAVE, IWANT: a whole number of ids */
};

/* 0, or -EPROTO for what is ignored: an unknown op, truncation, an empty topic in all but PUBLISH.
 * Bytes after a complete control message are ignored. */
int gossip_decode(struct bytes from, struct gossip_frame *ret_frame);

/* The origin is whoever the sender says it is: nothing proves it. */
struct peer_id gossip_origin(struct bytes id);
void gossip_make_id(const struct peer_id *origin, uint64_t number, uint8_t out[GOSSIP_ID_SIZE]);

void gossip_write_publish(struct writer *writer, const uint8_t id[GOSSIP_ID_SIZE],
                          struct bytes topic, struct bytes data);
/* SUBSCRIBE, UNSUBSCRIBE, GRAFT and PRUNE. */
void gossip_write_topic(struct writer *writer, enum gossip_op op, struct bytes topic);
/* ids: at most GOSSIP_MAX_IDS of them. */
void gossip_write_ihave(struct writer *writer, struct bytes topic, struct bytes ids);
void gossip_write_iwant(struct writer *writer, struct bytes ids);

#endif
