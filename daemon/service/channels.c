#include "service/channels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/map.h"
#include "util/text.h"
#include "wire/channel_id.h"

#define CHANNEL_COUNT   65536
#define MAX_PER_SESSION 512
#define RESERVED_NAME   "ratsd.ctl" /* between daemons; see api.md 7.5 */
#define SHOWN_NAME_SIZE 128

struct channel {
    struct list node; /* in channels.all */
    uint16_t id;
    char *name;
    size_t name_size;
    uint64_t *sessions; /* who registered, in order */
    size_t count;
    size_t capacity;
};

/* How many channels a session has registered: asked for each row of session.list. */
struct owner {
    uint64_t session;
    size_t count;
};

struct channels {
    struct host *host;
    struct channel **by_id; /* CHANNEL_COUNT slots; untouched pages cost nothing */
    struct list all;        /* those with a registration */
    struct map owners;      /* by session */
};

static int channels_open(struct host *host, void **ret_self)
{
    struct channels *channels = xalloc(sizeof(*channels));
    channels->host = host;
    channels->by_id = xalloc(CHANNEL_COUNT * sizeof(struct channel *));
    list_init(&channels->all);
    map_init(&channels->owners, (const uint64_t[2]){0, 0}); /* the keys are our own numbers */
    *ret_self = channels;
    return 0;
}

static struct bytes channel_name(const struct channel *channel)
{
    return bytes_make(channel->name, channel->name_size);
}

static void channel_free(struct channels *channels, struct channel *channel)
{
    channels->by_id[channel->id] = NULL;
    list_remove(&channel->node);
    free(channel->name);
    free(channel->sessions);
    free(channel);
}

static struct channel *channel_make(struct channels *channels, uint16_t id, struct bytes name)
{
    struct channel *channel = xalloc(sizeof(*channel));
    channel->id = id;
    channel->name = xalloc(name.size + 1);
    memcpy(channel->name, name.data, name.size);
    channel->name_size = name.size;
    channels->by_id[id] = channel;
    list_init(&channel->node);
    list_append(&channels->all, &channel->node);
    return channel;
}

/* Place of a session in a channel, or count when it is not there. */
static size_t channel_place(const struct channel *channel, uint64_t session)
{
    size_t at = 0;
    while (at < channel->count && channel->sessions[at] != session) {
        at++;
    }
    return at;
}

static struct owner *owner_find(const struct channels *channels, uint64_t session)
{
    return map_find(&channels->owners, bytes_make(&session, sizeof(session)));
}

static size_t registrations_of(const struct channels *channels, uint64_t session)
{
    const struct owner *owner = owner_find(channels, session);
    return owner == NULL ? 0 : owner->count;
}

/* 0 or -ENOMEM. */
static int owner_count_up(struct channels *channels, uint64_t session)
{
    struct owner *owner = owner_find(channels, session);
    if (owner == NULL) {
        owner = xalloc(sizeof(*owner));
        owner->session = session;
        int result = map_insert(&channels->owners,
                                bytes_make(&owner->session, sizeof(owner->session)), owner);
        if (result < 0) {
            free(owner);
            return result;
        }
    }
    owner->count++;
    return 0;
}

static void owner_count_down(struct channels *channels, uint64_t session)
{
    struct owner *owner = owner_find(channels, session);
    if (--owner->count == 0) {
        (void)map_remove(&channels->owners, bytes_make(&owner->session, sizeof(owner->session)));
        free(owner);
    }
}

static void channel_add(struct channel *channel, uint64_t session)
{
    if (channel->count == channel->capacity) {
        channel->capacity = channel->capacity == 0 ? 4 : channel->capacity * 2;
        channel->sessions =
            xrealloc(channel->sessions, channel->capacity * sizeof(*channel->sessions));
    }
    channel->sessions[channel->count++] = session;
}

/* True when the session was there; the channel may be gone afterwards. */
static bool channel_remove(struct channels *channels, struct channel *channel, uint64_t session)
{
    size_t at = channel_place(channel, session);
    if (at == channel->count) {
        return false;
    }
    owner_count_down(channels, session);
    channel->count--;
    memmove(&channel->sessions[at], &channel->sessions[at + 1],
            (channel->count - at) * sizeof(*channel->sessions));
    if (channel->count == 0) {
        channel_free(channels, channel);
    }
    return true;
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
    uint64_t session = request_session(request);
    uint16_t id = channel_id(name);
    struct channel *channel = channels->by_id[id];
    char shown[SHOWN_NAME_SIZE];
    char other[SHOWN_NAME_SIZE];

    if (bytes_equal(name, bytes_from_string(RESERVED_NAME))) {
        request_fail(request, E_NOT_PERMITTED,
                     "channel '" RESERVED_NAME "' belongs to the daemon; choose another name");
        return;
    }
    if (channel != NULL && !bytes_equal(channel_name(channel), name)) {
        request_fail(request, E_BUSY,
                     "channel '%s' has the same 16-bit id (0x%04x) as channel '%s', which is "
                     "registered already; choose another name",
                     text_escape(name, shown, sizeof(shown)), id,
                     text_escape(channel_name(channel), other, sizeof(other)));
        return;
    }
    bool present = channel != NULL && channel_place(channel, session) < channel->count;
    if (!present && registrations_of(channels, session) >= MAX_PER_SESSION) {
        request_fail(request, E_LIMIT, "a session may register at most %d channels",
                     MAX_PER_SESSION);
        return;
    }
    if (!present && owner_count_up(channels, session) < 0) {
        request_fail(request, E_OUT_OF_MEMORY, "out of memory");
        return;
    }
    if (!present) {
        channel_add(channel != NULL ? channel : channel_make(channels, id, name), session);
    }
    request_reply(request, json_pack("{s:i}", "id", (int)id));
}

static void on_off(void *self, struct request *request)
{
    struct channels *channels = self;
    struct bytes name = requested_name(request);
    struct channel *channel = channels->by_id[channel_id(name)];
    if (channel == NULL || !bytes_equal(channel_name(channel), name) ||
        !channel_remove(channels, channel, request_session(request))) {
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
    const struct channel *channel = channels->by_id[message->channel];
    if (channel == NULL) {
        return; /* nobody registered: dropped silently (wire-core 5.2) */
    }
    struct delivery delivery = {
        .plane = PLANE_CHANNEL,
        .peer = peer_id_of(from),
        .link = peer_id_of(from),
        .name = channel_name(channel),
        .payload = message->payload,
    };
    host_deliver(channels->host, channel->sessions, channel->count, &delivery);
}

static int channels_on_client_message(void *self, const struct client_message *message,
                                      size_t *ret_peers, char *error, size_t error_size)
{
    struct channels *channels = self;
    uint16_t id = channel_id(message->name);
    if (bytes_equal(message->name, bytes_from_string(RESERVED_NAME))) {
        (void)snprintf(error, error_size, "channel '" RESERVED_NAME "' belongs to the daemon");
        return -EPERM;
    }
    if (message->payload.size > WIRE_MAX_PAYLOAD) {
        (void)snprintf(error, error_size, "the message has %zu bytes; at most %u are allowed",
                       message->payload.size, WIRE_MAX_PAYLOAD);
        return -EMSGSIZE;
    }
    int result = 0;
    size_t reached = 1;
    if (peer_id_is_zero(&message->peer)) {
        result = host_broadcast(channels->host, message->session, WIRE_APP, id, message->payload,
                                &reached);
    } else {
        result = host_send(channels->host, message->session, &message->peer, WIRE_APP, id,
                           message->payload);
    }
    if (result == 0) {
        *ret_peers = reached;
    } else if (result != -EAGAIN) {
        (void)snprintf(error, error_size, "peer %s: %s", peer_id_format(&message->peer).text,
                       result == -ENOTCONN ? "not connected" : strerror(-result));
    }
    return result;
}

static void channels_on_session_end(void *self, uint64_t session)
{
    struct channels *channels = self;
    if (registrations_of(channels, session) == 0) {
        return;
    }
    LIST_EACH(&channels->all, node)
    {
        (void)channel_remove(channels, CONTAINER_OF(node, struct channel, node), session);
    }
}

static void channels_on_describe_session(void *self, uint64_t session, json_t *row)
{
    (void)json_object_set_new(row, "channels",
                              json_integer((json_int_t)registrations_of(self, session)));
}

static void channels_close(void *self)
{
    struct channels *channels = self;
    LIST_EACH(&channels->all, node)
    {
        channel_free(channels, CONTAINER_OF(node, struct channel, node));
    }
    size_t cursor = 0;
    for (struct owner *owner = map_next(&channels->owners, &cursor); owner != NULL;
         owner = map_next(&channels->owners, &cursor)) {
        free(owner);
    }
    map_fini(&channels->owners);
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
