#include "sim_mesh.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "util/alloc.h"

static void on_peer(void *arg, struct peer *peer, enum peer_event event)
{
    struct sim_mesh *self = arg;
    switch (event) {
    case PEER_UP:
        self->ups++;
        break;
    case PEER_REPLACED:
        self->replaced++;
        break;
    case PEER_UPDATED:
        self->updated++;
        break;
    case PEER_DOWN:
        self->downs++;
        (void)snprintf(self->down_reason, sizeof self->down_reason, "%s", peer_down_reason(peer));
        break;
    }
    if (self->on_event != NULL) {
        self->on_event(self, peer, event);
    }
}

static void on_app(void *arg, struct peer *peer, const struct message *message)
{
    struct sim_mesh *self = arg;
    self->messages++;
    self->bytes += message->payload.size;
    if (message->payload.size > 0) {
        self->last_byte = message->payload.data[message->payload.size - 1];
    }
    if (self->on_message != NULL) {
        self->on_message(self, peer, message);
    }
}

static void on_drained(void *arg, const struct peer_id *id)
{
    (void)id;
    ((struct sim_mesh *)arg)->drained++;
}

static void set(struct config *config, const char *key, const char *value)
{
    char error[256];
    int rc = config_set(config, "network", key, value, error, sizeof error);
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", error);
    }
    assert(rc == 0);
}

static void start(struct sim_mesh *self, const char *const *options)
{
    static const struct config_section section = {.name = "network", .items = mesh_config_items};
    char error[320] = "";
    struct loop *loop = sim_node_loop(self->node);
    log_set_level(LOG_LEVEL_ERROR);
    self->metrics = metrics_new();
    (void)resolver_new(loop, NULL, &self->resolver);
    int rc = config_load(&section, 1, NULL, &self->config, error, sizeof error);
    assert(rc == 0);
    set(self->config, "port", "4000");
    for (; options != NULL && options[0] != NULL; options += 2) {
        set(self->config, options[0], options[1]);
    }
    rc = mesh_new(loop, self->resolver, self->metrics, &self->identity, self->config, &self->mesh);
    assert(rc == 0);
    mesh_observe(self->mesh, on_peer, self);
    mesh_claim(self->mesh, WIRE_APP, on_app, self);
    mesh_on_drained(self->mesh, on_drained, self);
    rc = mesh_start(self->mesh, error, sizeof error);
    if (rc != 0) {
        (void)fprintf(stderr, "%s\n", error);
    }
    assert(rc == 0);
    (void)rc;
}

static void stop(struct sim_mesh *self)
{
    mesh_free(self->mesh);
    self->mesh = NULL;
    resolver_free(self->resolver);
    metrics_free(self->metrics);
    config_free(self->config);
}

void sim_mesh_init(struct sim_mesh *self, struct sim_node *node, uint8_t secret_seed,
                   const char *const *options)
{
    uint8_t secret[X25519_SIZE];
    memset(self, 0, sizeof *self);
    memset(secret, secret_seed, sizeof secret);
    self->node = node;
    int rc = identity_init(&self->identity, secret);
    assert(rc == 0);
    (void)rc;
    start(self, options);
}

void sim_mesh_init_bare(struct sim_mesh *self, struct sim_node *node, uint8_t secret_seed,
                        enum wire_type type, mesh_message_fn hear)
{
    sim_mesh_init(self, node, secret_seed, NULL);
    mesh_claim(self->mesh, type, hear, self);
}

void sim_mesh_restart(struct sim_mesh *self, const char *const *options)
{
    stop(self);
    virtual_world_settle(virtual_loop_world(sim_node_loop(self->node)));
    start(self, options);
}

void sim_mesh_fini(struct sim_mesh *self)
{
    stop(self);
}

static void on_done(void *arg, int result, const struct peer_id *peer, bool already,
                    const char *error)
{
    struct sim_dial *dial = arg;
    assert(!dial->done && (result == 0) == (peer != NULL) && (result == 0) == (error == NULL));
    dial->done = true;
    dial->result = result;
    dial->already = already;
    if (peer != NULL) {
        dial->peer = *peer;
    } else {
        (void)snprintf(dial->error, sizeof dial->error, "%s", error);
    }
}

void sim_mesh_dial(struct sim_mesh *self, struct sim_dial *dial, const char *host, uint16_t port,
                   const struct peer_id *expected)
{
    memset(dial, 0, sizeof *dial);
    struct dial_target target = {
        .host = host,
        .port = port,
        .timeout_ms = 30000,
        .expected = expected,
    };
    dial->dial = mesh_dial(self->mesh, &target, on_done, dial);
    assert(dial->dial != NULL && !dial->done);
}

void sim_mesh_connect(struct sim_mesh *self, const char *host)
{
    struct virtual_world *world = virtual_loop_world(sim_node_loop(self->node));
    struct sim_dial dial;
    sim_mesh_dial(self, &dial, host, 4000, NULL);
    virtual_world_run(world, virtual_world_now_ms(world) + 2000);
    if (!dial.done || dial.result != 0) {
        (void)fprintf(stderr, "no connection to %s: %s\n", host, dial.error);
    }
    assert(dial.done && dial.result == 0);
}

int sim_mesh_send(struct sim_mesh *self, const struct peer_id *to, size_t size, uint8_t fill)
{
    uint8_t *payload = xalloc(size + 1);
    memset(payload, fill, size);
    int rc = mesh_send(self->mesh, to, WIRE_APP, 7, bytes_make(payload, size));
    free(payload);
    return rc;
}

struct wanted {
    const char *name;
    uint64_t value;
};

static void visit(void *arg, const struct metric_row *row, uint64_t value)
{
    struct wanted *wanted = arg;
    if (strcmp(row->name, wanted->name) == 0) {
        wanted->value = value;
    }
}

uint64_t sim_mesh_metric(const struct sim_mesh *self, const char *name)
{
    struct wanted wanted = {.name = name, .value = UINT64_MAX};
    metrics_each(self->metrics, visit, &wanted);
    assert(wanted.value != UINT64_MAX);
    return wanted.value;
}
