/* Topics: what this handle subscribes to, whom it calls for them, and the daemon told accordingly.
 *
 * A topic has an entry while the handle subscribes to it or has a callback for it; the two come and
 * go independently of each other (api.md 3.14). The subscriptions here are the mirror of the
 * daemon's, so asking for them costs nothing, and are said again after reattaching. The peers of
 * each are kept, so that each joins and leaves exactly once, whether it was there before us or came
 * later, and also when the daemon goes and comes back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* On the wire before the payload: op, origin, sequence number, size of the topic (wire-services 1).
 */
#define TOPIC_OVERHEAD (1 + 32 + 8 + 2)

struct topic_member {
    struct list node;
    struct peer_id peer;
};

struct topic *topic_find(const struct client *client, const char *name, size_t size)
{
    return map_find(&client->topics, bytes_make(name, size));
}

static json_t *topic_params(const struct topic *topic)
{
    return json_pack("{s:s%}", "topic", topic->name, topic->name_size);
}

int check_topic(const char *topic)
{
    const int code = check_name("the topic", topic, TOPIC_NAME_MAX);
    return code == RATS_SUCCESS && *topic == '\0'
               ? error_set(RATS_ERROR_INVALID_PARAMETER, "the topic is empty")
               : code;
}

/* (locked) The entry of that name, made if need be. NULL, with the last error set, when out of
 * memory. */
static struct topic *obtain(struct client *client, const char *name)
{
    const size_t size = strlen(name);
    struct topic *topic = topic_find(client, name, size);
    if (topic != NULL) {
        return topic;
    }
    topic = calloc(1, sizeof *topic + size + 1);
    if (topic != NULL) {
        memcpy(topic->name, name, size);
        topic->name_size = size;
        list_init(&topic->members);
        if (map_insert(&client->topics, bytes_make(topic->name, size), topic) < 0) {
            free(topic);
            topic = NULL;
        }
    }
    if (topic == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    return topic;
}

static void member_free(struct topic_member *member)
{
    list_remove(&member->node);
    free(member);
}

static void forget_members(struct topic *topic)
{
    LIST_EACH(&topic->members, node)
    {
        member_free(CONTAINER_OF(node, struct topic_member, node));
    }
}

/* (locked) */
static void topic_free(struct client *client, struct topic *topic)
{
    (void)map_remove(&client->topics, bytes_make(topic->name, topic->name_size));
    forget_members(topic);
    free(topic);
}

/* (locked) */
static void forget_unwanted(struct client *client, struct topic *topic)
{
    const struct topic_callbacks *callbacks = &topic->callbacks;
    if (!topic->subscribed && callbacks->message == NULL && callbacks->json == NULL &&
        callbacks->binary == NULL && callbacks->forwarded == NULL && callbacks->joined == NULL &&
        callbacks->left == NULL) {
        topic_free(client, topic);
    }
}

/* Subscriptions ----------------------------------------------------------------------------- */

/* (locked) Tells the daemon, and undoes the subscription if that refuses. */
static int tell_subscribed(struct client *client, struct topic *topic, const char *name)
{
    const unsigned serial = ++client->topic_serial;
    topic->serial = serial;
    const int code = request_tell(client, M_TOPIC_SUBSCRIBE, topic_params(topic), CALL_SUBSCRIBE);
    topic = topic_find(client, name, strlen(name));
    if (code != RATS_SUCCESS && topic != NULL && topic->subscribed && topic->serial == serial) {
        topic->subscribed = false;
        forget_unwanted(client, topic);
    }
    return code;
}

rats_error_t rats_subscribe_to_topic(rats_client_t handle, const char *topic)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    int code = check_topic(topic);
    if (code != RATS_SUCCESS) {
        return error_v1(code);
    }
    client_lock(client);
    struct topic *entry = obtain(client, topic);
    if (entry == NULL) {
        code = RATS_ERROR_MEMORY_ALLOCATION;
    } else if (entry->subscribed) {
        code = error_set(RATS_ERROR_OPERATION_FAILED, "the session subscribes to it already");
    } else {
        entry->subscribed = true;
        code = tell_subscribed(client, entry, topic);
    }
    client_unlock(client);
    return error_v1(code);
}

/* (locked) */
static void end_subscription(struct client *client, struct topic *topic)
{
    topic->subscribed = false;
    forget_members(topic);
    forget_unwanted(client, topic);
}

rats_error_t rats_unsubscribe_from_topic(rats_client_t handle, const char *topic)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    int code = check_topic(topic);
    if (code != RATS_SUCCESS) {
        return error_v1(code);
    }
    client_lock(client);
    struct topic *entry = topic_find(client, topic, strlen(topic));
    if (entry == NULL || !entry->subscribed) {
        code = error_set(RATS_ERROR_OPERATION_FAILED, "the session does not subscribe to it");
    } else {
        json_t *params = topic_params(entry);
        end_subscription(client, entry);
        /* It has ended here whatever the daemon says. */
        (void)request_tell(client, M_TOPIC_UNSUBSCRIBE, params, CALL_PLAIN);
        error_clear();
        if (!client_in_callback(client)) {
            client_wait_quiet(client);
        }
    }
    client_unlock(client);
    return error_v1(code);
}

void topics_end(struct client *client)
{
    size_t cursor = 0;
    for (struct topic *topic = map_next(&client->topics, &cursor); topic != NULL;
         topic = map_next(&client->topics, &cursor)) {
        if (topic->subscribed) {
            if (client->attached) {
                request_post(client, M_TOPIC_UNSUBSCRIBE, topic_params(topic), CALL_PLAIN);
            }
            end_subscription(client, topic);
        }
    }
}

void topics_replay(struct client *client)
{
    size_t cursor = 0;
    for (const struct topic *topic = map_next(&client->topics, &cursor); topic != NULL;
         topic = map_next(&client->topics, &cursor)) {
        if (topic->subscribed) {
            request_post(client, M_TOPIC_SUBSCRIBE, topic_params(topic), CALL_SUBSCRIBE);
        }
    }
}

void topics_fini(struct client *client)
{
    size_t cursor = 0;
    for (struct topic *topic = map_next(&client->topics, &cursor); topic != NULL;
         topic = map_next(&client->topics, &cursor)) {
        topic_free(client, topic);
    }
    map_fini(&client->topics);
}

/* Who joined -------------------------------------------------------------------------------- */

/* (locked) The topic and the peer of a topic.joined or topic.left; NULL. */
static struct topic *topic_of(const struct client *client, const json_t *fields,
                              struct peer_id *ret_peer)
{
    const json_t *name = json_object_get(fields, "topic");
    const char *peer = json_string_value(json_object_get(fields, "peer"));
    if (!json_is_string(name) || peer == NULL || peer_id_parse(peer, ret_peer) < 0) {
        return NULL;
    }
    return topic_find(client, json_string_value(name), json_string_length(name));
}

static struct topic_member *member_find(const struct topic *topic, const struct peer_id *peer)
{
    LIST_EACH(&topic->members, node)
    {
        struct topic_member *member = CONTAINER_OF(node, struct topic_member, node);
        if (peer_id_equal(&member->peer, peer)) {
            return member;
        }
    }
    return NULL;
}

/* 0; 1 when it is there already; -ENOMEM. */
static int member_add(struct topic *topic, const struct peer_id *peer)
{
    if (member_find(topic, peer) != NULL) {
        return 1;
    }
    struct topic_member *member = calloc(1, sizeof *member);
    if (member == NULL) {
        return -ENOMEM;
    }
    member->peer = *peer;
    list_init(&member->node);
    list_append(&topic->members, &member->node);
    return 0;
}

int topics_note_peer(struct client *client, const json_t *fields, bool joined)
{
    struct peer_id peer;
    struct topic *topic = topic_of(client, fields, &peer);
    if (topic == NULL || !topic->subscribed) {
        return 0;
    }
    if (joined) {
        return member_add(topic, &peer) == -ENOMEM ? -ENOMEM : 0;
    }
    struct topic_member *member = member_find(topic, &peer);
    if (member != NULL) {
        member_free(member);
    }
    return 0;
}

/* (locked) */
static void announce_member(struct client *client, const struct topic *topic,
                            const struct peer_id *peer, enum event_id event)
{
    announce_event(client, proto_events[event].name,
                   json_pack("{s:s, s:s%}", "peer", peer_id_format(peer).text, "topic", topic->name,
                             topic->name_size));
}

int topics_note_members(struct client *client, const json_t *answer)
{
    const json_t *name = json_object_get(answer, "topic");
    const json_t *members = json_object_get(answer, "members");
    struct topic *topic =
        json_is_string(name) ? topic_find(client, json_string_value(name), json_string_length(name))
                             : NULL;
    if (topic == NULL || !topic->subscribed) {
        return 0;
    }
    for (size_t i = 0; i < json_array_size(members); i++) {
        const char *text = json_string_value(json_array_get(members, i));
        struct peer_id peer;
        int rc = text == NULL || peer_id_parse(text, &peer) < 0 ? 1 : member_add(topic, &peer);
        if (rc < 0) {
            return rc;
        }
        if (rc == 0 && client->stream_epoch != 0) {
            announce_member(client, topic, &peer, EV_TOPIC_JOINED);
        }
    }
    return 0;
}

void topics_announce_members(struct client *client)
{
    size_t cursor = 0;
    for (const struct topic *topic = map_next(&client->topics, &cursor); topic != NULL;
         topic = map_next(&client->topics, &cursor)) {
        LIST_EACH(&topic->members, node)
        {
            const struct topic_member *member = CONTAINER_OF(node, struct topic_member, node);
            announce_member(client, topic, &member->peer, EV_TOPIC_JOINED);
        }
    }
}

void topics_renounce_peers(struct client *client)
{
    const bool announced = !client->started || client->stream_epoch != 0;
    size_t cursor = 0;
    for (struct topic *topic = map_next(&client->topics, &cursor); topic != NULL;
         topic = map_next(&client->topics, &cursor)) {
        LIST_EACH(&topic->members, node)
        {
            struct topic_member *member = CONTAINER_OF(node, struct topic_member, node);
            if (announced) {
                announce_member(client, topic, &member->peer, EV_TOPIC_LEFT);
            }
            member_free(member);
        }
    }
}

/* Publishing -------------------------------------------------------------------------------- */

static int publish(struct client *client, const char *topic, struct bytes payload, bool echo)
{
    const int code = check_topic(topic);
    if (code != RATS_SUCCESS) {
        return code;
    }
    const struct outgoing message = {
        .plane = PLANE_TOPIC,
        .flags = echo ? MESSAGE_FLAG_ECHO : 0,
        .overhead = TOPIC_OVERHEAD + strlen(topic),
        .name = bytes_from_string(topic),
        .payload = payload,
    };
    const int sent = send_to_all(client, &message);
    return sent < 0 ? sent : RATS_SUCCESS;
}

rats_error_t rats_publish_to_topic(rats_client_t handle, const char *topic, const char *message)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    if (message == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the message is NULL");
    }
    return error_v1(publish(client, topic, bytes_from_string(message), false));
}

rats_error_t rats_publish_json_to_topic(rats_client_t handle, const char *topic, const char *json)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return error_v1(error_code());
    }
    int code = check_topic(topic);
    if (code == RATS_SUCCESS) {
        code = check_json(json);
    }
    if (code == RATS_SUCCESS) {
        code = publish(client, topic, bytes_from_string(json), false);
    }
    return error_v1(code);
}

rats_error_t rats_publish_binary_to_topic(rats_client_t handle, const char *topic, const void *data,
                                          size_t size, int echo)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (data == NULL && size > 0) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the data is NULL");
    }
    return (rats_error_t)publish(client, topic, bytes_make(data, size), echo != 0);
}

/* Callbacks --------------------------------------------------------------------------------- */

#define SET(kind)                                                                                  \
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);                                              \
    if (client != NULL && check_topic(topic) == RATS_SUCCESS) {                                    \
        client_lock(client);                                                                       \
        struct topic *entry = obtain(client, topic);                                               \
        if (entry != NULL) {                                                                       \
            entry->callbacks.kind = callback;                                                      \
            entry->callbacks.kind##_data = user_data;                                              \
            forget_unwanted(client, entry);                                                        \
        }                                                                                          \
        client_unlock(client);                                                                     \
    }

void rats_set_topic_message_callback(rats_client_t handle, const char *topic,
                                     rats_topic_message_cb callback, void *user_data)
{
    SET(message)
}

void rats_set_topic_json_message_callback(rats_client_t handle, const char *topic,
                                          rats_topic_json_message_cb callback, void *user_data)
{
    SET(json)
}

void rats_set_topic_binary_callback(rats_client_t handle, const char *topic,
                                    rats_topic_binary_cb callback, void *user_data)
{
    SET(binary)
}

void rats_set_topic_forwarded_callback(rats_client_t handle, const char *topic,
                                       rats_topic_forwarded_cb callback, void *user_data)
{
    SET(forwarded)
}

void rats_set_topic_peer_joined_callback(rats_client_t handle, const char *topic,
                                         rats_topic_peer_joined_cb callback, void *user_data)
{
    SET(joined)
}

void rats_set_topic_peer_left_callback(rats_client_t handle, const char *topic,
                                       rats_topic_peer_left_cb callback, void *user_data)
{
    SET(left)
}

void rats_clear_topic_callbacks(rats_client_t handle, const char *topic)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client != NULL && check_topic(topic) == RATS_SUCCESS) {
        client_lock(client);
        struct topic *entry = topic_find(client, topic, strlen(topic));
        if (entry != NULL) {
            entry->callbacks = (struct topic_callbacks){0};
            forget_unwanted(client, entry);
        }
        client_unlock(client);
    }
}
