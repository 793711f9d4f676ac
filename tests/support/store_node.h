/* The store as a service on a node of the simulated network, with calls in one line each. Built on
 * service_node.h; the disk is real, in a directory that ends with the node. */
#ifndef RATSD_TESTS_STORE_NODE_H
#define RATSD_TESTS_STORE_NODE_H

#include "scratch.h"
#include "service_node.h"

struct store_node {
    struct service_node node;
    struct sim_net *net;
    char address[32];
    char directory[SCRATCH_SIZE];
    struct service_call call; /* the last one */
};

/* At 10.0.0.<number>; options of [storage]: "key", "value", ..., NULL. */
void store_node_init(struct store_node *self, struct sim_net *net, uint8_t number,
                     const char *const *options);
void store_node_fini(struct store_node *self);

/* They let a little time pass, until the answer is there. Errors: PROTO_ERROR_COUNT is none. */
enum proto_error store_put(struct store_node *self, const char *key, const char *value);
enum proto_error store_remove(struct store_node *self, const char *key);
/* The value, NULL when there is none; valid until the next call. */
const char *store_get(struct store_node *self, const char *key);
/* Any method; the result in self->call. params is taken. */
enum proto_error store_call(struct store_node *self, enum method_id method, json_t *params);
uint64_t store_statistic(struct store_node *self, const char *name);

/* Dials the other; waits until the link is there. */
void store_link(struct store_node *self, const struct store_node *to);
/* The link between the two goes, at this end. */
void store_unlink(struct store_node *self, const struct store_node *other);
bool store_is_linked(const struct store_node *self, const struct store_node *other);
/* One number for everything that is stored, tombstones and stamps included: the same on two nodes
 * that have the same. */
uint64_t store_digest(const struct store_node *self);

#endif
