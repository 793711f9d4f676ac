#include "move.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"

#define MOVE_TIMEOUT_MS 5000

/* 0 or -ENOMEM. The same text is left alone. */
static int replace(char **text, const char *by)
{
    if (*text == by) {
        return 0;
    }
    char *copy = by == NULL ? NULL : strdup(by);
    if (by != NULL && copy == NULL) {
        return -ENOMEM;
    }
    free(*text);
    *text = copy;
    return 0;
}

int origin_set(struct origin *origin, const struct instance_wish *wish)
{
    origin->named = wish->socket_path != NULL;
    origin->port = wish->port;
    origin->policy = wish->policy;
    origin->security = wish->security;
    origin->has_key = wish->key != NULL;
    if (wish->key == NULL) {
        explicit_bzero(origin->key, sizeof origin->key);
    } else if (wish->key != origin->key) {
        memcpy(origin->key, wish->key, sizeof origin->key);
    }
    int rc = replace(&origin->data_dir, wish->data_dir);
    rc = rc == 0 ? replace(&origin->protocol, wish->protocol) : rc;
    return rc == 0 ? replace(&origin->bind_address, wish->bind_address) : rc;
}

void origin_fini(struct origin *origin)
{
    free(origin->data_dir);
    free(origin->protocol);
    free(origin->bind_address);
    explicit_bzero(origin->key, sizeof origin->key);
}

/* (locked) */
static int check_movable(const struct client *client, bool may_join)
{
    if (!client->attached) {
        return error_set(RATS_ERROR_NOT_RUNNING,
                         "the daemon is gone; the library is looking for it");
    }
    if (client->started || client->starting) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "this cannot change while the session is started");
    }
    if (client->moving) {
        return error_set(RATS_ERROR_OPERATION_FAILED, "another thread is changing the instance");
    }
    if (client->origin.named || (client->origin.policy == POLICY_SHARED && !may_join)) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "this is a setting of the instance, which is shared: set it in "
                         "ratsd.conf(5); no other instance may be started for this handle");
    }
    return RATS_SUCCESS;
}

/* (locked) Whether nobody else uses this private instance. */
static bool is_alone(struct client *client)
{
    struct call call = {0};
    json_t *facts = NULL;
    int code = request_begin(client, &call, M_INSTANCE_GET, json_object());
    if (code == RATS_SUCCESS) {
        code = request_end(client, &call, CALL_TIMEOUT_MS, &facts);
    }
    const bool alone =
        code == RATS_SUCCESS && json_integer_value(json_object_get(facts, "sessions")) == 1;
    json_decref(facts);
    return alone;
}

/* (locked) What the handle has now, to be started again. */
static struct instance_wish present(const struct client *client)
{
    return (struct instance_wish){
        .policy = POLICY_PRIVATE,
        .port = client->origin.port,
        .client_name = client->name,
        .slow = client->slow,
        .data_dir = client->origin.data_dir,
        .protocol = client->origin.protocol,
        .bind_address = client->origin.bind_address,
        .security = client->origin.security,
        .key = client->origin.has_key ? client->origin.key : NULL,
        .deadline_ms = clock_deadline(3 * MOVE_TIMEOUT_MS),
    };
}

/* (locked) Whether nothing but the protocol is to be other than what shared instances have. */
static bool only_protocol_differs(const struct client *client, const struct change *change)
{
    const bool from_shared = !client->mirror.is_private || client->origin.strayed;
    return from_shared && change->protocol != NULL && change->security < 0 &&
           change->data_dir == NULL && change->key == NULL;
}

/* (locked) The handle is where the move has led. */
static int settle(struct client *client, struct move *move)
{
    struct instance_wish joined = {.policy = client->origin.policy, .security = -1};
    if (joined.policy == POLICY_PRIVATE) {
        joined.policy = POLICY_AUTO; /* which alone leads from a shared instance to a private one */
    }
    client->origin.strayed = move->may_join && !move->joined;
    return origin_set(&client->origin, move->joined ? &joined : &move->wish) < 0
               ? error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory")
               : RATS_SUCCESS;
}

int client_diverge(struct client *client, const struct change *change)
{
    const bool may_join = only_protocol_differs(client, change);
    int code = check_movable(client, may_join);
    if (code != RATS_SUCCESS) {
        return code;
    }
    client->moving = true; /* from here on nothing else may start or move it */
    const bool alone = client->mirror.is_private && is_alone(client);
    char protocol[sizeof client->mirror.protocol];
    memcpy(protocol, client->mirror.protocol, sizeof protocol);
    struct move move = {.leave_first = alone,
                        .may_join = may_join,
                        .may_start = client->origin.policy != POLICY_SHARED,
                        .wish = present(client),
                        .back = present(client)};
    move.wish.deadline_ms = clock_deadline(2 * MOVE_TIMEOUT_MS);
    move.wish.port = alone ? client->origin.port : 0;
    move.wish.protocol = change->protocol != NULL ? change->protocol : protocol;
    move.wish.security = change->security >= 0 ? change->security : client->mirror.encrypted;
    if (change->data_dir != NULL || !alone) {
        move.wish.data_dir = change->data_dir;
    }
    if (change->data_dir != NULL || change->key != NULL) {
        move.wish.key = change->key;
    }
    client->move = &move;
    client->waiters++;
    client_wake(client);
    /* What the reader has taken it finishes: until then the move is not ours to give up. */
    while (!move.done && !(client->closing && client->move != NULL)) {
        (void)condition_wait(&client->quiet, &client->lock, CLOCK_FOR_EVER);
    }
    client->move = NULL;
    client->moving = false;
    code = move.done ? move.code : RATS_ERROR_NOT_RUNNING;
    if (code == RATS_SUCCESS) {
        code = settle(client, &move);
    } else {
        (void)error_set(code, "%s", move.done ? move.error : "the handle is being destroyed");
    }
    client_leave(client);
    return code;
}
