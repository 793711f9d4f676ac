/* Typed JSON messages: who in this handle hears which type, and the daemon told accordingly.
 *
 * Several handlers on one type, each pair of callback and data once, in the order in which they
 * came. The daemon hears of a type with its first handler and its last, under the same hold of the
 * lock as the change, so calls of several threads reach it in the order of the changes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "proto/json_head.h"
#include "util/text.h"

#define TYPED_MAX_DEPTH 1000 /* what other nodes read (wire-services 2) */
#define TYPED_OVERHEAD  2    /* and the type: what stands before the text on the wire */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct handler {
    struct handler *next;
    struct message_handler what;
    uint64_t serial;
    bool once;
};

struct message_type {
    struct handler *first; /* in the order of serial; never NULL */
    uint64_t serial; /* of the call that told the daemon, so that its refusal undoes only it */
    size_t name_size;
    char name[];
};

/* The text ---------------------------------------------------------------------------------- */

int typed_text(const char *data, size_t size, struct bytes *ret_text)
{
    const size_t mark = sizeof BYTE_ORDER_MARK - 1;
    if (size >= mark && memcmp(data, BYTE_ORDER_MARK, mark) == 0) {
        data += mark;
        size -= mark;
    }
    const int result = json_text_check_depth(data, size, TYPED_MAX_DEPTH);
    if (result == 0) {
        *ret_text = bytes_make(data, size);
    }
    return result;
}

/* What goes out for the application's text: itself when that is JSON, else a JSON string of it,
 * which is then in *ret_own as well. RATS_SUCCESS, or a code with the last error set. */
static int prepare_text(const char *data, struct bytes *ret_text, char **ret_own)
{
    const int result = typed_text(data, strlen(data), ret_text);
    if (result == 0) {
        return RATS_SUCCESS;
    }
    if (result == -E2BIG) {
        return error_set(RATS_ERROR_JSON_PARSE,
                         "the JSON text is nested deeper than %d levels, which nobody reads",
                         TYPED_MAX_DEPTH);
    }
    if (!text_is_utf8(bytes_from_string(data))) {
        return error_set(RATS_ERROR_JSON_PARSE, "the text is neither JSON nor UTF-8");
    }
    json_t *string = json_string_nocheck(data);
    char *own = string == NULL ? NULL : json_dumps(string, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(string);
    if (own == NULL) {
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    *ret_own = own;
    *ret_text = bytes_from_string(own);
    return RATS_SUCCESS;
}

/* Sending ----------------------------------------------------------------------------------- */

/* To one peer, or to all when peer_id is NULL. RATS_SUCCESS, or a code with the last error set. */
static int send_typed(struct client *client, const char *peer_id, const char *type,
                      const char *data)
{
    struct outgoing message = {.plane = PLANE_TYPED};
    char *own = NULL;
    int code = check_name("the type", type, TYPE_NAME_MAX);
    if (code != RATS_SUCCESS) {
        return code;
    }
    if (data == NULL) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "the JSON text is NULL");
    }
    code = prepare_text(data, &message.payload, &own);
    if (code == RATS_SUCCESS) {
        message.name = bytes_from_string(type);
        message.overhead = TYPED_OVERHEAD + message.name.size;
        code = peer_id == NULL ? send_to_all(client, &message) : send_to(client, peer_id, &message);
    }
    free(own);
    return code < 0 ? code : RATS_SUCCESS;
}

rats_error_t rats_send_message(rats_client_t handle, const char *peer_id, const char *type,
                               const char *data)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (peer_id == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the peer id is NULL");
    }
    return error_v1(send_typed(client, peer_id, type, data));
}

rats_error_t rats_broadcast_message(rats_client_t handle, const char *type, const char *data)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    return error_v1(send_typed(client, NULL, type, data));
}

/* Registrations ----------------------------------------------------------------------------- */

static struct message_type *find(const struct client *client, const char *name, size_t size)
{
    return map_find(&client->types, bytes_make(name, size));
}

static json_t *type_params(const char *name, size_t size)
{
    return json_pack("{s:s%}", "type", name, size);
}

/* (locked) */
static void type_free(struct client *client, struct message_type *type)
{
    (void)map_remove(&client->types, bytes_make(type->name, type->name_size));
    for (struct handler *handler = type->first; handler != NULL;) {
        struct handler *next = handler->next;
        free(handler);
        handler = next;
    }
    free(type);
}

/* (locked) NULL when out of memory. It has no handler yet. */
static struct message_type *type_make(struct client *client, const char *name, size_t size)
{
    struct message_type *type = calloc(1, sizeof *type + size + 1);
    if (type != NULL) {
        memcpy(type->name, name, size);
        type->name_size = size;
        if (map_insert(&client->types, bytes_make(type->name, size), type) < 0) {
            free(type);
            type = NULL;
        }
    }
    return type;
}

/* (locked) Where the pair stands, or where the next one is to be appended. */
static struct handler **place_of(struct message_type *type, const struct message_handler *what)
{
    struct handler **place = &type->first;
    while (*place != NULL && ((*place)->what.callback != what->callback ||
                              (*place)->what.user_data != what->user_data)) {
        place = &(*place)->next;
    }
    return place;
}

/* (locked) The type's first handler is there: tells the daemon, and undoes it if that refuses. */
static int tell_on(struct client *client, struct message_type *type, const char *name, size_t size)
{
    const uint64_t serial = client->type_serial;
    type->serial = serial;
    const int code = request_tell(client, M_TYPED_ON, type_params(name, size), CALL_PLAIN);
    type = find(client, name, size);
    if (code != RATS_SUCCESS && type != NULL && type->serial == serial) {
        type_free(client, type);
    }
    return code;
}

/* (locked) */
static int add_handler(struct client *client, const char *name, const struct message_handler *what,
                       bool once)
{
    const size_t size = strlen(name);
    struct message_type *type = find(client, name, size);
    struct handler **place = type == NULL ? NULL : place_of(type, what);
    if (place != NULL && *place != NULL) {
        (*place)->once = (*place)->once && once; /* for good is more than once */
        return RATS_SUCCESS;
    }
    struct handler *handler = calloc(1, sizeof *handler);
    const bool fresh = type == NULL;
    if (fresh && handler != NULL) {
        type = type_make(client, name, size);
    }
    if (handler == NULL || type == NULL) {
        free(handler);
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    *handler = (struct handler){.what = *what, .serial = ++client->type_serial, .once = once};
    *place_of(type, what) = handler;
    return fresh ? tell_on(client, type, name, size) : RATS_SUCCESS;
}

static rats_error_t hear(rats_client_t handle, const char *type, rats_message_cb callback,
                         void *user_data, bool once)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    int code = check_name("the type", type, TYPE_NAME_MAX);
    if (code == RATS_SUCCESS && callback == NULL && (!client->batches || once)) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER, "the callback is NULL");
    }
    if (code == RATS_SUCCESS) {
        const struct message_handler what = {callback, user_data};
        client_lock(client);
        code = add_handler(client, type, &what, once);
        client_unlock(client);
    }
    return error_v1(code);
}

rats_error_t rats_on_message(rats_client_t handle, const char *type, rats_message_cb callback,
                             void *user_data)
{
    return hear(handle, type, callback, user_data, false);
}

rats_error_t rats_once_message(rats_client_t handle, const char *type, rats_message_cb callback,
                               void *user_data)
{
    return hear(handle, type, callback, user_data, true);
}

rats_error_t rats_off_message(rats_client_t handle, const char *type)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = check_name("the type", type, TYPE_NAME_MAX);
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    client_lock(client);
    struct message_type *found = find(client, type, strlen(type));
    if (found == NULL) {
        code = error_set(RATS_ERROR_NOT_FOUND, "the type is not registered");
    } else {
        type_free(client, found);
        /* It is given up here whatever the daemon says. */
        (void)request_tell(client, M_TYPED_OFF, type_params(type, strlen(type)), CALL_PLAIN);
        error_clear();
        if (!client_in_callback(client)) {
            client_wait_quiet(client);
        }
    }
    client_unlock(client);
    return (rats_error_t)code;
}

bool typed_is_wanted(const struct client *client, const char *type, size_t size)
{
    return find(client, type, size) != NULL;
}

uint64_t typed_last(const struct client *client)
{
    return client->type_serial;
}

bool typed_next(struct client *client, const char *name, size_t size, uint64_t *serial,
                uint64_t last, struct message_handler *ret_handler)
{
    struct message_type *type = find(client, name, size);
    struct handler **place = type == NULL ? NULL : &type->first;
    while (place != NULL && *place != NULL && (*place)->serial <= *serial) {
        place = &(*place)->next;
    }
    struct handler *handler = place == NULL ? NULL : *place;
    if (handler == NULL || handler->serial > last) {
        return false;
    }
    *serial = handler->serial;
    *ret_handler = handler->what;
    if (handler->once) {
        *place = handler->next;
        free(handler);
        if (type->first == NULL) {
            type_free(client, type);
            request_post(client, M_TYPED_OFF, type_params(name, size), CALL_PLAIN);
        }
    }
    return true;
}

void typed_replay(struct client *client)
{
    size_t cursor = 0;
    for (const struct message_type *type = map_next(&client->types, &cursor); type != NULL;
         type = map_next(&client->types, &cursor)) {
        request_post(client, M_TYPED_ON, type_params(type->name, type->name_size), CALL_PLAIN);
    }
}

void typed_fini(struct client *client)
{
    size_t cursor = 0;
    for (struct message_type *type = map_next(&client->types, &cursor); type != NULL;
         type = map_next(&client->types, &cursor)) {
        type_free(client, type);
    }
    map_fini(&client->types);
}
