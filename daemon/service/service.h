/* The contract between the core and a feature: one const struct per feature, listed in services.c.
 *
 * Every member but name is optional. The core never learns a feature's name; a feature never learns
 * who asked, only a session number. Services start in the order of the list and stop in reverse;
 * peer events reach them in that order too, PEER_DOWN in reverse. No service includes another, nor
 * anything of ipc/. */
#ifndef RATSD_SERVICE_SERVICE_H
#define RATSD_SERVICE_SERVICE_H

#include <jansson.h>

#include "core/config.h"
#include "peer/mesh.h"
#include "proto/message_head.h"
#include "proto/methods.h"
#include "service/host.h"
#include "service/request.h"

/* A MESSAGE frame from a client; every view is valid until the callback returns. */
struct client_message {
    uint64_t session;
    enum message_plane plane;
    uint8_t flags;
    struct peer_id peer; /* all zero: every connected peer */
    struct bytes name;
    struct bytes payload;
    struct broadcast *broadcast; /* how far it is, when it is offered again */
};

struct method_handler {
    enum method_id method;
    /* Parameters were checked against the method's row. Answers exactly once: request_reply(),
     * request_fail(), or request_defer() and later one of the two. */
    void (*handle)(void *self, struct request *request);
};

struct service {
    const char *name;                     /* config section, log topic, "<name>." methods */
    enum wire_type type;                  /* inner message type claimed, or WIRE_NONE */
    enum message_plane plane;             /* MESSAGE plane claimed, or 0 */
    const struct config_item *config;     /* options this service owns; ends with key NULL */
    const struct method_handler *methods; /* ends with handle NULL */
    int (*open)(struct host *host, void **ret_self); /* allocate, read config; no I/O */
    int (*start)(void *self);                        /* sockets and timers */
    void (*on_peer)(void *self, struct peer *peer, enum peer_event event);
    void (*on_message)(void *self, struct peer *from, const struct message *message);
    /* A message between two ratsd on the reserved channel (service/ctl.h). */
    void (*on_control)(void *self, struct peer *from, const json_t *message);
    /* 0 and how many peers it went to; -EAGAIN: nothing was done, the same frame comes again when
     * the peer the session waits for has drained; else a negative errno and a sentence. */
    int (*on_client_message)(void *self, const struct client_message *message, size_t *ret_peers,
                             char *error, size_t error_size);
    void (*on_hello)(void *self, json_t *reply); /* adds this service's facts to hello's reply */
    /* Adds what this service holds for a session to its row of session.list. */
    void (*on_describe_session)(void *self, uint64_t session, json_t *row);
    /* The network is open now; it is about to close. A private instance's opens and closes with its
     * started sessions, a shared one's opens once. */
    void (*on_network)(void *self, bool is_open);
    void (*on_network_change)(void *self); /* the machine's addresses changed */
    void (*on_reload)(void *self); /* host_config() is another one: read what is reloadable */
    void (*on_session_stop)(void *self, uint64_t session); /* it is started no more, but there */
    void (*on_session_end)(void *self, uint64_t session);  /* drop what that client owned */
    void (*stop)(void *self);                              /* accept no new work, flush */
    void (*close)(void *self);                             /* free; undoes open */
};

#endif
