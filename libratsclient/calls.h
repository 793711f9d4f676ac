/* Calls that wait for their answer, by id.
 *
 * A call belongs to the thread that waits for it; a call without a waiter (made by the library
 * itself) is freed when its answer has been dealt with. Everything under the handle's lock. */
#ifndef LIBRATS_CALLS_H
#define LIBRATS_CALLS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/list.h"

struct grant;

/* What the answer means to the library, beside being handed to the waiter. */
enum call_purpose {
    CALL_PLAIN,
    CALL_START,     /* the session is started from this point of the stream on */
    CALL_SUBSCRIBE, /* it says who is in a topic at this point of the stream */
    CALL_STEP, /* of a transfer, which may have ended meanwhile: a refusal is nothing to tell */
};

struct call {
    struct list link;
    uint64_t id;
    enum call_purpose purpose;
    unsigned ticket;     /* CALL_START: which start it was */
    bool unattended;     /* nobody waits; freed by whoever takes it */
    struct grant *grant; /* what a transfer gets when it succeeds; NULL; borrowed */
    bool secret;         /* the answer is wiped when it has been read */
    pthread_cond_t answered;
    bool done;
    bool failed; /* FAIL, not REPLY */
    bool lost;   /* no answer will come */
    char *text;  /* JSON of the answer, NUL-terminated; taken by the waiter */
    size_t text_size;
    bool wants_body;
    uint8_t *body; /* of the REPLY, with a NUL behind it, if wanted; taken by the waiter */
    size_t body_size;
};

struct calls {
    struct list pending;
    uint64_t last_id;
    size_t waiting; /* pending calls with a waiter */
};

void calls_init(struct calls *calls);
/* Gives the call its id. The caller has filled in the rest and initialised `answered` if attended.
 */
void calls_add(struct calls *calls, struct call *call);
/* The call with that id, still pending; NULL. */
struct call *calls_find(const struct calls *calls, uint64_t id);
void calls_remove(struct calls *calls, struct call *call);
/* Removes it and hands the answer over; a call that nobody waits for is freed. Failing to copy the
 * text or a wanted body counts as a lost answer. */
void calls_finish(struct calls *calls, struct call *call, bool failed, struct bytes text,
                  struct bytes body);
/* Waiters look around: the handle is closing. */
void calls_wake_all(struct calls *calls);
/* No answer will come to any of them. */
void calls_lose_all(struct calls *calls);

#endif
