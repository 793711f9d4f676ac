/* What the files of the gossip engine share; nobody else includes it.
 *
 *     gossip_engine.c   life, peers, what we subscribe to and publish
 *     gossip_receive.c  frames in
 *     gossip_members.c  topics, and what each peer has to do with them
 *     gossip_mesh.c     the heartbeat: mesh, fanout, IHAVE
 *     gossip_seen.c, gossip_cache.c
 *
 * A topic lives while somebody subscribes, something of it is cached, or something about it is left
 * to do at the heartbeat: then it is in gossip->busy. Topics and members that nobody needs are
 * freed at the heartbeat only, so every pointer to them is good until then, or until the peer goes.
 */
#ifndef RATSD_SERVICE_GOSSIP_PRIVATE_H
#define RATSD_SERVICE_GOSSIP_PRIVATE_H

#include "service/gossip_cache.h"
#include "service/gossip_engine.h"
#include "service/gossip_seen.h"
#include "util/buf.h"
#include "util/list.h"
#include "util/map.h"

/* What one peer may cause in one second. Honest ones stay far below. */
#define REPLIES_PER_SECOND 256u   /* PRUNEs answering its GRAFTs */
#define LOOKUPS_PER_SECOND 65536u /* ids of its IHAVEs and IWANTs looked at */
#define ASKS_PER_SECOND    4096u  /* ids asked of it */
#define IHAVE_IDS          1024u  /* ids in one IHAVE of ours */
#define IHAVE_POOL         8192u  /* newest ids of a topic these are taken from */
#define IHAVE_PEERS        6u     /* peers told at each heartbeat, at least */

struct gossip_peer {
    struct peer_id id;
    struct list members; /* struct gossip_member.by_peer */
    struct list resync;  /* in gossip->resync: a control frame to it was lost */
    size_t topic_count;
    size_t name_bytes;
    int64_t second; /* for which the rest is counted */
    unsigned replies;
    unsigned lookups;
    unsigned asks;
    size_t resent_bytes;
};

struct gossip_member_key {
    struct gossip_peer *peer;
    struct gossip_topic *topic;
};

/* What one peer has to do with one topic. */
struct gossip_member {
    struct list by_peer;
    struct gossip_member_key key;
    size_t place; /* in topic->members */
    bool subscribed;
    bool direct;        /* in our mesh, or in our fanout if we do not subscribe */
    bool announced;     /* what on_member was told last */
    bool was_announced; /* and announced_ms says when */
    int64_t announced_ms;
    int64_t backoff_until_ms; /* no GRAFT of ours before */
    uint64_t owed_until;      /* heartbeat up to which it gets IHAVE, direct or not */
};

struct gossip_topic {
    struct list busy;
    struct list cached;             /* struct gossip_cached.by_topic */
    bool subscribed;                /* by us */
    bool dirty;                     /* has members to tell of or to free */
    struct gossip_member **members; /* first those that are direct */
    size_t count;
    size_t capacity;
    size_t direct;
    size_t subscribers;
    int64_t fanout_until_ms;
    size_t told;    /* place of the next member to get IHAVE */
    size_t flooded; /* place of the next member to get an own message beyond the direct ones */
    size_t name_size;
    uint8_t name[];
};

struct gossip {
    struct gossip_options options;
    const struct gossip_callbacks *callbacks;
    void *arg;
    struct gossip_counts counts;
    uint64_t next_number;
    uint64_t random;
    uint64_t beat;
    size_t stranger_topics; /* topics we do not subscribe to */
    size_t stranger_names;  /* bytes of their names */
    struct map peers;
    struct map topics;
    struct map members; /* by struct gossip_member_key */
    struct list busy;
    struct list resync;
    struct gossip_cache cache;
    struct gossip_seen *seen;
    struct gossip_seen *asked;
    struct buf frame;                  /* being encoded */
    const struct gossip_cached **pool; /* IHAVE_POOL: what there is to tell of a topic */
    struct gossip_member **targets;    /* room for options.flood and a full mesh */
    const struct peer_id **target_ids;
    size_t target_room;
};

/* gossip_engine.c */
struct gossip_peer *gossip_find_peer(const struct gossip *gossip, const struct peer_id *id);
/* SUBSCRIBE, UNSUBSCRIBE, GRAFT or PRUNE. False when it was lost. */
bool gossip_tell_name(struct gossip *gossip, struct gossip_peer *peer, enum gossip_op op,
                      struct bytes name);
/* The same; what is lost is said again at the heartbeat. */
void gossip_tell(struct gossip *gossip, struct gossip_peer *peer, enum gossip_op op,
                 const struct gossip_topic *topic);
/* Our subscriptions, and the mesh links we think we have. */
void gossip_tell_all(struct gossip *gossip, struct gossip_peer *peer);
/* Room in gossip->frame, which holds one frame at a time. False when out of memory. */
bool gossip_begin_frame(struct gossip *gossip, size_t size, struct writer *ret_writer);
void gossip_end_frame(struct gossip *gossip);
/* A message to a member; what is lost is owed. */
bool gossip_send_message(struct gossip *gossip, struct gossip_member *member, struct bytes payload);
/* Into the cache. */
void gossip_keep(struct gossip *gossip, struct gossip_topic *topic, const uint8_t *id,
                 struct bytes payload, bool genuine);
uint64_t gossip_random(struct gossip *gossip, uint64_t below); /* below > 0 */

/* gossip_members.c */
static inline struct bytes topic_name(const struct gossip_topic *topic)
{
    return bytes_make(topic->name, topic->name_size);
}

struct gossip_topic *topic_find(const struct gossip *gossip, struct bytes name);
/* One that we subscribe to. NULL when out of memory. */
struct gossip_topic *topic_get_own(struct gossip *gossip, struct bytes name);
void topic_set_subscribed(struct gossip *gossip, struct gossip_topic *topic, bool subscribed);
/* The heartbeat looks at it, at its members too when dirty. */
void topic_touch(struct gossip *gossip, struct gossip_topic *topic, bool dirty);
/* Frees it unless somebody needs it. */
void topic_settle(struct gossip *gossip, struct gossip_topic *topic);
void topic_free(struct gossip *gossip, struct gossip_topic *topic);
struct gossip_member *member_find(const struct gossip *gossip, struct gossip_peer *peer,
                                  struct gossip_topic *topic);
/* Finds or makes it. NULL when the peer is over a limit or memory is out; counted. */
struct gossip_member *member_get(struct gossip *gossip, struct gossip_peer *peer,
                                 struct bytes name);
void member_set_subscribed(struct gossip *gossip, struct gossip_member *member, bool subscribed,
                           int64_t now_ms);
void member_set_direct(struct gossip_member *member, bool direct);
/* Tells of a change that came too soon after another. False while it is still too soon. */
bool member_announce(struct gossip *gossip, struct gossip_member *member, int64_t now_ms);
void member_free(struct gossip *gossip, struct gossip_member *member);

/* gossip_mesh.c */
/* GRAFTs to members chosen at random when the mesh is small. */
void mesh_fill(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms);
/* The same for the peers that get what we publish without subscribing. */
void fanout_fill(struct gossip *gossip, struct gossip_topic *topic, int64_t now_ms);

#endif
