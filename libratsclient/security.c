/* Encryption on or off, and the data directory: settings of the instance (api.md 3.9, 3.17). */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

rats_error_t rats_set_encryption_enabled(rats_client_t handle, int enabled)
{
    struct client *client = client_enter(handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return error_v1(error_code());
    }
    const bool wanted = enabled != 0;
    client_lock(client);
    int code = RATS_SUCCESS;
    if (!client->mirror.known) {
        code = error_set(RATS_ERROR_NOT_RUNNING, "the handle is not attached");
    } else if (client->mirror.encrypted != wanted) {
        code = client_diverge(client, &(struct change){.security = wanted});
    }
    client_unlock(client);
    return error_v1(code);
}

int rats_is_encryption_enabled(rats_client_t handle)
{
    struct client *client = client_enter(handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const bool encrypted = !client->mirror.known || client->mirror.encrypted;
    client_unlock(client);
    return encrypted;
}

/* Absolute and without slashes at its end. */
static bool complete(const char *directory, char path[PATH_MAX])
{
    char here[PATH_MAX] = "";
    if (directory[0] != '/' && getcwd(here, sizeof here) == NULL) {
        return false;
    }
    const int size = directory[0] == '/' ? snprintf(path, PATH_MAX, "%s", directory)
                                         : snprintf(path, PATH_MAX, "%s/%s", here, directory);
    if (size <= 0 || size >= PATH_MAX) {
        return false;
    }
    for (size_t end = (size_t)size; end > 1 && path[end - 1] == '/'; end--) {
        path[end - 1] = '\0';
    }
    return true;
}

static char *ask_directory(struct client *client)
{
    json_t *facts = NULL;
    if (request_call(client, M_INSTANCE_GET, json_object(), CALL_TIMEOUT_MS, &facts) !=
        RATS_SUCCESS) {
        return NULL;
    }
    const char *found = json_string_value(json_object_get(facts, "data_directory"));
    char *copy = NULL;
    if (found == NULL) {
        (void)error_set(RATS_ERROR_NOT_PERMITTED,
                        "the data directory is shown to those who control the instance only");
    } else if ((copy = strdup(found)) == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    json_decref(facts);
    return copy;
}

rats_error_t rats_set_data_directory(rats_client_t handle, const char *directory)
{
    char path[PATH_MAX];
    struct client *client = client_enter(handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (directory == NULL || directory[0] == '\0' || !complete(directory, path)) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "the directory is NULL, empty or too long");
    }
    char *present = ask_directory(client);
    int code = error_code();
    const bool same = present != NULL && strcmp(present, path) == 0;
    free(present);
    if (code != RATS_SUCCESS && code != RATS_ERROR_NOT_PERMITTED) {
        return error_v1(code);
    }
    code = RATS_SUCCESS;
    if (!same) {
        client_lock(client);
        code = client_diverge(client, &(struct change){.security = -1, .data_dir = path});
        client_unlock(client);
    }
    if (code == RATS_SUCCESS) {
        error_clear();
    }
    return error_v1(code);
}

char *rats_get_data_directory(rats_client_t handle)
{
    struct client *client = client_enter(handle, RATS_ERROR_INVALID_HANDLE);
    return client == NULL ? NULL : ask_directory(client);
}
