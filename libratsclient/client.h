/* One handle: the struct behind rats_client_t, and what its pieces call of each other.
 *
 * client.c makes and ends it; dispatch.c is the thread that runs callbacks, reader.c the one that
 * does what must not wait for them; reading.h says which of the two reads the socket. files.h is a
 * third thread, for disks. One mutex,
 * `lock`, guards everything but what is marked otherwise, and is never held while the application's
 * code runs. Functions marked (locked) expect it to be held.
 *
 * Started and epoch: a session is started from the point of the stream where the daemon's answer to
 * session.start stands. Each start has a number, the epoch; slices in the inbox carry it, and what
 * is of another epoch than the present one is never delivered. 0 = not started. */
#ifndef LIBRATS_CLIENT_H
#define LIBRATS_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "calls.h"
#include "daemon_log.h"
#include "error.h"
#include "files.h"
#include "handle.h"
#include "inbox.h"
#include "librats.h"
#include "log.h"
#include "mirror.h"
#include "move.h"
#include "outbox.h"
#include "proto/events.h"
#include "proto/message_head.h"
#include "proto/methods.h"
#include "reading.h"
#include "receiver.h"
#include "util/list.h"

#define CALL_TIMEOUT_MS    10000 /* for what the daemon answers without waiting for anybody */
#define CONNECT_TIMEOUT_MS 15000
#define CONNECT_MAX_MS     600000
#define STOP_TIMEOUT_MS    2000
#define CHANNEL_NAME_MAX   255u
#define TYPE_NAME_MAX      MESSAGE_HEAD_MAX_NAME
#define TOPIC_NAME_MAX     MESSAGE_HEAD_MAX_NAME

struct callbacks {
    rats_connection_cb connection;
    void *connection_data;
    rats_disconnect_cb disconnect;
    void *disconnect_data;
    rats_string_cb string;
    void *string_data;
    rats_binary_cb binary;
    void *binary_data;
    rats_json_cb json;
    void *json_data;
    rats_daemon_cb daemon;
    void *daemon_data;
    rats_overflow_cb overflow;
    void *overflow_data;
    rats_event_cb event;
    void *event_data;
    rats_file_request_cb file_request;
    void *file_request_data;
    rats_directory_request_cb directory_request;
    void *directory_request_data;
    rats_file_progress_cb file_progress;
    void *file_progress_data;
    rats_directory_progress_cb directory_progress;
    void *directory_progress_data;
};

/* A channel somebody in this handle wants; gone when nobody does. */
struct channel {
    size_t name_size;
    char name[CHANNEL_NAME_MAX + 1];
    bool named;      /* by rats_channel_on() */
    bool untyped;    /* by the string, binary or JSON callback */
    unsigned serial; /* of the last change, so that a late refusal undoes only its own */
    rats_channel_cb callback;
    void *user_data;
};

struct topic_callbacks {
    rats_topic_message_cb message;
    void *message_data;
    rats_topic_json_message_cb json;
    void *json_data;
    rats_topic_binary_cb binary;
    void *binary_data;
    rats_topic_forwarded_cb forwarded;
    void *forwarded_data;
    rats_topic_peer_joined_cb joined;
    void *joined_data;
    rats_topic_peer_left_cb left;
    void *left_data;
};

/* A topic that this handle subscribes to or has callbacks for. */
struct topic {
    bool subscribed;
    unsigned serial; /* of the subscription, so that a late refusal undoes only its own */
    struct topic_callbacks callbacks;
    struct list members; /* peers that joined since */
    size_t name_size;
    char name[];
};

struct client {
    struct list node;     /* of all handles of the process; under a lock of its own */
    rats_client_t handle; /* constant */
    unsigned generation;  /* of forks; constant */
    bool batches;         /* constant */
    int requested_port;   /* constant */
    char *name;           /* constant */
    char *slow;           /* constant */
    char *socket_path;    /* changed by the reader only; NULL: a handle that never is attached */
    struct origin origin;
    struct move *move; /* what the reader is asked for and has not taken yet; NULL */
    bool moving;
    int wake_fd; /* wakes the reader; constant */

    pthread_mutex_t lock;
    pthread_cond_t quiet; /* a callback has ended, or a waiter has left */
    int fd;               /* closed by the reader only */
    bool attached;
    bool starting;
    bool started;
    bool closing;
    unsigned start_ticket; /* a later rats_stop() makes an answer to session.start void */
    unsigned last_epoch;
    unsigned epoch;            /* 0 while not started */
    unsigned stream_epoch;     /* of what is being read: 0 until this connection's session.start is
                                  answered */
    unsigned stops;            /* rats_stop() calls, for those who wait for a batch */
    bool wait_ended;           /* by rats_end_wait(), for the first of them that looks */
    int64_t leave_deadline_ms; /* rats_destroy() is over by then */
    unsigned waiters;          /* threads inside the library that wait for something */
    int demanded_peers;        /* rats_set_max_peers(); 0 = none */
    char *watched;             /* parameters of the last session.watch; NULL */
    struct outbox outbox;
    struct calls calls;
    struct mirror mirror;
    struct inbox inbox;
    struct reading reading;
    struct receiver receiver; /* of the thread whose turn it is to read */
    struct list watches;      /* prefixes of the store, in the order of their serials */
    uint64_t watch_serial;
    struct map channels; /* struct channel by name */
    unsigned channel_serial;
    struct map types; /* struct message_type by name */
    uint64_t type_serial;
    struct map topics; /* struct topic by name */
    unsigned topic_serial;
    struct files files;
    struct callbacks callbacks;
    bool reader_paused;

    pthread_t reader;
    pthread_t dispatcher;
    struct daemon_log daemon_log; /* the reader's; of a private instance that was started here */
    bool has_dispatcher;
    bool callback_running;
    uint64_t callback_count;
    bool release_deferred; /* destroyed inside a callback: the dispatcher frees it */

    struct log_limit json_limit;
    struct log_limit string_limit;
};

/* create.c ----------------------------------------------------------------------------------- */

/* Frees what a handle owns; its threads have ended, and nobody waits. */
void client_free(struct client *client);

/* client.c ----------------------------------------------------------------------------------- */

/* The client of a handle, held; or NULL with the last error set: to `null_code` when the handle is
 * NULL, to INVALID_HANDLE when it was destroyed, to NOT_RUNNING in a forked child. Clears the last
 * error otherwise. */
struct client *client_acquire(rats_client_t handle, int null_code);
/* Gives up that hold, at the end of the block in which ENTER stands. */
void client_exit(struct client **client);
/* At the head of a public function: the same, held until the function returns. */
#define ENTER(name, handle, null_code)                                                             \
    struct client *name __attribute__((cleanup(client_exit))) = client_acquire(handle, null_code)
/* The same for one that returns a list: its count is 0 until there is one, and must not be NULL. */
struct client *client_acquire_list(rats_client_t handle, int null_code, int *ret_count);
#define ENTER_LIST(name, handle, null_code, ret_count)                                             \
    struct client *name __attribute__((cleanup(client_exit))) =                                    \
        client_acquire_list(handle, null_code, ret_count)
/* Lets the reader look around. Needs no lock. */
void client_wake(const struct client *client);
void client_drain_wake(const struct client *client);
/* Needs no lock. */
bool client_is_closing(struct client *client);
/* (locked) The log of the private instance this handle is attached to; the descriptor is taken. -1:
 * there is none. */
void client_take_log(struct client *client, int fd);
void client_close_log(struct client *client);
void client_lock(struct client *client);
void client_unlock(struct client *client);
/* Joins the reader, waits for whoever waits inside, gives up the owner's hold: the client is gone
 * with the last one. */
void client_finish(struct client *client);
/* Whether the calling thread is the dispatcher, that is inside a callback. */
bool client_in_callback(const struct client *client);
/* (locked) Waits until the callback that is running now, if any, has ended. Not in a callback. */
void client_wait_quiet(struct client *client);
/* (locked) A slice has been dealt with; the reader may go on if it paused for it. */
void client_release_slice(struct client *client, struct slice *slice);
/* (locked) A waiter has left. */
void client_leave(struct client *client);

/* reader.c ----------------------------------------------------------------------------------- */

void *reader_main(void *client);

/* announce.c --------------------------------------------------------------------------------- */

/* (locked) Queues an event that the library made, sequence number 0. params is taken. */
void announce_event(struct client *client, const char *event, json_t *params);
/* (locked) Every peer of the mirror is there. */
void announce_peers(struct client *client);
/* (locked) Every peer is gone, exactly those that were announced: none while an answer to
 * session.start is still awaited. */
void announce_no_peers(struct client *client);

/* dispatch.c --------------------------------------------------------------------------------- */

/* When the handle was destroyed inside a callback, this frees it at the end. */
void *dispatch_main(void *client);

/* request.c ---------------------------------------------------------------------------------- */

/* Calls a method and waits. params is taken; NULL is what out of memory made of it. RATS_SUCCESS
 * with the result as a new reference (ret_result may be NULL), or any code with the last error set.
 */
int request_call(struct client *client, enum method_id method, json_t *params, int timeout_ms,
                 json_t **ret_result);
/* What travels with a CALL beside its parameters: raw bytes behind the JSON, or descriptors. */
struct cargo {
    struct bytes body; /* borrowed */
    const int *fds;    /* the descriptors are taken, whatever comes of the call */
    size_t fd_count;   /* at most FRAME_MAX_FDS, and then there is no body */
};
/* The same for a method whose CALL has a cargo or whose REPLY has a body. */
struct body_call {
    enum method_id method;
    json_t *params; /* taken, as above */
    struct cargo cargo;
    struct grant *grant; /* of a transfer; NULL; borrowed */
    int timeout_ms;
    json_t *result; /* of a success, a new reference */
    uint8_t *reply; /* of a success: the body of the answer and a NUL; release with free() */
    size_t reply_size;
};
int request_call_body(struct client *client, struct body_call *call);
/* (locked) The two halves, for callers that change state together with the order of calls.
 * params is taken. After request_begin() succeeded request_end() must follow. */
int request_begin(struct client *client, struct call *call, enum method_id method, json_t *params);
int request_end(struct client *client, struct call *call, int timeout_ms, json_t **ret_result);
/* (locked) Says something that is said again after reattaching, and waits: RATS_SUCCESS also while
 * the daemon is gone, which will then be told when it is back. params is taken. */
int request_tell(struct client *client, enum method_id method, json_t *params,
                 enum call_purpose purpose);
/* (locked) Sends a call that nobody waits for, without releasing the lock. params is taken. Without
 * memory for it the session is made anew: by attaching again, which tells the daemon everything. */
void request_post(struct client *client, enum method_id method, json_t *params,
                  enum call_purpose purpose);
/* (locked) The same with descriptors, which are taken. */
void request_post_with(struct client *client, enum method_id method, json_t *params,
                       enum call_purpose purpose, const int *fds, size_t count);

/* info.c ------------------------------------------------------------------------------------- */

/* The text of a document, as every function that returns JSON gives it. Takes the document; NULL,
 * or when there is no memory: NULL and the last error. */
char *document_print(json_t *document);

/* peers.c ------------------------------------------------------------------------------------ */

/* RATS_SUCCESS, or RATS_ERROR_INVALID_PARAMETER with the last error set. */
int peers_check_address(const char *host, int port);
/* Dials and waits. transports: words, taken; NULL: any. timeout_ms <= 0: CONNECT_TIMEOUT_MS. Any
 * code with the last error set. */
int peers_dial(struct client *client, const char *host, int port, json_t *transports,
               int timeout_ms);

/* channels.c --------------------------------------------------------------------------------- */

/* RATS_SUCCESS, or a code with the last error set. */
int channel_check_name(const char *channel);
struct channel *channel_find(const struct client *client, const char *name, size_t size);
/* (locked) Registers or gives up a channel for the string, binary or JSON callback. RATS_SUCCESS,
 * or a code with the last error set. */
int channel_set_untyped(struct client *client, const char *name, bool wanted);
/* (locked) Tells a new connection's daemon about all channels. */
void channels_replay(struct client *client);
/* (locked) Frees them. */
void channels_fini(struct client *client);

/* send.c ------------------------------------------------------------------------------------- */

/* What is sent: everything is borrowed. */
struct outgoing {
    enum message_plane plane;
    uint8_t flags;
    size_t overhead; /* bytes that the service puts before the payload on the wire */
    struct bytes name;
    struct bytes payload;
};
/* (locked) Whether the session may send to that peer (NULL: to all). RATS_SUCCESS, or a code with
 * the last error set. */
int check_may_send(const struct client *client, const struct peer_id *peer);
/* The same for an id as text. */
int check_peer(struct client *client, const char *peer_id, struct peer_id *ret_peer);
/* To one peer, by its id as text. RATS_SUCCESS, or a code with the last error set. */
int send_to(struct client *client, const char *peer_id, const struct outgoing *message);
/* To every connected peer; how many there are, or a negative code with the last error set. */
int send_to_all(struct client *client, const struct outgoing *message);
/* RATS_SUCCESS, or INVALID_PARAMETER with the last error set: what a name must be to be registered
 * at the daemon. what: "the channel's name". */
int check_name(const char *what, const char *name, size_t max_size);
/* RATS_SUCCESS, or a code with the last error set. */
int check_json(const char *json);

/* typed.c ------------------------------------------------------------------------------------ */

/* One function to be called for a message. */
struct message_handler {
    rats_message_cb callback;
    void *user_data;
};
/* (locked) Whether that type has a handler. */
bool typed_is_wanted(const struct client *client, const char *type, size_t size);
/* (locked) The last registration so far, for typed_next(). */
uint64_t typed_last(const struct client *client);
/* (locked) The handler of that type that was registered next after *serial and not after `last`;
 * one that is for one message only is gone then. *serial moves on. False when there is none. */
bool typed_next(struct client *client, const char *type, size_t size, uint64_t *serial,
                uint64_t last, struct message_handler *ret_handler);
/* The JSON text of a typed message without its byte order mark. 0; -EINVAL when it is not JSON,
 * -E2BIG when it is nested deeper than other nodes read. */
int typed_text(const char *data, size_t size, struct bytes *ret_text);
/* (locked) Tells a new connection's daemon about all types. */
void typed_replay(struct client *client);
/* (locked) Frees them. */
void typed_fini(struct client *client);

/* topics.c ----------------------------------------------------------------------------------- */

/* RATS_SUCCESS, or INVALID_PARAMETER with the last error set. */
int check_topic(const char *topic);
struct topic *topic_find(const struct client *client, const char *name, size_t size);
/* (locked) rats_stop(): every subscription ends, callbacks stay. */
void topics_end(struct client *client);
/* (locked) Keeps who joined, from the fields of a topic.joined or topic.left. 0 or -ENOMEM. */
int topics_note_peer(struct client *client, const json_t *fields, bool joined);
/* (locked) The same of those that a topic.subscribe found there, and says so if the session is
 * started. */
int topics_note_members(struct client *client, const json_t *answer);
/* (locked) The session is started: everybody in a topic joins. */
void topics_announce_members(struct client *client);
/* (locked) The daemon is gone: everybody who joined leaves. */
void topics_renounce_peers(struct client *client);
/* (locked) Tells a new connection's daemon about all subscriptions. */
void topics_replay(struct client *client);
/* (locked) Frees them. */
void topics_fini(struct client *client);

/* storage.c ---------------------------------------------------------------------------------- */

/* One function to be called for a change, and the change as it is told. */
struct storage_handler {
    rats_storage_cb callback;
    void *user_data;
};
struct stored_change {
    const char *key; /* NULL: the event is malformed */
    int type;        /* 0: of a newer daemon */
    bool deleted;
    bool remote;
    const char *origin;
    struct bytes value; /* of the event, or of the number below */
    uint8_t number[8];
};
/* Everything borrowed from the event. ret_change must not move: value may point into it. */
void storage_read_change(const json_t *fields, struct bytes body, struct stored_change *ret_change);
/* (locked) The last prefix so far, for storage_next_watch(). */
uint64_t storage_last_watch(const struct client *client);
/* (locked) The callback of the prefix of key that was set next after *serial and not after `last`;
 * *serial moves on. False when there is none. */
bool storage_next_watch(const struct client *client, const char *key, uint64_t *serial,
                        uint64_t last, struct storage_handler *ret_handler);
/* (locked) Tells a new connection's daemon about all prefixes. */
void storage_replay(struct client *client);
/* (locked) Frees them. */
void storage_fini(struct client *client);

#endif
