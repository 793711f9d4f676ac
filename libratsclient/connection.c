#include "connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"
#include "client.h"
#include "clock.h"
#include "instance.h"
#include "proto/json_head.h"
#include "shares.h"

#define FIRST_RETRY_MS 100
#define LAST_RETRY_MS  5000
#define REATTACH_MS    2000

int connection_adopt(struct client *client, int fd)
{
    const int rc = reading_add(&client->reading, SOURCE_SOCKET, fd);
    if (rc == 0) {
        client->fd = fd;
        client->attached = true;
        outbox_attach(&client->outbox, fd);
    }
    return rc;
}

/* (locked) Nothing of this connection is left. */
static void detach(struct client *client)
{
    client->attached = false;
    client->starting = false;
    client->start_ticket++;
    (void)shutdown(client->fd, SHUT_RDWR);
    outbox_detach(&client->outbox);
    reading_remove(&client->reading, client->fd);
    (void)close(client->fd);
    client->fd = -1;
    calls_lose_all(&client->calls);
    files_lose_daemon(client);
    receiver_reset(client);
    topics_renounce_peers(client);
    announce_no_peers(client);
    client->stream_epoch = 0;
    mirror_clear_peers(&client->mirror);
    announce_event(client, "daemon.detached", json_object());
}

/* (locked) The new daemon learns what the application has asked for. */
static void replay(struct client *client)
{
    channels_replay(client);
    typed_replay(client);
    topics_replay(client);
    storage_replay(client);
    shares_replay(client);
    if (client->demanded_peers > 0) {
        request_post(client, M_SESSION_DEMAND_PEERS,
                     json_pack("{s:i}", "max_peers", client->demanded_peers), CALL_PLAIN);
    }
    if (client->watched != NULL) {
        json_t *watched = NULL;
        (void)json_read(client->watched, strlen(client->watched), &watched);
        request_post(client, M_SESSION_WATCH, watched, CALL_PLAIN);
    }
    if (client->started) {
        request_post(client, M_SESSION_START, json_object(), CALL_START);
    }
}

/* The same daemon is there again, or another in its place. fd and hello are taken. */
static bool resume(struct client *client, int fd, json_t *hello)
{
    client_lock(client);
    int rc = mirror_set_hello(&client->mirror, hello, clock_now_ms());
    rc = rc == 0 ? connection_adopt(client, fd) : rc;
    if (rc == 0) {
        log_write(LOG_INFO, "attached again to %s", client->socket_path);
        announce_event(client, "daemon.attached", json_object());
        replay(client);
    }
    client_unlock(client);
    json_decref(hello);
    if (rc < 0) {
        (void)close(fd);
    }
    return rc == 0;
}

/* The default instance that a program had started: its clients do that again (api.md 1.5). */
static bool try_restart(struct client *client)
{
    const struct instance_wish wish = {
        .client_name = client->name,
        .slow = client->slow,
        .security = -1,
        .deadline_ms = clock_deadline(REATTACH_MS),
    };
    struct instance_found found;
    client_lock(client);
    const bool may_start =
        client->mirror.on_demand && !client->origin.named && client->origin.policy == POLICY_AUTO;
    client_unlock(client);
    if (!may_start) {
        return false;
    }
    if (instance_restart(&wish, client->socket_path, &found) != RATS_SUCCESS) {
        log_write(LOG_DEBUG, "not started again: %s", rats_last_error_message(NULL));
        return false;
    }
    return resume(client, found.fd, found.hello);
}

static bool try_reattach(struct client *client)
{
    const struct attach_options options = {
        .path = client->socket_path,
        .name = client->name,
        .slow = client->slow,
        .deadline_ms = clock_deadline(REATTACH_MS),
        .wake_fd = client->wake_fd,
    };
    char error[ERROR_TEXT_SIZE];
    int fd = -1;
    json_t *hello = NULL;
    const int code = attach_open(&options, &fd, &hello, error);
    if (code != RATS_SUCCESS) {
        log_write(LOG_DEBUG, "not attached: %s", error);
        return code == RATS_ERROR_NO_DAEMON && try_restart(client);
    }
    return resume(client, fd, hello);
}

/* Until attached or closing. A private instance that is gone does not come back. */
static void reattach(struct client *client)
{
    int delay_ms = FIRST_RETRY_MS;
    client_drain_wake(client); /* what woke us before is no reason to give an attempt up */
    while (!client_is_closing(client) && (client->mirror.is_private || !try_reattach(client))) {
        const int64_t deadline_ms = clock_deadline(delay_ms);
        int left_ms = delay_ms;
        while (left_ms > 0 && !client_is_closing(client)) {
            struct pollfd item = {.fd = client->wake_fd, .events = POLLIN};
            if (poll(&item, 1, left_ms) > 0) {
                client_drain_wake(client);
            }
            left_ms = clock_left_ms(deadline_ms);
        }
        delay_ms = delay_ms * 2 > LAST_RETRY_MS ? LAST_RETRY_MS : delay_ms * 2;
    }
}

void connection_regain(struct client *client)
{
    client_lock(client);
    detach(client);
    client_unlock(client);
    reattach(client);
}

/* The daemon gets everything, and we read until it has closed: so it never sees a reset. */
static void leave(struct client *client)
{
    client_lock(client);
    const int64_t deadline_ms = client->leave_deadline_ms;
    (void)outbox_flush(&client->outbox, deadline_ms);
    client_unlock(client);
    (void)shutdown(client->fd, SHUT_WR);
    uint8_t waste[4096];
    for (int left_ms = clock_left_ms(deadline_ms); left_ms > 0;
         left_ms = clock_left_ms(deadline_ms)) {
        struct pollfd item = {.fd = client->fd, .events = POLLIN};
        if (poll(&item, 1, left_ms) > 0) {
            const ssize_t got = recv(client->fd, waste, sizeof waste, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                break;
            }
        }
    }
}

/* Moving to another instance ---------------------------------------------------------------- */

/* (locked) The instance becomes the handle's. What was found is taken. */
static int settle_in(struct client *client, struct instance_found *found)
{
    char *path = strdup(found->path);
    int rc =
        path == NULL ? -ENOMEM : mirror_set_hello(&client->mirror, found->hello, clock_now_ms());
    json_decref(found->hello);
    rc = rc == 0 ? connection_adopt(client, found->fd) : rc;
    if (rc < 0) {
        free(path);
        (void)close(found->fd);
        if (found->log_fd >= 0) {
            (void)close(found->log_fd);
        }
        return error_set(RATS_ERROR_OPERATION_FAILED, "the new instance cannot be used");
    }
    client_close_log(client);
    client_take_log(client, found->log_fd);
    free(client->socket_path);
    client->socket_path = path;
    replay(client);
    return RATS_SUCCESS;
}

static void leave_and_detach(struct client *client)
{
    client_lock(client);
    client->leave_deadline_ms = clock_deadline(STOP_TIMEOUT_MS);
    client_unlock(client);
    leave(client);
    client_lock(client);
    detach(client);
    client_unlock(client);
}

void connection_move(struct client *client, struct move *move)
{
    struct instance_found found;
    int code = move->may_join ? instance_find_alike(&move->wish, &found) : RATS_ERROR_NO_DAEMON;
    move->joined = code == RATS_SUCCESS;
    move->leave_first = move->leave_first && !move->joined;
    if (move->leave_first) {
        leave_and_detach(client);
    }
    if (code != RATS_SUCCESS && move->may_start) {
        code = instance_find(&move->wish, &found);
    }
    snprintf(move->error, sizeof move->error, "%s", rats_last_error_message(NULL));
    bool is_found = code == RATS_SUCCESS;
    if (is_found && !move->leave_first) {
        leave_and_detach(client);
    } else if (!is_found && move->leave_first) {
        is_found = instance_find(&move->back, &found) == RATS_SUCCESS;
    }
    client_lock(client);
    if (is_found && settle_in(client, &found) != RATS_SUCCESS && code == RATS_SUCCESS) {
        code = rats_last_error(NULL);
        snprintf(move->error, sizeof move->error, "%s", rats_last_error_message(NULL));
    }
    move->code = code;
    move->done = true;
    (void)pthread_cond_broadcast(&client->quiet);
    client_unlock(client);
}

void connection_end(struct client *client)
{
    leave(client);
    client_lock(client);
    detach(client);
    client_unlock(client);
}
