#include "reading.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"

#define MOST_READS 4 /* before what was read is delivered */

int reading_init(struct reading *reading, int wake_fd)
{
    *reading = (struct reading){.epoll_fd = -1, .kick_fd = -1};
    int rc = condition_init(&reading->free);
    if (rc < 0) {
        return rc;
    }
    reading->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    reading->kick_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    rc = reading->epoll_fd < 0 || reading->kick_fd < 0 ? -errno
                                                       : reading_add(reading, SOURCE_WAKE, wake_fd);
    if (rc < 0) {
        reading_fini(reading);
    }
    return rc;
}

void reading_fini(struct reading *reading)
{
    if (reading->epoll_fd >= 0) {
        (void)close(reading->epoll_fd);
    }
    if (reading->kick_fd >= 0) {
        (void)close(reading->kick_fd);
    }
    (void)pthread_cond_destroy(&reading->free);
}

int reading_add(struct reading *reading, enum reading_source source, int fd)
{
    struct epoll_event event = {.events = source == SOURCE_SOCKET ? EPOLLONESHOT : EPOLLIN,
                                .data.u32 = (uint32_t)source};
    if (source == SOURCE_SOCKET) {
        reading->armed = 0;
        reading->error = 0;
    }
    return epoll_ctl(reading->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void reading_remove(struct reading *reading, int fd)
{
    (void)epoll_ctl(reading->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* The reader thread is woken for these on the socket, once. */
static void arm(struct client *client, uint32_t events)
{
    struct reading *reading = &client->reading;
    if (client->fd >= 0 && reading->armed != events) {
        struct epoll_event event = {.events = events | EPOLLONESHOT, .data.u32 = SOURCE_SOCKET};
        (void)epoll_ctl(reading->epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
        reading->armed = events;
    }
}

static uint32_t writing_events(const struct client *client)
{
    return outbox_has_left(&client->outbox) ? EPOLLOUT : 0;
}

/* The reader thread ------------------------------------------------------------------------- */

void reading_claim(struct client *client)
{
    struct reading *reading = &client->reading;
    reading->wanted = true;
    while (reading->by_deliverer) {
        reading_interrupt(client);
        (void)condition_wait(&reading->free, &client->lock, CLOCK_FOR_EVER);
    }
    reading->wanted = false;
    reading->by_reader = true;
}

unsigned reading_wait(struct client *client)
{
    struct reading *reading = &client->reading;
    struct epoll_event events[3];
    reading->by_reader = false;
    arm(client,
        writing_events(client) | (reading->by_deliverer || client->reader_paused ? 0 : EPOLLIN));
    client_unlock(client);
    const int count = epoll_wait(reading->epoll_fd, events, 3, -1);
    client_lock(client);
    unsigned sources = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 != SOURCE_SOCKET) {
            sources |= 1U << events[i].data.u32;
            continue;
        }
        reading->armed = 0;
        /* What a deliverer is about to read is its own; that the daemon has gone is noticed too. */
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0 && !reading->by_deliverer &&
            !client->reader_paused) {
            reading->by_reader = true;
            sources |= 1U << SOURCE_SOCKET;
        }
    }
    return sources;
}

/* Deliverers -------------------------------------------------------------------------------- */

static bool may_read(const struct client *client)
{
    const struct reading *reading = &client->reading;
    return client->attached && !client->closing && !reading->by_deliverer && !reading->by_reader &&
           !reading->wanted && reading->error == 0 && client->inbox.bytes <= INBOX_MARK;
}

/* Not locked. 0, -ETIMEDOUT, or a negative errno: the connection is over. */
static int read_once(struct client *client, int64_t deadline_ms)
{
    struct pollfd items[2] = {
        {.fd = client->fd, .events = POLLIN},
        {.fd = client->reading.kick_fd, .events = POLLIN},
    };
    const int ready = poll(items, 2, clock_left_ms(deadline_ms));
    if (ready <= 0) {
        return ready == 0 ? -ETIMEDOUT : 0;
    }
    int rc = items[0].revents != 0 ? 1 : 0;
    for (int i = 0; i < MOST_READS && rc > 0; i++) {
        rc = receiver_read(client);
    }
    return rc < 0 ? rc : 0;
}

/* The turn goes back to the reader thread. */
static void hand_back(struct client *client)
{
    struct reading *reading = &client->reading;
    reading->by_deliverer = false;
    if (reading->kicked) {
        uint64_t count;
        reading->kicked = read(reading->kick_fd, &count, sizeof count) < 0;
    }
    if (reading->wanted) {
        (void)pthread_cond_broadcast(&reading->free);
    } else if (reading->error == 0) {
        arm(client, writing_events(client) | EPOLLIN);
    }
}

int reading_await(struct client *client, int64_t deadline_ms)
{
    struct reading *reading = &client->reading;
    if (!may_read(client)) {
        return condition_wait(&client->inbox.arrived, &client->lock, deadline_ms);
    }
    reading->by_deliverer = true;
    arm(client, writing_events(client));
    int rc = 0;
    while (rc == 0 && list_is_empty(&client->inbox.waiting) && !reading->kicked) {
        client_unlock(client);
        rc = read_once(client, deadline_ms);
        client_lock(client);
    }
    if (rc < 0 && rc != -ETIMEDOUT) {
        reading->error = rc;
        client_wake(client);
    }
    hand_back(client);
    return rc == -ETIMEDOUT ? rc : 0;
}

void reading_interrupt(struct client *client)
{
    struct reading *reading = &client->reading;
    (void)pthread_cond_broadcast(&client->inbox.arrived);
    if (reading->by_deliverer && !reading->kicked) {
        const uint64_t one = 1;
        reading->kicked = write(reading->kick_fd, &one, sizeof one) == sizeof one;
    }
}
