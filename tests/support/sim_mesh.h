/* A whole mesh on a node of the simulated network, with a diary: what its observers were told and
 * what it received. */
#ifndef RATSD_TESTS_SIM_MESH_H
#define RATSD_TESTS_SIM_MESH_H

#include "core/config.h"
#include "peer/mesh.h"
#include "sim_net.h"

struct sim_mesh {
    int number; /* the test's own */
    struct sim_node *node;
    struct identity identity;
    struct resolver *resolver;
    struct metrics *metrics;
    struct config *config;
    struct mesh *mesh;
    unsigned ups;
    unsigned downs;
    unsigned replaced;
    unsigned updated;
    unsigned drained;
    unsigned messages;
    size_t bytes;
    uint8_t last_byte;
    char down_reason[64];
    void (*on_event)(struct sim_mesh *self, struct peer *peer, enum peer_event event);
    void (*on_message)(struct sim_mesh *self, struct peer *peer, const struct message *message);
};

/* The outcome of a dial. */
struct sim_dial {
    bool done;
    int result;
    bool already;
    struct peer_id peer;
    char error[320];
    struct mesh_dial *dial;
};

/* Makes the mesh, with an identity grown from the seed and options as "key", "value", ..., NULL;
 * the port is 4000 unless given. It listens at once. */
void sim_mesh_init(struct sim_mesh *self, struct sim_node *node, uint8_t secret_seed,
                   const char *const *options);
/* The same node starts again: identity and address stay, everything else is new. */
void sim_mesh_restart(struct sim_mesh *self, const char *const *options);
/* One without services, whose words the test chooses: what comes of that type goes to hear. */
void sim_mesh_init_bare(struct sim_mesh *self, struct sim_node *node, uint8_t secret_seed,
                        enum wire_type type, mesh_message_fn hear);
void sim_mesh_fini(struct sim_mesh *self);

void sim_mesh_dial(struct sim_mesh *self, struct sim_dial *dial, const char *host, uint16_t port,
                   const struct peer_id *expected);
/* Dials port 4000 there and lets two seconds pass. They are connected, or the test fails. */
void sim_mesh_connect(struct sim_mesh *self, const char *host);
/* One App message to the only or the given peer. */
int sim_mesh_send(struct sim_mesh *self, const struct peer_id *to, size_t size, uint8_t fill);
uint64_t sim_mesh_metric(const struct sim_mesh *self, const char *name);

#endif
