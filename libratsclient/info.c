/* Getters: from the mirror, and the JSON documents of api.md 4.1, 4.2 and 6.1. */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"

#define DOCUMENT (JSON_COMPACT | JSON_SORT_KEYS)

char *document_print(json_t *document)
{
    char *text = document == NULL ? NULL : json_dumps(document, DOCUMENT);
    json_decref(document);
    if (text == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    return text;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    return copy;
}

int rats_is_attached(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const bool attached = client->attached;
    client_unlock(client);
    return attached ? 1 : 0;
}

char *rats_get_socket_path(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    client_lock(client);
    char *copy = NULL;
    if (client->socket_path == NULL) {
        (void)error_set(RATS_ERROR_NOT_RUNNING, "the handle is not attached");
    } else {
        copy = copy_text(client->socket_path);
    }
    client_unlock(client);
    return copy;
}

int rats_get_listen_port(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const int port = client->mirror.known ? client->mirror.listen_port : client->requested_port;
    client_unlock(client);
    return port;
}

int rats_get_peer_count(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const size_t count = mirror_peer_count(&client->mirror);
    client_unlock(client);
    return (int)count;
}

/* A text of the mirror that hello gave. */
static char *get_hello_text(rats_client_t handle, struct peer_id_text *(*part)(struct mirror *))
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    client_lock(client);
    const bool known = client->mirror.known;
    const struct peer_id_text text = *part(&client->mirror);
    client_unlock(client);
    if (!known) {
        (void)error_set(RATS_ERROR_NOT_RUNNING, "the handle is not attached");
        return NULL;
    }
    return copy_text(text.text);
}

static struct peer_id_text *peer_id_part(struct mirror *mirror)
{
    return &mirror->peer_id;
}

static struct peer_id_text *public_key_part(struct mirror *mirror)
{
    return &mirror->public_key;
}

char *rats_get_our_peer_id(rats_client_t handle)
{
    return get_hello_text(handle, peer_id_part);
}

char *rats_get_public_key(rats_client_t handle)
{
    return get_hello_text(handle, public_key_part);
}

/* (locked) NULL when there are none or out of memory. */
static char **list_ids(const struct mirror *mirror, int *ret_count)
{
    const size_t count = mirror_peer_count(mirror);
    char **ids = count == 0 ? NULL : calloc(count, sizeof *ids);
    size_t cursor = 0;
    for (size_t i = 0; ids != NULL && i < count; i++) {
        const struct mirror_peer *peer = map_next(&mirror->peers, &cursor);
        ids[i] = strdup(peer_id_format(&peer->id).text);
        if (ids[i] == NULL) {
            rats_free_array(ids, (int)i);
            ids = NULL;
        }
    }
    if (ids == NULL && count > 0) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    *ret_count = ids == NULL ? 0 : (int)count;
    return ids;
}

char **rats_get_peer_ids(rats_client_t handle, int *ret_count)
{
    ENTER_LIST(client, handle, RATS_ERROR_INVALID_HANDLE, ret_count);
    if (client == NULL) {
        return NULL;
    }
    client_lock(client);
    char **ids = list_ids(&client->mirror, ret_count);
    client_unlock(client);
    return ids;
}

char **rats_get_validated_peer_ids(rats_client_t handle, int *ret_count)
{
    return rats_get_peer_ids(handle, ret_count);
}

/* IPv4 inside IPv6 is written as IPv4. */
static const char *plain_ip(const char *ip)
{
    static const char mapped[] = "::ffff:";
    if (ip != NULL && strncmp(ip, mapped, sizeof mapped - 1) == 0 && strchr(ip, '.') != NULL) {
        return ip + sizeof mapped - 1;
    }
    return ip == NULL ? "" : ip;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

/* A copy of the member, or an empty array. The copy is read without the lock: the mirror's own may
 * be replaced and freed meanwhile, and jansson's counts order nothing between threads. */
static json_t *array_of(const json_t *object, const char *key)
{
    const json_t *array = json_object_get(object, key);
    return json_is_array(array) ? json_deep_copy(array) : json_array();
}

static json_t *rtt_of(const json_t *row)
{
    const json_t *rtt_ms = json_object_get(row, "rtt_ms");
    return json_is_number(rtt_ms) ? json_real(json_number_value(rtt_ms)) : json_null();
}

/* (locked) Document 4.2. */
static json_t *describe_peer(const struct mirror *mirror, const struct mirror_peer *peer)
{
    const json_t *row = peer->row;
    const char *slash = strrchr(mirror->protocol, '/');
    return json_pack("{s:s, s:s, s:I, s:b, s:b, s:s, s:b, s:s, s:o, s:o, s:o, s:I, s:n, s:s}",
                     "peer_id", peer_id_format(&peer->id).text, "ip", plain_ip(text_of(row, "ip")),
                     "port", json_integer_value(json_object_get(row, "port")), "is_outgoing",
                     json_is_true(json_object_get(row, "outgoing")), "handshake_completed", 1,
                     "version", slash == NULL ? "" : slash + 1, "encryption_enabled",
                     json_is_true(json_object_get(row, "encrypted")), "transport",
                     text_of(row, "transport"), "transports", array_of(row, "transports"),
                     "addresses", array_of(row, "addresses"), "rtt_ms", rtt_of(row),
                     "connected_seconds",
                     (json_int_t)((clock_now_ms() - peer->connected_at_ms) / 1000), "agent",
                     "public_key", text_of(row, "public_key"));
}

char *rats_get_peer_info_json(rats_client_t handle, const char *peer_id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    if (peer_id == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the peer id is NULL");
        return NULL;
    }
    struct peer_id id;
    const bool valid = peer_id_parse(peer_id, &id) == 0;
    client_lock(client);
    const struct mirror_peer *peer = valid ? mirror_find(&client->mirror, &id) : NULL;
    json_t *document = peer == NULL ? NULL : describe_peer(&client->mirror, peer);
    client_unlock(client);
    if (peer == NULL) {
        (void)error_set(RATS_ERROR_PEER_NOT_FOUND, "no peer of that id is connected");
        return NULL;
    }
    return document_print(document);
}

char *rats_get_instance_json(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *result = NULL;
    if (client == NULL || request_call(client, M_INSTANCE_GET, json_object(), CALL_TIMEOUT_MS,
                                       &result) != RATS_SUCCESS) {
        return NULL;
    }
    return document_print(result);
}

/* (locked) */
static json_t *describe_peers(const struct mirror *mirror)
{
    json_t *array = json_array();
    size_t cursor = 0;
    for (const struct mirror_peer *peer = map_next(&mirror->peers, &cursor); peer != NULL;
         peer = map_next(&mirror->peers, &cursor)) {
        if (json_array_append_new(array, describe_peer(mirror, peer)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

char *rats_get_connection_statistics_json(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    json_t *instance = NULL;
    if (request_call(client, M_INSTANCE_GET, json_object(), CALL_TIMEOUT_MS, &instance) !=
        RATS_SUCCESS) {
        error_clear(); /* the rest is known without the daemon */
        instance = json_null();
    }
    client_lock(client);
    const struct mirror *mirror = &client->mirror;
    const json_int_t count = (json_int_t)mirror_peer_count(mirror);
    const json_int_t most =
        client->demanded_peers > 0 ? client->demanded_peers : (json_int_t)mirror->max_peers;
    json_t *document = json_pack(
        "{s:I, s:I, s:I, s:b, s:i, s:s, s:b, s:s, s:b, s:b, s:o, s:o}", "total_peers", count,
        "validated_peers", count, "max_peers", most, "running", (int)client->started, "listen_port",
        mirror->known ? mirror->listen_port : client->requested_port, "our_peer_id",
        mirror->peer_id.text, "encryption_enabled", (int)mirror->encrypted, "public_ip", "",
        "dht_running", 0, "mdns_running", 0, "peers", describe_peers(mirror), "instance", instance);
    client_unlock(client);
    return document_print(document);
}
