/* The events and messages of a session, read batch by batch on the one thread there is. Checks
 * that their sequence numbers have no gap: what is missing is told, never passed over (C8). */
#ifndef RATSCTL_STREAM_H
#define RATSCTL_STREAM_H

#include <stdint.h>

#include "proto/frame.h"
#include "ratsctl/session.h"
#include "util/bytes.h"

/* What a handler answers: go on, or end with that exit code. */
#define STREAM_GO_ON (-1)

struct stream_handler {
    void *self;
    /* The session is started, and nothing was read yet; EXIT_DONE: go on; or NULL. */
    enum exit_code (*on_start)(void *self);
    /* An EVENT; fields is borrowed. sequence 0: the library made it, it has no number. */
    int (*on_event)(void *self, uint64_t sequence, const char *event, json_t *fields);
    /* The same with the body, in place of on_event; or NULL. */
    int (*on_body_event)(void *self, uint64_t sequence, const char *event, json_t *fields,
                         struct bytes body);
    /* A MESSAGE frame, borrowed until return; NULL: messages are passed over. */
    int (*on_message)(void *self, const struct frame *frame);
    /* That many numbers are missing before the next event or message. */
    int (*on_gap)(void *self, uint64_t missing);
};

/* Milliseconds of a clock that never jumps. */
int64_t stream_now_ms(void);

/* Starts the session and feeds handler until it ends, the daemon goes away (EXIT_NO_DAEMON,
 * reported), interrupt.h caught a Ctrl-C (EXIT_INTERRUPTED), or timeout_ms (negative: never) has
 * passed: EXIT_TIMEOUT, not reported. */
enum exit_code stream_run(struct ctl *ctl, const struct stream_handler *handler, int timeout_ms);

#endif
