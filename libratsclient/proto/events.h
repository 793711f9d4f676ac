/* The event table: one row for each EVENT frame a daemon may send. */
#ifndef RATS_PROTO_EVENTS_H
#define RATS_PROTO_EVENTS_H

#include <stddef.h>

#include "proto/fields.h"

enum event_id {
    EV_PEER_CONNECTED,     /* to every session */
    EV_PEER_UPDATED,       /* to every session */
    EV_PEER_DISCONNECTED,  /* to every session */
    EV_INSTANCE_CHANGED,   /* to every session: listen port or limits */
    EV_SESSION_ATTACHED,   /* to sessions that watch it */
    EV_SESSION_ENDED,      /* to sessions that watch it */
    EV_TOPIC_JOINED,       /* to sessions that subscribe to the topic */
    EV_TOPIC_LEFT,         /* to sessions that subscribe to the topic */
    EV_LOST,               /* to the session that lost */
    EV_STORAGE_CHANGED,    /* to sessions that watch a prefix of the key */
    EV_TRANSFER_OFFERED,   /* to sessions that watch offers of its kind */
    EV_TRANSFER_REQUESTED, /* the same */
    EV_TRANSFER_OPEN,      /* to the session whose transfer it is */
    EV_TRANSFER_VERIFIED,  /* to the session whose transfer it is */
    EV_TRANSFER_CHANGED,   /* to the session whose transfer it is */
    EVENT_COUNT,
};

struct event_row {
    const char *name; /* "<service>.<past participle>"; and "lost" */
    unsigned since;
    const char *summary;
    const struct field *fields;
    const char *body;     /* what the body of the EVENT is; NULL: it has none */
    bool watched;         /* only sent to sessions that asked by session.watch */
    const char *callback; /* setter in librats.h whose callback it reaches; NULL when only the event
                             callback */
};

extern const struct event_row proto_events[EVENT_COUNT];

/* EVENT_COUNT when unknown. */
enum event_id event_find(const char *name, size_t size);

#endif
