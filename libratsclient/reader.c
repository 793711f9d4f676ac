/* The reader thread: writes what senders have left, reads when it is its turn, looks for the daemon
 * when that has gone. It never runs the application's code. */
#include <errno.h>
#include <string.h>

#include "client.h"
#include "connection.h"

#define MOST_READS 4 /* before looking around again */

/* (locked) Writes what others left, then waits for something to do. Whether to read. */
static bool wait_for_work(struct client *client)
{
    receiver_report_dropped(client);
    if (!list_is_empty(&client->inbox.waiting)) {
        reading_interrupt(client); /* that report is nothing a deliverer finds in the socket */
    }
    outbox_continue(&client->outbox);
    client->reader_paused = client->inbox.bytes > INBOX_MARK && client->calls.waiting == 0;
    const unsigned sources = reading_wait(client);
    if ((sources & 1U << SOURCE_LOG) != 0 && !daemon_log_read(&client->daemon_log)) {
        client_close_log(client);
    }
    if ((sources & 1U << SOURCE_WAKE) != 0) {
        client_drain_wake(client);
    }
    return (sources & 1U << SOURCE_SOCKET) != 0;
}

/* Reads while there is more. 0, or a negative errno: the connection is over. */
static int read_some(struct client *client)
{
    int rc = 1;
    for (int i = 0; i < MOST_READS && rc > 0; i++) {
        rc = receiver_read(client);
    }
    return rc < 0 ? rc : 0;
}

/* (locked) Takes the move that somebody waits for; NULL. */
static struct move *take_move(struct client *client)
{
    struct move *move = client->closing ? NULL : client->move;
    if (move != NULL) {
        client->move = NULL;
    }
    return move;
}

/* One turn of the thread, locked but for what it does. */
static void take_turn(struct client *client)
{
    const bool readable = wait_for_work(client);
    struct move *move = take_move(client);
    int rc = client->reading.error;
    if (move != NULL || rc < 0) {
        reading_claim(client);
    }
    client_unlock(client);
    if (move != NULL) {
        connection_move(client, move);
    } else {
        rc = rc == 0 && readable ? read_some(client) : rc;
        if (rc < 0 && !client_is_closing(client)) {
            log_write(LOG_WARN, "the daemon at %s is gone (%s); looking for it",
                      client->socket_path, strerror(-rc));
            connection_regain(client);
        }
    }
    client_lock(client);
}

void *reader_main(void *arg)
{
    struct client *client = arg;
    client_lock(client);
    while (!client->closing) {
        take_turn(client);
    }
    reading_claim(client);
    client_unlock(client);
    (void)daemon_log_read(&client->daemon_log);
    if (client->fd >= 0) {
        connection_end(client);
    }
    client_lock(client);
    receiver_reset(client);
    client_unlock(client);
    return NULL;
}
