#include "service/channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/random.h"
#include "service/client_message.h"
#include "service/ctl.h"
#include "service/registry.h"
#include "util/alloc.h"
#include "util/text.h"
#include "wire/channel_id.h"

#define CHANNEL_COUNT   65536
#define RESERVED_NAME   CTL_CHANNEL
#define SHOWN_NAME_SIZE 128

struct channels {
    struct host *host;
    struct registration **by_id; /* CHANNEL_COUNT slots; untouched pages cost nothing */
    struct registry registry;
};

static void on_gone(void *arg, struct registration *gone)
{
    struct channels *channels = arg;
    channels->by_id[channel_id(registration_name(gone))] = NULL;
}

static int channels_open(struct host *host, void **ret_self)
{
    struct channels *channels = xalloc(sizeof(*channels));
    uint64_t seed[2];
    random_bytes(seed, sizeof(seed));
    channels->host = host;
    channels->by_id = xalloc(CHANNEL_COUNT * sizeof(struct registration *));
    registry_init(&channels->registry, seed, on_gone, channels);
    *ret_self = channels;
    return 0;
}

static struct bytes requested_name(const struct request *request)
{
    const json_t *name = json_object_get(request_params(request), "channel");
    return bytes_make(json_string_value(name), json_string_length(name));
}

static void on_on(void *self, struct request *request)
{
    struct channels *channels = self;
    struct bytes name = requested_name(request);
    uint16_t id = channel_id(name);
    struct registration *channel = channels->by_id[id];
    char shown[SHOWN_NAME_SIZE];
    char other[SHOWN_NAME_SIZE];

    if (bytes_equal(name, bytes_from_string(RESERVED_NAME))) {
        request_fail(request, E_NOT_PERMITTED,
                     "channel '" RESERVED_NAME "' belongs to the daemon; choose another name");
        return;
    }
    if (channel != NULL && !bytes_equal(registration_name(channel), name)) {
        request_fail(request, E_BUSY,
                     "channel '%s' has the same 16-bit id (0x%04x) as channel '%s', which is "
                     "registered already; choose another name",
                     text_escape(name, shown, sizeof(shown)), id,
                     text_escape(registration_name(channel), other, sizeof(other)));
        return;
    }
    int result = registry_add(&channels->registry, name, request_session(request), &channel);
    if (result == -EDQUOT) {
        request_fail(request, E_LIMIT, "a session may register at most %u channels",
                     REGISTRY_MAX_NAMES);
    } else if (result < 0) {
        request_fail_errno(request, result, "out of memory");
    } else {
        channels->by_id[id] = channel;
        request_reply(request, json_pack("{s:i}", "id", (int)id));
    }
}

static void on_off(void *self, struct request *request)
{
    struct channels *channels = self;
    struct bytes name = requested_name(request);
    if (!registry_remove(&channels->registry, name, request_session(request))) {
        char shown[SHOWN_NAME_SIZE];
        request_fail(request, E_NOT_FOUND, "channel '%s' is not registered by this session",
                     text_escape(name, shown, sizeof(shown)));
        return;
    }
    request_reply(request, NULL);
}

static void channels_on_message(void *self, struct peer *from, const struct message *message)
{
    struct channels *channels = self;
    const struct registration *channel = channels->by_id[message->channel];
    if (message->channel == CTL_CHANNEL_ID &&
        host_control_message(channels->host, from, message->payload)) {
        return;
    }
    if (channel == NULL) {
        return; /* nobody registered: dropped silently (wire-core 5.2) */
    }
    struct delivery delivery = {
        .plane = PLANE_CHANNEL,
        .peer = peer_id_of(from),
        .link = peer_id_of(from),
        .name = registration_name(channel),
        .payload = message->payload,
    };
    host_deliver(channels->host, channel->sessions, channel->count, &delivery);
}

static int channels_on_client_message(void *self, const struct client_message *message,
                                      size_t *ret_peers, char *error, size_t error_size)
{
    struct channels *channels = self;
    if (bytes_equal(message->name, bytes_from_string(RESERVED_NAME))) {
        (void)snprintf(error, error_size, "channel '" RESERVED_NAME "' belongs to the daemon");
        return -EPERM;
    }
    return client_message_send(channels->host, message, WIRE_APP, channel_id(message->name),
                               message->payload, ret_peers, error, error_size);
}

static void channels_on_session_end(void *self, uint64_t session)
{
    struct channels *channels = self;
    registry_drop_session(&channels->registry, session);
}

static void channels_on_describe_session(void *self, uint64_t session, json_t *row)
{
    const struct channels *channels = self;
    (void)json_object_set_new(
        row, "channels", json_integer((json_int_t)registry_count(&channels->registry, session)));
}

static void channels_close(void *self)
{
    struct channels *channels = self;
    registry_fini(&channels->registry);
    free(channels->by_id);
    free(channels);
}

static const struct method_handler channels_methods[] = {
    {M_CHANNEL_ON, on_on},
    {M_CHANNEL_OFF, on_off},
    {0},
};

const struct service channels_service = {
    .name = "channel",
    .type = WIRE_APP,
    .plane = PLANE_CHANNEL,
    .methods = channels_methods,
    .open = channels_open,
    .on_message = channels_on_message,
    .on_client_message = channels_on_client_message,
    .on_describe_session = channels_on_describe_session,
    .on_session_end = channels_on_session_end,
    .close = channels_close,
};
