/* File transfers on nodes of the simulated network, and the programs around them. Built on
 * service_node.h; time is the test's, the disk is real.
 *
 * Programs are sessions 1, 2, ... of a node. They answer transfer.open and transfer.verified as
 * files_run() lets time pass, unless told not to; everything they were told is kept. What is sent
 * is a pattern that says of each byte which file it is of and where, so that what arrived can be
 * held against it. */
#ifndef RATSD_TESTS_FILES_NODE_H
#define RATSD_TESTS_FILES_NODE_H

#include "service/transfer_engine.h"
#include "service_node.h"

#define FILES_NODE_MAX 4

struct files_node {
    struct service_node node;
    struct sim_net *net;
    char address[32];
    char directory[64];
    struct service_call call; /* the last one */
    struct list told;         /* all of it, oldest first */
    struct list sources;
    struct list targets;
    bool opens_nothing;  /* its programs answer no transfer.open, */
    bool places_nothing; /* and no transfer.verified */
    int last_source;     /* a duplicate of what was sent last; -1 */
};

/* At 10.0.0.<number>; options of [transfer]: "key", "value", ..., NULL. Sessions 1 and 2 watch both
 * kinds. */
void files_node_init(struct files_node *self, struct sim_net *net, uint8_t number,
                     const char *const *options);
void files_node_fini(struct files_node *self);
/* Lets time pass; programs answer every few milliseconds. */
void files_run(struct sim_net *net, int64_t duration_ms);

/* Dials the other; waits until the link is there. */
void files_link(struct files_node *self, const struct files_node *to);
bool files_is_linked(const struct files_node *self, const struct files_node *other);

/* Any method as that session; PROTO_ERROR_COUNT is no error. The result is in self->call. params is
 * taken; fd is given (-1: none). */
enum proto_error files_call(struct files_node *self, uint64_t session, enum method_id method,
                            json_t *params, struct bytes body, int fd);
/* The same with no more than the transfer as parameter. */
enum proto_error files_do(struct files_node *self, uint64_t session, enum method_id method,
                          const char *key);
/* Session 1 offers; the id of the transfer, valid until the node ends. */
const char *files_send(struct files_node *self, const struct files_node *to, size_t size);
const char *files_send_tree(struct files_node *self, const struct files_node *to, uint32_t count,
                            const size_t *sizes);
/* What was offered to that session last. */
const char *files_offered(struct files_node *self, uint64_t session);
/* Takes it: a file into an unnamed one, a directory into as many as there are. */
enum proto_error files_accept(struct files_node *self, uint64_t session, const char *key);
/* A descriptor with size bytes of the pattern of a file, at its beginning. */
int files_source(uint32_t file, size_t size);
int files_empty(void);

/* The last such event that session was told, NULL when there is none; borrowed. */
const json_t *files_last(const struct files_node *self, uint64_t session, enum event_id event);
size_t files_count(const struct files_node *self, uint64_t session, enum event_id event);
/* The state it was told last of that transfer, "" none; and how often it was told of its end. */
const char *files_state(const struct files_node *self, uint64_t session, const char *key);
size_t files_ends(const struct files_node *self, uint64_t session, const char *key);
/* Whether it was ever told that state. */
bool files_was(const struct files_node *self, uint64_t session, const char *key, const char *state);
/* What the last transfer.changed says of an error; "" nothing. */
const char *files_error(const struct files_node *self, uint64_t session, const char *key);
/* Fails the test unless the received file has size bytes of its pattern. */
void files_assert_target(const struct files_node *self, const char *key, uint32_t file,
                         size_t size);
/* Files of the transfer that its program has put into place. */
size_t files_placed(const struct files_node *self, const char *key);
/* Descriptors this process has open. */
size_t files_descriptors(void);

#endif
