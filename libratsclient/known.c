/* The address book of the instance and the addresses it stays connected to (api.md 3.17, 6.4). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* ---- reconnect.* ---- */

static rats_error_t change_target(rats_client_t handle, enum method_id method, const char *host,
                                  int port)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = peers_check_address(host, port);
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    json_t *params = json_pack("{s:s, s:i}", "host", host, "port", port);
    if (params == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the host is not UTF-8 text");
    }
    return (rats_error_t)request_call(client, method, params, CALL_TIMEOUT_MS, NULL);
}

rats_error_t rats_add_reconnect(rats_client_t handle, const char *host, int port)
{
    return change_target(handle, M_RECONNECT_ADD, host, port);
}

rats_error_t rats_remove_reconnect(rats_client_t handle, const char *host, int port)
{
    return change_target(handle, M_RECONNECT_REMOVE, host, port);
}

/* A member of what a method answers, as a new reference; NULL with the last error set. */
static json_t *ask(rats_client_t handle, enum method_id method, const char *member)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *result = NULL;
    if (client == NULL ||
        request_call(client, method, json_object(), CALL_TIMEOUT_MS, &result) != RATS_SUCCESS) {
        return NULL;
    }
    json_t *found = json_incref(json_object_get(result, member));
    json_decref(result);
    if (found == NULL) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "the daemon's answer is not understood");
    }
    return found;
}

char *rats_get_reconnect_json(rats_client_t handle)
{
    json_t *targets = ask(handle, M_RECONNECT_LIST, "targets");
    return targets == NULL ? NULL : document_print(targets);
}

/* ---- known.* ---- */

int rats_load_and_reconnect_peers(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const bool started = client->started;
    client_unlock(client);
    if (!started) {
        (void)error_set(RATS_ERROR_NOT_RUNNING, "the session is not started; call rats_start()");
        return 0;
    }
    json_t *dials = ask(handle, M_KNOWN_CONNECT, "dials");
    const json_int_t count = json_integer_value(dials);
    json_decref(dials);
    return count < 0 || count > INT_MAX ? 0 : (int)count;
}

/* The state is on disk as it is in memory, or an error. */
static int save(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    return client == NULL
               ? error_code()
               : request_call(client, M_KNOWN_SAVE, json_object(), CALL_TIMEOUT_MS, NULL);
}

int rats_load_historical_peers(rats_client_t handle)
{
    return save(handle) == RATS_SUCCESS ? 1 : 0;
}

int rats_save_historical_peers(rats_client_t handle)
{
    return save(handle) == RATS_SUCCESS ? 1 : 0;
}

rats_error_t rats_load_configuration(rats_client_t handle)
{
    return error_v1(save(handle));
}

rats_error_t rats_save_configuration(rats_client_t handle)
{
    return error_v1(save(handle));
}

void rats_clear_historical_peers(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client != NULL) {
        (void)request_call(client, M_KNOWN_CLEAR, json_object(), CALL_TIMEOUT_MS, NULL);
    }
}

static bool has(char *const *ids, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

/* Each id once, best first; a peer may be known at several addresses. */
static char **collect_ids(const json_t *rows, int *ret_count)
{
    char **ids = calloc(json_array_size(rows) + 1, sizeof *ids);
    size_t count = 0;
    for (size_t i = 0; ids != NULL && i < json_array_size(rows); i++) {
        const char *id = json_string_value(json_object_get(json_array_get(rows, i), "peer"));
        if (id == NULL || has(ids, count, id)) {
            continue;
        }
        ids[count] = strdup(id);
        if (ids[count] == NULL) {
            rats_free_array(ids, (int)count);
            ids = NULL;
        }
        count++;
    }
    if (ids == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
        return NULL;
    }
    if (count == 0) {
        free(ids);
        return NULL;
    }
    *ret_count = (int)count;
    return ids;
}

char **rats_get_historical_peer_ids(rats_client_t handle, int *ret_count)
{
    ENTER_LIST(client, handle, RATS_ERROR_INVALID_HANDLE, ret_count);
    if (client == NULL) {
        return NULL;
    }
    json_t *rows = ask(handle, M_KNOWN_LIST, "peers");
    char **ids = rows == NULL ? NULL : collect_ids(rows, ret_count);
    json_decref(rows);
    return ids;
}
