/* How long an instance runs, and when it has a network (api.md 1.2, 1.3).
 *
 * A shared instance has its network from the start and runs until it is told to end. One on demand
 * is the same, but ends when nobody has been attached for a while. A private one is idle (socket
 * and identity only) until its first session starts, idle again when the last one stops, and ends
 * with its last session. That session's socket is kept open as witness: whoever reads it sees its
 * end once port and state directory are free. */
#ifndef RATSD_SERVICE_LIFE_H
#define RATSD_SERVICE_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host;
struct life;
struct request;

enum life_kind { LIFE_SHARED, LIFE_ON_DEMAND, LIFE_PRIVATE };

struct life_options {
    enum life_kind kind;
    int64_t idle_ms; /* on demand: how long nobody may be attached; private: until the first is */
    void (*on_network)(void *arg, uint16_t port); /* listening on port now; 0: no longer */
    void (*on_end)(void *arg);                    /* the instance is to end; called once */
    void *arg;
};

/* host is borrowed for the life of the life. */
struct life *life_new(struct host *host, const struct life_options *options);
void life_free(struct life *life);
/* Begins: the network, or the wait for the first session. 0, or what mesh_start() said. */
int life_open(struct life *life, char *error, size_t error_size);
/* The port it listens on, or a private one will once it is started; 0 = none. */
uint16_t life_port(const struct life *life);
bool life_is_shared(const struct life *life);
bool life_is_on_demand(const struct life *life);
/* The last session's socket, for the caller to close as the last thing of all; or -1. */
int life_take_witness(struct life *life);

/* For ipc/. A session has said hello; it is gone, with fd still open. */
void life_attached(struct life *life);
void life_left(struct life *life, int fd);
/* A session starts. 0, or why there is no network. */
int life_begin(struct life *life, char *error, size_t error_size);
/* A started session stops. Answers the request (NULL: nobody asked) once the network is down where
 * it goes down, what was queued having left. */
void life_end(struct life *life, struct request *request);

#endif
