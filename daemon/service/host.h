/* What a service may ask of the daemon around it.
 *
 * host.c claims wire types, routes peer events and calls to the services of the list. What leads
 * to clients (emit, deliver, sessions) is declared here and implemented in ipc/; what leads to
 * peers comes from peer/mesh.h. Tests have their own host. */
#ifndef RATSD_SERVICE_HOST_H
#define RATSD_SERVICE_HOST_H

#include <jansson.h>

#include "core/config.h"
#include "core/loop.h"
#include "metrics/metrics.h"
#include "peer/mesh.h"
#include "proto/events.h"
#include "proto/message_head.h"
#include "proto/methods.h"
#include "util/peer_set.h"

struct client_message;
struct host;
struct request;
struct service;
struct ipc;
struct life;
struct worker;

/* Facts of this instance that main decided; borrowed. */
struct instance_facts {
    const char *name;
    const char *socket_path;
    const char *data_directory;
};

/* Everything borrowed for the life of the host. */
int host_new(struct loop *loop, struct mesh *mesh, struct metrics *metrics,
             const struct config *config, const struct instance_facts *facts,
             const struct service *const *services, size_t count, struct host **ret_host);
void host_free(struct host *host);
/* Opens and starts all services; on failure those already started are stopped again. */
int host_start(struct host *host);
void host_stop(struct host *host);
void host_set_ipc(struct host *host, struct ipc *ipc);
/* Threads for what must block; borrowed. Before host_start(). */
void host_set_worker(struct host *host, struct worker *worker);
void host_set_life(struct host *host, struct life *life);
/* Services read their reloadable options again. */
void host_set_config(struct host *host, const struct config *config);
void host_network_changed(struct host *host);
/* The network was opened, or is about to be closed. */
void host_network_opened(struct host *host, bool is_open);
/* Tells every session the listen port, the peer limit and the security that hold now. */
void host_instance_changed(struct host *host);

struct loop *host_loop(const struct host *host);
struct mesh *host_mesh(const struct host *host);
struct metrics *host_metrics(const struct host *host);
const struct config *host_config(const struct host *host);
const struct instance_facts *host_facts(const struct host *host);
struct ipc *host_ipc(const struct host *host);
struct life *host_life(const struct host *host);
struct worker *host_worker(const struct host *host);

/* For ipc/: routing of calls, MESSAGE frames, hello and session ends. */
/* Runs the handler of a method; false when no service has one. */
bool host_call(struct host *host, enum method_id method, struct request *request);
/* 0 and the peers reached; -ENOTSUP when no service claims the plane; else the service's errno. */
int host_client_message(struct host *host, const struct client_message *message, size_t *ret_peers,
                        char *error, size_t error_size);
void host_hello(struct host *host, json_t *reply);
/* Adds what services hold for a session to its row of session.list. */
void host_describe_session(struct host *host, uint64_t session, json_t *row);
/* The largest demand of all sessions: it can raise the limit of a shared instance, and is that of a
 * private one (api.md D11). Returns the limit in effect. */
size_t host_demand_peers(struct host *host, size_t demand);
void host_session_stopped(struct host *host, uint64_t session);
void host_session_ended(struct host *host, uint64_t session);
void host_hold_peer(struct host *host, const struct peer_id *peer);
void host_release_peer(struct host *host, const struct peer_id *peer);
/* Names of the services, for hello. */
json_t *host_service_names(const struct host *host);

/* For channels.c: what came on the reserved channel goes to every service that hears it. False when
 * it is none of ours, but of a program whose channel has the same number. */
bool host_control_message(struct host *host, struct peer *from, struct bytes payload);

/* For services: sending on behalf of a session. 0; -EAGAIN: a link has no room, nothing was sent,
 * and the session's frame is offered again when it has (pass it on); -ENOTCONN; -EMSGSIZE;
 * -ENOMEM. */
int host_send(struct host *host, uint64_t session, const struct peer_id *to, enum wire_type type,
              uint16_t channel, struct bytes payload);
/* A message to every peer that is connected when it is first offered; until then all is zero. */
struct broadcast {
    bool begun;
    struct peer_set owed; /* who has not got it, */
    size_t reached;       /* and how many have */
    uint64_t number;      /* of a message of a topic */
};

/* The same to all of them. Whoever has room gets it at once; after -EAGAIN the broadcast is to be
 * there when the frame is offered again. 0 and how many took it. */
int host_broadcast(struct host *host, uint64_t session, struct broadcast *broadcast,
                   enum wire_type type, uint16_t channel, struct bytes payload, size_t *ret_peers);

/* Implemented in ipc/ ------------------------------------------------------------------------ */

/* A message for clients. Views are borrowed until host_deliver() returns. */
struct delivery {
    enum message_plane plane;
    uint8_t flags;
    const struct peer_id *peer;      /* who is shown as sender */
    const struct peer_id *forwarder; /* topics only, else NULL */
    const struct peer_id *link;      /* which peer to slow when a client is slow; NULL: none */
    struct bytes name;
    struct bytes payload;
};

/* Queues one message to each of these sessions: the one place bytes are copied. Slow sessions are
 * handled there (hold the link, later drop and count). */
void host_deliver(struct host *host, const uint64_t *sessions, size_t count,
                  const struct delivery *delivery);
/* Sends an event to every session that is to see it. It is never dropped: a session that does not
 * read slows the link it came by (NULL: none), and is ended when that does not help. fields is
 * taken. */
void host_emit(struct host *host, enum event_id event, json_t *fields, const struct peer_id *link);
/* The same only to these sessions. */
void host_emit_to(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                  json_t *fields, const struct peer_id *link);
/* Sends an event with a body to these sessions, where they are started. It counts as a message: a
 * session that does not read slows the link it came by (NULL: none), later loses it and is told how
 * many it lost. fields is taken, body copied. */
void host_emit_body(struct host *host, const uint64_t *sessions, size_t count, enum event_id event,
                    json_t *fields, struct bytes body, const struct peer_id *link);
size_t host_session_count(const struct host *host);
bool host_session_is_started(const struct host *host, uint64_t session);
/* Since it attached; 0 when there is no such session. */
int64_t host_session_age_ms(const struct host *host, uint64_t session);
/* Stands for a session in delivery.link, when its message goes to sessions of this instance: no
 * peer has such an id. */
struct peer_id host_session_link(uint64_t session);
/* True when one of these sessions is slow because of what that session sends them. It is not read
 * then until they have caught up or are given up (design, Flow). */
bool host_session_held(struct host *host, uint64_t session, const uint64_t *sessions, size_t count);
/* The session is not read until this peer has drained or gone. */
void host_session_wait(struct host *host, uint64_t session, const struct peer_id *peer);
void host_peer_drained(struct host *host, const struct peer_id *peer);
/* The peer has gone: nobody waits for it or holds it any more. */
void host_peer_gone(struct host *host, const struct peer_id *peer);

#endif
