/* Views of bytes that are being read, kept a little longer than the callback that showed them.
 *
 * Whoever takes apart what it has read lends that region while it does so. Others may keep views
 * into it, uncopied, until the region is about to go: then they are told, write what they can from
 * where it lies and copy the rest. Bytes outside the region are nobody's to keep.
 *
 * One region at a time. Easy to break: every loans_begin() needs its loans_end() before the bytes
 * move, and before the turn goes on to anything else. */
#ifndef RATSD_CORE_LOANS_H
#define RATSD_CORE_LOANS_H

#include <stdbool.h>

#include "util/bytes.h"
#include "util/list.h"

struct loans {
    struct bytes region; /* empty: nothing is lent */
    struct list takers;
};

/* Somebody who keeps views. */
struct loan {
    struct list node;
    void (*on_end)(void *arg); /* once for each loan_take() */
    void *arg;
};

void loans_init(struct loans *loans);
void loans_begin(struct loans *loans, struct bytes region);
/* Calls every taker, then nothing is lent. */
void loans_end(struct loans *loans);
/* Whether all of the view lies in what is lent now. */
bool loans_cover(const struct loans *loans, struct bytes view);

void loan_init(struct loan *loan, void (*on_end)(void *arg), void *arg);
/* Taking it twice is taking it once. */
void loan_take(struct loans *loans, struct loan *loan);
void loan_cancel(struct loan *loan);

#endif
