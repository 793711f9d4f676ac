#include "service_node.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/worker.h"
#include "service/ctl.h"
#include "util/alloc.h"

#define MAX_SECTIONS SERVICE_NODE_MAX

struct host {
    struct service_node *node;
    struct instance_facts facts;
    struct config_section sections[MAX_SECTIONS];
    size_t section_count;
};

struct request {
    struct service_call *call;
    size_t next_fd;
    json_t *params;
    void (*on_cancel)(void *arg);
    void *arg;
};

/* ---- what services ask of the host ---- */

struct loop *host_loop(const struct host *host)
{
    return sim_node_loop(host->node->mesh.node);
}

struct mesh *host_mesh(const struct host *host)
{
    return host->node->mesh.mesh;
}

struct metrics *host_metrics(const struct host *host)
{
    return host->node->mesh.metrics;
}

const struct config *host_config(const struct host *host)
{
    return host->node->config;
}

const struct instance_facts *host_facts(const struct host *host)
{
    return &host->facts;
}

struct worker *host_worker(const struct host *host)
{
    return host->node->worker;
}

void host_emit(struct host *host, enum event_id event, json_t *fields, const struct peer_id *link)
{
    (void)event;
    (void)link;
    host->node->events++;
    json_decref(fields);
}

void host_emit_body(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                    json_t *fields, struct bytes body, const struct peer_id *link)
{
    (void)event;
    (void)link;
    for (size_t i = 0; i < count && host->node->on_body_event != NULL; i++) {
        host->node->on_body_event(host->node, sessions[i], fields, body);
    }
    json_decref(fields);
}

void host_emit_to(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                  json_t *fields, const struct peer_id *link)
{
    (void)link;
    for (size_t i = 0; i < count && host->node->on_told != NULL; i++) {
        host->node->on_told(host->node, sessions[i], event, fields);
    }
    json_decref(fields);
}

bool host_session_is_started(const struct host *host, uint64_t session)
{
    return (host->node->stopped & UINT64_C(1) << session % 64) == 0;
}

int64_t host_session_age_ms(const struct host *host, uint64_t session)
{
    (void)session;
    return loop_now_ms(host_loop(host)); /* since the world began */
}

/* ---- requests ---- */

const json_t *request_params(const struct request *request)
{
    return request->params;
}

uint64_t request_session(const struct request *request)
{
    return request->call->session == 0 ? 1 : request->call->session;
}

bool request_may_control(const struct request *request)
{
    return !request->call->may_not_control;
}

struct bytes request_body(const struct request *request)
{
    return request->call->body;
}

int request_take_fd(struct request *request)
{
    const struct service_call *call = request->call;
    return request->next_fd < call->fd_count ? call->fds[request->next_fd++] : -1;
}

size_t request_fds(const struct request *request)
{
    return request->call->fd_count - request->next_fd;
}

static void release(struct request *request)
{
    for (int fd; (fd = request_take_fd(request)) >= 0;) {
        (void)close(fd);
    }
    json_decref(request->params);
    free(request);
}

static void finish(struct request *request, json_t *result, enum proto_error error)
{
    struct service_call *call = request->call;
    assert(!call->done);
    call->done = true;
    call->result = result;
    call->error = error;
    call->request = NULL;
    release(request);
}

void request_reply(struct request *request, json_t *result)
{
    finish(request, result == NULL ? json_object() : result, PROTO_ERROR_COUNT);
}

int request_reply_body(struct request *request, json_t *result, struct bytes body)
{
    if (request->call->has_no_room) {
        request->call->refused++;
        json_decref(result);
        return -EAGAIN;
    }
    int rc = buf_append(&request->call->reply_body, body);
    assert(rc == 0);
    (void)rc;
    finish(request, result, PROTO_ERROR_COUNT);
    return 0;
}

void request_fail_details(struct request *request, enum proto_error error, json_t *details,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(request->call->text, sizeof(request->call->text), format, arguments);
    va_end(arguments);
    json_decref(details);
    finish(request, NULL, error);
}

void request_fail(struct request *request, enum proto_error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(request->call->text, sizeof(request->call->text), format, arguments);
    va_end(arguments);
    finish(request, NULL, error);
}

void request_fail_errno(struct request *request, int negative_errno, const char *text)
{
    request_fail(request, proto_error_from_errno(negative_errno), "%s", text);
}

void request_defer(struct request *request, void (*on_cancel)(void *arg), void *arg)
{
    request->on_cancel = on_cancel;
    request->arg = arg;
    request->call->request = request;
}

void service_call_cancel(struct service_call *call)
{
    struct request *request = call->request;
    request->on_cancel(request->arg);
    call->request = NULL;
    release(request);
}

void service_call_fini(struct service_call *call)
{
    json_decref(call->result);
    call->result = NULL;
    buf_fini(&call->reply_body);
}

void service_node_call(struct service_node *self, enum method_id method, json_t *params,
                       struct service_call *call)
{
    *call = (struct service_call){0};
    service_node_call_with(self, method, params, call);
}

void service_node_call_with(struct service_node *self, enum method_id method, json_t *params,
                            struct service_call *call)
{
    struct request *request = xalloc(sizeof(*request));
    call->error = PROTO_ERROR_COUNT;
    buf_init(&call->reply_body);
    request->call = call;
    request->params = params;
    for (size_t i = 0; i < self->count; i++) {
        const struct method_handler *handler = self->services[i]->methods;
        for (; handler != NULL && handler->handle != NULL; handler++) {
            if (handler->method == method) {
                handler->handle(self->selves[i], request);
                return;
            }
        }
    }
    assert(false);
}

/* ---- the node ---- */

static void on_peer(void *arg, struct peer *peer, enum peer_event event)
{
    struct service_node *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        if (self->services[i]->on_peer != NULL) {
            self->services[i]->on_peer(self->selves[i], peer, event);
        }
    }
}

static void on_message(void *arg, struct peer *from, const struct message *message)
{
    struct service_node *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        if ((uint8_t)self->services[i]->type == message->type) {
            self->services[i]->on_message(self->selves[i], from, message);
        }
    }
}

/* What comes on the reserved channel; channels.c does it in a daemon. */
static void on_app_message(struct sim_mesh *mesh, struct peer *from, const struct message *message)
{
    struct service_node *self = CONTAINER_OF(mesh, struct service_node, mesh);
    json_t *control = message->channel == CTL_CHANNEL_ID ? ctl_decode(message->payload) : NULL;
    for (size_t i = 0; control != NULL && i < self->count; i++) {
        if (self->services[i]->on_control != NULL) {
            self->services[i]->on_control(self->selves[i], from, control);
        }
    }
    json_decref(control);
}

static void set(struct service_node *self, const char *section, const char *key, const char *value)
{
    char error[256] = "";
    int result = config_set(self->config, section, key, value, error, sizeof(error));
    if (result != 0) {
        (void)fprintf(stderr, "%s\n", error);
    }
    assert(result == 0);
    (void)result;
}

static void open_service(struct service_node *self, const struct service *service)
{
    size_t at = self->count;
    int result = service->open(self->host, &self->selves[at]);
    assert(result == 0);
    (void)result;
    self->services[at] = service;
    self->count++;
    if (service->type != WIRE_NONE) {
        mesh_claim(self->mesh.mesh, service->type, on_message, self);
    }
    if (service->start != NULL) {
        result = service->start(self->selves[at]);
        assert(result == 0);
    }
}

void service_node_init(struct service_node *self, struct sim_node *node, uint8_t secret_seed,
                       const char *data_directory, const struct service *const *services,
                       const char *const *mesh_options, const char *const *options)
{
    char error[256] = "";
    memset(self, 0, sizeof(*self));
    sim_mesh_init(&self->mesh, node, secret_seed, mesh_options);
    self->data_directory = data_directory;
    self->host = xalloc(sizeof(*self->host));
    self->host->node = self;
    self->host->facts.data_directory = data_directory;
    for (size_t i = 0; services[i] != NULL; i++) {
        if (services[i]->config != NULL) {
            self->host->sections[self->host->section_count++] =
                (struct config_section){services[i]->name, services[i]->config};
        }
    }
    int result = config_load(self->host->sections, self->host->section_count, NULL, &self->config,
                             error, sizeof(error));
    assert(result == 0);
    (void)result;
    for (; options != NULL && options[0] != NULL; options += 3) {
        set(self, options[0], options[1], options[2]);
    }
    mesh_observe(self->mesh.mesh, on_peer, self);
    self->mesh.on_message = on_app_message;
    (void)worker_new(sim_node_loop(node), 1, 16, &self->worker);
    for (size_t i = 0; services[i] != NULL; i++) {
        open_service(self, services[i]);
    }
    for (size_t i = 0; i < self->count; i++) {
        if (self->services[i]->on_network != NULL) {
            self->services[i]->on_network(self->selves[i], true);
        }
    }
}

void service_node_network_changed(struct service_node *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->services[i]->on_network_change != NULL) {
            self->services[i]->on_network_change(self->selves[i]);
        }
    }
}

void service_node_stop(struct service_node *self)
{
    for (size_t i = self->count; i-- > 0;) {
        if (self->services[i]->stop != NULL) {
            self->services[i]->stop(self->selves[i]);
        }
        if (self->services[i]->type != WIRE_NONE) {
            mesh_disclaim(self->mesh.mesh, self->services[i]->type);
        }
    }
}

void service_node_fini(struct service_node *self)
{
    service_node_stop(self);
    mesh_stop(self->mesh.mesh); /* while the services can still be told of the peers' end */
    for (size_t i = self->count; i-- > 0;) {
        self->services[i]->close(self->selves[i]);
    }
    self->count = 0;
    worker_free(self->worker);
    sim_mesh_fini(&self->mesh);
    config_free(self->config);
    free(self->host);
}

void service_node_reload(struct service_node *self, const char *section, const char *key,
                         const char *value)
{
    set(self, section, key, value);
    for (size_t i = 0; i < self->count; i++) {
        if (self->services[i]->on_reload != NULL) {
            self->services[i]->on_reload(self->selves[i]);
        }
    }
}

uint64_t service_node_metric(const struct service_node *self, const char *name)
{
    return sim_mesh_metric(&self->mesh, name);
}

const struct peer_id *service_node_id(const struct service_node *self)
{
    return &self->mesh.identity.id;
}
