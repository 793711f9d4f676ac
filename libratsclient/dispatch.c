/* The dispatcher thread: inbox to callbacks, one at a time, in the order of the stream.
 *
 * Frames are read where they lie. The lock is held between callbacks and never during one; after
 * each one the state is looked at anew, since the callback may have stopped or destroyed the
 * handle. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"
#include "proto/frame.h"
#include "proto/json_head.h"
#include "proto/message_head.h"
#include "util/hex.h"
#include "util/text.h"

/* A message on its way to callbacks. */
struct delivery {
    char peer[PEER_ID_TEXT_SIZE];
    struct message_head head;
    uint8_t *body; /* body[body_size] may be written while it is put back afterwards */
    size_t body_size;
};

static bool is_live(const struct client *client, unsigned epoch)
{
    return client->started && !client->closing && epoch == client->epoch;
}

static void begin_callback(struct client *client)
{
    client->callback_running = true;
    client->callback_count++;
    client_unlock(client);
}

static void end_callback(struct client *client)
{
    client_lock(client);
    client->callback_running = false;
    (void)pthread_cond_broadcast(&client->quiet);
}

static bool name_is(const struct message_head *head, const char *name, size_t size)
{
    return head->name_size == size && memcmp(head->name, name, size) == 0;
}

/* What a C string cannot carry is said. Only the dispatcher comes here. */
static void log_cut(struct client *client, const struct delivery *message)
{
    uint64_t skipped = 0;
    const bool cut = memchr(message->body, '\0', message->body_size) != NULL;
    if (cut && log_allowed(&client->string_limit, &skipped)) {
        log_write(LOG_WARN,
                  "a string from peer %.8s contains NUL bytes; what follows the first is not "
                  "delivered (%llu more like it)",
                  message->peer, (unsigned long long)skipped);
    }
}

/* (locked) */
static void deliver_string(struct client *client, struct delivery *message)
{
    const rats_string_cb callback = client->callbacks.string;
    void *const user_data = client->callbacks.string_data;
    begin_callback(client);
    log_cut(client, message);
    const uint8_t behind = message->body[message->body_size];
    message->body[message->body_size] = '\0';
    callback(user_data, message->peer, (const char *)message->body);
    message->body[message->body_size] = behind;
    end_callback(client);
}

/* (locked) */
static void deliver_binary(struct client *client, struct delivery *message)
{
    const rats_binary_cb callback = client->callbacks.binary;
    void *const user_data = client->callbacks.binary_data;
    begin_callback(client);
    callback(user_data, message->peer, message->body, message->body_size);
    end_callback(client);
}

/* (locked) */
static void deliver_json(struct client *client, struct delivery *message)
{
    const rats_json_cb callback = client->callbacks.json;
    void *const user_data = client->callbacks.json_data;
    begin_callback(client);
    if (json_text_check((const char *)message->body, message->body_size) == 0) {
        const uint8_t behind = message->body[message->body_size];
        message->body[message->body_size] = '\0';
        callback(user_data, message->peer, (const char *)message->body);
        message->body[message->body_size] = behind;
    } else {
        uint64_t skipped = 0;
        if (log_allowed(&client->json_limit, &skipped)) {
            log_write(LOG_WARN,
                      "a message on channel rats.json from peer %.8s is not JSON and was dropped "
                      "(%llu more like it)",
                      message->peer, (unsigned long long)skipped);
        }
    }
    end_callback(client);
}

/* (locked) */
static void deliver_channel(struct client *client, const struct delivery *message)
{
    const struct channel *channel =
        channel_find(client, message->head.name, message->head.name_size);
    if (channel == NULL || channel->callback == NULL) {
        return;
    }
    const rats_channel_cb callback = channel->callback;
    void *const user_data = channel->user_data;
    char name[CHANNEL_NAME_MAX + 1]; /* the callback may give the channel up */
    memcpy(name, channel->name, channel->name_size + 1);
    begin_callback(client);
    callback(user_data, message->peer, name, message->body, message->body_size);
    end_callback(client);
}

static void log_typed(struct client *client, const struct delivery *message, bool too_deep)
{
    uint64_t skipped = 0;
    char type[80];
    if (log_allowed(&client->json_limit, &skipped)) {
        log_write(
            LOG_WARN,
            "a message of type '%s' from peer %.8s is %s and was dropped (%llu more like it)",
            text_escape(bytes_make(message->head.name, message->head.name_size), type, sizeof type),
            message->peer, too_deep ? "nested too deep" : "not JSON", (unsigned long long)skipped);
    }
}

/* (locked) Every handler that was there when the message's turn came. */
static void deliver_typed(struct client *client, unsigned epoch, struct delivery *message)
{
    const struct message_head *head = &message->head;
    const uint64_t last = typed_last(client);
    uint64_t serial = 0;
    struct bytes text = {0};
    struct message_handler handler;
    if (!typed_is_wanted(client, head->name, head->name_size)) {
        return;
    }
    begin_callback(client); /* long texts are not looked at under the lock */
    const int checked = typed_text((const char *)message->body, message->body_size, &text);
    if (checked < 0) {
        log_typed(client, message, checked == -E2BIG);
    }
    end_callback(client);
    while (checked == 0 && is_live(client, epoch) &&
           typed_next(client, head->name, head->name_size, &serial, last, &handler)) {
        begin_callback(client);
        const uint8_t behind = message->body[message->body_size];
        message->body[message->body_size] = '\0';
        handler.callback(handler.user_data, message->peer, (const char *)text.data);
        message->body[message->body_size] = behind;
        end_callback(client);
    }
}

/* (locked) The callbacks of the message's topic while the handle subscribes to it and is started,
 * else none. */
static struct topic_callbacks topic_callbacks(const struct client *client, unsigned epoch,
                                              const struct message_head *head)
{
    const struct topic *topic = topic_find(client, head->name, head->name_size);
    if (topic == NULL || !topic->subscribed || !is_live(client, epoch)) {
        return (struct topic_callbacks){0};
    }
    return topic->callbacks;
}

/* (locked) A topic's four callbacks for messages; any of them may change what comes next. */
static void deliver_topic(struct client *client, unsigned epoch, struct delivery *message)
{
    char topic[TOPIC_NAME_MAX + 1];
    memcpy(topic, message->head.name, message->head.name_size);
    topic[message->head.name_size] = '\0';
    const uint8_t behind = message->body[message->body_size];
    struct topic_callbacks callbacks = topic_callbacks(client, epoch, &message->head);
    if (callbacks.message != NULL) {
        begin_callback(client);
        log_cut(client, message);
        message->body[message->body_size] = '\0';
        callbacks.message(callbacks.message_data, message->peer, topic,
                          (const char *)message->body);
        message->body[message->body_size] = behind;
        end_callback(client);
        callbacks = topic_callbacks(client, epoch, &message->head);
    }
    if (callbacks.json != NULL) {
        begin_callback(client);
        if (json_text_check((const char *)message->body, message->body_size) == 0) {
            message->body[message->body_size] = '\0';
            callbacks.json(callbacks.json_data, message->peer, topic, (const char *)message->body);
            message->body[message->body_size] = behind;
        }
        end_callback(client);
        callbacks = topic_callbacks(client, epoch, &message->head);
    }
    if (callbacks.binary != NULL) {
        begin_callback(client);
        callbacks.binary(callbacks.binary_data, message->peer, topic, message->body,
                         message->body_size);
        end_callback(client);
        callbacks = topic_callbacks(client, epoch, &message->head);
    }
    if (callbacks.forwarded != NULL && message->head.forwarder != NULL) {
        char forwarder[PEER_ID_TEXT_SIZE];
        hex_format(bytes_make(message->head.forwarder, MESSAGE_PEER_SIZE), forwarder);
        begin_callback(client);
        callbacks.forwarded(callbacks.forwarded_data, message->peer, forwarder, topic,
                            message->body, message->body_size);
        end_callback(client);
    }
}

/* (locked) */
static void deliver_message(struct client *client, unsigned epoch, const struct frame *frame,
                            uint8_t *body)
{
    struct delivery message = {.body = body, .body_size = frame->body_size};
    if (message_head_decode(frame->head, frame->head_size, &message.head) < 0) {
        return; /* of a newer daemon, perhaps */
    }
    hex_format(bytes_make(message.head.peer, MESSAGE_PEER_SIZE), message.peer);
    if (message.head.plane == PLANE_TYPED) {
        deliver_typed(client, epoch, &message);
        return;
    }
    if (message.head.plane == PLANE_TOPIC) {
        deliver_topic(client, epoch, &message);
        return;
    }
    if (name_is(&message.head, "rats.string", 11)) {
        if (client->callbacks.string != NULL) {
            deliver_string(client, &message);
        }
    } else if (name_is(&message.head, "rats.binary", 11)) {
        if (client->callbacks.binary != NULL) {
            deliver_binary(client, &message);
        }
    } else if (name_is(&message.head, "rats.json", 9)) {
        if (client->callbacks.json != NULL) {
            deliver_json(client, &message);
        }
    }
    if (is_live(client, epoch)) {
        deliver_channel(client, &message);
    }
}

/* (locked) */
static void deliver_peer(struct client *client, const json_t *params, bool connected)
{
    const char *peer = json_string_value(json_object_get(params, "peer"));
    const struct callbacks *callbacks = &client->callbacks;
    const rats_connection_cb callback = connected ? callbacks->connection : callbacks->disconnect;
    void *const user_data = connected ? callbacks->connection_data : callbacks->disconnect_data;
    if (peer != NULL && callback != NULL) {
        begin_callback(client);
        callback(user_data, peer);
        end_callback(client);
    }
}

/* (locked) */
static void deliver_topic_peer(struct client *client, const json_t *params, bool joined)
{
    const char *peer = json_string_value(json_object_get(params, "peer"));
    const json_t *name = json_object_get(params, "topic");
    const struct topic *topic =
        json_is_string(name) ? topic_find(client, json_string_value(name), json_string_length(name))
                             : NULL;
    if (peer == NULL || topic == NULL || !topic->subscribed) {
        return;
    }
    const struct topic_callbacks *callbacks = &topic->callbacks;
    const rats_topic_peer_joined_cb callback = joined ? callbacks->joined : callbacks->left;
    void *const user_data = joined ? callbacks->joined_data : callbacks->left_data;
    if (callback != NULL) {
        begin_callback(client);
        callback(user_data, peer, json_string_value(name));
        end_callback(client);
    }
}

/* (locked) */
static void deliver_lost(struct client *client, const json_t *params)
{
    const rats_overflow_cb callback = client->callbacks.overflow;
    void *const user_data = client->callbacks.overflow_data;
    if (callback != NULL) {
        begin_callback(client);
        callback(user_data, (uint64_t)json_integer_value(json_object_get(params, "total")));
        end_callback(client);
    }
}

/* (locked) */
static void deliver_daemon(struct client *client, int attached)
{
    const rats_daemon_cb callback = client->callbacks.daemon;
    void *const user_data = client->callbacks.daemon_data;
    if (callback != NULL) {
        begin_callback(client);
        callback(user_data, attached);
        end_callback(client);
    }
}

/* (locked) Every callback whose prefix fits and that was there when the change's turn came. */
static void deliver_change(struct client *client, unsigned epoch, const json_t *params,
                           struct bytes body)
{
    struct stored_change change;
    struct storage_handler handler;
    const uint64_t last = storage_last_watch(client);
    uint64_t serial = 0;
    storage_read_change(params, body, &change);
    while (change.key != NULL && is_live(client, epoch) &&
           storage_next_watch(client, change.key, &serial, last, &handler)) {
        begin_callback(client);
        handler.callback(handler.user_data, change.key, change.type, change.value.data,
                         change.value.size, change.deleted, change.origin, change.remote);
        end_callback(client);
    }
}

static const char *text_of(const json_t *params, const char *key)
{
    const char *text = json_string_value(json_object_get(params, key));
    return text == NULL ? "" : text;
}

static int number_of(const json_t *params, const char *key)
{
    return (int)json_integer_value(json_object_get(params, key));
}

/* (locked) */
static void deliver_shown(struct client *client, const json_t *params)
{
    const struct callbacks *callbacks = &client->callbacks;
    const bool directory = strcmp(text_of(params, "kind"), "directory") == 0;
    const rats_file_request_cb callback =
        directory ? callbacks->directory_request : callbacks->file_request;
    void *const user_data =
        directory ? callbacks->directory_request_data : callbacks->file_request_data;
    if (callback != NULL) {
        begin_callback(client);
        callback(user_data, text_of(params, "peer_id"), text_of(params, "transfer_id"),
                 text_of(params, "remote_path"), text_of(params, "name"));
        end_callback(client);
    }
}

/* (locked) */
static void deliver_progress(struct client *client, const json_t *params)
{
    const rats_file_progress_cb callback = client->callbacks.file_progress;
    void *const user_data = client->callbacks.file_progress_data;
    if (callback != NULL) {
        const double percent = json_real_value(json_object_get(params, "completion_percentage"));
        begin_callback(client);
        callback(user_data, text_of(params, "transfer_id"), (int)percent,
                 transfer_status_name(number_of(params, "status")));
        end_callback(client);
    }
}

/* (locked) Each file is a callback of its own. */
static void deliver_files(struct client *client, unsigned epoch, const json_t *params)
{
    const json_t *files = json_object_get(params, "files");
    const int first = number_of(params, "first");
    for (size_t i = 0; i < json_array_size(files) && is_live(client, epoch); i++) {
        const rats_directory_progress_cb callback = client->callbacks.directory_progress;
        void *const user_data = client->callbacks.directory_progress_data;
        const char *path = json_string_value(json_array_get(files, i));
        if (callback != NULL && path != NULL) {
            begin_callback(client);
            callback(user_data, text_of(params, "transfer_id"), first + (int)i + 1,
                     number_of(params, "total_files"), path);
            end_callback(client);
        }
    }
}

/* (locked) The callbacks for what the library says itself. */
static void deliver_own(struct client *client, unsigned epoch, const char *name,
                        const json_t *params)
{
    if (strcmp(name, "daemon.attached") == 0) {
        deliver_daemon(client, 1);
    } else if (strcmp(name, "daemon.detached") == 0) {
        deliver_daemon(client, 0);
    } else if (strcmp(name, EVENT_TRANSFER_SHOWN) == 0) {
        deliver_shown(client, params);
    } else if (strcmp(name, EVENT_TRANSFER_PROGRESSED) == 0) {
        deliver_progress(client, params);
    } else if (strcmp(name, EVENT_TRANSFER_FILES) == 0) {
        deliver_files(client, epoch, params);
    }
}

/* (locked) The callback that is made for this event. */
static void deliver_specific(struct client *client, unsigned epoch, const char *name,
                             const json_t *params)
{
    switch (event_find(name, strlen(name))) {
    case EV_PEER_CONNECTED:
        deliver_peer(client, params, true);
        break;
    case EV_PEER_DISCONNECTED:
        deliver_peer(client, params, false);
        break;
    case EV_TOPIC_JOINED:
        deliver_topic_peer(client, params, true);
        break;
    case EV_TOPIC_LEFT:
        deliver_topic_peer(client, params, false);
        break;
    case EV_LOST:
        deliver_lost(client, params);
        break;
    case EVENT_COUNT:
        deliver_own(client, epoch, name, params);
        break;
    case EV_STORAGE_CHANGED:  /* has a body: deliver_change() */
    case EV_TRANSFER_OFFERED: /* the files thread makes events of its own of these */
    case EV_TRANSFER_REQUESTED:
    case EV_TRANSFER_OPEN:
    case EV_TRANSFER_VERIFIED:
    case EV_TRANSFER_CHANGED:
    case EV_PEER_UPDATED:
    case EV_INSTANCE_CHANGED:
    case EV_SESSION_ATTACHED:
    case EV_SESSION_ENDED:
    default:
        break;
    }
}

/* (locked) The callback for every event. */
static void deliver_any(struct client *client, const char *name, const json_t *params,
                        uint64_t sequence)
{
    const rats_event_cb callback = client->callbacks.event;
    void *const user_data = client->callbacks.event_data;
    if (callback == NULL || client->closing) {
        return;
    }
    begin_callback(client);
    char *text = json_dumps(params, JSON_COMPACT);
    if (text != NULL) {
        callback(user_data, name, text, sequence);
    }
    free(text);
    end_callback(client);
}

/* (locked) */
static void deliver_event(struct client *client, unsigned epoch, const struct frame *frame)
{
    char problem[128];
    json_t *head = NULL;
    if (json_head_read(frame->head, frame->head_size, &head, problem, sizeof problem) == -ENOMEM) {
        log_write(LOG_ERROR, "out of memory; an event is missing");
    }
    const char *name = json_string_value(json_object_get(head, "v"));
    const json_t *params = json_object_get(head, "p");
    if (name != NULL && json_is_object(params)) {
        if (is_live(client, epoch)) {
            deliver_specific(client, epoch, name, params);
            if (strcmp(name, proto_events[EV_STORAGE_CHANGED].name) == 0) {
                deliver_change(client, epoch, params, bytes_make(frame->body, frame->body_size));
            }
        }
        deliver_any(client, name, params, frame->id);
    }
    json_decref(head);
}

/* (locked) */
static void deliver_slice(struct client *client, const struct slice *slice)
{
    uint8_t *data = slice_data(slice);
    size_t at = 0;
    struct frame frame;
    size_t size;
    while (!client->closing &&
           frame_decode(data + at, slice->size - at, &frame, &size) == FRAME_OK) {
        if (frame.kind == FRAME_MESSAGE && is_live(client, slice->epoch)) {
            deliver_message(client, slice->epoch, &frame, data + at + size - frame.body_size);
        } else if (frame.kind == FRAME_EVENT) {
            deliver_event(client, slice->epoch, &frame);
        }
        at += size;
    }
}

void *dispatch_main(void *arg)
{
    struct client *client = arg;
    client_lock(client);
    while (!client->closing) {
        struct slice *slice = inbox_take(&client->inbox);
        if (slice == NULL) {
            (void)reading_await(client, CLOCK_FOR_EVER);
            continue;
        }
        deliver_slice(client, slice);
        client_release_slice(client, slice);
    }
    const bool release = client->release_deferred;
    client_unlock(client);
    if (release) {
        (void)pthread_detach(pthread_self());
        client_finish(client);
    }
    return NULL;
}
