/* The protocol string, as name and version (api.md D17). It is the instance's; a handle
 * that wants another moves to another instance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

#define WIRE_NAME     "librats" /* is called "rats" here */
#define OUR_NAME      "rats"
#define PROTOCOL_SIZE 256 /* of the mirror's */

/* Splits at the last slash; without one the version is empty. */
static struct bytes version_part(const char *protocol)
{
    const char *slash = strrchr(protocol, '/');
    return bytes_from_string(slash == NULL ? "" : slash + 1);
}

static struct bytes name_part(const char *protocol)
{
    const char *slash = strrchr(protocol, '/');
    const struct bytes name =
        bytes_make(protocol, slash == NULL ? strlen(protocol) : (size_t)(slash - protocol));
    return bytes_equal(name, bytes_from_string(WIRE_NAME)) ? bytes_from_string(OUR_NAME) : name;
}

typedef struct bytes (*part_fn)(const char *protocol);

/* The string on the wire. */
static bool join(struct bytes name, struct bytes version, char protocol[PROTOCOL_SIZE])
{
    const struct bytes wire =
        bytes_equal(name, bytes_from_string(OUR_NAME)) ? bytes_from_string(WIRE_NAME) : name;
    const int size =
        snprintf(protocol, PROTOCOL_SIZE, "%.*s%s%.*s", (int)wire.size, (const char *)wire.data,
                 version.size > 0 ? "/" : "", (int)version.size, (const char *)version.data);
    return size > 0 && size < PROTOCOL_SIZE;
}

/* name or version NULL: as it is. */
static rats_error_t want(struct client *client, const char *name, const char *version)
{
    char present[PROTOCOL_SIZE];
    char wanted[PROTOCOL_SIZE];
    client_lock(client);
    int code = RATS_SUCCESS;
    memcpy(present, client->mirror.protocol, sizeof present);
    if (!client->mirror.known) {
        code = error_set(RATS_ERROR_NOT_RUNNING, "the handle is not attached");
    } else if (!join(name == NULL ? name_part(present) : bytes_from_string(name),
                     version == NULL ? version_part(present) : bytes_from_string(version),
                     wanted)) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER, "the protocol has more than %d bytes",
                         PROTOCOL_SIZE - 1);
    } else if (strcmp(wanted, present) != 0) {
        code = client_diverge(client, &(struct change){.security = -1, .protocol = wanted});
    }
    client_unlock(client);
    return error_v1(code);
}

rats_error_t rats_set_protocol_name(rats_client_t handle, const char *name)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (name == NULL || name[0] == '\0') {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "the protocol's name is NULL or empty");
    }
    /* Both spellings of the default name are one. */
    return want(client, strcmp(name, WIRE_NAME) == 0 ? OUR_NAME : name, NULL);
}

rats_error_t rats_set_protocol_version(rats_client_t handle, const char *version)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (version == NULL || strchr(version, '/') != NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "the protocol's version is NULL or contains a '/'");
    }
    return want(client, NULL, version);
}

static char *get(rats_client_t handle, part_fn part)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    client_lock(client);
    char *text = NULL;
    if (!client->mirror.known) {
        (void)error_set(RATS_ERROR_NOT_RUNNING, "the handle is not attached");
    } else {
        const struct bytes found = part(client->mirror.protocol);
        text = strndup((const char *)found.data, found.size);
        if (text == NULL) {
            (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
        }
    }
    client_unlock(client);
    return text;
}

char *rats_get_protocol_name(rats_client_t handle)
{
    return get(handle, name_part);
}

char *rats_get_protocol_version(rats_client_t handle)
{
    return get(handle, version_part);
}
