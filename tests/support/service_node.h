/* Services on a mesh of the simulated network, without ipc/ and clients around them: the test makes
 * their calls. Linked instead of service/host.c. */
#ifndef RATSD_TESTS_SERVICE_NODE_H
#define RATSD_TESTS_SERVICE_NODE_H

#include "service/service.h"
#include "sim_mesh.h"
#include "util/buf.h"

#define SERVICE_NODE_MAX 4

struct service_node;

/* host_emit_body(): for every session that is to see it. */
typedef void (*service_node_event_fn)(struct service_node *self, uint64_t session,
                                      const json_t *fields, struct bytes body);

/* host_emit_to(). */
typedef void (*service_node_told_fn)(struct service_node *self, uint64_t session,
                                     enum event_id event, const json_t *fields);

struct service_node {
    struct sim_mesh mesh;
    struct host *host;
    struct config *config; /* of the services */
    const char *data_directory;
    struct worker *worker; /* sim_worker.c */
    const struct service *services[SERVICE_NODE_MAX];
    void *selves[SERVICE_NODE_MAX];
    size_t count;
    unsigned events; /* host_emit() */
    service_node_event_fn on_body_event;
    service_node_told_fn on_told;
    uint64_t stopped; /* a bit for each session that is not started */
    void *own;        /* the test's */
};

/* A call of a client, and what became of it. */
struct service_call {
    /* Set before service_node_call_with(): */
    uint64_t session; /* 0 counts as 1 */
    struct bytes body;
    bool may_not_control;
    int fds[16]; /* the service's once it takes them; the others are closed */
    size_t fd_count;
    bool has_no_room; /* request_reply_body() is refused */

    bool done;
    json_t *result; /* NULL after a failure */
    enum proto_error error;
    char text[512];
    struct request *request; /* while it is deferred */
    struct buf reply_body;
    unsigned refused; /* request_reply_body() calls that were */
};

/* Makes the mesh as sim_mesh_init() does, opens and starts the services (ends with NULL), and tells
 * them that there is a network.
 * options are of the services: "section", "key", "value", ..., NULL. */
void service_node_init(struct service_node *self, struct sim_node *node, uint8_t secret_seed,
                       const char *data_directory, const struct service *const *services,
                       const char *const *mesh_options, const char *const *options);
void service_node_fini(struct service_node *self);
/* As when the machine's addresses change. */
void service_node_network_changed(struct service_node *self);
/* Stops the services; calls that wait are answered. */
void service_node_stop(struct service_node *self);
/* Sets an option of a service and tells it to read its configuration again. */
void service_node_reload(struct service_node *self, const char *section, const char *key,
                         const char *value);

/* params is taken. The call stays the test's until it is done or cancelled. */
void service_node_call(struct service_node *self, enum method_id method, json_t *params,
                       struct service_call *call);
/* The same with what the call says. */
void service_node_call_with(struct service_node *self, enum method_id method, json_t *params,
                            struct service_call *call);
void service_call_cancel(struct service_call *call);
/* Releases the result. */
void service_call_fini(struct service_call *call);

uint64_t service_node_metric(const struct service_node *self, const char *name);
const struct peer_id *service_node_id(const struct service_node *self);

#endif
