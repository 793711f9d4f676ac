/* ratsctl's one session with a daemon, and the calls it makes on it. Whatever fails here has said
 * so on standard error and gives the exit code to end with. */
#ifndef RATSCTL_SESSION_H
#define RATSCTL_SESSION_H

#include <librats.h>
#include <stdbool.h>

#include <jansson.h>

#include "proto/methods.h"
#include "ratsctl/options.h"
#include "ratsctl/output.h"
#include "ratsctl/report.h"
#include "ratsctl/words.h"

#define CALL_TIMEOUT_MS     10000
#define CALL_TIMEOUT_MIN_MS 1000 /* of commands whose --timeout is about something else */

/* What every command works with: the options it was given, where it prints, and its session. */
struct ctl {
    const struct options *options;
    struct output output;
    int call_timeout_ms;  /* for attaching and for the answer to a call */
    rats_client_t client; /* NULL before session_open() */
};

/* Sets call_timeout_ms from --timeout; streaming: that option bounds the waiting for events, and a
 * call has some time whatever it says. */
void session_set_timeout(struct ctl *ctl, bool streaming);

/* Attaches. Batches: events and messages are kept for stream.h, else they are dropped. */
enum exit_code session_open(struct ctl *ctl, bool batches);
/* The same, but says nothing when no daemon answers (EXIT_NO_DAEMON). */
enum exit_code session_try(struct ctl *ctl, bool batches);
void session_close(struct ctl *ctl);

/* Takes params (NULL: none). *ret_result is a new reference to an object. */
enum exit_code session_call(struct ctl *ctl, enum method_id method, json_t *params,
                            json_t **ret_result);
/* The same by name, with the time to wait. */
enum exit_code session_call_named(struct ctl *ctl, const char *method, json_t *params,
                                  int timeout_ms, json_t **ret_result);
/* A call whose failure is not reported: NULL then. Takes params. */
json_t *session_ask(struct ctl *ctl, enum method_id method, json_t *params);

/* Reports the last failure of a librats function, "what: reason; remedy". */
enum exit_code session_report(struct ctl *ctl, const char *what);

/* text is an id, or at least four digits that only one connected peer's id begins with. */
enum exit_code session_find_peer(struct ctl *ctl, const char *text, char ret_id[PEER_DIGITS + 1]);
/* What a method takes that is about an address: host, port and, unless NULL, the peer to expect
 * there. That is a whole id: a prefix could be met by somebody who looked for it. */
enum exit_code session_address_params(const char *command, const char *address, const char *peer,
                                      json_t **ret_params);
/* Attaches, finds that peer, and calls a method whose one parameter is its id. */
enum exit_code session_call_peer(struct ctl *ctl, enum method_id method, const char *text,
                                 char ret_id[PEER_DIGITS + 1], json_t **ret_result);

#endif
