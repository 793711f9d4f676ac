/* The store: values of keys, shared by all programs of the instance and by its peers.
 *
 * A value crosses as the body of a call. Numbers are eight bytes, big-endian to the daemon and in
 * the machine's own order to the application. A prefix that is watched is told to the daemon under
 * the same hold of the lock as the change of the table, and again to every new daemon. */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "proto/json_head.h"
#include "util/reader.h"
#include "util/text.h"
#include "util/writer.h"

#define STORAGE_TIMEOUT_MS 30000 /* a disk may be slow */
#define KEYS_AT_ONCE       1000
#define NUMBER_SIZE        8u

struct watch {
    struct list link;
    uint64_t serial;
    rats_storage_cb callback;
    void *user_data;
    size_t prefix_size;
    char prefix[];
};

static const char *const type_names[] = {NULL, "binary", "string", "int64", "double", "json"};

#define TYPE_INT64  3
#define TYPE_DOUBLE 4
#define TYPE_JSON   5

static bool is_number(int type)
{
    return type == TYPE_INT64 || type == TYPE_DOUBLE;
}

/* 0 when it is of a newer daemon. */
static int type_of(const json_t *word)
{
    const char *name = json_string_value(word);
    for (int type = 1; name != NULL && type <= TYPE_JSON; type++) {
        if (strcmp(name, type_names[type]) == 0) {
            return type;
        }
    }
    return 0;
}

/* Between the machine's order and the wire's, either way. */
static void turn_number_out(uint8_t to[NUMBER_SIZE], const void *from)
{
    uint64_t number;
    struct writer writer;
    memcpy(&number, from, sizeof number);
    writer_init(&writer, to, NUMBER_SIZE);
    writer_u64(&writer, number);
}

static void turn_number_in(void *to, struct bytes from)
{
    struct reader reader;
    reader_init(&reader, from);
    const uint64_t number = reader_u64(&reader);
    memcpy(to, &number, sizeof number);
}

/* Arguments --------------------------------------------------------------------------------- */

static int check_key(const char *key)
{
    if (key == NULL || *key == '\0' || !text_is_utf8(bytes_from_string(key))) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "the key is NULL, empty or not UTF-8");
    }
    return RATS_SUCCESS;
}

static int check_prefix(const char *prefix)
{
    return text_is_utf8(bytes_from_string(prefix))
               ? RATS_SUCCESS
               : error_set(RATS_ERROR_INVALID_PARAMETER, "the prefix is not UTF-8");
}

static int check_value(int type, const void *data, size_t size)
{
    if (type < 1 || type > TYPE_JSON) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "there is no type %d; they are 1 to 5",
                         type);
    }
    if (data == NULL && size > 0) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "the value is NULL");
    }
    if (is_number(type) && size != NUMBER_SIZE) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "a number has 8 bytes, not %zu", size);
    }
    if (type == TYPE_JSON && json_text_check(data, size) < 0) {
        return error_set(RATS_ERROR_JSON_PARSE, "the value is not one JSON value");
    }
    return size <= RATS_MAX_PAYLOAD
               ? RATS_SUCCESS
               : error_set(RATS_ERROR_TOO_LARGE, "the value has %zu bytes", size);
}

/* Calls ------------------------------------------------------------------------------------- */

rats_error_t rats_storage_put(rats_client_t handle, const char *key, int type, const void *data,
                              size_t size)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = check_key(key);
    code = code == RATS_SUCCESS ? check_value(type, data, size) : code;
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    uint8_t number[NUMBER_SIZE];
    struct bytes value = bytes_make(data, size);
    if (is_number(type)) {
        turn_number_out(number, data);
        value = bytes_make(number, sizeof number);
    }
    struct body_call call = {
        .method = M_STORAGE_PUT,
        .params = json_pack("{s:s, s:s}", "key", key, "type", type_names[type]),
        .cargo.body = value,
        .timeout_ms = STORAGE_TIMEOUT_MS,
    };
    code = request_call_body(client, &call);
    json_decref(call.result);
    free(call.reply);
    return (rats_error_t)code;
}

void *rats_storage_get(rats_client_t handle, const char *key, int *ret_type, size_t *ret_size)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL || check_key(key) != RATS_SUCCESS) {
        return NULL;
    }
    struct body_call call = {
        .method = M_STORAGE_GET,
        .params = json_pack("{s:s}", "key", key),
        .timeout_ms = STORAGE_TIMEOUT_MS,
    };
    if (request_call_body(client, &call) != RATS_SUCCESS) {
        return NULL;
    }
    const int type = type_of(json_object_get(call.result, "type"));
    json_decref(call.result);
    if (is_number(type) && call.reply_size == NUMBER_SIZE) {
        turn_number_in(call.reply, bytes_make(call.reply, call.reply_size));
    }
    if (ret_type != NULL) {
        *ret_type = type;
    }
    if (ret_size != NULL) {
        *ret_size = call.reply_size;
    }
    return call.reply;
}

rats_error_t rats_storage_remove(rats_client_t handle, const char *key)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL || check_key(key) != RATS_SUCCESS) {
        return (rats_error_t)error_code();
    }
    return (rats_error_t)request_call(client, M_STORAGE_REMOVE, json_pack("{s:s}", "key", key),
                                      STORAGE_TIMEOUT_MS, NULL);
}

rats_error_t rats_storage_sync(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    return (rats_error_t)request_call(client, M_STORAGE_SYNC, json_object(), STORAGE_TIMEOUT_MS,
                                      NULL);
}

char *rats_storage_statistics_json(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *result = NULL;
    if (client == NULL || request_call(client, M_STORAGE_STATISTICS, json_object(),
                                       STORAGE_TIMEOUT_MS, &result) != RATS_SUCCESS) {
        return NULL;
    }
    char *text = json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(result);
    if (text == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    return text;
}

/* Keys -------------------------------------------------------------------------------------- */

struct key_list {
    char **keys;
    size_t count;
};

/* RATS_SUCCESS, or a code with the last error set. */
static int add_keys(struct key_list *list, const json_t *words)
{
    const size_t more = json_array_size(words);
    char **keys =
        more == 0 ? list->keys : realloc(list->keys, (list->count + more) * sizeof *list->keys);
    if (more > 0 && keys == NULL) {
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    list->keys = keys;
    for (size_t i = 0; i < more; i++) {
        const char *word = json_string_value(json_array_get(words, i));
        char *copy = strdup(word == NULL ? "" : word);
        if (copy == NULL) {
            return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
        }
        list->keys[list->count++] = copy;
    }
    return RATS_SUCCESS;
}

/* The part behind what is in the list. */
static int list_part(struct client *client, const char *prefix, struct key_list *list,
                     bool *ret_more)
{
    json_t *part = NULL;
    const char *after = list->count == 0 ? "" : list->keys[list->count - 1];
    int code = request_call(
        client, M_STORAGE_KEYS,
        json_pack("{s:s, s:s, s:i}", "prefix", prefix, "after", after, "limit", KEYS_AT_ONCE),
        STORAGE_TIMEOUT_MS, &part);
    if (code == RATS_SUCCESS) {
        const json_t *words = json_object_get(part, "keys");
        *ret_more = json_is_true(json_object_get(part, "more")) && json_array_size(words) > 0;
        code = add_keys(list, words);
    }
    json_decref(part);
    return code;
}

char **rats_storage_keys(rats_client_t handle, const char *prefix, int *ret_count)
{
    ENTER_LIST(client, handle, RATS_ERROR_INVALID_PARAMETER, ret_count);
    struct key_list list = {0};
    if (client == NULL) {
        return NULL;
    }
    prefix = prefix == NULL ? "" : prefix;
    int code = check_prefix(prefix);
    bool more = code == RATS_SUCCESS;
    while (more && code == RATS_SUCCESS) {
        code = list_part(client, prefix, &list, &more);
    }
    if (code != RATS_SUCCESS) {
        rats_free_array(list.keys, (int)list.count);
        return NULL;
    }
    *ret_count = (int)list.count;
    return list.keys;
}

/* Watching ---------------------------------------------------------------------------------- */

/* (locked) */
static struct watch *find(const struct client *client, const char *prefix, size_t size)
{
    LIST_EACH(&client->watches, node)
    {
        struct watch *watch = CONTAINER_OF(node, struct watch, link);
        if (watch->prefix_size == size && memcmp(watch->prefix, prefix, size) == 0) {
            return watch;
        }
    }
    return NULL;
}

static json_t *prefix_params(const char *prefix, size_t size)
{
    return json_pack("{s:s%}", "prefix", prefix, size);
}

/* (locked) */
static void forget(struct watch *watch)
{
    list_remove(&watch->link);
    free(watch);
}

/* (locked) A new prefix; undone if the daemon refuses it. */
static void begin_watch(struct client *client, const char *prefix, rats_storage_cb callback,
                        void *user_data)
{
    const size_t size = strlen(prefix);
    struct watch *watch = calloc(1, sizeof *watch + size + 1);
    if (watch == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
        return;
    }
    const uint64_t serial = ++client->watch_serial;
    watch->serial = serial;
    watch->callback = callback;
    watch->user_data = user_data;
    watch->prefix_size = size;
    memcpy(watch->prefix, prefix, size + 1);
    list_init(&watch->link);
    list_append(&client->watches, &watch->link);
    if (request_tell(client, M_STORAGE_WATCH, prefix_params(prefix, size), CALL_PLAIN) !=
        RATS_SUCCESS) {
        watch = find(client, prefix, size);
        if (watch != NULL && watch->serial == serial) {
            forget(watch);
        }
    }
}

/* (locked) */
static void end_watch(struct client *client, struct watch *watch, const char *prefix)
{
    forget(watch);
    /* It is given up here whatever the daemon says. */
    (void)request_tell(client, M_STORAGE_UNWATCH, prefix_params(prefix, strlen(prefix)),
                       CALL_PLAIN);
    error_clear();
}

void rats_set_storage_callback(rats_client_t handle, const char *prefix, rats_storage_cb callback,
                               void *user_data)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    prefix = prefix == NULL ? "" : prefix;
    if (client == NULL || check_prefix(prefix) != RATS_SUCCESS) {
        return;
    }
    client_lock(client);
    struct watch *watch = find(client, prefix, strlen(prefix));
    if (watch != NULL && callback != NULL) {
        watch->callback = callback;
        watch->user_data = user_data;
    } else if (watch != NULL) {
        end_watch(client, watch, prefix);
    } else if (callback != NULL) {
        begin_watch(client, prefix, callback, user_data);
    }
    client_unlock(client);
}

uint64_t storage_last_watch(const struct client *client)
{
    return client->watch_serial;
}

bool storage_next_watch(const struct client *client, const char *key, uint64_t *serial,
                        uint64_t last, struct storage_handler *ret_handler)
{
    LIST_EACH(&client->watches, node)
    {
        const struct watch *watch = CONTAINER_OF(node, struct watch, link);
        if (watch->serial > *serial && watch->serial <= last &&
            strncmp(key, watch->prefix, watch->prefix_size) == 0) {
            *serial = watch->serial;
            *ret_handler = (struct storage_handler){watch->callback, watch->user_data};
            return true;
        }
    }
    return false;
}

void storage_read_change(const json_t *fields, struct bytes body, struct stored_change *ret_change)
{
    const char *origin = json_string_value(json_object_get(fields, "origin"));
    *ret_change = (struct stored_change){
        .key = json_string_value(json_object_get(fields, "key")),
        .type = type_of(json_object_get(fields, "type")),
        .deleted = json_is_true(json_object_get(fields, "deleted")),
        .remote = json_is_true(json_object_get(fields, "remote")),
        .origin = origin == NULL ? "" : origin,
        .value = body,
    };
    if (is_number(ret_change->type) && body.size == NUMBER_SIZE) {
        turn_number_in(ret_change->number, body);
        ret_change->value = bytes_make(ret_change->number, NUMBER_SIZE);
    }
}

void storage_replay(struct client *client)
{
    LIST_EACH(&client->watches, node)
    {
        const struct watch *watch = CONTAINER_OF(node, struct watch, link);
        request_post(client, M_STORAGE_WATCH, prefix_params(watch->prefix, watch->prefix_size),
                     CALL_PLAIN);
    }
}

void storage_fini(struct client *client)
{
    LIST_EACH(&client->watches, node)
    {
        forget(CONTAINER_OF(node, struct watch, link));
    }
}
