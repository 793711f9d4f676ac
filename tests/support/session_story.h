/* One session on one end of a socket pair; the test is the client on the other, and steps the loop.
 *
 * set_up and tear_down are a cmocka fixture. The daemon behind the session is fake_host.h. */
#ifndef RATSD_TESTS_SESSION_STORY_H
#define RATSD_TESTS_SESSION_STORY_H

#include "fake_host.h"
#include "ipc/session.h"
#include "virtual_loop.h"

#define STORY_QUEUE (256 * 1024)
#define STORY(name) cmocka_unit_test_setup_teardown(name, story_set_up, story_tear_down)

struct story {
    struct virtual_world *world;
    struct loop *loop;
    struct host *host;
    struct session *session;
    uint64_t number;
    int client; /* -1 once the test has closed it */
    uint8_t *received;
    size_t received_size;
    size_t taken;
    uint64_t next_id;
};

int story_set_up(void **state);
int story_tear_down(void **state);
bool story_is_alive(const struct story *story);

void story_send(struct story *story, const void *data, size_t size);
void story_send_frame(struct story *story, enum frame_kind kind, uint64_t id, const void *head,
                      size_t head_size, size_t body_size);
void story_call(struct story *story, const char *head);
void story_message(struct story *story, uint64_t id, size_t size);
/* Hello with that policy, and session.start. */
void story_greet(struct story *story, const char *slow);
void story_close(struct story *story);

/* Reads what the kernel has and lets the daemon write more, until nothing moves. */
void story_read_all(struct story *story);
/* The next frame the client received, or false. */
bool story_next_frame(struct story *story, struct frame *ret_frame);
json_t *story_expect_head(struct story *story, enum frame_kind kind, uint64_t id);
void story_expect_failure(struct story *story, uint64_t id, const char *error);
void story_expect_reply(struct story *story);

/* A message from a peer; its id is that byte and zeros. */
void story_deliver(struct story *story, size_t size, uint8_t from);
/* The same by a link that is no peer: another session. */
void story_deliver_by(struct story *story, size_t size, const struct peer_id *link);
/* Messages until the session holds its sender; how many. */
size_t story_deliver_until_held(struct story *story);
/* A second client of the same user, greeted with policy close; ends with the story's ipc. */
struct session *story_second_session(struct story *story, int *ret_client);

#endif
