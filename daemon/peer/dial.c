#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "peer/mesh_private.h"
#include "util/alloc.h"
#include "util/text.h"

#define NEXT_ADDRESS_MS 1200 /* an address that has not answered gets company (wire-core 8.2) */
#define HOST_SHOWN      96   /* of a host name in a sentence */
#define SENTENCE_SIZE   320

struct mesh_dial {
    struct list node;
    struct mesh *mesh;
    char *host;
    uint16_t port;
    enum dial_cause cause;
    int64_t timeout_ms;
    bool has_expected;
    struct peer_id expected;
    dial_done_fn on_done;
    void *arg;
    struct lookup *lookup;
    struct endpoint addresses[RESOLVER_MAX_ADDRESSES];
    size_t address_count;
    size_t next_address;
    struct list attempts;
    struct timer overall;
    struct timer race;
    struct deferred finish; /* on_done runs from here, so from nobody else's callback */
    bool settled;
    bool reached_somebody; /* the failure kept is of a node that answered: say that one */
    bool already;
    int result;
    struct peer_id peer;
    char error[SENTENCE_SIZE];
};

/* A dial waiting for a contact. Several dials may wait for one: programs that start together often
 * want the same peer. */
struct attempt {
    struct list of_dial;
    struct list of_contact;
    struct mesh_dial *dial;
    struct contact *contact;
};

static void attempt_free(struct attempt *attempt)
{
    list_remove(&attempt->of_dial);
    list_remove(&attempt->of_contact);
    free(attempt);
}

/* Ends the attempts still under way, and connections nobody waits for any more. */
static void drop_attempts(struct mesh_dial *dial)
{
    LIST_EACH(&dial->attempts, node)
    {
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, of_dial);
        struct contact *contact = attempt->contact;
        attempt_free(attempt);
        if (list_is_empty(&contact->waiters) && contact->peer == NULL) {
            contact_close(contact, CONN_CLOSED_LOCALLY, false);
        }
    }
}

static void stop_work(struct mesh_dial *dial)
{
    if (dial->lookup != NULL) {
        lookup_cancel(dial->lookup);
        dial->lookup = NULL;
    }
    timer_stop(&dial->overall);
    timer_stop(&dial->race);
}

static void settle(struct mesh_dial *dial, int result)
{
    dial->settled = true;
    dial->result = result;
    stop_work(dial);
    deferred_schedule(&dial->finish);
}

/* Keeps the sentence that tells most: of a node that answered rather than of an address that did
 * not, else the latest. */
__attribute__((format(printf, 4, 5))) static void
note_failure(struct mesh_dial *dial, int result, bool reached_somebody, const char *format, ...)
{
    if (dial->reached_somebody && !reached_somebody) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(dial->error, sizeof dial->error, format, args);
    va_end(args);
    dial->result = result;
    dial->reached_somebody = reached_somebody;
}

static void dial_free(struct mesh_dial *dial)
{
    struct mesh *mesh = dial->mesh;
    stop_work(dial);
    drop_attempts(dial);
    deferred_cancel(&dial->finish);
    list_remove(&dial->node);
    mesh->dial_count--;
    mesh->counts.dials = mesh->dial_count;
    free(dial->host);
    free(dial);
}

static void on_finish(void *arg)
{
    struct mesh_dial *dial = arg;
    struct mesh_metrics *counts = &dial->mesh->counts;
    bool ok = dial->result == 0;
    counts->dials_ok += ok ? 1u : 0u;
    counts->dials_failed += ok ? 0u : 1u;
    dial->on_done(dial->arg, dial->result, ok ? &dial->peer : NULL, ok && dial->already,
                  ok ? NULL : dial->error);
    dial_free(dial);
}

static void on_overall_timer(void *arg)
{
    struct mesh_dial *dial = arg;
    char host[HOST_SHOWN];
    (void)text_escape(bytes_from_string(dial->host), host, sizeof host);
    if (!dial->reached_somebody) {
        note_failure(dial, -ETIMEDOUT, false, "%s port %u did not answer within %lld s", host,
                     (unsigned)dial->port, (long long)((dial->timeout_ms + 999) / 1000));
    }
    drop_attempts(dial);
    settle(dial, dial->result);
}

/* ---- addresses ---- */

/* A connection somebody else is just dialing to the same place will do. */
static struct contact *find_under_way(const struct mesh *mesh, const struct endpoint *to)
{
    LIST_EACH(&mesh->newcomers, node)
    {
        struct contact *contact = CONTAINER_OF(node, struct contact, node);
        if (contact->outgoing && endpoint_equal(&contact->remote, to)) {
            return contact;
        }
    }
    return NULL;
}

static int make_contact(struct mesh_dial *dial, const struct endpoint *to,
                        struct contact **ret_contact)
{
    struct mesh *mesh = dial->mesh;
    struct link *link = NULL;
    if (dial->cause == DIAL_AUTOMATIC && mesh_dial_opens_ms(mesh, to) > loop_now_ms(mesh->loop)) {
        mesh->counts.dials_refused++;
        return -EBUSY;
    }
    int rc = tcp_dial(mesh->loop, to, &link);
    if (rc != 0) {
        return rc;
    }
    if (dial->cause != DIAL_NAMED) {
        guard_count_dial(mesh, to);
    }
    *ret_contact = contact_new(mesh, link, false);
    return *ret_contact == NULL ? -ENOMEM : 0;
}

static int start_attempt(struct mesh_dial *dial, const struct endpoint *to)
{
    struct mesh *mesh = dial->mesh;
    if (guard_bans_address(mesh, to)) {
        mesh->counts.banned++;
        return -EACCES;
    }
    struct contact *contact = find_under_way(mesh, to);
    int rc = contact == NULL ? make_contact(dial, to, &contact) : 0;
    if (rc != 0) {
        return rc;
    }
    struct attempt *attempt = xalloc(sizeof *attempt);
    attempt->dial = dial;
    attempt->contact = contact;
    list_append(&dial->attempts, &attempt->of_dial);
    list_append(&contact->waiters, &attempt->of_contact);
    return 0;
}

static void note_connect_failure(struct mesh_dial *dial, const struct endpoint *to, int rc)
{
    if (rc == -EACCES && guard_bans_address(dial->mesh, to)) {
        note_failure(dial, rc, true, "%s is banned here: 'ban.remove' lifts a ban",
                     endpoint_format(to).text);
        return;
    }
    if (rc == -EBUSY) {
        note_failure(dial, rc, false,
                     "%s was dialed as often as a minute allows: it is tried later",
                     endpoint_format(to).text);
        return;
    }
    note_failure(dial, rc, false, "cannot connect to %s: %s", endpoint_format(to).text,
                 strerror(-rc));
}

/* Starts the next address that can be started. When there is none and nothing is under way, the
 * dial has failed. */
static void try_next(struct mesh_dial *dial)
{
    timer_stop(&dial->race);
    while (dial->next_address < dial->address_count) {
        const struct endpoint *to = &dial->addresses[dial->next_address++];
        int rc = start_attempt(dial, to);
        if (rc == 0) {
            if (dial->next_address < dial->address_count) {
                timer_start(&dial->race, NEXT_ADDRESS_MS);
            }
            return;
        }
        note_connect_failure(dial, to, rc);
    }
    if (list_is_empty(&dial->attempts)) {
        settle(dial, dial->result);
    }
}

static void on_race_timer(void *arg)
{
    try_next(arg);
}

/* Only connections we dialed count: where a peer says it can be reached is its own claim. */
static struct peer *find_connected(struct mesh_dial *dial)
{
    size_t cursor = 0;
    for (struct peer *peer; (peer = mesh_next(dial->mesh, &cursor)) != NULL;) {
        if (!peer->outgoing || (dial->has_expected && !peer_id_equal(&dial->expected, &peer->id))) {
            continue;
        }
        for (size_t i = 0; i < dial->address_count; i++) {
            if (endpoint_equal(&peer->endpoint, &dial->addresses[i])) {
                return peer;
            }
        }
    }
    return NULL;
}

static void note_limit(struct mesh_dial *dial)
{
    note_failure(dial, -EUSERS, true,
                 "the limit of %zu peers is reached: disconnect a peer or raise network.max_peers",
                 mesh_max_peers(dial->mesh));
}

/* Without an id the place may be a reserved one: then the handshake decides. */
static bool may_have_place(const struct mesh_dial *dial)
{
    const struct mesh *mesh = dial->mesh;
    size_t peers = mesh_peer_count(mesh);
    size_t limit = mesh_max_peers(mesh);
    if (dial->has_expected) {
        return admission_allows(mesh->admission, &dial->expected, peers);
    }
    return limit == 0 || peers < limit + mesh->limits.reserved;
}

static void succeed(struct mesh_dial *dial, const struct peer_id *id, bool already)
{
    dial->peer = *id;
    dial->already = already;
    settle(dial, 0);
}

/* Each address once: a dial waits at most once for a contact. */
static void take_addresses(struct mesh_dial *dial, const struct endpoint *endpoints, size_t count)
{
    for (size_t i = 0; i < count && dial->address_count < RESOLVER_MAX_ADDRESSES; i++) {
        bool is_new = true;
        for (size_t j = 0; j < dial->address_count; j++) {
            is_new = is_new && !endpoint_equal(&dial->addresses[j], &endpoints[i]);
        }
        if (is_new) {
            dial->addresses[dial->address_count++] = endpoints[i];
        }
    }
}

static void on_found(void *arg, const struct endpoint *endpoints, size_t count, const char *error)
{
    struct mesh_dial *dial = arg;
    dial->lookup = NULL;
    if (count == 0) {
        char host[HOST_SHOWN];
        note_failure(dial, -ENOENT, false, "cannot find the address of %s: %s",
                     text_escape(bytes_from_string(dial->host), host, sizeof host), error);
        settle(dial, -ENOENT);
        return;
    }
    take_addresses(dial, endpoints, count);
    const struct peer *connected = find_connected(dial);
    if (connected != NULL) {
        succeed(dial, &connected->id, true);
    } else if (!may_have_place(dial)) {
        note_limit(dial);
        settle(dial, -EUSERS);
    } else {
        try_next(dial);
    }
}

static void begin(struct mesh_dial *dial)
{
    struct mesh *mesh = dial->mesh;
    if (mesh->stopped) {
        note_failure(dial, -ESHUTDOWN, true, "the daemon is shutting down");
        settle(dial, -ESHUTDOWN);
        return;
    }
    if (dial->has_expected && mesh_find(mesh, &dial->expected) != NULL) {
        succeed(dial, &dial->expected, true);
        return;
    }
    if (dial->has_expected && guard_bans_peer(mesh, &dial->expected)) {
        mesh->counts.banned++;
        note_failure(dial, -EACCES, true, "peer %s is banned here: 'ban.remove' lifts a ban",
                     peer_id_format(&dial->expected).text);
        settle(dial, -EACCES);
        return;
    }
    if (mesh->dial_count > MESH_MAX_DIALS) {
        note_failure(dial, -EAGAIN, true, "%d dials are in progress already: try again later",
                     MESH_MAX_DIALS);
        settle(dial, -EAGAIN);
        return;
    }
    dial->lookup = resolver_find(mesh->resolver, dial->host, dial->port, on_found, dial);
    if (dial->lookup == NULL) {
        note_failure(dial, -EAGAIN, true,
                     "too many names are being looked up already: try again later");
        settle(dial, -EAGAIN);
        return;
    }
    timer_start(&dial->overall, dial->timeout_ms);
}

struct mesh_dial *mesh_dial(struct mesh *mesh, const struct dial_target *target,
                            dial_done_fn on_done, void *arg)
{
    struct mesh_dial *dial = try_alloc(sizeof *dial);
    if (dial == NULL) {
        return NULL;
    }
    dial->mesh = mesh;
    dial->host = xstrdup(target->host);
    dial->port = target->port;
    dial->cause = target->cause;
    dial->timeout_ms = target->timeout_ms > 0 ? target->timeout_ms : CONN_DEADLINE_MS;
    dial->on_done = on_done;
    dial->arg = arg;
    if (target->expected != NULL) {
        dial->has_expected = true;
        dial->expected = *target->expected;
    }
    list_init(&dial->attempts);
    timer_init(&dial->overall, mesh->loop, on_overall_timer, dial);
    timer_init(&dial->race, mesh->loop, on_race_timer, dial);
    deferred_init(&dial->finish, mesh->loop, on_finish, dial);
    list_append(&mesh->dials, &dial->node);
    mesh->dial_count++;
    mesh->counts.dials = mesh->dial_count;
    begin(dial);
    return dial;
}

void mesh_dial_cancel(struct mesh_dial *dial)
{
    if (dial != NULL) {
        dial_free(dial);
    }
}

void dials_stop(struct mesh *mesh)
{
    LIST_EACH(&mesh->dials, node)
    {
        struct mesh_dial *dial = CONTAINER_OF(node, struct mesh_dial, node);
        if (!dial->settled) {
            note_failure(dial, -ESHUTDOWN, true, "the daemon is shutting down");
            drop_attempts(dial);
            settle(dial, -ESHUTDOWN);
        }
    }
}

void dials_free(struct mesh *mesh)
{
    LIST_EACH(&mesh->dials, node)
    {
        dial_free(CONTAINER_OF(node, struct mesh_dial, node));
    }
}

/* ---- what becomes of a contact ---- */

bool dials_accept(struct contact *contact, const struct peer_id *id)
{
    if (!contact->outgoing) {
        return true;
    }
    LIST_EACH(&contact->waiters, node)
    {
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, of_contact);
        struct mesh_dial *dial = attempt->dial;
        if (dial->has_expected && !peer_id_equal(&dial->expected, id)) {
            note_failure(dial, -EPERM, true, "%s is another peer than expected: %s",
                         endpoint_format(&contact->remote).text, peer_id_format(id).text);
            attempt_free(attempt);
            try_next(dial);
        }
    }
    return !list_is_empty(&contact->waiters);
}

void dials_succeed(struct contact *contact, const struct peer_id *id, bool already)
{
    LIST_EACH(&contact->waiters, node)
    {
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, of_contact);
        struct mesh_dial *dial = attempt->dial;
        attempt_free(attempt);
        succeed(dial, id, already);
        drop_attempts(dial);
    }
}

static void note_end(struct mesh_dial *dial, const struct contact *contact,
                     enum conn_close_reason reason, int error)
{
    struct endpoint_text where = endpoint_format(&contact->remote);
    switch (reason) {
    case CONN_CLOSED_HANDSHAKE:
    case CONN_CLOSED_BY_PEER:
        note_failure(dial, -EPROTO, true,
                     "%s answered but refused the handshake: it may use another protocol than "
                     "'%s' or another security mode, or be full",
                     where.text, mesh_protocol(dial->mesh));
        break;
    case CONN_CLOSED_DEADLINE:
        note_failure(dial, -ETIMEDOUT, false, "%s did not answer within %d s", where.text,
                     CONN_DEADLINE_MS / 1000);
        break;
    case CONN_CLOSED_SELF:
        note_failure(dial, -ELOOP, true, "%s is this node itself", where.text);
        break;
    case CONN_CLOSED_LIMIT:
        note_limit(dial);
        break;
    case CONN_CLOSED_BANNED:
        note_failure(dial, -EACCES, true, "the peer at %s is banned here: 'ban.remove' lifts a ban",
                     where.text);
        break;
    case CONN_CLOSED_STOPPING:
        note_failure(dial, -ESHUTDOWN, true, "the daemon is shutting down");
        break;
    case CONN_CLOSED_MEMORY:
        note_failure(dial, -ENOMEM, false, "out of memory");
        break;
    default:
        note_connect_failure(dial, &contact->remote, error != 0 ? error : -ECONNRESET);
        break;
    }
}

void dials_fail(struct contact *contact, enum conn_close_reason reason, int error)
{
    LIST_EACH(&contact->waiters, node)
    {
        struct attempt *attempt = CONTAINER_OF(node, struct attempt, of_contact);
        struct mesh_dial *dial = attempt->dial;
        attempt_free(attempt);
        note_end(dial, contact, reason, error);
        try_next(dial);
    }
}
