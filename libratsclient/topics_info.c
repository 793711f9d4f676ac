/* What is known of topics: the mirror of this handle's subscriptions, and the daemon asked about
 * the rest (api.md 3.14 and 4.5). */
#include <stdlib.h>
#include <string.h>

#include "client.h"

int rats_is_gossipsub_available(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    return client != NULL ? 1 : 0;
}

int rats_is_gossipsub_running(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return 0;
    }
    client_lock(client);
    const bool running = client->started;
    client_unlock(client);
    return running ? 1 : 0;
}

/* (locked) */
static bool is_subscribed(const struct client *client, const char *name, size_t size)
{
    const struct topic *topic = topic_find(client, name, size);
    return topic != NULL && topic->subscribed;
}

int rats_is_subscribed_to_topic(rats_client_t handle, const char *topic)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL || topic == NULL) {
        return 0;
    }
    client_lock(client);
    const bool subscribed = is_subscribed(client, topic, strlen(topic));
    client_unlock(client);
    return subscribed ? 1 : 0;
}

/* (locked) */
static size_t count_subscribed(const struct client *client)
{
    size_t count = 0;
    size_t cursor = 0;
    for (const struct topic *topic = map_next(&client->topics, &cursor); topic != NULL;
         topic = map_next(&client->topics, &cursor)) {
        count += topic->subscribed;
    }
    return count;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* (locked) NULL when there are none or, with the last error set, out of memory. */
static char **list_subscribed(const struct client *client, int *ret_count)
{
    const size_t count = count_subscribed(client);
    char **names = count == 0 ? NULL : calloc(count, sizeof *names);
    size_t filled = 0;
    size_t cursor = 0;
    for (const struct topic *topic = map_next(&client->topics, &cursor);
         names != NULL && topic != NULL; topic = map_next(&client->topics, &cursor)) {
        if (!topic->subscribed) {
            continue;
        }
        names[filled] = strdup(topic->name);
        if (names[filled] == NULL) {
            rats_free_array(names, (int)filled);
            names = NULL;
        } else {
            filled++;
        }
    }
    if (names == NULL && count > 0) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    if (names != NULL) {
        qsort(names, filled, sizeof *names, compare_texts);
        *ret_count = (int)filled;
    }
    return names;
}

char **rats_get_subscribed_topics(rats_client_t handle, int *ret_count)
{
    ENTER_LIST(client, handle, RATS_ERROR_INVALID_HANDLE, ret_count);
    if (client == NULL) {
        return NULL;
    }
    client_lock(client);
    char **names = list_subscribed(client, ret_count);
    client_unlock(client);
    return names;
}

/* The texts of a JSON array. NULL when there are none or, with the last error set, out of memory.
 */
static char **copy_texts(const json_t *array, int *ret_count)
{
    const size_t count = json_array_size(array);
    char **texts = count == 0 ? NULL : calloc(count, sizeof *texts);
    for (size_t i = 0; texts != NULL && i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        texts[i] = strdup(text == NULL ? "" : text);
        if (texts[i] == NULL) {
            rats_free_array(texts, (int)i);
            texts = NULL;
        }
    }
    if (texts == NULL && count > 0) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    *ret_count = texts == NULL ? 0 : (int)count;
    return texts;
}

static char **ask_for_peers(rats_client_t handle, enum method_id method, const char *topic,
                            int *ret_count)
{
    ENTER_LIST(client, handle, RATS_ERROR_INVALID_HANDLE, ret_count);
    json_t *result = NULL;
    if (client == NULL || check_topic(topic) != RATS_SUCCESS ||
        request_call(client, method, json_pack("{s:s}", "topic", topic), CALL_TIMEOUT_MS,
                     &result) != RATS_SUCCESS) {
        return NULL;
    }
    char **peers = copy_texts(json_object_get(result, "peers"), ret_count);
    json_decref(result);
    return peers;
}

char **rats_get_topic_peers(rats_client_t handle, const char *topic, int *ret_count)
{
    return ask_for_peers(handle, M_TOPIC_PEERS, topic, ret_count);
}

char **rats_get_topic_mesh_peers(rats_client_t handle, const char *topic, int *ret_count)
{
    return ask_for_peers(handle, M_TOPIC_MESH, topic, ret_count);
}

/* (locked) The member "topics" of document 4.5. */
static json_t *describe_topics(const struct client *client, const json_t *rows)
{
    json_t *topics = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const json_t *name = json_object_get(row, "topic");
        if (!json_is_string(name)) {
            continue;
        }
        json_t *topic = json_pack(
            "{s:I, s:I, s:I, s:b}", "subscribers_count",
            json_integer_value(json_object_get(row, "subscribers")), "mesh_peers_count",
            json_integer_value(json_object_get(row, "mesh")), "fanout_peers_count",
            json_integer_value(json_object_get(row, "fanout")), "is_subscribed",
            (int)is_subscribed(client, json_string_value(name), json_string_length(name)));
        if (json_object_set_new(topics, json_string_value(name), topic) != 0) {
            json_decref(topics);
            return NULL;
        }
    }
    return topics;
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* (locked) */
static json_t *describe(const struct client *client, const json_t *statistics)
{
    json_t *document = json_pack(
        "{s:b, s:b, s:I, s:I, s:o, s:I, s:I, s:I}", "available", 1, "running", (int)client->started,
        "subscribed_topics_count", (json_int_t)count_subscribed(client), "total_topics_count",
        number_of(statistics, "known"), "topics",
        describe_topics(client, json_object_get(statistics, "topics")), "peers_count",
        number_of(statistics, "peers"), "published", number_of(statistics, "published"),
        "delivered", number_of(statistics, "delivered"));
    static const char *const scores[] = {"average_peer_score", "min_peer_score", "max_peer_score"};
    for (size_t i = 0; number_of(statistics, "peers") > 0 && i < 3; i++) {
        if (json_object_set_new(document, scores[i], json_real(0.0)) != 0) {
            json_decref(document);
            return NULL;
        }
    }
    return document;
}

char *rats_get_gossipsub_statistics_json(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *statistics = NULL;
    if (client == NULL || request_call(client, M_TOPIC_STATISTICS, json_object(), CALL_TIMEOUT_MS,
                                       &statistics) != RATS_SUCCESS) {
        return NULL;
    }
    client_lock(client);
    json_t *document = describe(client, statistics);
    client_unlock(client);
    json_decref(statistics);
    return document_print(document);
}
