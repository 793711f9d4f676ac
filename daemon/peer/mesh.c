#include "peer/mesh.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/random.h"
#include "peer/mesh_private.h"
#include "util/alloc.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

const struct config_item mesh_config_items[] = {
    {
        .key = "listen",
        .type = CONFIG_TEXT,
        .default_text = "",
        .max = 64,
        .summary = "Address to listen on: empty or :: for all, an IPv4 or IPv6 literal, or none "
                   "to only dial.",
    },
    {
        .key = "port",
        .type = CONFIG_UINT,
        .default_text = "7654",
        .max = 65535,
        .summary = "Port to listen on; 0 takes any free one.",
    },
    {
        .key = "port_attempts",
        .type = CONFIG_UINT,
        .default_text = "5",
        .min = 1,
        .max = 100,
        .summary = "How many ports are tried, each one higher, when the first is busy.",
    },
    {
        .key = "protocol",
        .type = CONFIG_TEXT,
        .default_text = "librats/1.0",
        .max = PROTOCOL_ID_MAX_NAME,
        .summary = "Application protocol; only nodes with the same text can connect.",
    },
    {
        .key = "security",
        .type = CONFIG_CHOICE,
        .default_text = "noise",
        .choices = "noise|plaintext",
        .summary = "noise encrypts and proves who peers are; plaintext does neither.",
    },
    {
        .key = "max_peers",
        .type = CONFIG_UINT,
        .default_text = "256",
        .max = 1000000,
        .reloadable = true,
        .summary = "Peers connected at a time, dialed ones included; 0 is no limit.",
    },
    {
        .key = "max_peers_hard",
        .type = CONFIG_UINT,
        .default_text = "4096",
        .max = 1000000,
        .reloadable = true,
        .summary = "How far programs may raise max_peers.",
    },
    {
        .key = "reserved_peers",
        .type = CONFIG_UINT,
        .default_text = "8",
        .max = 1000,
        .reloadable = true,
        .summary = "Places beyond max_peers for peers that were connected before.",
    },
    {
        .key = "max_pending",
        .type = CONFIG_UINT,
        .default_text = "256",
        .min = 1,
        .max = 100000,
        .reloadable = true,
        .summary = "Incoming connections that have not proved yet who they are.",
    },
    {
        .key = "max_pending_per_source",
        .type = CONFIG_UINT,
        .default_text = "32",
        .min = 1,
        .max = 100000,
        .reloadable = true,
        .summary = "The same from one address (IPv6: one /64).",
    },
    {
        .key = "link_queue",
        .type = CONFIG_SIZE,
        .default_text = "8M",
        .min = 64 * KIB,
        .max = 1024 * MIB,
        .reloadable = true,
        .summary =
            "Bytes that may wait to be sent to one peer; less when very many read slowly, all "
            "of which share 128M.",
    },
    {
        .key = "peer_messages_per_second",
        .type = CONFIG_UINT,
        .default_text = "0",
        .max = PEER_LIMIT_MAX,
        .reloadable = true,
        .summary = "Messages one peer may send in a second before its link is read more slowly; 0 "
                   "is no limit.",
    },
    {
        .key = "peer_bytes_per_second",
        .type = CONFIG_SIZE,
        .default_text = "0",
        .max = PEER_LIMIT_MAX,
        .reloadable = true,
        .summary = "Bytes one peer may send in a second before its link is read more slowly, at "
                   "least 16K; 0 is no limit.",
    },
    {.key = NULL},
};

#define ROW(member, metric_kind, text)                                                             \
    {                                                                                              \
        .name = "peer_" #member, .kind = (metric_kind),                                            \
        .offset = offsetof(struct mesh_metrics, member), .help = (text),                           \
    }

const struct metric_row mesh_metric_rows[] = {
    ROW(peers, METRIC_GAUGE, "Peers connected."),
    ROW(pending, METRIC_GAUGE, "Incoming connections that have not proved yet who they are."),
    ROW(dials, METRIC_GAUGE, "Dials in progress."),
    ROW(messages_in, METRIC_COUNTER, "Messages received from peers."),
    ROW(messages_out, METRIC_COUNTER, "Messages queued to peers."),
    ROW(messages_dropped, METRIC_COUNTER, "Messages received of a type nobody here wants."),
    ROW(bytes_in, METRIC_COUNTER, "Payload bytes received from peers."),
    ROW(bytes_out, METRIC_COUNTER, "Payload bytes queued to peers."),
    ROW(queue_full, METRIC_COUNTER, "Messages refused because a peer's send queue was full."),
    ROW(accepted, METRIC_COUNTER, "Incoming connections admitted to the handshake."),
    ROW(refused, METRIC_COUNTER, "Connections turned away by a limit."),
    ROW(handshakes_ok, METRIC_COUNTER, "Handshakes completed."),
    ROW(handshakes_failed, METRIC_COUNTER, "Handshakes that failed or timed out."),
    ROW(duplicates, METRIC_COUNTER, "Second connections to a connected peer."),
    ROW(replaced, METRIC_COUNTER, "Times a peer moved to another connection."),
    ROW(self_connections, METRIC_COUNTER, "Connections that turned out to lead to this node."),
    ROW(stalled, METRIC_COUNTER, "Connections ended because the peer took too little for 30 s."),
    ROW(protocol_errors, METRIC_COUNTER, "Connections ended by bytes that are not the protocol."),
    ROW(dials_ok, METRIC_COUNTER, "Dials that reached a peer."),
    ROW(dials_failed, METRIC_COUNTER, "Dials that reached nobody."),
    ROW(banned, METRIC_COUNTER, "Connections and dials refused because of a ban."),
    ROW(dials_refused, METRIC_COUNTER, "Addresses named by others that were not dialed."),
    ROW(silent, METRIC_COUNTER, "Peers disconnected because they answered no pings."),
    ROW(throttled, METRIC_COUNTER, "Times a peer's link was not read because of its limits."),
    {.name = NULL},
};

/* ---- limits ---- */

static void apply_limits(struct mesh *mesh)
{
    struct admission_limits limits = mesh->limits;
    limits.max_peers = mesh_max_peers(mesh);
    admission_set_limits(mesh->admission, &limits);
}

static void read_limits(struct mesh *mesh, const struct config *config)
{
    mesh->configured_peers = config_size(config, MESH_SECTION, "max_peers");
    mesh->hard_peers = config_size(config, MESH_SECTION, "max_peers_hard");
    mesh->limits = (struct admission_limits){
        .reserved = config_size(config, MESH_SECTION, "reserved_peers"),
        .max_pending = config_size(config, MESH_SECTION, "max_pending"),
        .max_per_source = config_size(config, MESH_SECTION, "max_pending_per_source"),
    };
    mesh->conns.queue_limit = config_size(config, MESH_SECTION, "link_queue");
    throttle_set_default(
        mesh, &(struct peer_limit){
                  .messages_per_s = config_uint(config, MESH_SECTION, "peer_messages_per_second"),
                  .bytes_per_s = config_uint(config, MESH_SECTION, "peer_bytes_per_second"),
              });
}

static size_t limited(const struct mesh *mesh)
{
    size_t most =
        mesh->hard_peers > mesh->configured_peers ? mesh->hard_peers : mesh->configured_peers;
    return mesh->configured_peers == 0 || mesh->limited_peers < most ? mesh->limited_peers : most;
}

size_t mesh_max_peers(const struct mesh *mesh)
{
    if (mesh->limited_peers > 0) {
        return limited(mesh);
    }
    if (mesh->configured_peers == 0) {
        return 0;
    }
    size_t raised =
        mesh->demanded_peers < mesh->hard_peers ? mesh->demanded_peers : mesh->hard_peers;
    return raised > mesh->configured_peers ? raised : mesh->configured_peers;
}

size_t mesh_demand_peers(struct mesh *mesh, size_t demand)
{
    mesh->demanded_peers = demand;
    apply_limits(mesh);
    return mesh_max_peers(mesh);
}

size_t mesh_limit_peers(struct mesh *mesh, size_t limit)
{
    mesh->limited_peers = limit;
    apply_limits(mesh);
    return mesh_max_peers(mesh);
}

void mesh_reload(struct mesh *mesh, const struct config *config)
{
    read_limits(mesh, config);
    apply_limits(mesh);
}

/* ---- life ---- */

int mesh_new(struct loop *loop, struct resolver *resolver, struct metrics *metrics,
             const struct identity *identity, const struct config *config, struct mesh **ret_mesh)
{
    const char *protocol = config_text(config, MESH_SECTION, "protocol");
    struct protocol_id blob;
    if (protocol_id_init(&blob, bytes_from_string(protocol)) != 0) {
        return -EINVAL;
    }
    struct mesh *mesh = xalloc(sizeof *mesh);
    mesh->loop = loop;
    mesh->resolver = resolver;
    mesh->metrics = metrics;
    mesh->identity = identity;
    mesh->protocol = xstrdup(protocol);
    mesh->listen = xstrdup(config_text(config, MESH_SECTION, "listen"));
    mesh->wanted_port = (uint16_t)config_uint(config, MESH_SECTION, "port");
    mesh->stopped = true;
    mesh->port_attempts = (unsigned)config_uint(config, MESH_SECTION, "port_attempts");
    bool plaintext = strcmp(config_text(config, MESH_SECTION, "security"), "plaintext") == 0;
    mesh->conns = (struct conn_context){
        .loop = loop,
        .identity = identity,
        .protocol = blob,
        .security = plaintext ? SECURITY_PLAINTEXT : SECURITY_NOISE,
        .arrivals = &mesh->arrivals,
        .departures = &mesh->departures,
        .turn = &mesh->turn,
    };
    conn_arrivals_init(&mesh->arrivals, loop);
    conn_departures_init(&mesh->departures, loop);
    conn_turn_init(&mesh->turn, loop);
    uint64_t seed[2] = {random_u64(), random_u64()};
    map_init(&mesh->peers, seed);
    guard_init(mesh, seed);
    throttle_init(mesh);
    read_limits(mesh, config);
    list_init(&mesh->newcomers);
    list_init(&mesh->contacts);
    list_init(&mesh->dials);
    int rc = admission_new(&mesh->limits, seed, &mesh->admission);
    if (rc != 0) {
        mesh_free(mesh);
        return rc;
    }
    apply_limits(mesh);
    mesh_claim(mesh, WIRE_CONTROL, identify_on_control, mesh);
    metrics_add(metrics, mesh_metric_rows, &mesh->counts);
    *ret_mesh = mesh;
    return 0;
}

void mesh_free(struct mesh *mesh)
{
    if (mesh == NULL) {
        return;
    }
    mesh_stop(mesh);
    mesh_disinherit(mesh);
    dials_free(mesh);
    metrics_remove(mesh->metrics, &mesh->counts);
    conn_arrivals_fini(&mesh->arrivals);
    conn_departures_fini(&mesh->departures);
    conn_turn_fini(&mesh->turn);
    admission_free(mesh->admission);
    guard_fini(mesh);
    map_fini(&mesh->peers);
    free(mesh->protocol);
    free(mesh->listen);
    /* Connections that were just closed still read what is in here until the turn ends. */
    loop_free_later(mesh->loop, free, mesh);
}

int mesh_start(struct mesh *mesh, char *error, size_t error_size)
{
    mesh->stopped = false;
    return mesh_listen(mesh, error, error_size);
}

void mesh_stop(struct mesh *mesh)
{
    mesh->stopped = true;
    mesh_unlisten(mesh);
    dials_stop(mesh);
    for (;;) { /* from the start each time: observers may end other peers meanwhile */
        size_t cursor = 0;
        struct peer *peer = map_next(&mesh->peers, &cursor);
        if (peer == NULL) {
            break;
        }
        peer_close(peer, CONN_CLOSED_STOPPING);
    }
    contacts_stop(&mesh->newcomers);
    contacts_stop(&mesh->contacts);
}

void mesh_network_changed(struct mesh *mesh)
{
    identify_network_changed(mesh);
}

/* ---- dispatch ---- */

void mesh_claim(struct mesh *mesh, enum wire_type type, mesh_message_fn on_message, void *arg)
{
    assert(type > WIRE_NONE && type < WIRE_TYPE_COUNT && mesh->claims[type].on_message == NULL);
    mesh->claims[type] = (struct mesh_claim){.on_message = on_message, .arg = arg};
}

void mesh_disclaim(struct mesh *mesh, enum wire_type type)
{
    mesh->claims[type] = (struct mesh_claim){0};
}

void mesh_deliver(struct mesh *mesh, struct peer *from, const struct message *message)
{
    const struct mesh_claim *claim = &mesh->claims[message->type];
    if (claim->on_message == NULL) {
        mesh->counts.messages_dropped++; /* wire-core 5.2: silently, and the link stays */
        return;
    }
    claim->on_message(claim->arg, from, message);
}

void mesh_observe(struct mesh *mesh, mesh_peer_fn on_peer, void *arg)
{
    assert(mesh->observer_count < MESH_MAX_OBSERVERS);
    mesh->observers[mesh->observer_count++] =
        (struct mesh_observer){.on_peer = on_peer, .arg = arg};
}

void mesh_on_drained(struct mesh *mesh, mesh_drained_fn on_drained, void *arg)
{
    assert(mesh->drain_count < MESH_MAX_OBSERVERS);
    mesh->drains[mesh->drain_count++] =
        (struct mesh_drain_observer){.on_drained = on_drained, .arg = arg};
}

void mesh_drained(struct mesh *mesh, const struct peer_id *id)
{
    struct peer_id copy = *id; /* the peer may go in one of these calls */
    for (size_t i = 0; i < mesh->drain_count; i++) {
        mesh->drains[i].on_drained(mesh->drains[i].arg, &copy);
    }
}

void mesh_on_room(struct mesh *mesh, mesh_drained_fn on_room, void *arg)
{
    mesh->room = (struct mesh_drain_observer){.on_drained = on_room, .arg = arg};
}

void mesh_room(struct mesh *mesh, const struct peer_id *id)
{
    struct peer_id copy = *id;
    if (mesh->room.on_drained != NULL) {
        mesh->room.on_drained(mesh->room.arg, &copy);
    }
}

/* ---- the table and other facts ---- */

struct peer *mesh_find(const struct mesh *mesh, const struct peer_id *id)
{
    return map_find(&mesh->peers, bytes_make(id->bytes, sizeof id->bytes));
}

struct peer *mesh_next(const struct mesh *mesh, size_t *cursor)
{
    return map_next(&mesh->peers, cursor);
}

size_t mesh_queued_bytes(const struct mesh *mesh)
{
    size_t queued = 0;
    LIST_EACH(&mesh->contacts, node)
    {
        queued += conn_unsent(CONTAINER_OF(node, struct contact, node)->conn);
    }
    return queued;
}

size_t mesh_peer_count(const struct mesh *mesh)
{
    return map_count(&mesh->peers);
}

size_t mesh_observed(const struct mesh *mesh, const struct endpoint **ret_addresses)
{
    *ret_addresses = mesh->observed;
    return mesh->observed_count;
}

uint16_t mesh_port(const struct mesh *mesh)
{
    return mesh->port;
}

const char *mesh_protocol(const struct mesh *mesh)
{
    return mesh->protocol;
}

bool mesh_is_encrypted(const struct mesh *mesh)
{
    return mesh->conns.security == SECURITY_NOISE;
}

void mesh_set_encrypted(struct mesh *mesh, bool encrypted)
{
    mesh->conns.security = encrypted ? SECURITY_NOISE : SECURITY_PLAINTEXT;
}

const struct identity *mesh_identity(const struct mesh *mesh)
{
    return mesh->identity;
}
