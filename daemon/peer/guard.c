#include <errno.h>
#include <stdlib.h>

#include "peer/mesh_private.h"
#include "util/alloc.h"

void guard_init(struct mesh *mesh, const uint64_t seed[2])
{
    ban_list_init(&mesh->bans, seed);
    mesh->dial_budget = dial_budget_new(seed);
}

void guard_fini(struct mesh *mesh)
{
    ban_list_fini(&mesh->bans);
    dial_budget_free(mesh->dial_budget);
}

/* ---- bans ---- */

struct ban_list *mesh_bans(struct mesh *mesh)
{
    return &mesh->bans;
}

bool guard_bans_address(const struct mesh *mesh, const struct endpoint *address)
{
    return ban_list_address(&mesh->bans, address, loop_now_ms(mesh->loop)) != NULL;
}

bool guard_bans_peer(const struct mesh *mesh, const struct peer_id *id)
{
    return ban_list_peer(&mesh->bans, id, loop_now_ms(mesh->loop)) != NULL;
}

/* The ids of the peers that are banned, to be freed; observers may end peers while others are
 * being ended, so nothing else of them is kept. */
static struct peer_id *list_banned(const struct mesh *mesh, size_t *ret_count)
{
    struct peer_id *ids = xalloc((mesh_peer_count(mesh) + 1) * sizeof *ids);
    size_t count = 0;
    size_t cursor = 0;
    for (struct peer *peer; (peer = mesh_next(mesh, &cursor)) != NULL;) {
        if (guard_bans_peer(mesh, &peer->id) || guard_bans_address(mesh, &peer->endpoint)) {
            ids[count++] = peer->id;
        }
    }
    *ret_count = count;
    return ids;
}

static struct contact *find_banned_newcomer(const struct mesh *mesh)
{
    LIST_EACH(&mesh->newcomers, node)
    {
        struct contact *contact = CONTAINER_OF(node, struct contact, node);
        if (guard_bans_address(mesh, &contact->remote)) {
            return contact;
        }
    }
    return NULL;
}

size_t mesh_enforce_bans(struct mesh *mesh)
{
    size_t count = 0;
    size_t banned = 0;
    struct peer_id *ids = list_banned(mesh, &banned);
    for (size_t i = 0; i < banned; i++) {
        count += mesh_drop(mesh, &ids[i], MESH_DROP_BANNED) == 0 ? 1u : 0u;
    }
    free(ids);
    for (struct contact *contact; (contact = find_banned_newcomer(mesh)) != NULL;) {
        contact_close(contact, CONN_CLOSED_BANNED, false);
    }
    return count;
}

/* ---- what others name ---- */

void guard_shun(struct peer *peer)
{
    struct mesh *mesh = peer->mesh;
    struct shunned *entry = &mesh->shunned[mesh->next_shunned++ % MESH_MAX_SHUNNED];
    *entry = (struct shunned){
        .id = peer->id,
        .until_ms = loop_now_ms(mesh->loop) + MESH_SHUN_MS,
    };
    if (peer->address_count > 0) {
        entry->address = peer->addresses[0];
    }
}

static bool is_shunned(const struct mesh *mesh, const struct endpoint *to, const struct peer_id *id)
{
    int64_t now_ms = loop_now_ms(mesh->loop);
    for (size_t i = 0; i < MESH_MAX_SHUNNED; i++) {
        const struct shunned *entry = &mesh->shunned[i];
        if (entry->until_ms > now_ms && ((id != NULL && peer_id_equal(&entry->id, id)) ||
                                         endpoint_equal(&entry->address, to))) {
            return true;
        }
    }
    return false;
}

static int judge(struct mesh *mesh, const struct endpoint *to, const struct peer_id *id)
{
    if (to->port == 0 || endpoint_realm(to) == REALM_NOWHERE) {
        return -EINVAL;
    }
    if (identify_is_own(mesh, to) || (id != NULL && peer_id_equal(id, &mesh->identity->id))) {
        return -ELOOP;
    }
    if (guard_bans_address(mesh, to) || (id != NULL && guard_bans_peer(mesh, id))) {
        return -EACCES;
    }
    if (id != NULL && mesh_find(mesh, id) != NULL) {
        return -EISCONN;
    }
    if (is_shunned(mesh, to, id)) {
        return -EAGAIN;
    }
    return dial_budget_take(mesh->dial_budget, to, loop_now_ms(mesh->loop));
}

static bool is_counted(const struct endpoint *to)
{
    return !endpoint_is_loopback(to); /* this machine cannot be somebody's victim */
}

int64_t mesh_dial_opens_ms(struct mesh *mesh, const struct endpoint *to)
{
    int64_t now_ms = loop_now_ms(mesh->loop);
    return is_counted(to) ? dial_budget_opens_ms(mesh->dial_budget, to, now_ms) : now_ms;
}

void guard_count_dial(struct mesh *mesh, const struct endpoint *to)
{
    if (is_counted(to)) {
        dial_budget_count(mesh->dial_budget, to, loop_now_ms(mesh->loop));
    }
}

int mesh_may_dial(struct mesh *mesh, const struct endpoint *to, const struct peer_id *id)
{
    int rc = judge(mesh, to, id);
    mesh->counts.dials_refused += rc != 0 && rc != -EISCONN ? 1u : 0u;
    return rc;
}
