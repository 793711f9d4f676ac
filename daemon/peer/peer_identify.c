#include "core/net.h"
#include "peer/mesh_private.h"
#include "util/alloc.h"
#include "wire/identify.h"

#define ADDRESS_STEP 4 /* most peers name few addresses */
#define NEWS_COST    8 /* of all that is known of a peer, to every program */

/* ---- what we say ---- */

/* Read once; the mesh is told when they change. */
static void need_interfaces(struct mesh *mesh)
{
    if (!mesh->interfaces_known) {
        mesh->interface_count = net_interfaces(mesh->interfaces, MESH_MAX_INTERFACES);
        mesh->interfaces_known = true;
    }
}

/* A stranger has no use for addresses that only mean something on our own machine or wire, and
 * need not know them (wire-core 17.10). */
static bool may_tell(const struct peer *peer, const struct endpoint *address)
{
    const struct endpoint *seen = &peer->endpoint;
    if (endpoint_is_loopback(address)) {
        return endpoint_is_loopback(seen);
    }
    if (endpoint_is_link_local(address)) {
        return endpoint_is_link_local(seen) || endpoint_is_loopback(seen);
    }
    return true;
}

static void build(struct peer *peer, struct identify *identify)
{
    struct mesh *mesh = peer->mesh;
    *identify = (struct identify){.listen_port = mesh->port, .observed = peer->endpoint};
    if (peer->kind == TRANSPORT_TCP) {
        identify->observed.port = 0; /* the port of a dialed TCP connection means nothing */
    }
    if (mesh->port == 0) {
        return;
    }
    identify->transports = WIRE_TRANSPORT_TCP;
    need_interfaces(mesh);
    for (size_t i = 0;
         i < mesh->interface_count && identify->address_count < IDENTIFY_MAX_ADDRESSES; i++) {
        if (may_tell(peer, &mesh->interfaces[i])) {
            struct endpoint *entry = &identify->addresses[identify->address_count++];
            *entry = mesh->interfaces[i];
            entry->port = mesh->port;
        }
    }
}

void identify_send(struct peer *peer)
{
    struct identify identify;
    uint8_t encoded[IDENTIFY_MAX_SIZE];
    build(peer, &identify);
    size_t size = identify_encode(&identify, encoded);
    /* A queue too full for it is on its way out or will hear of the next change. */
    (void)peer_send(peer, WIRE_CONTROL, 0, bytes_make(encoded, size));
}

bool identify_is_own(struct mesh *mesh, const struct endpoint *address)
{
    if (mesh->port == 0 || address->port != mesh->port) {
        return false;
    }
    need_interfaces(mesh);
    bool own = endpoint_is_loopback(address);
    for (size_t i = 0; i < mesh->interface_count; i++) {
        own = own || endpoint_same_ip(&mesh->interfaces[i], address);
    }
    for (size_t i = 0; i < mesh->observed_count; i++) {
        own = own || endpoint_equal(&mesh->observed[i], address);
    }
    return own;
}

static bool same_addresses(const struct endpoint *a, const struct endpoint *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!endpoint_same_ip(&a[i], &b[i])) {
            return false;
        }
    }
    return true;
}

void identify_network_changed(struct mesh *mesh)
{
    struct endpoint before[MESH_MAX_INTERFACES];
    size_t count = mesh->interface_count;
    bool were_known = mesh->interfaces_known;
    memcpy(before, mesh->interfaces, sizeof before);
    mesh->interfaces_known = false;
    if (!were_known) {
        return; /* nobody was told anything yet */
    }
    need_interfaces(mesh);
    if (count == mesh->interface_count && same_addresses(before, mesh->interfaces, count)) {
        return; /* routes or names changed, not addresses */
    }
    size_t cursor = 0;
    for (struct peer *peer; (peer = mesh_next(mesh, &cursor)) != NULL;) {
        identify_send(peer);
    }
}

/* ---- what we are told ---- */

bool identify_add_address(struct peer *peer, const struct endpoint *address)
{
    if (address->port == 0 || address->ip_size == 0 || endpoint_is_unspecified(address) ||
        peer->address_count >= MESH_MAX_ADDRESSES) {
        return false;
    }
    for (size_t i = 0; i < peer->address_count; i++) {
        if (endpoint_equal(&peer->addresses[i], address)) {
            return false;
        }
    }
    if (peer->address_count == peer->address_room) {
        peer->address_room += ADDRESS_STEP;
        peer->addresses = xrealloc(peer->addresses, peer->address_room * sizeof *peer->addresses);
    }
    peer->addresses[peer->address_count++] = *address;
    return true;
}

static void note_observed(struct mesh *mesh, const struct endpoint *observed)
{
    struct endpoint own = *observed;
    own.port = mesh->port;
    if (own.ip_size == 0 || own.port == 0 || endpoint_is_unspecified(&own) ||
        mesh->observed_count >= MESH_MAX_OBSERVED) {
        return;
    }
    for (size_t i = 0; i < mesh->observed_count; i++) {
        if (endpoint_equal(&mesh->observed[i], &own)) {
            return;
        }
    }
    mesh->observed[mesh->observed_count++] = own;
}

/* Every Control message is taken to be identify, also a later one (wire-core 5.2, 6). */
void identify_on_control(void *arg, struct peer *from, const struct message *message)
{
    struct identify identify;
    if (identify_decode(message->payload, &identify) != 0) {
        return;
    }
    bool changed = false;
    if (identify.listen_port != 0) {
        struct endpoint seen = from->endpoint;
        seen.port = identify.listen_port;
        changed = identify_add_address(from, &seen);
    }
    for (size_t i = 0; i < identify.address_count; i++) {
        changed = identify_add_address(from, &identify.addresses[i]) || changed;
    }
    if (identify.transports != 0 && identify.transports != from->transports) {
        from->transports = identify.transports;
        changed = true;
    }
    note_observed(arg, &identify.observed);
    if (changed) {
        peer_made_news(from, NEWS_COST);
        peer_notify(from, PEER_UPDATED);
    }
}
