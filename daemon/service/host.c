#include "service/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "service/ctl.h"
#include "service/life.h"
#include "service/service.h"
#include "util/alloc.h"

struct running_service {
    const struct service *service;
    struct host *host;
    void *self;
    bool opened;
    bool started;
};

struct host {
    struct loop *loop;
    struct mesh *mesh;
    struct metrics *metrics;
    const struct config *config;
    const struct instance_facts *facts;
    struct ipc *ipc;
    struct life *life;
    struct worker *worker;
    struct running_service *services;
    size_t count;
    const struct method_handler *handlers[METHOD_COUNT];
    struct running_service *handler_owner[METHOD_COUNT];
};

static void on_mesh_message(void *arg, struct peer *from, const struct message *message)
{
    struct running_service *running = arg;
    running->service->on_message(running->self, from, message);
}

static void on_mesh_peer(void *arg, struct peer *peer, enum peer_event event)
{
    struct host *host = arg;
    for (size_t i = 0; i < host->count; i++) {
        size_t at = event == PEER_DOWN ? host->count - 1 - i : i;
        struct running_service *running = &host->services[at];
        if (running->started && running->service->on_peer != NULL) {
            running->service->on_peer(running->self, peer, event);
        }
    }
    if (event == PEER_DOWN) {
        host_peer_gone(host, peer_id_of(peer));
    }
}

static void on_mesh_drained(void *arg, const struct peer_id *peer)
{
    host_peer_drained(arg, peer);
}

static void register_methods(struct host *host, struct running_service *running)
{
    const struct method_handler *handler = running->service->methods;
    for (; handler != NULL && handler->handle != NULL; handler++) {
        host->handlers[handler->method] = handler;
        host->handler_owner[handler->method] = running;
    }
}

int host_new(struct loop *loop, struct mesh *mesh, struct metrics *metrics,
             const struct config *config, const struct instance_facts *facts,
             const struct service *const *services, size_t count, struct host **ret_host)
{
    struct host *host = xalloc(sizeof(*host));
    host->loop = loop;
    host->mesh = mesh;
    host->metrics = metrics;
    host->config = config;
    host->facts = facts;
    host->services = xalloc(count * sizeof(*host->services));
    host->count = count;
    for (size_t i = 0; i < count; i++) {
        host->services[i].service = services[i];
        host->services[i].host = host;
    }
    mesh_observe(mesh, on_mesh_peer, host);
    mesh_on_drained(mesh, on_mesh_drained, host);
    *ret_host = host;
    return 0;
}

static int start_service(struct host *host, struct running_service *running)
{
    const struct service *service = running->service;
    if (service->open != NULL) {
        int result = service->open(host, &running->self);
        if (result < 0) {
            return result;
        }
    }
    running->opened = true;
    register_methods(host, running);
    if (service->type != WIRE_NONE) {
        mesh_claim(host->mesh, service->type, on_mesh_message, running);
    }
    running->started = true;
    return service->start == NULL ? 0 : service->start(running->self);
}

int host_start(struct host *host)
{
    for (size_t i = 0; i < host->count; i++) {
        int result = start_service(host, &host->services[i]);
        if (result < 0) {
            host_stop(host);
            return result;
        }
    }
    return 0;
}

void host_stop(struct host *host)
{
    for (size_t i = host->count; i-- > 0;) {
        struct running_service *running = &host->services[i];
        if (running->started) {
            running->started = false;
            if (running->service->stop != NULL) {
                running->service->stop(running->self);
            }
            if (running->service->type != WIRE_NONE) {
                mesh_disclaim(host->mesh, running->service->type);
            }
        }
    }
}

void host_free(struct host *host)
{
    if (host == NULL) {
        return;
    }
    for (size_t i = host->count; i-- > 0;) {
        struct running_service *running = &host->services[i];
        if (running->opened && running->service->close != NULL) {
            running->service->close(running->self);
        }
    }
    free(host->services);
    free(host);
}

void host_set_ipc(struct host *host, struct ipc *ipc)
{
    host->ipc = ipc;
}

void host_set_life(struct host *host, struct life *life)
{
    host->life = life;
}

void host_set_worker(struct host *host, struct worker *worker)
{
    host->worker = worker;
}

void host_set_config(struct host *host, const struct config *config)
{
    host->config = config;
    for (size_t i = 0; i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_reload != NULL) {
            running->service->on_reload(running->self);
        }
    }
}

void host_network_changed(struct host *host)
{
    for (size_t i = 0; i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_network_change != NULL) {
            running->service->on_network_change(running->self);
        }
    }
}

void host_network_opened(struct host *host, bool is_open)
{
    for (size_t i = 0; i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_network != NULL) {
            running->service->on_network(running->self, is_open);
        }
    }
}

struct loop *host_loop(const struct host *host)
{
    return host->loop;
}

struct mesh *host_mesh(const struct host *host)
{
    return host->mesh;
}

struct metrics *host_metrics(const struct host *host)
{
    return host->metrics;
}

const struct config *host_config(const struct host *host)
{
    return host->config;
}

const struct instance_facts *host_facts(const struct host *host)
{
    return host->facts;
}

struct ipc *host_ipc(const struct host *host)
{
    return host->ipc;
}

struct life *host_life(const struct host *host)
{
    return host->life;
}

struct worker *host_worker(const struct host *host)
{
    return host->worker;
}

bool host_call(struct host *host, enum method_id method, struct request *request)
{
    const struct method_handler *handler = host->handlers[method];
    if (handler == NULL || !host->handler_owner[method]->started) {
        return false;
    }
    handler->handle(host->handler_owner[method]->self, request);
    return true;
}

int host_client_message(struct host *host, const struct client_message *message, size_t *ret_peers,
                        char *error, size_t error_size)
{
    for (size_t i = 0; i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->plane == message->plane) {
            return running->service->on_client_message(running->self, message, ret_peers, error,
                                                       error_size);
        }
    }
    (void)snprintf(error, error_size, "this instance has no service for message plane %d",
                   (int)message->plane);
    return -ENOTSUP;
}

bool host_control_message(struct host *host, struct peer *from, struct bytes payload)
{
    json_t *message = ctl_decode(payload);
    for (size_t i = 0; message != NULL && i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_control != NULL) {
            running->service->on_control(running->self, from, message);
        }
    }
    json_decref(message);
    return message != NULL;
}

void host_hello(struct host *host, json_t *reply)
{
    for (size_t i = 0; i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_hello != NULL) {
            running->service->on_hello(running->self, reply);
        }
    }
}

void host_describe_session(struct host *host, uint64_t session, json_t *row)
{
    for (size_t i = 0; i < host->count; i++) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_describe_session != NULL) {
            running->service->on_describe_session(running->self, session, row);
        }
    }
}

size_t host_demand_peers(struct host *host, size_t demand)
{
    size_t before = mesh_max_peers(host->mesh);
    size_t now = life_is_shared(host->life) ? mesh_demand_peers(host->mesh, demand)
                                            : mesh_limit_peers(host->mesh, demand);
    if (now != before) {
        host_instance_changed(host);
    }
    return now;
}

void host_instance_changed(struct host *host)
{
    host_emit(host, EV_INSTANCE_CHANGED,
              json_pack("{s:i, s:I, s:s}", "listen_port", (int)life_port(host->life), "max_peers",
                        (json_int_t)mesh_max_peers(host->mesh), "security",
                        mesh_is_encrypted(host->mesh) ? "noise" : "plaintext"),
              NULL);
}

void host_session_stopped(struct host *host, uint64_t session)
{
    for (size_t i = host->count; i-- > 0;) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_session_stop != NULL) {
            running->service->on_session_stop(running->self, session);
        }
    }
}

void host_session_ended(struct host *host, uint64_t session)
{
    for (size_t i = host->count; i-- > 0;) {
        struct running_service *running = &host->services[i];
        if (running->started && running->service->on_session_end != NULL) {
            running->service->on_session_end(running->self, session);
        }
    }
}

void host_hold_peer(struct host *host, const struct peer_id *peer)
{
    mesh_hold(host->mesh, peer);
}

void host_release_peer(struct host *host, const struct peer_id *peer)
{
    mesh_release(host->mesh, peer);
}

json_t *host_service_names(const struct host *host)
{
    json_t *names = json_array();
    for (size_t i = 0; i < host->count; i++) {
        (void)json_array_append_new(names, json_string(host->services[i].service->name));
    }
    return names;
}

/* True when the session has to wait before this peer takes so many bytes. */
static bool must_wait(struct host *host, uint64_t session, struct peer *peer, size_t size)
{
    if (peer_may_send(peer, size)) {
        return false;
    }
    host_session_wait(host, session, peer_id_of(peer));
    return true;
}

int host_send(struct host *host, uint64_t session, const struct peer_id *to, enum wire_type type,
              uint16_t channel, struct bytes payload)
{
    struct peer *peer = mesh_find(host->mesh, to);
    if (peer == NULL) {
        return -ENOTCONN;
    }
    if (must_wait(host, session, peer, payload.size)) {
        return -EAGAIN;
    }
    int result = peer_send(peer, type, channel, payload);
    return result > 0 ? 0 : result;
}

static size_t send_to_all(struct host *host, enum wire_type type, uint16_t channel,
                          struct bytes payload)
{
    size_t reached = 0;
    size_t cursor = 0;
    struct peer *peer;
    while ((peer = mesh_next(host->mesh, &cursor)) != NULL) {
        reached += peer_send(peer, type, channel, payload) >= 0;
    }
    return reached;
}

static void begin_broadcast(struct host *host, struct broadcast *broadcast)
{
    size_t cursor = 0;
    const struct peer *peer;
    broadcast->begun = true;
    while ((peer = mesh_next(host->mesh, &cursor)) != NULL) {
        peer_set_append(&broadcast->owed, peer_id_of(peer));
    }
}

int host_broadcast(struct host *host, uint64_t session, struct broadcast *broadcast,
                   enum wire_type type, uint16_t channel, struct bytes payload, size_t *ret_peers)
{
    bool waits = false;
    if (!broadcast->begun && mesh_may_broadcast(host->mesh, payload.size)) {
        *ret_peers = send_to_all(host, type, channel, payload);
        return 0;
    }
    if (!broadcast->begun) {
        begin_broadcast(host, broadcast);
    }
    for (size_t i = broadcast->owed.count; i-- > 0;) {
        struct peer *peer = mesh_find(host->mesh, &broadcast->owed.ids[i]);
        if (peer != NULL && must_wait(host, session, peer, payload.size)) {
            waits = true;
            if (!peer_is_congested(peer)) {
                break; /* it is not this link that has no room */
            }
            continue;
        }
        broadcast->reached += peer != NULL && peer_send(peer, type, channel, payload) >= 0;
        peer_set_remove_at(&broadcast->owed, i);
    }
    *ret_peers = broadcast->reached;
    return waits ? -EAGAIN : 0;
}
