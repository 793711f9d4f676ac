/* The life of a handle once it is made: start, stop, and the end. */
#include "client.h"

#include <unistd.h>

#include "clock.h"
#include "process.h"

struct client *client_acquire(rats_client_t handle, int null_code)
{
    if (handle == NULL) {
        (void)error_set(null_code, "the handle is NULL");
        return NULL;
    }
    struct client *client = handle_hold(handle);
    if (client == NULL) {
        (void)error_set(RATS_ERROR_INVALID_HANDLE, "the handle was destroyed, or never was one");
        return NULL;
    }
    if (client->generation != process_generation()) {
        handle_release(handle);
        (void)error_set(RATS_ERROR_NOT_RUNNING,
                        "the handle belongs to the parent process; create one after fork()");
        return NULL;
    }
    error_clear();
    return client;
}

struct client *client_acquire_list(rats_client_t handle, int null_code, int *ret_count)
{
    if (ret_count != NULL) {
        *ret_count = 0;
    }
    struct client *client = client_acquire(handle, null_code);
    if (client != NULL && ret_count == NULL) {
        client_exit(&client);
        (void)error_set(RATS_ERROR_INVALID_PARAMETER, "the count is NULL");
        return NULL;
    }
    return client;
}

void client_exit(struct client **client)
{
    if (*client != NULL) {
        handle_release((*client)->handle);
    }
}

void client_lock(struct client *client)
{
    (void)pthread_mutex_lock(&client->lock);
}

void client_unlock(struct client *client)
{
    (void)pthread_mutex_unlock(&client->lock);
}

void client_wake(const struct client *client)
{
    const uint64_t one = 1;
    if (write(client->wake_fd, &one, sizeof one) < 0) {
        return; /* it is awake already */
    }
}

void client_drain_wake(const struct client *client)
{
    uint64_t count;
    if (read(client->wake_fd, &count, sizeof count) < 0) {
        return; /* nobody woke us */
    }
}

bool client_is_closing(struct client *client)
{
    client_lock(client);
    const bool closing = client->closing;
    client_unlock(client);
    return closing;
}

void client_take_log(struct client *client, int fd)
{
    client->daemon_log.fd = fd;
    client->daemon_log.size = 0;
    if (fd >= 0 && reading_add(&client->reading, SOURCE_LOG, fd) < 0) {
        log_write(LOG_ERROR, "out of memory; the log of the private instance is not shown");
    }
}

void client_close_log(struct client *client)
{
    if (client->daemon_log.fd >= 0) {
        reading_remove(&client->reading, client->daemon_log.fd);
    }
    daemon_log_close(&client->daemon_log);
}

bool client_in_callback(const struct client *client)
{
    return client->has_dispatcher && pthread_equal(pthread_self(), client->dispatcher) != 0;
}

void client_wait_quiet(struct client *client)
{
    const uint64_t count = client->callback_count;
    client->waiters++;
    while (client->callback_running && client->callback_count == count) {
        (void)condition_wait(&client->quiet, &client->lock, CLOCK_FOR_EVER);
    }
    client_leave(client);
}

void client_leave(struct client *client)
{
    client->waiters--;
    if (client->closing) {
        (void)pthread_cond_broadcast(&client->quiet);
    }
}

void client_release_slice(struct client *client, struct slice *slice)
{
    inbox_release(&client->inbox, slice);
    if (client->reader_paused && client->inbox.bytes <= INBOX_MARK / 2) {
        client->reader_paused = false;
        client_wake(client);
    }
}

/* Start and stop ---------------------------------------------------------------------------- */

/* (locked) */
static int check_startable(const struct client *client)
{
    if (client->socket_path == NULL) {
        return error_set(RATS_ERROR_OPERATION_FAILED,
                         "port %d is not one; allowed are 0 (any) to 65535",
                         client->requested_port);
    }
    if (client->started || client->starting) {
        return error_set(RATS_ERROR_OPERATION_FAILED, "the session is started already");
    }
    if (client->moving) {
        return error_set(RATS_ERROR_OPERATION_FAILED, "another thread is changing the instance");
    }
    return RATS_SUCCESS;
}

int rats_start(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return error_v1(error_code());
    }
    client_lock(client);
    int code = check_startable(client);
    if (code == RATS_SUCCESS) {
        const unsigned ticket = client->start_ticket;
        struct call call = {.purpose = CALL_START, .ticket = ticket};
        client->starting = true;
        code = request_begin(client, &call, M_SESSION_START, json_object());
        if (code == RATS_SUCCESS) {
            code = request_end(client, &call, CALL_TIMEOUT_MS, NULL);
        }
        if (client->start_ticket == ticket) {
            client->starting = false;
        } else if (code == RATS_SUCCESS) {
            code = error_set(RATS_ERROR_NOT_RUNNING, "the session was stopped meanwhile");
        }
    }
    client_unlock(client);
    return error_v1(code);
}

/* (locked) Tells the daemon, behind everything that was accepted before and before whatever comes
 * next: nothing may be waited for first, or a rats_start() of another thread could overtake. The
 * answer says that all of it has arrived. */
static void say_stop(struct client *client, int64_t deadline_ms)
{
    if (client_in_callback(client)) {
        request_post(client, M_SESSION_STOP, json_object(), CALL_PLAIN);
        return;
    }
    struct call call = {0};
    if (request_begin(client, &call, M_SESSION_STOP, json_object()) == RATS_SUCCESS) {
        (void)request_end(client, &call, clock_left_ms(deadline_ms), NULL);
    }
    error_clear();
}

/* (locked) */
static void stop(struct client *client, int64_t deadline_ms)
{
    const bool was_started = client->started || client->starting;
    client->start_ticket++;
    client->stops++;
    client->starting = false;
    client->started = false;
    client->epoch = 0;
    client->stream_epoch = 0;
    reading_interrupt(client);
    (void)pthread_cond_broadcast(&client->mirror.peer_came);
    if (client->batches) {
        inbox_purge(&client->inbox);
    }
    topics_end(client);
    if (was_started && client->attached) {
        say_stop(client, deadline_ms);
    }
    if (!client_in_callback(client)) {
        client_wait_quiet(client);
    }
}

void rats_stop(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client != NULL) {
        client_lock(client);
        stop(client, clock_deadline(STOP_TIMEOUT_MS));
        client_unlock(client);
    }
}

/* The end ----------------------------------------------------------------------------------- */

void client_finish(struct client *client)
{
    client_lock(client);
    const bool has_reader = client->socket_path != NULL;
    client_unlock(client);
    if (has_reader) {
        (void)pthread_join(client->reader, NULL);
    }
    files_join(client);
    client_lock(client);
    while (client->waiters > 0) {
        (void)condition_wait(&client->quiet, &client->lock, CLOCK_FOR_EVER);
    }
    client_unlock(client);
    handle_release(client->handle);
}

static void destroy_in_child(struct client *client)
{
    /* Its threads do not exist here and its lock may be held for ever. */
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
}

/* From outside or inside a callback. */
static void destroy(struct client *client)
{
    const bool in_callback = client_in_callback(client);
    client_lock(client);
    client->leave_deadline_ms = clock_deadline(STOP_TIMEOUT_MS);
    stop(client, client->leave_deadline_ms);
    client->closing = true;
    client->release_deferred = in_callback;
    calls_wake_all(&client->calls);
    files_wake(client);
    reading_interrupt(client);
    (void)pthread_cond_broadcast(&client->mirror.peer_came);
    inbox_alarm(&client->inbox);
    client_unlock(client);
    client_wake(client);
    if (in_callback) {
        return;
    }
    if (client->has_dispatcher) {
        (void)pthread_join(client->dispatcher, NULL);
    }
    client_finish(client);
}

void rats_destroy(rats_client_t handle)
{
    struct client *client = handle_hold(handle);
    if (client == NULL) {
        (void)error_set(RATS_ERROR_INVALID_HANDLE, "the handle is NULL or was destroyed");
        return;
    }
    error_clear();
    if (handle_retire(handle)) { /* otherwise another thread was first */
        if (client->generation != process_generation()) {
            destroy_in_child(client);
        } else {
            destroy(client);
        }
    }
    handle_release(handle);
}
