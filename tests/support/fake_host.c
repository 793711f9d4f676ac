#include "fake_host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "service/life.h"
#include "service/request.h"
#include "service/service.h"
#include "util/alloc.h"
#include "virtual_loop.h"

static const struct config_section sections[] = {{"clients", ipc_config_items}};

struct host *fake_host_new(struct loop *loop, const char *queue, const char *queue_per_uid)
{
    char error[512];
    struct host *host = xalloc(sizeof(*host));
    host->loop = loop;
    host->metrics = metrics_new();
    assert_int_equal(config_load(sections, 1, NULL, &host->config, error, sizeof error), 0);
    assert_int_equal(config_set(host->config, "clients", "queue", queue, error, sizeof error), 0);
    assert_int_equal(
        config_set(host->config, "clients", "queue_per_uid", queue_per_uid, error, sizeof error),
        0);
    host->life = life_new(host, &(struct life_options){.kind = LIFE_SHARED});
    assert_int_equal(ipc_new(host, &host->ipc, error, sizeof error), 0);
    return host;
}

void fake_host_free(struct host *host)
{
    ipc_free(host->ipc);
    life_free(host->life);
    metrics_free(host->metrics);
    config_free(host->config);
    free(host);
}

struct loop *host_loop(const struct host *host)
{
    return host->loop;
}

struct metrics *host_metrics(const struct host *host)
{
    return host->metrics;
}

const struct config *host_config(const struct host *host)
{
    return host->config;
}

struct ipc *host_ipc(const struct host *host)
{
    return host->ipc;
}

struct life *host_life(const struct host *host)
{
    return host->life;
}

void host_instance_changed(struct host *host)
{
    (void)host;
}

void host_network_opened(struct host *host, bool is_open)
{
    (void)host;
    (void)is_open;
}

struct mesh *host_mesh(const struct host *host)
{
    (void)host;
    return NULL;
}

static void on_cancel(void *arg)
{
    struct host *host = arg;
    host->parked = NULL;
    host->cancelled++;
}

bool host_call(struct host *host, enum method_id method, struct request *request)
{
    host->last_session = request_session(request);
    if (method == M_PEER_CONNECT) {
        host->parked_body = request_body(request).size;
        host->parked = request;
        request_defer(request, on_cancel, host);
        return true;
    }
    if (method == M_LOG_GET_LEVEL) {
        request_reply(request, json_pack("{s:s}", "level", "info"));
        return true;
    }
    return false;
}

int host_client_message(struct host *host, const struct client_message *message, size_t *ret_peers,
                        char *error, size_t error_size)
{
    host->last_session = message->session;
    if (host->congested) {
        host_session_wait(host, message->session, &host->awaited);
        return -EAGAIN;
    }
    if (message->plane != PLANE_CHANNEL) {
        (void)snprintf(error, error_size, "no such plane here");
        return -ENOTSUP;
    }
    if (host->messages < FAKE_HOST_MAX) {
        host->senders[host->messages] = message->session;
    }
    virtual_world_work(virtual_loop_world(host->loop), host->message_us);
    host->messages++;
    host->congested = host->messages == host->full_at;
    host->message_bytes += message->payload.size;
    *ret_peers = 1;
    return 0;
}

void host_hello(struct host *host, json_t *reply)
{
    (void)host;
    (void)json_object_set_new(reply, "peers", json_array());
}

json_t *host_service_names(const struct host *host)
{
    (void)host;
    return json_array();
}

void host_session_stopped(struct host *host, uint64_t session)
{
    (void)session;
    host->stopped++;
}

void host_session_ended(struct host *host, uint64_t session)
{
    (void)session;
    host->ended++;
}

void host_describe_session(struct host *host, uint64_t session, json_t *row)
{
    (void)host;
    (void)session;
    (void)json_object_set_new(row, "channels", json_integer(0));
}

size_t host_demand_peers(struct host *host, size_t demand)
{
    (void)host;
    return demand;
}

void host_hold_peer(struct host *host, const struct peer_id *peer)
{
    assert_true(host->held_count < FAKE_HOST_MAX);
    host->held[host->held_count++] = *peer;
}

void host_release_peer(struct host *host, const struct peer_id *peer)
{
    for (size_t i = 0; i < host->held_count; i++) {
        if (peer_id_equal(&host->held[i], peer)) {
            host->held[i] = host->held[--host->held_count];
            return;
        }
    }
    fail_msg("released a peer that was not held");
}
