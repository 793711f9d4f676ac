/* A link whose other end is the test: bytes fed in are what the network brings, bytes taken are
 * what was sent. Callbacks run inside fake_link_*() calls, never inside link_*() ones. */
#ifndef RATSD_TESTS_FAKE_LINK_H
#define RATSD_TESTS_FAKE_LINK_H

#include "core/loop.h"
#include "transport/link.h"
#include "util/buf.h"

struct fake_link {
    struct link link;
    struct buf in;      /* fed, not read yet */
    struct buf out;     /* written, not taken yet */
    size_t write_limit; /* bytes it takes before it is full */
    size_t read_limit;  /* bytes a single read gives at most; 0 = any */
    int error;          /* what the next read or write says, once in is empty */
    bool finished;      /* the peer has closed */
    bool reading;
    bool blocked;
    bool closed;
    bool graceful;
    unsigned writes;
};

void fake_link_init(struct fake_link *fake, bool outgoing);
void fake_link_fini(struct fake_link *fake);
/* Brings bytes and lets them be read while reading is wanted. */
void fake_link_feed(struct fake_link *fake, struct bytes bytes);
/* Tells of what can be read, until nothing changes any more. */
void fake_link_poll(struct fake_link *fake);
void fake_link_finish(struct fake_link *fake);
void fake_link_connect(struct fake_link *fake);
/* Makes room for that many bytes and says so when somebody waits. */
void fake_link_open(struct fake_link *fake, size_t limit);

#endif
