/* The topic mesh of one node (wire-services 1): who subscribes to what, which peers a message goes
 * to, what was seen, and what is kept for those that missed it.
 *
 * Pure: bytes, the time and the seed of its random choices come in; bytes and events go out
 * through callbacks, which must not call back in. Two engines fed alike act alike.
 *
 * What a stranger can cause is bounded: topics and bytes of their names per peer and in all, ids
 * looked up, asked for and answered per peer and second, cached bytes, seen ids. The publisher of
 * a message is a claim of whoever sent it, except for our own id, which nobody else may use. */
#ifndef RATSD_SERVICE_GOSSIP_ENGINE_H
#define RATSD_SERVICE_GOSSIP_ENGINE_H

#include "wire/gossip.h"

#define GOSSIP_HEARTBEAT_MS    1000
#define GOSSIP_MESH_LOW        4u  /* below: graft */
#define GOSSIP_MESH_WANTED     6u  /* up to here */
#define GOSSIP_MESH_HIGH       12u /* above: prune down to GOSSIP_MESH_WANTED */
#define GOSSIP_MESH_MAX        24u /* between heartbeats: further GRAFTs are answered by PRUNE */
#define GOSSIP_BACKOFF_MS      60000
#define GOSSIP_FANOUT_MS       60000
#define GOSSIP_MAX_FLOOD       4096u
#define GOSSIP_OVERHEARD_BEATS 3u /* IHAVE names what came in so many heartbeats */
#define GOSSIP_KEPT_BEATS      5u
#define GOSSIP_MAX_NAMES       ((size_t)256 * 1024)       /* bytes of topic names, per peer */
#define GOSSIP_MAX_ALL_NAMES   ((size_t)16 * 1024 * 1024) /* and of strangers' topics in all */

struct gossip;

struct gossip_options {
    struct peer_id self;
    uint64_t first_number; /* of the first message published: random per process */
    uint64_t seed[2];      /* random, secret */
    size_t flood;          /* subscribers an own message goes to directly; 0: only mesh or fanout */
    size_t cache_bytes;    /* messages kept */
    size_t seen_ids;       /* ids remembered */
    size_t topics;         /* that only peers subscribe to */
    size_t topics_per_peer; /* of one peer */
    size_t resend_bytes;    /* answers to one peer's IWANTs in one second */
};

struct gossip_delivery {
    struct peer_id origin; /* as the frame claims */
    const struct peer_id *from;
    struct bytes topic;
    struct bytes data;
};

struct gossip_callbacks {
    /* 0 when it was taken; else it is lost, which for PUBLISH (is_message) is made good by IHAVE
     * and for the rest by saying everything again. */
    int (*send)(void *arg, const struct peer_id *to, struct bytes payload, bool is_message);
    /* A message of a topic we subscribe to, each once. */
    void (*deliver)(void *arg, const struct gossip_delivery *delivery);
    /* A peer subscribes to a topic that we subscribe to, or no longer does. At most once a second
     * for each peer and topic: what changes faster is told of as it stands at a heartbeat. */
    void (*on_member)(void *arg, struct bytes topic, const struct peer_id *peer, bool joined);
    /* False: not delivered, kept or passed on. NULL: everything is good. */
    bool (*validate)(void *arg, const struct gossip_delivery *delivery);
};

struct gossip_counts {
    uint64_t published;
    uint64_t received;   /* new messages from peers */
    uint64_t forwarded;  /* PUBLISHes of others sent on, once for each peer */
    uint64_t duplicates; /* PUBLISHes of messages seen before */
    uint64_t dropped;    /* PUBLISHes a peer's link did not take */
    uint64_t rejected;   /* by the validator */
    uint64_t forged;     /* PUBLISHes of others that named us as origin */
    uint64_t corrected;  /* messages whose origin showed that somebody else's bytes came first */
    uint64_t asked;      /* ids asked for by IWANT */
    uint64_t recovered;  /* messages that came after we asked */
    uint64_t resent;     /* messages sent again because a peer asked */
    uint64_t refused;    /* frames or ids ignored because a peer is over a limit */
    uint64_t malformed;  /* frames ignored because they cannot be read */
    uint64_t peers;
    uint64_t topics;     /* known now */
    uint64_t subscribed; /* by us */
    uint64_t cached_bytes;
};

struct gossip_topic_facts {
    struct bytes name; /* valid until the engine is used again */
    bool subscribed;
    size_t subscribers;
    size_t mesh;
    size_t fanout;
    size_t members; /* at least as many as any list of its peers has */
};

/* Options are copied, callbacks borrowed. 0 or -ENOMEM. */
int gossip_new(const struct gossip_options *options, const struct gossip_callbacks *callbacks,
               void *arg, struct gossip **ret_gossip);
void gossip_free(struct gossip *gossip);

/* A peer that is known already is ignored by up, an unknown one by the others. 0 or -ENOMEM. */
int gossip_peer_up(struct gossip *gossip, const struct peer_id *id);
/* It may have missed what was on its way: everything is said again. */
void gossip_peer_replaced(struct gossip *gossip, const struct peer_id *id);
void gossip_peer_down(struct gossip *gossip, const struct peer_id *id);
void gossip_receive(struct gossip *gossip, const struct peer_id *from, struct bytes payload,
                    int64_t now_ms);

/* name: 1 to GOSSIP_MAX_TOPIC bytes, else -EINVAL. 0 also when it was so before. */
int gossip_subscribe(struct gossip *gossip, struct bytes name, int64_t now_ms);
int gossip_unsubscribe(struct gossip *gossip, struct bytes name);

/* The peers that a message published now goes to directly: ret_peers is a view valid until the
 * engine is used again. */
size_t gossip_targets(struct gossip *gossip, struct bytes name, int64_t now_ms,
                      const struct peer_id *const **ret_peers);
/* 0 and how many peers took it; -EINVAL for the name; -EMSGSIZE; -ENOMEM. We do not hear it. */
int gossip_publish(struct gossip *gossip, struct bytes name, struct bytes data, int64_t now_ms,
                   size_t *ret_peers);
/* The number of what was published last, */
uint64_t gossip_last_number(const struct gossip *gossip);
/* and the same message to one more peer. What the callback said; -ENOMEM. */
int gossip_publish_again(struct gossip *gossip, uint64_t number, struct bytes name,
                         struct bytes data, const struct peer_id *to);

/* Once a second while there is something to do. */
void gossip_heartbeat(struct gossip *gossip, int64_t now_ms);
bool gossip_is_idle(const struct gossip *gossip);

const struct gossip_counts *gossip_counts(const struct gossip *gossip);
/* False when nobody subscribes. */
bool gossip_find_topic(const struct gossip *gossip, struct bytes name,
                       struct gossip_topic_facts *ret_facts);
/* Walks all topics: *cursor starts at 0; false at the end. */
bool gossip_next_topic(const struct gossip *gossip, size_t *cursor,
                       struct gossip_topic_facts *ret_facts);
/* Which peers of a topic: those that subscribe, those of them in our mesh, or those that on_member
 * told of last as having joined, which it may do up to a second late. */
enum gossip_who { GOSSIP_SUBSCRIBERS, GOSSIP_IN_MESH, GOSSIP_JOINED };

/* At most capacity ids; how many. */
size_t gossip_topic_peers(const struct gossip *gossip, struct bytes name, enum gossip_who who,
                          struct peer_id *ret_ids, size_t capacity);

#endif
