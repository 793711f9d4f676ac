/* A daemon for tests of the client library: one thread, one client at a time, frames by hand.
 *
 * The test opens it on a socket in a temporary directory, lets the library attach from another
 * thread or through fake_attach(), and then plays the daemon's part step by step: expects a call,
 * answers it, sends an event or a message, closes. Every wait has a deadline; a test that misses it
 * fails with what it waited for. */
#ifndef TESTS_SUPPORT_FAKE_DAEMON_H
#define TESTS_SUPPORT_FAKE_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include <jansson.h>

#include "librats.h"
#include "proto/frame.h"

#define FAKE_SELF "00000000000000000000000000000000000000000000000000000000000000aa"
#define FAKE_BOB  "00000000000000000000000000000000000000000000000000000000000000bb"
#define FAKE_EVE  "00000000000000000000000000000000000000000000000000000000000000ee"

#define FAKE_MOST_FDS 256

struct fake_daemon {
    char directory[64];
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int listen_fd;
    int fd; /* of the one client; -1 */
    uint8_t *data;
    size_t size; /* bytes received and not looked at */
    uint64_t sequence;
    int fds[FAKE_MOST_FDS]; /* received, in order, and not taken by a frame */
    size_t fd_count;
};

/* One frame, received. head is parsed for CALL; head and body are copies; descriptors are closed
 * with it unless they were taken out. */
struct fake_frame {
    enum frame_kind kind;
    uint64_t id;
    json_t *head; /* of a CALL */
    uint8_t *bytes;
    size_t head_size;
    size_t body_size;
    int fds[FRAME_MAX_FDS];
    size_t fd_count;
};

void fake_open(struct fake_daemon *daemon);
/* The same at a path of the caller's, whose directory stays. */
void fake_open_at(struct fake_daemon *daemon, const char *path);
/* Also removes the socket and its directory. */
void fake_close(struct fake_daemon *daemon);
/* Stops listening, as a daemon that ended. */
void fake_unlisten(struct fake_daemon *daemon);
void fake_listen(struct fake_daemon *daemon);
/* Takes the next client. */
void fake_accept(struct fake_daemon *daemon);
/* The client sees the end of the connection. */
void fake_hang_up(struct fake_daemon *daemon);

/* Waits for the next frame. */
struct fake_frame fake_receive(struct fake_daemon *daemon);
void fake_frame_free(struct fake_frame *frame);
/* True when nothing arrives within that time. */
bool fake_is_silent(struct fake_daemon *daemon, int timeout_ms);
/* Waits for the end of the connection from the client's side. */
void fake_expect_end(struct fake_daemon *daemon);

void fake_send_raw(struct fake_daemon *daemon, const void *data, size_t size);
void fake_send_frame(struct fake_daemon *daemon, enum frame_kind kind, uint64_t id,
                     const void *head, size_t head_size, const void *body, size_t body_size);
void fake_reply(struct fake_daemon *daemon, uint64_t id, const char *json);
void fake_fail(struct fake_daemon *daemon, uint64_t id, const char *name, int code,
               const char *text);
/* Next sequence number. params is JSON text. */
void fake_event(struct fake_daemon *daemon, const char *event, const char *params);
/* A channel message from that peer. */
void fake_message(struct fake_daemon *daemon, const char *peer, const char *channel,
                  const void *data, size_t size);
/* A message on any plane of enum message_plane; forwarder may be NULL. */
void fake_message_on(struct fake_daemon *daemon, int plane, uint8_t flags, const char *peer,
                     const char *forwarder, const char *name, const void *data, size_t size);

/* Waits for a call of that method, returns its id; *ret_params (may be NULL) is a new reference. */
uint64_t fake_expect_call(struct fake_daemon *daemon, const char *method, json_t **ret_params);
/* The whole frame of a call of that method. */
struct fake_frame fake_expect_frame(struct fake_daemon *daemon, const char *method);
/* The same, answered with an empty result. */
void fake_grant(struct fake_daemon *daemon, const char *method);
/* A PEER object. Static text, valid until the next call. */
const char *fake_peer(const char *peer, const char *ip, int port);
/* Result of hello with those peers (PEER objects, comma-separated, or ""). */
void fake_answer_hello(struct fake_daemon *daemon, const char *peers);
/* The same without peers and with members of its own, a JSON object, in place of the usual ones. */
void fake_answer_hello_as(struct fake_daemon *daemon, const char *members);

/* rats_create_at() (or rats_create_with() in batches) on a thread, with hello answered here. */
rats_client_t fake_attach(struct fake_daemon *daemon, const char *peers, int dispatch);
/* What may block on the daemon, while the test answers: starts a thread, fake_join() waits and
 * returns its result. */
struct fake_task;
struct fake_task *fake_run(intptr_t (*function)(void *arg), void *arg);
intptr_t fake_join(struct fake_task *task);
/* rats_start() with session.start granted. */
void fake_start(struct fake_daemon *daemon, rats_client_t client);
/* rats_destroy() with everything answered that it asks. */
void fake_destroy(struct fake_daemon *daemon, rats_client_t client);

#endif
