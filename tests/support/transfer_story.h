/* Two transfer engines and the wire between them, in memory: what each is told to write is kept and
 * compared, time is the test's. */
#ifndef RATSD_TESTS_TRANSFER_STORY_H
#define RATSD_TESTS_TRANSFER_STORY_H

#include "service/transfer_engine.h"

#define STORY_MAX_FRAMES 65536
#define STORY_LIST_BYTES 1000000u /* of all; of one peer a quarter */

struct story_side {
    struct transfer_engine *engine;
    struct peer_id id;
    struct story_side *other;
    struct transfer *offered; /* the last offer that came */
    struct transfer *ended;   /* the last that ended */
    unsigned offers;
    unsigned starts;
    unsigned windows;
    unsigned changes;
    unsigned ends;
    unsigned forgotten;
    unsigned states[8]; /* how often each was told */
    uint64_t written;   /* bytes of on_data */
    unsigned files;     /* of on_file_end */
    unsigned wrong;     /* bytes that are not what was sent */
    bool slow_disk;     /* nothing is on disk until story_write() */
    uint64_t unwritten;
    bool accepts; /* offers at once */
    bool ignores; /* them: tells nobody and refuses */
    enum transfer_op sent[STORY_MAX_FRAMES];
    size_t sent_count;
};

/* a and b; now is the clock of both. */
extern struct story_side story_a;
extern struct story_side story_b;
extern int64_t story_now_ms;

int story_begin(void **state);
int story_end(void **state);
/* Frames under way reach the other side in order; how many. */
size_t story_deliver(void);
void story_lose_all(void); /* those under way are lost */
/* A tree of count files with these sizes, offered by a to b. */
struct transfer *story_offer(uint32_t count, const uint64_t *sizes);
/* Sends what may go, chunk bytes at a time, at most so many frames; how many went. */
size_t story_stream(struct story_side *side, struct transfer *transfer, size_t chunk, size_t most);
void story_write(struct story_side *side, struct transfer *transfer);
/* Everything that can happen without time passing. */
void story_settle(struct transfer *sending, size_t chunk);
/* A frame as if b had it from a peer. */
void story_inject(struct story_side *to, const struct peer_id *from,
                  const struct transfer_frame *frame);
size_t story_count_sent(const struct story_side *side, enum transfer_op op);

#endif
