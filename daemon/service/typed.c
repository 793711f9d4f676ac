#include "service/typed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/random.h"
#include "service/client_message.h"
#include "service/registry.h"
#include "util/alloc.h"
#include "util/text.h"
#include "wire/typed_json.h"

#define SHOWN_TYPE_SIZE 128

struct typed_service {
    struct host *host;
    struct registry registry;
};

static int typed_open(struct host *host, void **ret_self)
{
    struct typed_service *service = xalloc(sizeof(*service));
    uint64_t seed[2];
    random_bytes(seed, sizeof(seed));
    service->host = host;
    registry_init(&service->registry, seed, NULL, NULL);
    *ret_self = service;
    return 0;
}

static struct bytes requested_type(const struct request *request)
{
    const json_t *type = json_object_get(request_params(request), "type");
    return bytes_make(json_string_value(type), json_string_length(type));
}

static void on_on(void *self, struct request *request)
{
    struct typed_service *service = self;
    struct registration *type = NULL;
    int result =
        registry_add(&service->registry, requested_type(request), request_session(request), &type);
    if (result == -EDQUOT) {
        request_fail(request, E_LIMIT,
                     "a session may register at most %u types, with at most %u bytes together; "
                     "give up some, or attach a second session",
                     REGISTRY_MAX_NAMES, REGISTRY_MAX_BYTES);
    } else if (result < 0) {
        request_fail_errno(request, result, "out of memory");
    } else {
        request_reply(request, NULL);
    }
}

static void on_off(void *self, struct request *request)
{
    struct typed_service *service = self;
    struct bytes type = requested_type(request);
    if (!registry_remove(&service->registry, type, request_session(request))) {
        char shown[SHOWN_TYPE_SIZE];
        request_fail(request, E_NOT_FOUND, "type '%s' is not registered by this session",
                     text_escape(type, shown, sizeof(shown)));
        return;
    }
    request_reply(request, NULL);
}

static void typed_on_message(void *self, struct peer *from, const struct message *message)
{
    struct typed_service *service = self;
    struct typed_json typed;
    if (typed_json_decode(message->payload, &typed) < 0) {
        return; /* dropped silently, as upstream does */
    }
    const struct registration *type = registry_find(&service->registry, typed.type);
    if (type == NULL) {
        return;
    }
    struct delivery delivery = {
        .plane = PLANE_TYPED,
        .peer = peer_id_of(from),
        .link = peer_id_of(from),
        .name = registration_name(type),
        .payload = typed.text,
    };
    host_deliver(service->host, type->sessions, type->count, &delivery);
}

static int typed_on_client_message(void *self, const struct client_message *message,
                                   size_t *ret_peers, char *error, size_t error_size)
{
    struct typed_service *service = self;
    struct typed_json typed = {.type = message->name, .text = message->payload};
    size_t size = typed_json_size(&typed);
    if (size > WIRE_MAX_PAYLOAD) {
        return client_message_too_large(size, error, error_size);
    }
    uint8_t *payload = try_alloc(size);
    if (payload == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    typed_json_encode(&typed, payload);
    int result = client_message_send(service->host, message, WIRE_TYPED, 0,
                                     bytes_make(payload, size), ret_peers, error, error_size);
    free(payload);
    return result;
}

static void typed_on_session_end(void *self, uint64_t session)
{
    struct typed_service *service = self;
    registry_drop_session(&service->registry, session);
}

static void typed_on_describe_session(void *self, uint64_t session, json_t *row)
{
    const struct typed_service *service = self;
    (void)json_object_set_new(
        row, "types", json_integer((json_int_t)registry_count(&service->registry, session)));
}

static void typed_close(void *self)
{
    struct typed_service *service = self;
    registry_fini(&service->registry);
    free(service);
}

static const struct method_handler typed_methods[] = {
    {M_TYPED_ON, on_on},
    {M_TYPED_OFF, on_off},
    {0},
};

const struct service typed_service = {
    .name = "typed",
    .type = WIRE_TYPED,
    .plane = PLANE_TYPED,
    .methods = typed_methods,
    .open = typed_open,
    .on_message = typed_on_message,
    .on_client_message = typed_on_client_message,
    .on_describe_session = typed_on_describe_session,
    .on_session_end = typed_on_session_end,
    .close = typed_close,
};
