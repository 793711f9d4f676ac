/* Messages to peers: one frame, one look at the mirror, no round trip. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "proto/frame.h"
#include "proto/json_head.h"
#include "proto/message_head.h"
#include "util/text.h"

#define STRING_CHANNEL "rats.string"
#define BINARY_CHANNEL "rats.binary"
#define JSON_CHANNEL   "rats.json"

static int explain_send(int rc, int timeout_ms)
{
    switch (rc) {
    case -ETIMEDOUT:
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "the daemon took nothing for %d ms: the way to the peer is congested",
                         timeout_ms);
    case -ENOMEM:
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    default:
        return error_set(RATS_ERROR_NOT_RUNNING, "the daemon is gone");
    }
}

int check_may_send(const struct client *client, const struct peer_id *peer)
{
    if (!client->attached) {
        return error_set(RATS_ERROR_NOT_RUNNING, "the daemon is gone");
    }
    if (!client->started) {
        return error_set(RATS_ERROR_NOT_RUNNING, "the session is not started");
    }
    if (peer != NULL && mirror_find(&client->mirror, peer) == NULL) {
        return error_set(RATS_ERROR_PEER_NOT_FOUND, "peer %.8s... is not connected",
                         peer_id_format(peer).text);
    }
    return RATS_SUCCESS;
}

/* Sends to one peer, or to all when peer is NULL. The number of peers, or a negative code with the
 * last error set. */
static int send_message(struct client *client, const struct peer_id *peer,
                        const struct outgoing *message)
{
    static const struct peer_id everybody;
    uint8_t bytes[FRAME_HEADER_SIZE + MESSAGE_HEAD_FIXED + MESSAGE_HEAD_MAX_NAME];
    const struct message_head head = {
        .plane = message->plane,
        .flags = message->flags,
        .peer = peer == NULL ? everybody.bytes : peer->bytes,
        .name = (const char *)message->name.data,
        .name_size = message->name.size,
    };
    const size_t head_size = message_head_size(&head);
    frame_encode_header(bytes, FRAME_MESSAGE, 0, 0, head_size, message->payload.size);
    message_head_encode(&head, bytes + FRAME_HEADER_SIZE);

    client_lock(client);
    int result = check_may_send(client, peer);
    if (result == RATS_SUCCESS) {
        /* Topics have subscribers on this machine too. */
        result = peer != NULL || message->plane == PLANE_TOPIC
                     ? 1
                     : (int)mirror_peer_count(&client->mirror);
        if (result > 0) {
            client->waiters++;
            const int rc =
                outbox_send(&client->outbox, bytes_make(bytes, FRAME_HEADER_SIZE + head_size),
                            message->payload);
            if (rc < 0) {
                result = explain_send(rc, client->outbox.timeout_ms);
            }
            client_leave(client);
        }
    }
    client_unlock(client);
    return result;
}

static int check_size(const struct outgoing *message)
{
    const size_t most = RATS_MAX_PAYLOAD - message->overhead;
    return message->payload.size <= most
               ? RATS_SUCCESS
               : error_set(RATS_ERROR_TOO_LARGE, "the message has %zu bytes; allowed are %zu",
                           message->payload.size, most);
}

/* RATS_SUCCESS and the id, or a code with the last error set: a session that is not started is
 * told so first. */
static int parse_peer(struct client *client, const char *peer_id, struct peer_id *ret_peer)
{
    if (peer_id_parse(peer_id, ret_peer) == 0) {
        return RATS_SUCCESS;
    }
    client_lock(client);
    const int code = check_may_send(client, NULL);
    client_unlock(client);
    return code != RATS_SUCCESS
               ? code
               : error_set(RATS_ERROR_PEER_NOT_FOUND,
                           "no peer of that id is connected; an id has 64 hexadecimal digits");
}

int check_peer(struct client *client, const char *peer_id, struct peer_id *ret_peer)
{
    int code = parse_peer(client, peer_id, ret_peer);
    if (code == RATS_SUCCESS) {
        client_lock(client);
        code = check_may_send(client, ret_peer);
        client_unlock(client);
    }
    return code;
}

int send_to(struct client *client, const char *peer_id, const struct outgoing *message)
{
    int code = check_size(message);
    struct peer_id peer;
    code = code == RATS_SUCCESS ? parse_peer(client, peer_id, &peer) : code;
    if (code != RATS_SUCCESS) {
        return code;
    }
    code = send_message(client, &peer, message);
    return code < 0 ? code : RATS_SUCCESS;
}

int send_to_all(struct client *client, const struct outgoing *message)
{
    const int code = check_size(message);
    return code != RATS_SUCCESS ? code : send_message(client, NULL, message);
}

int check_name(const char *what, const char *name, size_t max_size)
{
    if (name == NULL || strlen(name) > max_size || !text_is_utf8(bytes_from_string(name))) {
        return error_set(RATS_ERROR_INVALID_PARAMETER,
                         "%s is NULL, longer than %zu bytes or not UTF-8", what, max_size);
    }
    return RATS_SUCCESS;
}

static int send_on_channel(struct client *client, const char *peer_id, const char *channel,
                           struct bytes payload)
{
    const struct outgoing message = {
        .plane = PLANE_CHANNEL, .name = bytes_from_string(channel), .payload = payload};
    return send_to(client, peer_id, &message);
}

static int send_to_all_on_channel(struct client *client, const char *channel, struct bytes payload)
{
    const struct outgoing message = {
        .plane = PLANE_CHANNEL, .name = bytes_from_string(channel), .payload = payload};
    return send_to_all(client, &message);
}

static int missing(const char *what)
{
    return error_set(RATS_ERROR_INVALID_PARAMETER, "%s is NULL", what);
}

/* Strings ----------------------------------------------------------------------------------- */

int rats_send_string(rats_client_t handle, const char *peer_id, const char *message)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (peer_id == NULL || message == NULL) {
        return missing("the peer id or the message");
    }
    return error_v1(send_on_channel(client, peer_id, STRING_CHANNEL, bytes_from_string(message)));
}

int rats_broadcast_string(rats_client_t handle, const char *message)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    if (message == NULL) {
        (void)missing("the message");
        return 0;
    }
    const int count = send_to_all_on_channel(client, STRING_CHANNEL, bytes_from_string(message));
    return count < 0 ? 0 : count;
}

/* Bytes ------------------------------------------------------------------------------------- */

static int check_binary(const void *data, size_t size)
{
    if (data == NULL || size == 0) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "there are no bytes to send");
    }
    return RATS_SUCCESS;
}

rats_error_t rats_send_binary(rats_client_t handle, const char *peer_id, const void *data,
                              size_t size)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (peer_id == NULL) {
        return (rats_error_t)missing("the peer id");
    }
    int code = check_binary(data, size);
    if (code == RATS_SUCCESS) {
        code = send_on_channel(client, peer_id, BINARY_CHANNEL, bytes_make(data, size));
    }
    return error_v1(code);
}

int rats_broadcast_binary(rats_client_t handle, const void *data, size_t size)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL || check_binary(data, size) < 0) {
        return 0;
    }
    const int count = send_to_all_on_channel(client, BINARY_CHANNEL, bytes_make(data, size));
    return count < 0 ? 0 : count;
}

/* JSON -------------------------------------------------------------------------------------- */

int check_json(const char *json)
{
    if (json == NULL) {
        return missing("the JSON text");
    }
    if (json_text_check(json, strlen(json)) < 0) {
        return error_set(RATS_ERROR_JSON_PARSE, "the text is not one JSON value");
    }
    return RATS_SUCCESS;
}

rats_error_t rats_send_json(rats_client_t handle, const char *peer_id, const char *json)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (peer_id == NULL) {
        return (rats_error_t)missing("the peer id");
    }
    int code = check_json(json);
    if (code == RATS_SUCCESS) {
        code = send_on_channel(client, peer_id, JSON_CHANNEL, bytes_from_string(json));
    }
    return error_v1(code);
}

int rats_broadcast_json(rats_client_t handle, const char *json)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL || check_json(json) < 0) {
        return 0;
    }
    const int count = send_to_all_on_channel(client, JSON_CHANNEL, bytes_from_string(json));
    return count < 0 ? 0 : count;
}

/* Named channels ---------------------------------------------------------------------------- */

static int check_channel(const char *channel, const void *data, size_t size)
{
    const int code = channel_check_name(channel);
    return code == RATS_SUCCESS && data == NULL && size > 0 ? missing("the data") : code;
}

rats_error_t rats_channel_send(rats_client_t handle, const char *peer_id, const char *channel,
                               const void *data, size_t size)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (peer_id == NULL) {
        return (rats_error_t)missing("the peer id");
    }
    int code = check_channel(channel, data, size);
    if (code == RATS_SUCCESS) {
        code = send_on_channel(client, peer_id, channel, bytes_make(data, size));
    }
    return (rats_error_t)code;
}

int rats_channel_broadcast(rats_client_t handle, const char *channel, const void *data, size_t size)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_code();
    }
    const int code = check_channel(channel, data, size);
    return code != RATS_SUCCESS ? code
                                : send_to_all_on_channel(client, channel, bytes_make(data, size));
}
