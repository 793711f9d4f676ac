/* Links to peers, and how many there may be. */
#include <limits.h>
#include <string.h>

#include "client.h"

#define HOST_MAX 255u

int peers_check_address(const char *host, int port)
{
    if (host == NULL || host[0] == '\0' || strlen(host) > HOST_MAX) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "a host has 1 to %u bytes", HOST_MAX);
    }
    if (port < 1 || port > 65535) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "%d is no port; allowed are 1 to 65535",
                         port);
    }
    return RATS_SUCCESS;
}

/* (locked) */
static int check_started(const struct client *client)
{
    return client->started
               ? RATS_SUCCESS
               : error_set(RATS_ERROR_NOT_RUNNING, "the session is not started; call rats_start()");
}

int peers_dial(struct client *client, const char *host, int port, json_t *transports,
               int timeout_ms)
{
    client_lock(client);
    const int code = check_started(client);
    client_unlock(client);
    if (code != RATS_SUCCESS) {
        json_decref(transports);
        return code;
    }
    timeout_ms = timeout_ms <= 0               ? CONNECT_TIMEOUT_MS
                 : timeout_ms > CONNECT_MAX_MS ? CONNECT_MAX_MS
                                               : timeout_ms;
    json_t *params = json_pack("{s:s, s:i, s:i, s:o*}", "host", host, "port", port, "timeout_ms",
                               timeout_ms, "transports", transports);
    if (params == NULL) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "the host is not UTF-8 text");
    }
    /* The daemon keeps the time; the margin only matters when it hangs. */
    return request_call(client, M_PEER_CONNECT, params, timeout_ms + 1000, NULL);
}

int rats_connect(rats_client_t handle, const char *host, int port)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL || peers_check_address(host, port) != RATS_SUCCESS) {
        return 0;
    }
    return peers_dial(client, host, port, NULL, CONNECT_TIMEOUT_MS) == RATS_SUCCESS ? 1 : 0;
}

static int refuse_relay(struct client *client, const char *host, int port)
{
    client_lock(client);
    int code = check_started(client);
    const bool present = mirror_has_address(&client->mirror, host, port);
    client_unlock(client);
    if (code == RATS_SUCCESS && !present) {
        code = error_set(RATS_ERROR_NOT_SUPPORTED, "this network has no relays");
    }
    return code;
}

rats_error_t rats_connect_with_strategy(rats_client_t handle, const char *host, int port,
                                        rats_connection_strategy_t strategy)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    int code = peers_check_address(host, port);
    if (code == RATS_SUCCESS &&
        ((int)strategy < RATS_STRATEGY_DIRECT_ONLY || strategy > RATS_STRATEGY_AUTO_ADAPTIVE)) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER, "there is no strategy %d", (int)strategy);
    }
    if (code == RATS_SUCCESS) {
        code = strategy == RATS_STRATEGY_TURN_RELAY
                   ? refuse_relay(client, host, port)
                   : peers_dial(client, host, port, NULL, CONNECT_TIMEOUT_MS);
    }
    return error_v1(code);
}

rats_error_t rats_disconnect_peer_by_id(rats_client_t handle, const char *peer_id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (peer_id == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the peer id is NULL");
    }
    struct peer_id id;
    if (peer_id_parse(peer_id, &id) < 0) {
        return RATS_SUCCESS; /* nobody of that id is connected */
    }
    return error_v1(request_call(client, M_PEER_DISCONNECT,
                                 json_pack("{s:s}", "peer", peer_id_format(&id).text),
                                 CALL_TIMEOUT_MS, NULL));
}

rats_error_t rats_set_max_peers(rats_client_t handle, int max_peers)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (max_peers <= 0) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "%d is no number of peers; at least 1 is", max_peers);
    }
    json_t *result = NULL;
    const int code =
        request_call(client, M_SESSION_DEMAND_PEERS, json_pack("{s:i}", "max_peers", max_peers),
                     CALL_TIMEOUT_MS, &result);
    if (code == RATS_SUCCESS) {
        client_lock(client);
        client->demanded_peers = max_peers;
        client->mirror.max_peers = json_integer_value(json_object_get(result, "max_peers"));
        client_unlock(client);
    }
    json_decref(result);
    return error_v1(code);
}

/* (locked) 0 = no limit. */
static int peer_limit(const struct client *client)
{
    const int64_t limit =
        client->demanded_peers > 0 ? client->demanded_peers : client->mirror.max_peers;
    return limit > INT_MAX ? INT_MAX : (int)limit;
}

int rats_get_max_peers(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const int limit = peer_limit(client);
    client_unlock(client);
    return limit;
}

int rats_is_peer_limit_reached(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const int limit = peer_limit(client);
    const bool reached = limit > 0 && mirror_peer_count(&client->mirror) >= (size_t)limit;
    client_unlock(client);
    return reached ? 1 : 0;
}
