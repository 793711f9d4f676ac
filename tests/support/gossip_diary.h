/* A gossip engine whose callbacks keep a diary: what it sent, delivered and told of. */
#ifndef RATSD_TESTS_GOSSIP_DIARY_H
#define RATSD_TESTS_GOSSIP_DIARY_H

#include "service/gossip_engine.h"

#define DIARY_MAX 4096

struct diary_frame {
    struct peer_id to;
    uint8_t *payload;
    size_t size;
};

struct diary {
    struct gossip *gossip;
    int64_t now_ms;
    struct diary_frame sent[DIARY_MAX];
    size_t sent_count;
    size_t sent_bytes;
    size_t delivered;
    struct peer_id origin; /* of the last delivery */
    struct peer_id from;
    char topic[64];
    char data[64];
    size_t joined;
    size_t left;
    struct peer_id refuses; /* whose link takes nothing; zero: nobody */
    bool rejects;           /* the validator's answer */
};

extern const struct peer_id diary_self; /* bytes 0, 1, 2, ... as A_local of the vectors */

/* Defaults of the daemon; changed by the test before diary_open(). */
struct gossip_options diary_options(void);
void diary_open(struct diary *diary, const struct gossip_options *options);
void diary_close(struct diary *diary);
/* Forgets what was sent so far. */
void diary_clear(struct diary *diary);
/* An id that begins with number. */
struct peer_id diary_peer(unsigned number);
void diary_receive(struct diary *diary, const struct peer_id *from, enum gossip_op op,
                   const char *topic);
void diary_receive_publish(struct diary *diary, const struct peer_id *from,
                           const struct peer_id *origin, uint64_t number, const char *topic,
                           const char *data);
void diary_beat(struct diary *diary); /* a second later */
/* Frames sent with this op, to anybody when to is NULL. */
size_t diary_count(const struct diary *diary, enum gossip_op op, const struct peer_id *to);

#endif
