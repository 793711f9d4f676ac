/* Encryption on or off, its key, and the data directory: settings of the instance
 * (api.md 3.9, 3.17).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "client.h"
#include "util/hex.h"

#define KEY_DIGITS ((size_t)2 * KEY_SIZE)

/* (locked) In place: a private instance of ours alone can do that even while it is started. */
static int switch_security(struct client *client, bool encrypted)
{
    struct call call = {0};
    int code = request_begin(client, &call, M_INSTANCE_SET_SECURITY,
                             json_pack("{s:s}", "security", encrypted ? "noise" : "plaintext"));
    if (code == RATS_SUCCESS) {
        code = request_end(client, &call, CALL_TIMEOUT_MS, NULL);
    }
    if (code == RATS_SUCCESS) {
        client->mirror.encrypted = encrypted;
        client->origin.security = encrypted;
    }
    return code;
}

/* (locked) */
static int want_security(struct client *client, bool encrypted)
{
    int code = RATS_ERROR_BUSY;
    if (client->mirror.is_private) {
        code = switch_security(client, encrypted);
    }
    /* Shared, with other machines' programs or with our own: others keep what they have. */
    if (code == RATS_ERROR_BUSY) {
        code = client_diverge(client, &(struct change){.security = encrypted});
    }
    if (code == RATS_SUCCESS) {
        error_clear();
    }
    return code;
}

rats_error_t rats_set_encryption_enabled(rats_client_t handle, int enabled)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return error_v1(error_code());
    }
    const bool wanted = enabled != 0;
    client_lock(client);
    int code = RATS_SUCCESS;
    if (!client->mirror.known) {
        code = error_set(RATS_ERROR_NOT_RUNNING, "the handle is not attached");
    } else if (client->mirror.encrypted != wanted) {
        code = want_security(client, wanted);
    }
    client_unlock(client);
    return error_v1(code);
}

int rats_is_encryption_enabled(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const bool encrypted = !client->mirror.known || client->mirror.encrypted;
    client_unlock(client);
    return encrypted;
}

/* The private key ---------------------------------------------------------------------------- */

/* Takes the answer with the key in it and leaves no trace of that. NULL, with the last error set.
 */
static char *take_key(json_t *answer)
{
    union {
        const char *in;
        char *out;
    } found = {.in = json_string_value(json_object_get(answer, "key"))};
    char *copy = NULL;
    if (found.in == NULL || strlen(found.in) != KEY_DIGITS) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "the daemon's answer is not understood");
    } else {
        copy = strdup(found.in);
        if (copy == NULL) {
            (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
        }
        explicit_bzero(found.out, KEY_DIGITS);
    }
    json_decref(answer);
    return copy;
}

/* 64 hex digits from malloc(), or NULL with the last error set. */
static char *ask_key(struct client *client)
{
    struct call call = {.secret = true};
    json_t *answer = NULL;
    client_lock(client);
    int code = request_begin(client, &call, M_INSTANCE_GET_KEY, json_object());
    if (code == RATS_SUCCESS) {
        code = request_end(client, &call, CALL_TIMEOUT_MS, &answer);
    }
    client_unlock(client);
    return code == RATS_SUCCESS ? take_key(answer) : NULL;
}

static void free_key(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

/* Whether the instance has this key. Nobody is told that of a shared one. A code when the daemon
 * is not there to be asked. */
static int has_key(struct client *client, const uint8_t key[KEY_SIZE], bool *ret_has)
{
    uint8_t present[KEY_SIZE];
    char *text = ask_key(client);
    if (text == NULL && error_code() != RATS_ERROR_NOT_PERMITTED) {
        return error_code();
    }
    *ret_has = text != NULL && hex_parse(text, present, sizeof present) == 0 &&
               memcmp(present, key, sizeof present) == 0;
    explicit_bzero(present, sizeof present);
    free_key(text);
    return RATS_SUCCESS;
}

static int set_key(struct client *client, const uint8_t key[KEY_SIZE])
{
    bool has = false;
    int code = has_key(client, key, &has);
    if (code == RATS_SUCCESS && !has) {
        client_lock(client);
        code = client_diverge(client, &(struct change){.security = -1, .key = key});
        client_unlock(client);
    }
    if (code == RATS_SUCCESS) {
        error_clear();
    }
    return code;
}

char *rats_get_encryption_key(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    return client == NULL ? NULL : ask_key(client);
}

static bool is_zero(const uint8_t key[KEY_SIZE])
{
    uint8_t any = 0;
    for (size_t i = 0; i < KEY_SIZE; i++) {
        any |= key[i];
    }
    return any == 0;
}

rats_error_t rats_set_encryption_key(rats_client_t handle, const char *key_hex)
{
    uint8_t key[KEY_SIZE] = {0};
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    int code;
    if (key_hex == NULL || strlen(key_hex) != KEY_DIGITS ||
        hex_parse(key_hex, key, sizeof key) < 0 || is_zero(key)) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER,
                         "a key is 64 hexadecimal digits that are not all zero");
    } else {
        code = set_key(client, key);
    }
    explicit_bzero(key, sizeof key);
    return error_v1(code);
}

/* 0 or a negative errno. In the form in which upstream keeps keys. */
static int make_key(uint8_t key[KEY_SIZE])
{
    if (getrandom(key, KEY_SIZE, 0) != (ssize_t)KEY_SIZE) {
        return -EIO;
    }
    key[0] &= 248;
    key[31] = (uint8_t)((key[31] & 127) | 64);
    return 0;
}

char *rats_generate_encryption_key(rats_client_t handle)
{
    uint8_t key[KEY_SIZE];
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    char *text = malloc(KEY_DIGITS + 1);
    if (text == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
        return NULL;
    }
    int code = make_key(key) < 0
                   ? error_set(RATS_ERROR_OPERATION_FAILED, "the system has no random bytes")
                   : set_key(client, key);
    if (code == RATS_SUCCESS) {
        hex_format(bytes_make(key, sizeof key), text);
    } else {
        free(text);
        text = NULL;
    }
    explicit_bzero(key, sizeof key);
    return text;
}

/* The data directory ------------------------------------------------------------------------- */

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
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
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
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    return client == NULL ? NULL : ask_directory(client);
}
