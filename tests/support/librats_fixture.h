/* What the tests of librats share: one handle, the daemon the test plays for it, and a record of
 * what callbacks saw, one line each, that a test waits for and compares as a whole. */
#ifndef TESTS_SUPPORT_LIBRATS_FIXTURE_H
#define TESTS_SUPPORT_LIBRATS_FIXTURE_H

#include "fake_daemon.h"

extern struct fake_daemon daemon_side;
extern rats_client_t client; /* destroyed by tear_down() unless NULL */

/* For cmocka. */
int set_up(void **state);
int tear_down(void **state);

/* Makes the handle, with callbacks for peers, daemon and overflow. */
void attach(const char *peers);
/* Sets the string, binary and JSON callbacks. */
void hear_untyped(void);

/* A line for the record. */
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);
/* Waits for that many lines, compares the record and empties it. */
void expect_seen(size_t lines, const char *expected);
/* "bob" or "eve". */
const char *who(const char *peer_id);

/* Callbacks that only note. */
void on_string(void *user_data, const char *peer_id, const char *message);
void on_channel(void *user_data, const char *peer_id, const char *channel, const void *data,
                size_t size);
void on_event(void *user_data, const char *event, const char *json, uint64_t sequence);

/* Bob sends text on a channel, or of a type. */
void message(const char *channel, const char *text);
void typed_message(const char *type, const char *text);
/* The next frame from the library is that message. */
void expect_message(const char *peer, const char *channel, const char *text);
/* The same on any plane of enum message_plane, with these flags. */
void expect_on_plane(int plane, int flags, const char *peer, const char *name, const char *text);

/* For fake_run(): rats_call(), rats_channel_on() and rats_channel_off() of the handle. */
struct call_arguments {
    const char *method;
    const char *params;
    int timeout_ms;
    char *result;
};
intptr_t call(void *arguments);
intptr_t channel_on(void *channel);
intptr_t channel_off(void *channel);
extern char chat[];        /* "chat" */
extern char rats_string[]; /* "rats.string" */

#endif
