/* Bytes of the socket to the inbox: calls are completed and the mirror is kept at once, messages
 * stay where they were read. It never runs the application's code.
 *
 * Used by one thread at a time, the one whose turn it is to read (reading.h). */
#ifndef LIBRATS_RECEIVER_H
#define LIBRATS_RECEIVER_H

#include "stream.h"

struct client;

struct receiver {
    struct stream stream;
    bool events;   /* whether the part not handed over yet holds EVENT frames */
    bool messages; /* or MESSAGE frames */
    /* Under the lock: messages dropped since the last report, by plane; 0: events with a body. */
    uint64_t dropped[4];
};

void receiver_init(struct receiver *receiver);
/* Reads once. 1 when there may be more, 0 when not, negative when the connection is over. */
int receiver_read(struct client *client);
/* (locked) The connection is over: what was half read is of no use. */
void receiver_reset(struct client *client);
/* (locked) Queues a `lost` event for what was dropped, as soon as there is room. */
void receiver_report_dropped(struct client *client);

#endif
