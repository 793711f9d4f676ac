#include "fake_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct request {
    json_t *params;
    uint64_t session;
};

struct fake_delivery fake_delivered;
struct fake_sending fake_sent;
static struct fake_answer answer;
static struct peer peers[16];
static size_t peer_count;

size_t fake_control_count;

bool host_control_message(struct host *host, struct peer *from, struct bytes payload)
{
    (void)host;
    (void)from;
    bool ours = payload.size > 4 && memcmp(payload.data, "RDC1", 4) == 0;
    fake_control_count += ours;
    return ours;
}

void fake_reset(void)
{
    fake_control_count = 0;
    json_decref(answer.result);
    memset(&answer, 0, sizeof answer);
    memset(&fake_delivered, 0, sizeof fake_delivered);
    memset(&fake_sent, 0, sizeof fake_sent);
    memset(peers, 0, sizeof peers);
    peer_count = 0;
}

const struct fake_answer *fake_call(const struct service *service, void *self,
                                    enum method_id method, uint64_t session, json_t *params)
{
    struct request request = {.params = params, .session = session};
    json_decref(answer.result);
    answer.result = NULL;
    for (const struct method_handler *handler = service->methods; handler->handle != NULL;
         handler++) {
        if (handler->method == method) {
            handler->handle(self, &request);
            json_decref(params);
            return &answer;
        }
    }
    fail_msg("the service has no handler for method %d", (int)method);
    return NULL;
}

struct peer *fake_peer(const struct peer_id *id)
{
    size_t at = 0;
    while (at < peer_count && !peer_id_equal(&peers[at].id, id)) {
        at++;
    }
    assert_true(at < sizeof peers / sizeof peers[0]);
    if (at == peer_count) {
        peers[peer_count++].id = *id;
    }
    return &peers[at];
}

struct peer *mesh_find(const struct mesh *mesh, const struct peer_id *id)
{
    (void)mesh;
    for (size_t i = 0; i < peer_count; i++) {
        if (peer_id_equal(&peers[i].id, id)) {
            return peers[i].gone ? NULL : &peers[i];
        }
    }
    return NULL;
}

bool peer_is_congested(const struct peer *peer)
{
    return peer->congested;
}

bool mesh_is_large(size_t size)
{
    (void)size;
    return false;
}

bool peer_may_send(struct peer *peer, size_t size)
{
    (void)size;
    return !peer->congested;
}

int peer_send(struct peer *peer, enum wire_type type, uint16_t channel, struct bytes payload)
{
    (void)type;
    (void)channel;
    peer->frames++;
    peer->last_op = payload.size == 0 ? 0 : payload.data[0];
    return peer->congested ? 1 : 0;
}

void peer_made_news(struct peer *peer, unsigned cost)
{
    peer->news += cost;
}

const json_t *request_params(const struct request *request)
{
    return request->params;
}

uint64_t request_session(const struct request *request)
{
    return request->session;
}

void request_reply(struct request *request, json_t *result)
{
    (void)request;
    answer.result = result == NULL ? json_object() : result;
    answer.error = PROTO_ERROR_COUNT;
}

void request_fail(struct request *request, enum proto_error error, const char *format, ...)
{
    va_list arguments;
    (void)request;
    answer.error = error;
    va_start(arguments, format);
    (void)vsnprintf(answer.text, sizeof answer.text, format, arguments);
    va_end(arguments);
}

void request_fail_errno(struct request *request, int negative_errno, const char *text)
{
    request_fail(request, proto_error_from_errno(negative_errno), "%s", text);
}

const struct peer_id *peer_id_of(const struct peer *peer)
{
    return &peer->id;
}

void host_deliver(struct host *host, const uint64_t *sessions, size_t count,
                  const struct delivery *delivery)
{
    (void)host;
    assert_true(count <= 16 && delivery->payload.size <= sizeof fake_delivered.payload);
    fake_delivered.count++;
    fake_delivered.session_count = count;
    if (count > 0) {
        memcpy(fake_delivered.sessions, sessions, count * sizeof *sessions);
    }
    (void)snprintf(fake_delivered.name, sizeof fake_delivered.name, "%.*s",
                   (int)delivery->name.size, (const char *)delivery->name.data);
    fake_delivered.flags = delivery->flags;
    fake_delivered.sender = *delivery->peer;
    fake_delivered.forwarder =
        delivery->forwarder == NULL ? (struct peer_id){{0}} : *delivery->forwarder;
    for (size_t i = 0; i < count; i++) {
        assert_true(sessions[i] < 16);
        fake_delivered.of_session[sessions[i]]++;
    }
    fake_delivered.payload_size = delivery->payload.size;
    if (delivery->payload.size > 0) {
        memcpy(fake_delivered.payload, delivery->payload.data, delivery->payload.size);
    }
}

static int record_sending(bool broadcast, enum wire_type type, uint16_t channel,
                          struct bytes payload)
{
    if (fake_sent.result == 0) {
        fake_sent.count++;
        fake_sent.broadcast = broadcast;
        fake_sent.type = type;
        fake_sent.channel = channel;
        fake_sent.payload_size = payload.size;
        if (payload.size > 0) {
            memcpy(fake_sent.payload, payload.data,
                   payload.size < sizeof fake_sent.payload ? payload.size
                                                           : sizeof fake_sent.payload);
        }
    }
    return fake_sent.result;
}

int host_send(struct host *host, uint64_t session, const struct peer_id *to, enum wire_type type,
              uint16_t channel, struct bytes payload)
{
    (void)host;
    (void)session;
    fake_sent.to = *to;
    return record_sending(false, type, channel, payload);
}

int host_broadcast(struct host *host, uint64_t session, struct broadcast *broadcast,
                   enum wire_type type, uint16_t channel, struct bytes payload, size_t *ret_peers)
{
    (void)host;
    (void)session;
    (void)broadcast;
    *ret_peers = 3;
    return record_sending(true, type, channel, payload);
}
