/* Transports of the instance and its peers, and waiting for a peer (api.md 6.4). */
#include <errno.h>
#include <string.h>

#include "client.h"
#include "clock.h"

#define ALL_TRANSPORTS (RATS_TRANSPORT_TCP | RATS_TRANSPORT_UDP)

static unsigned bit_of(const char *word)
{
    if (word == NULL) {
        return 0;
    }
    return strcmp(word, "tcp") == 0   ? RATS_TRANSPORT_TCP
           : strcmp(word, "udp") == 0 ? RATS_TRANSPORT_UDP
                                      : 0;
}

static unsigned bits_of(const json_t *words)
{
    unsigned bits = 0;
    for (size_t i = 0; i < json_array_size(words); i++) {
        bits |= bit_of(json_string_value(json_array_get(words, i)));
    }
    return bits;
}

unsigned rats_get_transports(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *result = NULL;
    if (client == NULL || request_call(client, M_INSTANCE_GET, json_object(), CALL_TIMEOUT_MS,
                                       &result) != RATS_SUCCESS) {
        return 0;
    }
    const unsigned bits = bits_of(json_object_get(result, "transports"));
    json_decref(result);
    return bits;
}

/* What read makes of the peer's row; 0 when it is not connected, with the last error set. */
static unsigned read_peer(rats_client_t handle, const char *peer_id,
                          unsigned (*read)(const json_t *row))
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    struct peer_id id;
    if (client == NULL) {
        return 0;
    }
    if (peer_id == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the peer id is NULL");
        return 0;
    }
    const bool valid = peer_id_parse(peer_id, &id) == 0;
    client_lock(client);
    const struct mirror_peer *peer = valid ? mirror_find(&client->mirror, &id) : NULL;
    const unsigned bits = peer == NULL ? 0 : read(peer->row);
    client_unlock(client);
    if (peer == NULL) {
        (void)error_set(RATS_ERROR_PEER_NOT_FOUND, "no peer of that id is connected");
    }
    return bits;
}

static unsigned read_transport(const json_t *row)
{
    return bit_of(json_string_value(json_object_get(row, "transport")));
}

static unsigned read_transports(const json_t *row)
{
    return bits_of(json_object_get(row, "transports"));
}

int rats_get_peer_transport(rats_client_t handle, const char *peer_id)
{
    return (int)read_peer(handle, peer_id, read_transport);
}

unsigned rats_get_peer_transports(rats_client_t handle, const char *peer_id)
{
    return read_peer(handle, peer_id, read_transports);
}

/* NULL, which leaves the member out of a call, when any will do. */
static json_t *words_of(unsigned bits)
{
    if (bits == 0) {
        return NULL;
    }
    json_t *words = json_array();
    if (bits & RATS_TRANSPORT_TCP) {
        (void)json_array_append_new(words, json_string("tcp"));
    }
    if (bits & RATS_TRANSPORT_UDP) {
        (void)json_array_append_new(words, json_string("udp"));
    }
    return words;
}

rats_error_t rats_connect_with(rats_client_t handle, const char *host, int port,
                               unsigned transports, int timeout_ms)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = peers_check_address(host, port);
    if (code == RATS_SUCCESS && (transports & ~ALL_TRANSPORTS) != 0) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER,
                         "transports: %#x is no set of RATS_TRANSPORT_ bits", transports);
    }
    if (code == RATS_SUCCESS) {
        code = peers_dial(client, host, port, words_of(transports), timeout_ms);
    }
    return (rats_error_t)code;
}

/* (locked) NULL: any will do. */
static bool is_connected(const struct client *client, const struct peer_id *id)
{
    return id == NULL ? mirror_peer_count(&client->mirror) > 0
                      : mirror_find(&client->mirror, id) != NULL;
}

/* (locked) */
static int wait_for_peer(struct client *client, const struct peer_id *id, int timeout_ms)
{
    const int64_t deadline_ms = clock_deadline(timeout_ms);
    client->waiters++;
    int rc = 0;
    while (!is_connected(client, id) && client->started && !client->closing && rc != -ETIMEDOUT) {
        rc = condition_wait(&client->mirror.peer_came, &client->lock, deadline_ms);
    }
    int code = RATS_SUCCESS;
    if (client->closing || !client->started) {
        code = error_set(RATS_ERROR_NOT_RUNNING, "the session is not started");
    } else if (!is_connected(client, id)) {
        code = error_set(RATS_ERROR_TIMEOUT, "no such peer was connected within %d ms", timeout_ms);
    }
    client_leave(client);
    return code;
}

rats_error_t rats_wait_for_peer(rats_client_t handle, const char *peer_id, int timeout_ms)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id id;
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (peer_id != NULL && peer_id_parse(peer_id, &id) < 0) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "a peer id has 64 hexadecimal digits");
    }
    client_lock(client);
    const int code = wait_for_peer(client, peer_id == NULL ? NULL : &id, timeout_ms);
    client_unlock(client);
    return (rats_error_t)code;
}
