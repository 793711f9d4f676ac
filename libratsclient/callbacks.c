/* The callback setters. A callback and its data are replaced together under the lock; a callback
 * that is running meanwhile finishes with what it was given. */
#include "client.h"
#include "shares.h"

#define SET(kind)                                                                                  \
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);                                              \
    if (client != NULL) {                                                                          \
        client_lock(client);                                                                       \
        client->callbacks.kind = callback;                                                         \
        client->callbacks.kind##_data = user_data;                                                 \
        client_unlock(client);                                                                     \
    }

#define SET_WITH_CHANNEL(kind)                                                                     \
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);                                              \
    if (client != NULL) {                                                                          \
        client_lock(client);                                                                       \
        client->callbacks.kind = callback;                                                         \
        client->callbacks.kind##_data = user_data;                                                 \
        (void)channel_set_untyped(client, "rats." #kind, callback != NULL);                        \
        client_unlock(client);                                                                     \
    }

/* What peers offer or ask for is only shown by the daemon while somebody wants to see it. */
#define SET_REQUEST(kind)                                                                          \
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);                                              \
    if (client != NULL) {                                                                          \
        client_lock(client);                                                                       \
        client->callbacks.kind = callback;                                                         \
        client->callbacks.kind##_data = user_data;                                                 \
        (void)shares_tell(client);                                                                 \
        client_unlock(client);                                                                     \
    }

void rats_set_connection_callback(rats_client_t handle, rats_connection_cb callback,
                                  void *user_data)
{
    SET(connection)
}

void rats_set_disconnect_callback(rats_client_t handle, rats_disconnect_cb callback,
                                  void *user_data)
{
    SET(disconnect)
}

void rats_set_string_callback(rats_client_t handle, rats_string_cb callback, void *user_data)
{
    SET_WITH_CHANNEL(string)
}

void rats_set_binary_callback(rats_client_t handle, rats_binary_cb callback, void *user_data)
{
    SET_WITH_CHANNEL(binary)
}

void rats_set_json_callback(rats_client_t handle, rats_json_cb callback, void *user_data)
{
    SET_WITH_CHANNEL(json)
}

void rats_set_daemon_callback(rats_client_t handle, rats_daemon_cb callback, void *user_data)
{
    SET(daemon)
}

void rats_set_overflow_callback(rats_client_t handle, rats_overflow_cb callback, void *user_data)
{
    SET(overflow)
}

void rats_set_event_callback(rats_client_t handle, rats_event_cb callback, void *user_data)
{
    SET(event)
}

void rats_set_file_request_callback(rats_client_t handle, rats_file_request_cb callback,
                                    void *user_data)
{
    SET_REQUEST(file_request)
}

void rats_set_directory_request_callback(rats_client_t handle, rats_directory_request_cb callback,
                                         void *user_data)
{
    SET_REQUEST(directory_request)
}

void rats_set_file_progress_callback(rats_client_t handle, rats_file_progress_cb callback,
                                     void *user_data)
{
    SET(file_progress)
}

void rats_set_directory_progress_callback(rats_client_t handle, rats_directory_progress_cb callback,
                                          void *user_data)
{
    SET(directory_progress)
}
