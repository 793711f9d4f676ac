/* Named channels: who in this handle wants which, and the daemon told accordingly.
 *
 * A change of the table and the call that tells of it happen under one hold of the lock, so calls
 * of several threads reach the daemon in the order of the changes. */
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "clock.h"

#define RESERVED_CHANNEL "ratsd.ctl"

struct channel *channel_find(const struct client *client, const char *name, size_t size)
{
    return map_find(&client->channels, bytes_make(name, size));
}

int channel_check_name(const char *channel)
{
    const int code = check_name("the channel's name", channel, CHANNEL_NAME_MAX);
    if (code == RATS_SUCCESS && strcmp(channel, RESERVED_CHANNEL) == 0) {
        return error_set(RATS_ERROR_NOT_PERMITTED,
                         "the channel " RESERVED_CHANNEL " belongs to ratsd");
    }
    return code;
}

unsigned rats_channel_id(const char *channel)
{
    /* FNV-1a of 32 bits, folded; 0 is not used (wire-core 5.3). */
    uint32_t hash = 2166136261u;
    for (const char *c = channel == NULL ? "" : channel; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    const unsigned id = (hash >> 16) ^ (hash & 0xffffu);
    return id == 0 ? 1 : id;
}

/* (locked) The entry of that name, made if need be. NULL, with the last error set, when out of
 * memory. */
static struct channel *obtain(struct client *client, const char *name, size_t size)
{
    struct channel *channel = channel_find(client, name, size);
    if (channel != NULL) {
        return channel;
    }
    channel = calloc(1, sizeof *channel);
    if (channel != NULL) {
        memcpy(channel->name, name, size);
        channel->name_size = size;
        if (map_insert(&client->channels, bytes_make(channel->name, size), channel) < 0) {
            free(channel);
            channel = NULL;
        }
    }
    if (channel == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    return channel;
}

/* (locked) */
static void forget_unwanted(struct client *client, struct channel *channel)
{
    if (!channel->named && !channel->untyped) {
        (void)map_remove(&client->channels, bytes_make(channel->name, channel->name_size));
        free(channel);
    }
}

static json_t *channel_params(const char *name, size_t size)
{
    return json_pack("{s:s%}", "channel", name, size);
}

/* (locked) Tells the daemon of a channel that has just become wanted, by rats_channel_on() if
 * named, else by a callback; undoes that if the daemon refuses. */
static int tell_on(struct client *client, struct channel *channel, bool named, const char *name,
                   size_t size)
{
    const unsigned serial = ++client->channel_serial;
    channel->serial = serial;
    const int code = request_tell(client, M_CHANNEL_ON, channel_params(name, size), CALL_PLAIN);
    if (code != RATS_SUCCESS) {
        channel = channel_find(client, name, size);
        if (channel != NULL && channel->serial == serial) {
            if (named) {
                channel->named = false;
                channel->callback = NULL;
            } else {
                channel->untyped = false;
            }
            forget_unwanted(client, channel);
        }
    }
    return code;
}

int channel_set_untyped(struct client *client, const char *name, bool wanted)
{
    const size_t size = strlen(name);
    struct channel *channel = channel_find(client, name, size);
    if (wanted == (channel != NULL && channel->untyped)) {
        return RATS_SUCCESS;
    }
    if (wanted) {
        channel = obtain(client, name, size);
        if (channel == NULL) {
            return RATS_ERROR_MEMORY_ALLOCATION;
        }
        channel->untyped = true;
        return channel->named ? RATS_SUCCESS : tell_on(client, channel, false, name, size);
    }
    channel->untyped = false;
    const bool gone = !channel->named;
    forget_unwanted(client, channel);
    return gone ? request_tell(client, M_CHANNEL_OFF, channel_params(name, size), CALL_PLAIN)
                : RATS_SUCCESS;
}

void channels_replay(struct client *client)
{
    size_t cursor = 0;
    for (const struct channel *channel = map_next(&client->channels, &cursor); channel != NULL;
         channel = map_next(&client->channels, &cursor)) {
        request_post(client, M_CHANNEL_ON, channel_params(channel->name, channel->name_size),
                     CALL_PLAIN);
    }
}

void channels_fini(struct client *client)
{
    size_t cursor = 0;
    for (struct channel *channel = map_next(&client->channels, &cursor); channel != NULL;
         channel = map_next(&client->channels, &cursor)) {
        (void)map_remove(&client->channels, bytes_make(channel->name, channel->name_size));
        free(channel);
    }
    map_fini(&client->channels);
}

rats_error_t rats_channel_on(rats_client_t handle, const char *channel, rats_channel_cb callback,
                             void *user_data)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = channel_check_name(channel);
    if (code == RATS_SUCCESS && callback == NULL && !client->batches) {
        code = error_set(RATS_ERROR_INVALID_PARAMETER, "the callback is NULL");
    }
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    client_lock(client);
    struct channel *entry = obtain(client, channel, strlen(channel));
    if (entry == NULL) {
        code = RATS_ERROR_MEMORY_ALLOCATION;
    } else {
        const bool known = entry->named || entry->untyped;
        entry->named = true;
        entry->callback = callback;
        entry->user_data = user_data;
        if (!known) {
            code = tell_on(client, entry, true, channel, strlen(channel));
        }
    }
    client_unlock(client);
    return (rats_error_t)code;
}

rats_error_t rats_channel_off(rats_client_t handle, const char *channel)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    int code = channel_check_name(channel);
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    client_lock(client);
    struct channel *entry = channel_find(client, channel, strlen(channel));
    if (entry == NULL || !entry->named) {
        code = error_set(RATS_ERROR_NOT_FOUND, "the channel is not registered");
    } else {
        entry->named = false;
        entry->callback = NULL;
        const bool gone = !entry->untyped;
        forget_unwanted(client, entry);
        if (gone) {
            /* It is given up here whatever the daemon says. */
            (void)request_tell(client, M_CHANNEL_OFF, channel_params(channel, strlen(channel)),
                               CALL_PLAIN);
            error_clear();
        }
        if (!client_in_callback(client)) {
            client_wait_quiet(client);
        }
    }
    client_unlock(client);
    return (rats_error_t)code;
}
