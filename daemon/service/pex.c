#include "service/pex.h"

#include <errno.h>
#include <stdlib.h>

#include "core/random.h"
#include "service/peer_json.h"
#include "util/alloc.h"
#include "util/bucket.h"
#include "util/map.h"
#include "wire/pex_frame.h"

#define SECTION   "pex"
#define MAX_DIALS 32 /* in progress at once */
/* Of one peer, requests and responses each: so many at once, then one every ten seconds. */
#define BURST    6
#define EVERY_MS 10000
#define DIAL_MS  15000

static const struct config_item pex_config[] = {
    {
        .key = "enabled",
        .type = CONFIG_BOOL,
        .default_text = "yes",
        .reloadable = true,
        .summary = "Whether peers are asked for the addresses of others when they connect, told "
                   "those we know, and dialed when they are named.",
    },
    {
        .key = "peer_target",
        .type = CONFIG_UINT,
        .default_text = "0",
        .max = 1000000,
        .reloadable = true,
        .summary = "With so many peers nobody is dialed because another peer named it; 0 is no "
                   "target.",
    },
    {
        .key = "loopback",
        .type = CONFIG_BOOL,
        .default_text = "no",
        .reloadable = true,
        .summary = "Whether peers on this machine are told of each other, and loopback addresses "
                   "dialed when one of them names them.",
    },
    {.key = NULL},
};

struct pex_metrics {
    uint64_t asked;
    uint64_t requests;
    uint64_t answered;
    uint64_t responses;
    uint64_t refused;
    uint64_t named;
    uint64_t dialed;
    uint64_t connected;
    uint64_t wrong_peer;
};

#define ROW(member, text)                                                                          \
    {                                                                                              \
        .name = "pex_" #member, .kind = METRIC_COUNTER,                                            \
        .offset = offsetof(struct pex_metrics, member), .help = (text),                            \
    }

static const struct metric_row pex_metric_rows[] = {
    ROW(asked, "Requests for peers sent."),
    ROW(requests, "Requests for peers received."),
    ROW(answered, "Requests for peers answered."),
    ROW(responses, "Responses that name peers received."),
    ROW(refused, "Requests and responses ignored because there were too many."),
    ROW(named, "Addresses of peers named in responses."),
    ROW(dialed, "Of them dialed."),
    ROW(connected, "Of them connected."),
    ROW(wrong_peer, "Of them answered by another peer than was promised."),
    {.name = NULL},
};

struct pex {
    struct host *host;
    struct map peers; /* struct partner by id */
    struct list dials;
    size_t dial_count;
    bool enabled;
    bool loopback;
    size_t peer_target; /* 0 = none */
    struct pex_metrics counts;
};

/* What one peer may ask and say. */
struct partner {
    struct peer_id id;
    struct bucket requests;
    struct bucket responses;
};

struct pex_dial {
    struct list node;
    struct pex *pex;
    struct mesh_dial *dial;
};

static struct bytes id_view(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof(id->bytes));
}

static int64_t now_ms(const struct pex *pex)
{
    return loop_now_ms(host_loop(pex->host));
}

/* ---- asking ---- */

static int ask(struct pex *pex, struct peer *peer)
{
    const struct pex_frame frame = {.op = PEX_REQUEST, .max = PEX_MAX_ENTRIES};
    uint8_t encoded[PEX_MAX_SIZE];
    size_t size = pex_frame_encode(&frame, encoded);
    int result = peer_send(peer, WIRE_PEX, 0, bytes_make(encoded, size));
    pex->counts.asked += result >= 0 ? 1u : 0u;
    return result < 0 ? result : 0;
}

static void on_request_call(void *self, struct request *request)
{
    struct pex *pex = self;
    struct peer_id id = peer_param(request);
    struct peer *peer = mesh_find(host_mesh(pex->host), &id);
    if (!pex->enabled) {
        request_fail(request, E_NOT_SUPPORTED,
                     "peer exchange is switched off here (pex.enabled in ratsd.conf)");
        return;
    }
    if (peer == NULL) {
        fail_not_connected(request, &id);
        return;
    }
    int result = ask(pex, peer);
    if (result < 0) {
        request_fail_errno(request, result, "the request could not be queued to the peer");
        return;
    }
    request_reply(request, NULL);
}

/* ---- which address means something where ---- */

/* Does an address of that realm mean to a peer seen there what it means to us? */
static bool shares(const struct pex *pex, enum endpoint_realm realm, const struct endpoint *seen)
{
    switch (realm) {
    case REALM_NOWHERE:
        return false;
    case REALM_PUBLIC:
        return true;
    case REALM_LOOPBACK:
        return pex->loopback && endpoint_is_loopback(seen);
    default:
        return endpoint_realm(seen) == realm;
    }
}

/* Without a scope, which the wire does not carry, an IPv6 link-local address leads nowhere. */
static bool can_be_told(const struct endpoint *address)
{
    return address->port != 0 && !(address->ip_size == 16 && endpoint_is_link_local(address));
}

/* The first address of a peer that means something to the asker; NULL: none. */
static const struct endpoint *find_shareable(const struct pex *pex, const struct peer *subject,
                                             const struct peer *asker)
{
    const struct endpoint *addresses = NULL;
    size_t count = peer_addresses(subject, &addresses);
    if (!pex->loopback && endpoint_is_loopback(peer_endpoint(asker)) &&
        endpoint_is_loopback(peer_endpoint(subject))) {
        return NULL; /* both on this machine: whatever else they say of themselves */
    }
    for (size_t i = 0; i < count; i++) {
        enum endpoint_realm realm = endpoint_realm(&addresses[i]);
        if (can_be_told(&addresses[i]) && shares(pex, realm, peer_endpoint(asker)) &&
            shares(pex, realm, peer_endpoint(subject))) {
            return &addresses[i];
        }
    }
    return NULL;
}

/* ---- answering ---- */

/* Any max of those that can be told, each as likely as the others (reservoir sampling): who asks
 * often learns no more about the order than who asks once. */
static void choose(const struct pex *pex, const struct peer *asker, size_t max,
                   struct pex_frame *frame)
{
    size_t seen = 0;
    size_t cursor = 0;
    for (struct peer *peer; (peer = mesh_next(host_mesh(pex->host), &cursor)) != NULL;) {
        const struct endpoint *address = peer == asker ? NULL : find_shareable(pex, peer, asker);
        if (address == NULL) {
            continue;
        }
        size_t at = seen++;
        if (at >= max) {
            at = (size_t)(random_u64() % seen);
        } else {
            frame->entry_count++;
        }
        if (at < max) {
            frame->entries[at] = (struct pex_entry){.address = *address, .id = *peer_id_of(peer)};
        }
    }
}

static void answer(struct pex *pex, struct peer *asker, size_t max)
{
    struct pex_frame frame = {.op = PEX_RESPONSE};
    uint8_t encoded[PEX_MAX_SIZE];
    choose(pex, asker, max < PEX_MAX_ENTRIES ? max : PEX_MAX_ENTRIES, &frame);
    if (frame.entry_count == 0 || peer_is_congested(asker)) {
        return;
    }
    size_t size = pex_frame_encode(&frame, encoded);
    if (peer_send(asker, WIRE_PEX, 0, bytes_make(encoded, size)) >= 0) {
        pex->counts.answered++;
    }
}

/* ---- acting on what is said ---- */

static void dial_free(struct pex_dial *dial)
{
    dial->pex->dial_count--;
    list_remove(&dial->node);
    free(dial);
}

static void on_dial_done(void *arg, int result, const struct peer_id *peer, bool already,
                         const char *error)
{
    (void)peer;
    (void)already;
    (void)error;
    struct pex_dial *dial = arg;
    dial->pex->counts.connected += result == 0 ? 1u : 0u;
    dial->pex->counts.wrong_peer += result == -EPERM ? 1u : 0u;
    dial_free(dial);
}

static void dial_entry(struct pex *pex, const struct pex_entry *entry)
{
    struct endpoint_text host = endpoint_format_ip(&entry->address);
    const struct dial_target target = {
        .cause = DIAL_NAMED,
        .host = host.text,
        .port = entry->address.port,
        .timeout_ms = DIAL_MS,
        .expected = &entry->id,
    };
    struct pex_dial *dial = try_alloc(sizeof(*dial));
    if (dial == NULL) {
        return;
    }
    dial->pex = pex;
    list_init(&dial->node);
    list_append(&pex->dials, &dial->node);
    pex->dial_count++;
    dial->dial = mesh_dial(host_mesh(pex->host), &target, on_dial_done, dial);
    if (dial->dial == NULL) {
        dial_free(dial);
        return;
    }
    pex->counts.dialed++;
}

static bool wants_more(const struct pex *pex)
{
    size_t peers = mesh_peer_count(host_mesh(pex->host)) + pex->dial_count;
    return pex->dial_count < MAX_DIALS && (pex->peer_target == 0 || peers < pex->peer_target);
}

static void act(struct pex *pex, const struct peer *from, const struct pex_frame *frame)
{
    /* Where the peer is seen from may change while we dial: it may even go. */
    const struct endpoint seen = *peer_endpoint(from);
    pex->counts.named += frame->entry_count;
    for (size_t i = 0; i < frame->entry_count && wants_more(pex); i++) {
        const struct pex_entry *entry = &frame->entries[i];
        if (can_be_told(&entry->address) && shares(pex, endpoint_realm(&entry->address), &seen) &&
            mesh_may_dial(host_mesh(pex->host), &entry->address, &entry->id) == 0) {
            dial_entry(pex, entry);
        }
    }
}

/* ---- receiving ---- */

/* One token is EVERY_MS: a bucket gains whole tokens a second, so they are counted as time. */
static void ration(struct bucket *bucket, int64_t at_ms)
{
    bucket_init(bucket, 1000, (int64_t)BURST * EVERY_MS, at_ms);
}

static bool take(struct bucket *bucket, int64_t at_ms)
{
    bucket_fill(bucket, at_ms);
    if (bucket->tokens < EVERY_MS * BUCKET_TOKEN) {
        return false;
    }
    bucket_spend(bucket, EVERY_MS, at_ms);
    return true;
}

static void pex_on_message(void *self, struct peer *from, const struct message *message)
{
    struct pex *pex = self;
    struct partner *partner = map_find(&pex->peers, id_view(peer_id_of(from)));
    struct pex_frame frame;
    if (!pex->enabled || partner == NULL || pex_frame_decode(message->payload, &frame) != 0) {
        return;
    }
    bool is_request = frame.op == PEX_REQUEST;
    pex->counts.requests += is_request ? 1u : 0u;
    pex->counts.responses += is_request ? 0u : 1u;
    if (!take(is_request ? &partner->requests : &partner->responses, now_ms(pex))) {
        pex->counts.refused++;
    } else if (is_request) {
        answer(pex, from, frame.max);
    } else {
        act(pex, from, &frame);
    }
}

static void add(struct pex *pex, const struct peer *peer)
{
    struct partner *partner = try_alloc(sizeof(*partner));
    if (partner == NULL) {
        return; /* what it asks and says is ignored */
    }
    partner->id = *peer_id_of(peer);
    ration(&partner->requests, now_ms(pex));
    ration(&partner->responses, now_ms(pex));
    if (map_insert(&pex->peers, id_view(&partner->id), partner) != 0) {
        free(partner);
    }
}

static void pex_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    struct pex *pex = self;
    if (event == PEER_DOWN) {
        free(map_remove(&pex->peers, id_view(peer_id_of(peer))));
        return;
    }
    if (event == PEER_UP) {
        add(pex, peer);
    }
    if (pex->enabled && event != PEER_UPDATED) {
        (void)ask(pex, peer);
    }
}

/* ---- life ---- */

static void pex_on_reload(void *self)
{
    struct pex *pex = self;
    const struct config *config = host_config(pex->host);
    pex->enabled = config_bool(config, SECTION, "enabled");
    pex->loopback = config_bool(config, SECTION, "loopback");
    pex->peer_target = config_size(config, SECTION, "peer_target");
}

static int pex_open(struct host *host, void **ret_self)
{
    struct pex *pex = xalloc(sizeof(*pex));
    const uint64_t seed[2] = {random_u64(), random_u64()};
    pex->host = host;
    map_init(&pex->peers, seed);
    list_init(&pex->dials);
    pex_on_reload(pex);
    metrics_add(host_metrics(host), pex_metric_rows, &pex->counts);
    *ret_self = pex;
    return 0;
}

static void pex_stop(void *self)
{
    struct pex *pex = self;
    LIST_EACH(&pex->dials, node)
    {
        struct pex_dial *dial = CONTAINER_OF(node, struct pex_dial, node);
        mesh_dial_cancel(dial->dial);
        dial_free(dial);
    }
}

static void pex_close(void *self)
{
    struct pex *pex = self;
    size_t cursor = 0;
    for (struct partner *partner; (partner = map_next(&pex->peers, &cursor)) != NULL;) {
        free(partner);
    }
    map_fini(&pex->peers);
    metrics_remove(host_metrics(pex->host), &pex->counts);
    free(pex);
}

static const struct method_handler pex_methods[] = {
    {M_PEX_REQUEST, on_request_call},
    {0},
};

const struct service pex_service = {
    .name = SECTION,
    .type = WIRE_PEX,
    .config = pex_config,
    .methods = pex_methods,
    .open = pex_open,
    .on_peer = pex_on_peer,
    .on_message = pex_on_message,
    .on_reload = pex_on_reload,
    .stop = pex_stop,
    .close = pex_close,
};
