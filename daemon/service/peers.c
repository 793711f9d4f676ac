#include "service/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/peer_json.h"
#include "util/alloc.h"

struct peers {
    struct host *host;
    struct list dials;
};

/* A peer.connect that waits for its dial. */
struct pending_dial {
    struct list node;
    struct peers *peers;
    struct request *request;
    struct mesh_dial *dial;
};

static int64_t now_ms(const struct peers *peers)
{
    return loop_now_ms(host_loop(peers->host));
}

static int peers_open(struct host *host, void **ret_self)
{
    struct peers *peers = xalloc(sizeof(*peers));
    peers->host = host;
    list_init(&peers->dials);
    *ret_self = peers;
    return 0;
}

static void peers_on_peer(void *self, struct peer *peer, enum peer_event event)
{
    struct peers *peers = self;
    const struct peer_id *id = peer_id_of(peer);
    switch (event) {
    case PEER_UP:
        host_emit(peers->host, EV_PEER_CONNECTED, peer_json(peer, now_ms(peers)), id);
        break;
    case PEER_REPLACED:
    case PEER_UPDATED:
        host_emit(peers->host, EV_PEER_UPDATED, peer_json(peer, now_ms(peers)), id);
        break;
    case PEER_DOWN:
        host_emit(peers->host, EV_PEER_DISCONNECTED,
                  json_pack("{s:s, s:s}", "peer", peer_id_format(id).text, "reason",
                            peer_down_reason(peer)),
                  NULL);
        break;
    }
}

static json_t *all_peers(struct peers *peers)
{
    json_t *list = json_array();
    size_t cursor = 0;
    struct peer *peer;
    while ((peer = mesh_next(host_mesh(peers->host), &cursor)) != NULL) {
        (void)json_array_append_new(list, peer_json(peer, now_ms(peers)));
    }
    return list;
}

static void peers_on_hello(void *self, json_t *reply)
{
    (void)json_object_set_new(reply, "peers", all_peers(self));
}

static void on_list(void *self, struct request *request)
{
    request_reply(request, json_pack("{s:o}", "peers", all_peers(self)));
}

static void on_get(void *self, struct request *request)
{
    struct peers *peers = self;
    struct peer_id id = peer_param(request);
    struct peer *peer = mesh_find(host_mesh(peers->host), &id);
    if (peer == NULL) {
        fail_not_connected(request, &id);
        return;
    }
    request_reply(request, peer_json(peer, now_ms(peers)));
}

static void on_disconnect(void *self, struct request *request)
{
    struct peers *peers = self;
    struct peer_id id = peer_param(request);
    int result = mesh_disconnect(host_mesh(peers->host), &id);
    request_reply(request, json_pack("{s:b}", "disconnected", (int)(result == 0)));
}

static void pending_dial_free(struct pending_dial *pending)
{
    list_remove(&pending->node);
    free(pending);
}

static void on_dial_done(void *arg, int result, const struct peer_id *peer, bool already,
                         const char *error)
{
    struct pending_dial *pending = arg;
    struct request *request = pending->request;
    pending_dial_free(pending);
    if (result == 0) {
        request_reply(request, json_pack("{s:s, s:b}", "peer", peer_id_format(peer).text, "already",
                                         (int)already));
    } else if (result == -ETIMEDOUT) {
        request_fail(request, E_TIMEOUT, "%s", error);
    } else {
        request_fail(request, E_CONNECT_FAILED, "%s", error);
    }
}

static void on_dial_cancel(void *arg)
{
    struct pending_dial *pending = arg;
    mesh_dial_cancel(pending->dial);
    pending_dial_free(pending);
}

/* TCP is what there is to dial with. */
static bool may_use_tcp(const json_t *transports)
{
    bool named = transports == NULL || json_array_size(transports) == 0;
    for (size_t i = 0; i < json_array_size(transports) && !named; i++) {
        named = strcmp(json_string_value(json_array_get(transports, i)), "tcp") == 0;
    }
    return named;
}

static void on_connect(void *self, struct request *request)
{
    struct peers *peers = self;
    const json_t *params = request_params(request);
    if (!may_use_tcp(json_object_get(params, "transports"))) {
        request_fail(
            request, E_NOT_SUPPORTED,
            "transports: this daemon dials over tcp only; name it, or leave the field out");
        return;
    }
    const json_t *timeout = json_object_get(params, "timeout_ms");
    struct peer_id id = peer_param(request);
    struct dial_target target = {
        .host = json_string_value(json_object_get(params, "host")),
        .port = (uint16_t)json_integer_value(json_object_get(params, "port")),
        .timeout_ms = timeout == NULL ? 15000 : json_integer_value(timeout),
        .expected = peer_id_is_zero(&id) ? NULL : &id,
    };
    struct pending_dial *pending = xalloc(sizeof(*pending));
    pending->peers = peers;
    pending->request = request;
    list_append(&peers->dials, &pending->node);
    pending->dial = mesh_dial(host_mesh(peers->host), &target, on_dial_done, pending);
    if (pending->dial == NULL) {
        pending_dial_free(pending);
        request_fail(request, E_LIMIT, "too many dials are in progress; try again later");
        return;
    }
    request_defer(request, on_dial_cancel, pending);
}

static void peers_stop(void *self)
{
    struct peers *peers = self;
    LIST_EACH(&peers->dials, node)
    {
        struct pending_dial *pending = CONTAINER_OF(node, struct pending_dial, node);
        struct request *request = pending->request;
        mesh_dial_cancel(pending->dial);
        pending_dial_free(pending);
        request_fail(request, E_NOT_RUNNING, "the daemon is stopping");
    }
}

static void peers_close(void *self)
{
    free(self);
}

static const struct method_handler peers_methods[] = {
    {M_PEER_LIST, on_list},
    {M_PEER_GET, on_get},
    {M_PEER_CONNECT, on_connect},
    {M_PEER_DISCONNECT, on_disconnect},
    {0},
};

const struct service peers_service = {
    .name = "peer",
    .methods = peers_methods,
    .open = peers_open,
    .on_peer = peers_on_peer,
    .on_hello = peers_on_hello,
    .stop = peers_stop,
    .close = peers_close,
};
