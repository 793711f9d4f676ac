/* Round trips, other peers' addresses, bans and limits (api.md 6.4, and our own). */
#include <string.h>

#include "client.h"

#define PING_MARGIN_MS  1000 /* the daemon keeps the time; this only matters when it hangs */
#define MAX_PING_MS     600000
#define MAX_BAN_SECONDS INT64_C(3153600000)
#define MAX_PER_SECOND  (INT64_C(1) << 40)
#define MAX_REASON      200u

/* The id in its one form; else the code, with the last error set: invalid_code when the text is no
 * id. */
static int take_peer(const char *peer_id, int invalid_code, struct peer_id_text *ret_text)
{
    struct peer_id id;
    if (peer_id == NULL) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "the peer id is NULL");
    }
    if (peer_id_parse(peer_id, &id) < 0) {
        return error_set(invalid_code, invalid_code == RATS_ERROR_PEER_NOT_FOUND
                                           ? "no peer of that id is connected"
                                           : "a peer id has 64 hexadecimal digits");
    }
    *ret_text = peer_id_format(&id);
    return RATS_SUCCESS;
}

static json_t *peer_params(const struct peer_id_text *peer)
{
    return json_pack("{s:s}", "peer", peer->text);
}

/* ---- ping ---- */

int64_t rats_get_peer_rtt_us(rats_client_t handle, const char *peer_id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    struct peer_id id;
    if (client == NULL) {
        return -1;
    }
    if (peer_id == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the peer id is NULL");
        return -1;
    }
    const bool valid = peer_id_parse(peer_id, &id) == 0;
    client_lock(client);
    const struct mirror_peer *peer = valid ? mirror_find(&client->mirror, &id) : NULL;
    const json_t *rtt_ms = peer == NULL ? NULL : json_object_get(peer->row, "rtt_ms");
    const int64_t rtt_us =
        json_is_number(rtt_ms) ? (int64_t)(json_number_value(rtt_ms) * 1000.0 + 0.5) : -1;
    client_unlock(client);
    if (peer == NULL) {
        (void)error_set(RATS_ERROR_PEER_NOT_FOUND, "no peer of that id is connected");
    }
    return rtt_us;
}

rats_error_t rats_ping_peer(rats_client_t handle, const char *peer_id, int timeout_ms,
                            int64_t *ret_rtt_us)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id_text peer;
    json_t *result = NULL;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (timeout_ms < 1 || timeout_ms > MAX_PING_MS) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "%d ms is no time to wait; allowed are 1 to %d", timeout_ms,
                                       MAX_PING_MS);
    }
    int code = take_peer(peer_id, RATS_ERROR_PEER_NOT_FOUND, &peer);
    if (code == RATS_SUCCESS) {
        code = request_call(client, M_PING_SEND,
                            json_pack("{s:s, s:i}", "peer", peer.text, "timeout_ms", timeout_ms),
                            timeout_ms + PING_MARGIN_MS, &result);
    }
    if (code == RATS_SUCCESS && ret_rtt_us != NULL) {
        *ret_rtt_us = json_integer_value(json_object_get(result, "rtt_us"));
    }
    json_decref(result);
    return (rats_error_t)code;
}

/* ---- peer exchange ---- */

rats_error_t rats_request_peers(rats_client_t handle, const char *peer_id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id_text peer;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = take_peer(peer_id, RATS_ERROR_PEER_NOT_FOUND, &peer);
    if (code == RATS_SUCCESS) {
        code = request_call(client, M_PEX_REQUEST, peer_params(&peer), CALL_TIMEOUT_MS, NULL);
    }
    return (rats_error_t)code;
}

/* ---- bans ---- */

static int ban(struct client *client, const char *subject, int64_t seconds, const char *reason)
{
    if (seconds < 0 || seconds > MAX_BAN_SECONDS) {
        return error_set(RATS_ERROR_INVALID_PARAMETER,
                         "a ban lasts 1 to %lld seconds, or for ever: 0",
                         (long long)MAX_BAN_SECONDS);
    }
    if (reason != NULL && strlen(reason) > MAX_REASON) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "a reason has at most %u bytes", MAX_REASON);
    }
    json_t *params = json_pack("{s:s, s:I, s:s}", "subject", subject, "seconds",
                               (json_int_t)seconds, "reason", reason == NULL ? "" : reason);
    if (params == NULL) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "subject or reason is not UTF-8 text");
    }
    return request_call(client, M_BAN_ADD, params, CALL_TIMEOUT_MS, NULL);
}

rats_error_t rats_ban_peer(rats_client_t handle, const char *peer_id, int64_t seconds,
                           const char *reason)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id_text peer;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = take_peer(peer_id, RATS_ERROR_INVALID_PARAMETER, &peer);
    if (code == RATS_SUCCESS) {
        code = ban(client, peer.text, seconds, reason);
    }
    return (rats_error_t)code;
}

rats_error_t rats_ban_address(rats_client_t handle, const char *address, int64_t seconds,
                              const char *reason)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id id;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (address == NULL || peer_id_parse(address, &id) == 0) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "the address is NULL or the id of a peer");
    }
    return (rats_error_t)ban(client, address, seconds, reason);
}

rats_error_t rats_unban(rats_client_t handle, const char *subject)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    json_t *result = NULL;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    json_t *params = subject == NULL ? NULL : json_pack("{s:s}", "subject", subject);
    if (params == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "the subject is NULL or not UTF-8 text");
    }
    int code = request_call(client, M_BAN_REMOVE, params, CALL_TIMEOUT_MS, &result);
    if (code == RATS_SUCCESS && !json_is_true(json_object_get(result, "removed"))) {
        code = error_set(RATS_ERROR_NOT_FOUND, "there is no ban of exactly that subject");
    }
    json_decref(result);
    return (rats_error_t)code;
}

static char *get_document(rats_client_t handle, enum method_id method)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *result = NULL;
    if (client == NULL ||
        request_call(client, method, json_object(), CALL_TIMEOUT_MS, &result) != RATS_SUCCESS) {
        return NULL;
    }
    return document_print(result);
}

char *rats_get_bans_json(rats_client_t handle)
{
    return get_document(handle, M_BAN_LIST);
}

/* ---- limits ---- */

static bool is_limit(int64_t per_second)
{
    return per_second >= 0 && per_second <= MAX_PER_SECOND;
}

rats_error_t rats_set_peer_limits(rats_client_t handle, const char *peer_id,
                                  int64_t messages_per_second, int64_t bytes_per_second)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id_text peer;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = take_peer(peer_id, RATS_ERROR_INVALID_PARAMETER, &peer);
    if (code == RATS_SUCCESS && !(is_limit(messages_per_second) && is_limit(bytes_per_second))) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER, "a limit is 0 to 2^40 in a second");
    }
    if (code == RATS_SUCCESS) {
        code = request_call(client, M_LIMIT_SET,
                            json_pack("{s:s, s:I, s:I}", "peer", peer.text, "messages_per_second",
                                      (json_int_t)messages_per_second, "bytes_per_second",
                                      (json_int_t)bytes_per_second),
                            CALL_TIMEOUT_MS, NULL);
    }
    return (rats_error_t)code;
}

rats_error_t rats_clear_peer_limits(rats_client_t handle, const char *peer_id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id_text peer;
    json_t *result = NULL;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = take_peer(peer_id, RATS_ERROR_INVALID_PARAMETER, &peer);
    if (code == RATS_SUCCESS) {
        code = request_call(client, M_LIMIT_CLEAR, peer_params(&peer), CALL_TIMEOUT_MS, &result);
    }
    if (code == RATS_SUCCESS && !json_is_true(json_object_get(result, "cleared"))) {
        code = error_set(RATS_ERROR_NOT_FOUND, "that peer has no limits of its own");
    }
    json_decref(result);
    return (rats_error_t)code;
}

char *rats_get_limits_json(rats_client_t handle)
{
    return get_document(handle, M_LIMIT_LIST);
}
