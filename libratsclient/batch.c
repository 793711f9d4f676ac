/* Batches: the application takes slices of the inbox itself, instead of a dispatcher. */
#include <errno.h>

#include "client.h"
#include "clock.h"
#include "process.h"

/* Whether there is a handle and it delivers batches; the last error is set otherwise. */
static bool has_batches(const struct client *client)
{
    if (client != NULL && !client->batches) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER,
                        "the handle has callbacks; RATS_DISPATCH_BATCHES was not asked for");
    }
    return client != NULL && client->batches;
}

/* (locked) The next slice that belongs to the present start. */
static struct slice *take_live(struct client *client)
{
    struct slice *slice = inbox_take(&client->inbox);
    while (slice != NULL && (!client->started || slice->epoch != client->epoch)) {
        client_release_slice(client, slice);
        slice = inbox_take(&client->inbox);
    }
    return slice;
}

/* (locked) The next one, waiting for it; NULL with the last error set, to none when the wait was
 * ended. */
static struct slice *await_live(struct client *client, int timeout_ms)
{
    const int64_t deadline_ms = timeout_ms == 0 ? 0 : clock_deadline(timeout_ms);
    const unsigned stops = client->stops;
    int rc = 0;
    while (!client->closing && client->stops == stops) {
        struct slice *slice = take_live(client);
        if (slice != NULL) {
            return slice;
        }
        if (timeout_ms == 0 || rc == -ETIMEDOUT) {
            (void)error_set(RATS_ERROR_TIMEOUT, "nothing arrived within %d ms", timeout_ms);
            return NULL;
        }
        if (client->wait_ended) {
            client->wait_ended = false;
            return NULL;
        }
        rc = reading_await(client, deadline_ms);
    }
    if (client->closing) {
        (void)error_set(RATS_ERROR_NOT_RUNNING, "the handle is being destroyed");
    }
    return NULL;
}

const void *rats_take_batch(rats_client_t handle, int timeout_ms, size_t *ret_size)
{
    if (ret_size != NULL) {
        *ret_size = 0;
    }
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (!has_batches(client)) {
        return NULL;
    }
    if (ret_size == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "ret_size is NULL");
        return NULL;
    }
    client_lock(client);
    client->waiters++;
    struct slice *slice = await_live(client, timeout_ms);
    const void *data = NULL;
    if (slice != NULL) {
        handle_hold_again(handle);
        *ret_size = slice->size;
        data = slice_data(slice);
    }
    client_leave(client);
    client_unlock(client);
    return data;
}

void rats_end_wait(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (has_batches(client)) {
        client_lock(client);
        client->wait_ended = true;
        reading_interrupt(client);
        client_unlock(client);
    }
}

/* The batch has a hold on the handle, also when that was destroyed meanwhile. */
static bool give_back(struct client *client, const void *batch)
{
    client_lock(client);
    struct slice *slice = inbox_find_held(&client->inbox, batch);
    if (slice != NULL) {
        client_release_slice(client, slice);
    }
    client_unlock(client);
    if (slice == NULL) {
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "that is not a batch of this handle");
    }
    return slice != NULL;
}

void rats_release_batch(rats_client_t handle, const void *batch)
{
    struct client *client = handle_hold_retired(handle);
    if (client == NULL || client->generation != process_generation()) {
        client_exit(&client);
        /* Says what is wrong with the handle. */
        ENTER(none, handle, RATS_ERROR_INVALID_PARAMETER);
        (void)none;
        return;
    }
    error_clear();
    if (has_batches(client) && batch != NULL && give_back(client, batch)) {
        handle_release(handle);
    }
    client_exit(&client);
}

int rats_batch_fd(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (!has_batches(client)) {
        return -1;
    }
    client_lock(client);
    const int fd = inbox_event_fd(&client->inbox);
    client_unlock(client);
    if (fd < 0) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "no descriptor is left");
    }
    return fd < 0 ? -1 : fd;
}
