/**
 * librats: programs on one machine share one peer of a librats network.
 *
 * The daemon ratsd owns the network: one identity, one listen port, one set of encrypted links.
 * A program attaches to it with rats_create() and gets a session. The session has callbacks, named
 * channels and a started flag of its own; peers, identity and settings of the network belong to the
 * instance, that is to the daemon and everybody attached to it.
 *
 *     rats_client_t client = rats_create(0);
 *     rats_set_string_callback(client, on_string, NULL);
 *     rats_start(client);
 *     rats_connect(client, "example.org", 8080);
 *     rats_broadcast_string(client, "hello");
 *     ...
 *     rats_destroy(client);
 *
 * THREADS. Every function may be called from any thread, also at the same time on one handle, and
 * from inside any callback (rats_stop() and rats_destroy() included). A handle has two threads of
 * its own: one reads the socket, one (the dispatcher) runs callbacks; a third, for disks, begins
 * when transfers become possible. All of them block all signals. Callbacks of one handle never
 * overlap and come in the order of the events. They run only between rats_start() and rats_stop()
 * (the event callback excepted). A handle must not be used after fork() in the child: calls there
 * return RATS_ERROR_NOT_RUNNING, 0 or NULL; rats_destroy() only closes the descriptor.
 *
 * RESULTS come in four families, which are those of librats 0.3: rats_error_t functions,
 * rats_start() and rats_send_string() return 0 or a negative code; rats_connect() returns 1 or 0;
 * broadcasts return the number of peers; functions that return pointers return NULL on failure.
 * rats_last_error() and rats_last_error_message() say more, for the calling thread. Functions that
 * existed in librats 0.3 return only codes from RATS_SUCCESS down to RATS_ERROR_JSON_PARSE; those
 * below only come from newer functions and from rats_last_error().
 *
 * NULL HANDLES give RATS_ERROR_INVALID_HANDLE from functions that take nothing else or only
 * integers, and from rats_send_string(); RATS_ERROR_INVALID_PARAMETER from functions that also take
 * a pointer; 0 or NULL from getters; nothing from functions without a result. A handle that was
 * destroyed, and a value that never was one, gives RATS_ERROR_INVALID_HANDLE, 0 or NULL. A NULL
 * pointer where one is required gives RATS_ERROR_INVALID_PARAMETER, 0 or NULL. Arguments are
 * checked before the state.
 *
 * TEXT is UTF-8 and ends with NUL. What a peer sent is passed on byte for byte and may be anything.
 * Peer ids are 64 hexadecimal digits, lower case when returned, either case when given; treat them
 * as opaque. Any other text is the id of a peer that is not connected.
 *
 * MEMORY. Every char * that is returned comes from malloc() and is released with rats_string_free()
 * or free(); every char ** with rats_free_array(). Pointers given to a callback are valid until it
 * returns.
 */
#ifndef LIBRATS_H
#define LIBRATS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RATS_API __attribute__((visibility("default")))

/** One session at one ratsd. */
typedef void *rats_client_t;

/** Results of functions; rats_error_string() gives a sentence for each. */
typedef enum {
    RATS_SUCCESS = 0,
    RATS_ERROR_INVALID_HANDLE = -1,    /**< the handle is NULL or was destroyed */
    RATS_ERROR_INVALID_PARAMETER = -2, /**< an argument is NULL, malformed or out of range */
    RATS_ERROR_NOT_RUNNING = -3,       /**< the session is not started, or the daemon is gone */
    RATS_ERROR_OPERATION_FAILED = -4,  /**< it failed; rats_last_error_message() says why */
    RATS_ERROR_PEER_NOT_FOUND = -5,    /**< no peer with that id is connected */
    RATS_ERROR_MEMORY_ALLOCATION = -6, /**< out of memory */
    RATS_ERROR_JSON_PARSE = -7,        /**< the text is not JSON */
    RATS_ERROR_NOT_PERMITTED = -8,     /**< needs control permission at the daemon */
    RATS_ERROR_NOT_SUPPORTED = -9,     /**< the instance, the peer or the daemon's version cannot */
    RATS_ERROR_TIMEOUT = -10,          /**< did not happen in the time allowed */
    RATS_ERROR_NO_DAEMON = -11,        /**< no daemon listens where it was looked for */
    RATS_ERROR_TOO_LARGE = -12,        /**< larger than the protocol allows */
    RATS_ERROR_BUSY = -13,             /**< held by somebody else, or a limit is reached */
    RATS_ERROR_NOT_FOUND = -14         /**< what was named does not exist */
} rats_error_t;

/** How rats_connect_with_strategy() goes about it. */
typedef enum {
    RATS_STRATEGY_DIRECT_ONLY = 0,
    RATS_STRATEGY_STUN_ASSISTED = 1,
    RATS_STRATEGY_ICE_FULL = 2,
    RATS_STRATEGY_TURN_RELAY = 3,
    RATS_STRATEGY_AUTO_ADAPTIVE = 4
} rats_connection_strategy_t;

/** Largest message, in bytes. */
#define RATS_MAX_PAYLOAD ((size_t)64 * 1024 * 1024 - 20)

/** Types of values in the store; a double is an IEEE 754 one, JSON is text. */
#define RATS_STORAGE_BINARY 1
#define RATS_STORAGE_STRING 2
#define RATS_STORAGE_INT64  3
#define RATS_STORAGE_DOUBLE 4
#define RATS_STORAGE_JSON   5

/** States of a transfer of files; the name of each is what follows RATS_TRANSFER_. */
typedef enum {
    RATS_TRANSFER_PENDING = 0,     /**< offered or asked for, and not answered by this session */
    RATS_TRANSFER_STARTING = 1,    /**< the peer has not answered yet */
    RATS_TRANSFER_IN_PROGRESS = 2, /**< runs */
    RATS_TRANSFER_PAUSED = 3,      /**< held by either side */
    RATS_TRANSFER_COMPLETED = 4,   /**< whole, its hash verified, in place at the receiver */
    RATS_TRANSFER_FAILED = 5,      /**< ended; the document's "error" says why */
    RATS_TRANSFER_CANCELLED = 6,   /**< ended by a cancel, a refusal, or taken by another session */
    RATS_TRANSFER_RESUMING = 7     /**< told once between PAUSED and IN_PROGRESS */
} rats_transfer_status_t;

/** Bits of rats_options_t.transports. */
#define RATS_TRANSPORT_TCP 1u
#define RATS_TRANSPORT_UDP 2u

/** Values of rats_options_t.dispatch. */
#define RATS_DISPATCH_CALLBACKS 0
#define RATS_DISPATCH_BATCHES   1

/**
 * What rats_create_with() may be told. Set struct_size to sizeof(rats_options_t) and all else to
 * zero (security to -1), then what differs. Pointers are copied by the call and may be NULL.
 * data_dir, protocol, bind_address, security and transports describe an instance; they take effect
 * only where the call starts one, which then is a private one.
 */
typedef struct {
    size_t struct_size;       /**< sizeof(rats_options_t) */
    int listen_port;          /**< as the argument of rats_create() */
    const char *socket_path;  /**< this socket and no other; NULL = search as rats_create() does */
    const char *name;         /**< shown by ratsctl clients; NULL = name of the program */
    const char *data_dir;     /**< state directory of a new instance */
    const char *protocol;     /**< protocol string of a new instance, "name/version" */
    const char *bind_address; /**< address a new instance listens on */
    int security;             /**< of a new instance: -1 as is, 0 plaintext, 1 Noise */
    unsigned transports;      /**< of a new instance: RATS_TRANSPORT_ bits, 0 = all */
    int instance;             /**< 0 as RATS_CREATE says, 1 shared (none is started), 2 private */
    int timeout_ms;           /**< for attaching, milliseconds; <= 0 = 5000 */
    int dispatch;             /**< RATS_DISPATCH_CALLBACKS or RATS_DISPATCH_BATCHES */
    const char
        *slow; /**< when this program does not read: "stall", "drop", "close"; NULL = stall */
} rats_options_t;

/* Callbacks. All run on the dispatcher thread of their handle; all pointers are valid until the
 * callback returns; user_data is what was given with the callback. */

/** A peer is usable. On rats_start() and after reattaching also once for every peer present. */
typedef void (*rats_connection_cb)(void *user_data, const char *peer_id);
/** A peer is gone. Exactly once for each connection callback. */
typedef void (*rats_disconnect_cb)(void *user_data, const char *peer_id);
/** A string arrived; also an empty one. Cut at the first NUL byte, if it has one. */
typedef void (*rats_string_cb)(void *user_data, const char *peer_id, const char *message);
/** Bytes arrived. data is never NULL. */
typedef void (*rats_binary_cb)(void *user_data, const char *peer_id, const void *data, size_t size);
/** JSON arrived and is well-formed; the text is as the peer wrote it. */
typedef void (*rats_json_cb)(void *user_data, const char *peer_id, const char *json_str);
/** A typed message arrived and is well-formed JSON; the text is as the peer wrote it. */
typedef void (*rats_message_cb)(void *user_data, const char *peer_id, const char *message_data);
/** A message of a topic arrived, as text, cut at the first NUL byte if it has one. peer_id is who
 * the message says has published it; only the peer that passed it on is authenticated. */
typedef void (*rats_topic_message_cb)(void *user_data, const char *peer_id, const char *topic,
                                      const char *message);
/** A message of a topic arrived and is well-formed JSON; the text is as the publisher wrote it. */
typedef void (*rats_topic_json_message_cb)(void *user_data, const char *peer_id, const char *topic,
                                           const char *json_str);
/** A message of a topic arrived. data is never NULL; size may be 0. */
typedef void (*rats_topic_binary_cb)(void *user_data, const char *peer_id, const char *topic,
                                     const void *data, size_t size);
/** A message of a topic arrived. peer_id is who the message says has published it, forwarder_id the
 * authenticated peer that sent it to this instance: they are equal when it came straight from its
 * publisher, and both are ours when a program of this instance published it. data is never NULL. */
typedef void (*rats_topic_forwarded_cb)(void *user_data, const char *peer_id,
                                        const char *forwarder_id, const char *topic,
                                        const void *data, size_t size);
/** A connected peer subscribes to the topic. */
typedef void (*rats_topic_peer_joined_cb)(void *user_data, const char *peer_id, const char *topic);
/** A peer no longer subscribes to the topic, or is gone. */
typedef void (*rats_topic_peer_left_cb)(void *user_data, const char *peer_id, const char *topic);
/** A message of a named channel arrived. data is never NULL; size may be 0. */
typedef void (*rats_channel_cb)(void *user_data, const char *peer_id, const char *channel,
                                const void *data, size_t size);
/** A key of the store has another value (deleted 0) or none any more (deleted 1; size is then 0).
 *  type is a RATS_STORAGE_ value; data is never NULL, and a number is in this machine's byte order;
 *  origin_peer_id is who changed it, "" if that is not known; is_remote is 1 if a peer sent it. */
typedef void (*rats_storage_cb)(void *user_data, const char *key, int type, const void *data,
                                size_t size, int deleted, const char *origin_peer_id,
                                int is_remote);
/** A peer offers a file (remote_path "", filename is what it calls it, only to be shown) or asks
 * for one (remote_path is what it wants, filename ""). rats_accept_file_transfer() or
 *  rats_reject_file_transfer() answers, then or later; nothing is received or sent before. */
typedef void (*rats_file_request_cb)(void *user_data, const char *peer_id, const char *transfer_id,
                                     const char *remote_path, const char *filename);
/** The same for a directory: rats_accept_directory_transfer(), rats_reject_directory_transfer(). */
typedef void (*rats_directory_request_cb)(void *user_data, const char *peer_id,
                                          const char *transfer_id, const char *remote_path,
                                          const char *directory_name);
/** A transfer of this session, of a file or a directory, got on: at every change of its status and
 *  at most every 100 ms between. progress_percent is 0 to 100; status is the name of a
 *  rats_transfer_status_t without its prefix. COMPLETED, FAILED or CANCELLED is the last and comes
 *  exactly once, also when the daemon goes away. */
typedef void (*rats_file_progress_cb)(void *user_data, const char *transfer_id,
                                      int progress_percent, const char *status);
/** One file more of a directory is whole at the receiver: current_file, its path below the
 *  directory. Files come in the order in which they are sent. */
typedef void (*rats_directory_progress_cb)(void *user_data, const char *transfer_id,
                                           int files_completed, int total_files,
                                           const char *current_file);
/** The daemon went away (attached 0) or was found again (attached 1). */
typedef void (*rats_daemon_cb)(void *user_data, int attached);
/** That many messages for this session were dropped because it did not keep up. */
typedef void (*rats_overflow_cb)(void *user_data, uint64_t lost);
/** Any event of rats-ipc(7): its name, its fields as a JSON object, its sequence number (0: made by
 *  the library). */
typedef void (*rats_event_cb)(void *user_data, const char *event, const char *json,
                              uint64_t sequence);

/* ------------------------------------------------------------------ memory and version ---------
 */

/**
 * Release a string that a function of this library returned.
 *
 * @param string  from this library, or NULL; taken. The library's own constants are left alone
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_string_free(const char *string);

/**
 * Release an array of strings that a function of this library returned, with its elements.
 *
 * @param array  from this library, or NULL; taken
 * @param count  number of elements, as returned with it
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_free_array(char **array, int count);

/**
 * Version of this library as text: four numbers, "1.0.0.0".
 *
 * @return constant text; not to be released (rats_string_free() ignores it)
 * The daemon's version is in rats_get_instance_json().
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API const char *rats_get_version_string(void);

/**
 * Version of this library as numbers.
 *
 * @param major, minor, patch, build  written; each may be NULL
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_get_version(int *major, int *minor, int *patch, int *build);

/**
 * The source revision this library was built from, else its release version.
 *
 * @return constant text; not to be released (rats_string_free() ignores it)
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API const char *rats_get_git_describe(void);

/**
 * Version of this library as one number: major << 16 | minor << 8 | patch.
 *
 * @return never 0
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API uint32_t rats_get_abi(void);

/* ------------------------------------------------------------------ life of a session ----------
 */

/**
 * Attach to a ratsd, and start one where there is none.
 *
 * With RATS_SOCKET=path in the environment: to the daemon at that socket, whatever the port; none
 * is started. Otherwise the runtime directories are searched, $XDG_RUNTIME_DIR/ratsd (without that
 * variable /tmp/ratsd-UID) before /run/ratsd. Directories that belong neither to root nor to the
 * caller are passed over.
 *
 * RATS_CREATE in the environment says what may be started: "auto" (default) what is not found,
 * "shared" nothing, "private" a private instance every time, without searching. A private instance
 * has a network from the first rats_start() to the last rats_stop() and ends with its last session.
 * RATSD names the program; else it is the one installed with this library, else that in PATH.
 *
 * @param listen_port  0: the default instance; if there is none, one is started that ends when
 *                     nobody has been attached for 60 s (with RATS_CREATE=private: any port and a
 *                     new identity). 1 to 65535: the instance that listens on this port, else a
 *                     private one for it, whose identity is kept. Otherwise an unattached handle is
 *                     returned whose rats_start() fails
 * @return a handle, released with rats_destroy(); NULL on failure, with rats_last_error(NULL):
 *         RATS_ERROR_NO_DAEMON (nobody listens, not on that port, or the socket may not be opened,
 *         and none may be started, or there is no program; the message names what was tried and
 *         says what to do), RATS_ERROR_NOT_SUPPORTED (no common protocol version; the message says
 *         which side is older), RATS_ERROR_OPERATION_FAILED (the daemon did not start; the message
 *         is its own), RATS_ERROR_TIMEOUT, RATS_ERROR_INVALID_PARAMETER (RATS_CREATE is not
 *         understood), RATS_ERROR_MEMORY_ALLOCATION
 * Blocks 5 s at most. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API rats_client_t rats_create(int listen_port);

/**
 * Attach to the ratsd at one socket.
 *
 * @param socket_path  path of the socket; copied
 * @return as rats_create(); also NULL with RATS_ERROR_INVALID_PARAMETER if socket_path is NULL,
 *         empty or longer than a socket's address may be, and with RATS_ERROR_NOT_PERMITTED if the
 *         caller may not open it (the message names the group to join)
 * Blocks 5 s at most. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API rats_client_t rats_create_at(const char *socket_path);

/**
 * Attach to a ratsd with options.
 *
 * @param options  see rats_options_t; copied
 * @return as rats_create_at() if socket_path is set, else as rats_create(); NULL with
 *         RATS_ERROR_INVALID_PARAMETER if options or a value in it is not understood
 * Blocks options->timeout_ms at most. Thread-safe; may be called from a callback. IPC: hello.
 * Since 1.0.
 */
RATS_API rats_client_t rats_create_with(const rats_options_t *options);

/**
 * End the session and release the handle.
 *
 * Does what rats_stop() does, waits at most 2 s until everything accepted is with the daemon, then
 * detaches. A shared instance and its peers are untouched. A private one ends with its last
 * session; then the call also waits, in these 2 s, until its port and state directory are free.
 * Inside a callback of this handle it returns at once; that callback is the last, and memory is
 * released after it returns.
 *
 * Other threads may be inside calls on the handle: those that wait for something return
 * RATS_ERROR_NOT_RUNNING, 0 or NULL, and memory is released when the last of them has returned. Who
 * comes later gets RATS_ERROR_INVALID_HANDLE, 0 or NULL, however late; so does whoever destroys the
 * handle again.
 *
 * @param client  handle, or NULL; taken
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_destroy(rats_client_t client);

/**
 * Start the session: sending works and callbacks run from now on.
 *
 * The connection callback runs first, for every peer present. On a private instance the first
 * session opens the network.
 *
 * @param client  handle; borrowed
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if started already, not attached because of its
 *         port, or if a private instance cannot listen on its port; RATS_ERROR_NOT_RUNNING if the
 * daemon is gone; RATS_ERROR_INVALID_HANDLE One round trip. Thread-safe; may be called from a
 * callback. IPC: session.start. Since 1.0.
 */
RATS_API int rats_start(rats_client_t client);

/**
 * Stop the session: nothing is delivered any more. Peers and other programs notice nothing, and no
 * disconnect callbacks run. Callbacks and channels stay registered; rats_start() may follow. The
 * last started session of a private instance takes its network down: when this returns the port is
 * free and the peers are disconnected.
 *
 * Waits at most 2 s until everything accepted is with the daemon. When it returns, no callback of
 * this handle is running and none will until the next rats_start(); called inside a callback, that
 * callback is the last.
 *
 * @param client  handle, or NULL; borrowed
 * Thread-safe; may be called from a callback. IPC: session.stop. Since 1.0.
 */
RATS_API void rats_stop(rats_client_t client);

/**
 * Whether the handle has its daemon. While it has not, the library looks for it again on its own.
 *
 * @param client  handle; borrowed
 * @return 1 or 0
 * No round trip. Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_is_attached(rats_client_t client);

/**
 * Path of the socket the handle is attached to, or was last.
 *
 * @param client  handle; borrowed
 * @return text to be released with rats_string_free(); NULL if it never was attached
 * No round trip. Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API char *rats_get_socket_path(rats_client_t client);

/**
 * What the instance is and how it is doing.
 *
 * @param client  handle; borrowed
 * @return a JSON object to be released with rats_string_free(): name, version, pid, socket, shared,
 *         peer_id, public_key, protocol, security, listen_port, transports, peers, sessions,
 *         max_peers, uptime_seconds, counters, and with control permission data_directory. NULL
 *         while the daemon is gone (RATS_ERROR_NOT_RUNNING)
 * One round trip. Thread-safe; may be called from a callback. IPC: instance.get. Since 1.0.
 */
RATS_API char *rats_get_instance_json(rats_client_t client);

/**
 * Port the instance listens on.
 *
 * @param client  handle; borrowed
 * @return 1 to 65535; of a private instance that is not started, the port it is going to have, 0 =
 *         any; 0 if it does not listen; for a handle that never was attached, the port it was
 * created with No round trip. Thread-safe; may be called from a callback. IPC: hello,
 * instance.changed. Since 1.0.
 */
RATS_API int rats_get_listen_port(rats_client_t client);

/* ------------------------------------------------------------------ errors ---------------------
 */

/**
 * How the calling thread's last call into this library ended.
 *
 * @param client  any handle, or NULL: the answer is the thread's, whatever the handle
 * @return RATS_SUCCESS or one of all codes of rats_error_t, also where the function itself may only
 *         return the older ones. rats_string_free(), rats_free_array(), the version functions and
 *         the error functions themselves do not count as calls
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_last_error(rats_client_t client);

/**
 * One sentence about the error that rats_last_error() tells, with the cause and if possible a
 * remedy.
 *
 * @param client  any handle, or NULL
 * @return text, "" after success; valid until the thread's next call; not to be released
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API const char *rats_last_error_message(rats_client_t client);

/**
 * One sentence for a code.
 *
 * @param code  value of rats_error_t
 * @return constant text, also for numbers that are none
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API const char *rats_error_string(int code);

/* ------------------------------------------------------------------ peers ----------------------
 */

/**
 * Connect to a peer: dial an address and wait until the peer behind it is usable.
 *
 * @param client  started handle; borrowed
 * @param host    name or address, at most 255 bytes; copied. Names are resolved by the daemon
 * @param port    1 to 65535
 * @return 1 once there is a usable link, also if there was one before; 0 on failure, with
 *         rats_last_error(): RATS_ERROR_INVALID_PARAMETER, RATS_ERROR_NOT_RUNNING,
 *         RATS_ERROR_TIMEOUT, RATS_ERROR_OPERATION_FAILED (refused, unreachable, or our own
 * address) Blocks 15 s at most. Thread-safe; may be called from a callback. IPC: peer.connect.
 * Since 1.0.
 */
RATS_API int rats_connect(rats_client_t client, const char *host, int port);

/**
 * Connect to a peer in a chosen way.
 *
 * @param client    started handle; borrowed
 * @param host      name or address, at most 255 bytes; copied
 * @param port      1 to 65535
 * @param strategy  RATS_STRATEGY_TURN_RELAY fails with RATS_ERROR_OPERATION_FAILED (last error
 *                  RATS_ERROR_NOT_SUPPORTED): this network has no relays. All others dial the
 * address
 * @return RATS_SUCCESS once there is a usable link, also if there was one before;
 *         RATS_ERROR_NOT_RUNNING; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_OPERATION_FAILED
 * Blocks 15 s at most. Thread-safe; may be called from a callback. IPC: peer.connect. Since 1.0.
 */
RATS_API rats_error_t rats_connect_with_strategy(rats_client_t client, const char *host, int port,
                                                 rats_connection_strategy_t strategy);

/**
 * Close the link to a peer, for every program of this instance. It is not dialed again for 60 s
 * unless asked to.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return RATS_SUCCESS, also if it was not connected; RATS_ERROR_OPERATION_FAILED without control
 *         permission (last error RATS_ERROR_NOT_PERMITTED); RATS_ERROR_NOT_RUNNING if the daemon is
 *         gone; RATS_ERROR_INVALID_PARAMETER
 * One round trip. Thread-safe; may be called from a callback. IPC: peer.disconnect. Since 1.0.
 */
RATS_API rats_error_t rats_disconnect_peer_by_id(rats_client_t client, const char *peer_id);

/**
 * Number of connected peers.
 *
 * @param client  handle; borrowed
 * @return 0 or more
 * No round trip. Thread-safe; may be called from a callback. IPC: peer.connected. Since 1.0.
 */
RATS_API int rats_get_peer_count(rats_client_t client);

/**
 * Ids of the connected peers.
 *
 * @param client     handle; borrowed
 * @param ret_count  number of ids; 0 if there are none or on failure
 * @return array to be released with rats_free_array(); NULL if there are none or on failure
 * No round trip. Thread-safe; may be called from a callback. IPC: peer.connected. Since 1.0.
 */
RATS_API char **rats_get_peer_ids(rats_client_t client, int *ret_count);

/**
 * The same as rats_get_peer_ids(): only peers past the handshake are ever shown.
 *
 * @param client     handle; borrowed
 * @param ret_count  number of ids; 0 if there are none or on failure
 * @return array to be released with rats_free_array(); NULL if there are none or on failure
 * No round trip. Thread-safe; may be called from a callback. IPC: peer.connected. Since 1.0.
 */
RATS_API char **rats_get_validated_peer_ids(rats_client_t client, int *ret_count);

/**
 * What is known of one connected peer.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return a JSON object to be released with rats_string_free(): peer_id, ip, port, is_outgoing,
 *         handshake_completed, version, encryption_enabled, transport, transports, addresses,
 *         rtt_ms (or null), connected_seconds, agent (or null), public_key. NULL if it is not
 *         connected (RATS_ERROR_PEER_NOT_FOUND)
 * No round trip. Thread-safe; may be called from a callback. IPC: peer.connected, peer.updated.
 * Since 1.0.
 */
RATS_API char *rats_get_peer_info_json(rats_client_t client, const char *peer_id);

/**
 * Our own peer id: that of the instance, also before rats_start().
 *
 * @param client  handle; borrowed
 * @return text to be released with rats_string_free(); NULL if the handle never was attached
 * No round trip. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API char *rats_get_our_peer_id(rats_client_t client);

/**
 * Public key of the instance, whose hash is its peer id.
 *
 * @param client  handle; borrowed
 * @return 64 hexadecimal digits to be released with rats_string_free(); NULL if the handle never
 * was attached No round trip. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API char *rats_get_public_key(rats_client_t client);

/**
 * An overview of the session and its instance.
 *
 * @param client  handle; borrowed
 * @return a JSON object to be released with rats_string_free(): total_peers, validated_peers,
 *         max_peers, running, listen_port, our_peer_id, encryption_enabled, public_ip ("" unknown),
 *         dht_running, mdns_running, peers (array of what rats_get_peer_info_json() gives),
 * instance (what rats_get_instance_json() gives; null while the daemon is gone) One round trip.
 * Thread-safe; may be called from a callback. IPC: instance.get. Since 1.0.
 */
RATS_API char *rats_get_connection_statistics_json(rats_client_t client);

/**
 * Ask for room for that many peers. The limit of a shared instance is the largest of what its
 * configuration and its sessions ask for, up to the configured maximum: a session can raise it,
 * never lower it. A private instance takes the largest that its sessions ask for, also where it is
 * lower than configured; peers beyond it stay.
 *
 * @param client     handle; borrowed
 * @param max_peers  1 to 1000000
 * @return RATS_SUCCESS; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_RUNNING if the daemon is gone;
 *         RATS_ERROR_INVALID_HANDLE
 * One round trip. Thread-safe; may be called from a callback. IPC: session.demand_peers. Since 1.0.
 */
RATS_API rats_error_t rats_set_max_peers(rats_client_t client, int max_peers);

/**
 * What this session asked for with rats_set_max_peers(), else the instance's limit.
 *
 * @param client  handle; borrowed
 * @return peers; 0 = no limit
 * No round trip. Thread-safe; may be called from a callback. IPC: hello, instance.changed.
 * Since 1.0.
 */
RATS_API int rats_get_max_peers(rats_client_t client);

/**
 * Whether as many peers are connected as rats_get_max_peers() says.
 *
 * @param client  handle; borrowed
 * @return 1 or 0; 0 if there is no limit
 * No round trip. Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_is_peer_limit_reached(rats_client_t client);

/**
 * Connect to a peer over chosen transports.
 *
 * @param client      started handle; borrowed
 * @param host        name or address, at most 255 bytes; copied. Names are resolved by the daemon
 * @param port        1 to 65535
 * @param transports  RATS_TRANSPORT_ bits that may be used; 0 = any
 * @param timeout_ms  milliseconds to try, at most 600000; <= 0 = 15000
 * @return RATS_SUCCESS once there is a usable link, also if there was one before;
 *         RATS_ERROR_NOT_SUPPORTED if the daemon can dial over none of these transports;
 *         RATS_ERROR_TIMEOUT; RATS_ERROR_OPERATION_FAILED (refused, unreachable, or our own
 *         address); RATS_ERROR_NOT_RUNNING; RATS_ERROR_INVALID_PARAMETER
 * Blocks that long at most. Thread-safe; may be called from a callback. IPC: peer.connect.
 * Since 1.0.
 */
RATS_API rats_error_t rats_connect_with(rats_client_t client, const char *host, int port,
                                        unsigned transports, int timeout_ms);

/**
 * Wait until a peer is connected; return at once when it is.
 *
 * @param client      started handle; borrowed
 * @param peer_id     id of the peer; copied; NULL = any peer
 * @param timeout_ms  milliseconds to wait; 0 = only look; negative = for ever
 * @return RATS_SUCCESS; RATS_ERROR_TIMEOUT; RATS_ERROR_NOT_RUNNING if the session is not started
 *         or stopped meanwhile; RATS_ERROR_INVALID_PARAMETER if it is no peer id
 * Goes on waiting while the daemon is away. No round trip. Thread-safe; may be called from a
 * callback, but while it waits there no other callback runs. IPC: peer.connected. Since 1.0.
 */
RATS_API rats_error_t rats_wait_for_peer(rats_client_t client, const char *peer_id, int timeout_ms);

/**
 * Transports the instance has.
 *
 * @param client  handle; borrowed
 * @return RATS_TRANSPORT_ bits; 0 on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: instance.get. Since 1.0.
 */
RATS_API unsigned rats_get_transports(rats_client_t client);

/**
 * What carries the link to a peer.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return RATS_TRANSPORT_TCP or RATS_TRANSPORT_UDP; 0 if it is not connected
 * No round trip. Thread-safe; may be called from a callback. IPC: peer.connected, peer.updated.
 * Since 1.0.
 */
RATS_API int rats_get_peer_transport(rats_client_t client, const char *peer_id);

/**
 * Transports a connected peer says it listens on.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return RATS_TRANSPORT_ bits; 0 if it has not said, or is not connected
 * No round trip. Thread-safe; may be called from a callback. IPC: peer.connected, peer.updated.
 * Since 1.0.
 */
RATS_API unsigned rats_get_peer_transports(rats_client_t client, const char *peer_id);

/**
 * Stay connected to an address: the daemon dials it whenever no peer there is connected, with
 * growing pauses of at most a minute, for every program and across restarts.
 *
 * @param client  handle; borrowed
 * @param host    name or address, at most 255 bytes; copied. Names are resolved by the daemon
 * @param port    1 to 65535
 * @return RATS_SUCCESS once it is on disk, also if it was so before; the first dial comes after;
 *         RATS_ERROR_NOT_PERMITTED without control permission; RATS_ERROR_BUSY when there are too
 *         many; RATS_ERROR_OPERATION_FAILED if it could not be written; RATS_ERROR_NOT_RUNNING if
 *         the daemon is gone; RATS_ERROR_INVALID_PARAMETER
 * One round trip. Thread-safe; may be called from a callback. IPC: reconnect.add. Since 1.0.
 */
RATS_API rats_error_t rats_add_reconnect(rats_client_t client, const char *host, int port);

/**
 * No longer dial an address by itself. A link to it stays.
 *
 * @param client  handle; borrowed
 * @param host    as it was given to rats_add_reconnect(); copied
 * @param port    1 to 65535
 * @return RATS_SUCCESS; RATS_ERROR_NOT_FOUND; RATS_ERROR_BUSY if the configuration names it;
 *         RATS_ERROR_NOT_PERMITTED without control permission; RATS_ERROR_OPERATION_FAILED if it
 *         could not be written; RATS_ERROR_NOT_RUNNING; RATS_ERROR_INVALID_PARAMETER
 * One round trip. Thread-safe; may be called from a callback. IPC: reconnect.remove. Since 1.0.
 */
RATS_API rats_error_t rats_remove_reconnect(rats_client_t client, const char *host, int port);

/**
 * The addresses the instance stays connected to: configured ones, added ones, and learned ones
 * (where a dial reached a peer before).
 *
 * @param client  handle; borrowed
 * @return a JSON array to be released with rats_string_free(), of objects with address, host,
 *         port, origin ("learned", "added", "configured"), state ("connected", "dialing",
 *         "waiting", "held"), connected, peer (if known), attempts, next_attempt_seconds, error
 *         (if any); NULL on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: reconnect.list. Since 1.0.
 */
RATS_API char *rats_get_reconnect_json(rats_client_t client);

/* ------------------------------------------------------------------ known peers, state ---------
 */

/**
 * Dial the best known addresses whose peers are not connected, 32 at most. Does not wait.
 *
 * @param client  started handle; borrowed
 * @return number of addresses; 0 also if the session is not started
 * One round trip. Thread-safe; may be called from a callback. IPC: known.connect. Since 1.0.
 */
RATS_API int rats_load_and_reconnect_peers(rats_client_t client);

/**
 * The daemon reads its address book when it starts; this says whether it can be kept.
 *
 * @param client  handle; borrowed
 * @return 1; 0 if the address book cannot be read or written
 * One round trip. Thread-safe; may be called from a callback. IPC: known.save. Since 1.0.
 */
RATS_API int rats_load_historical_peers(rats_client_t client);

/**
 * Have the address book on disk as it is now; by itself the daemon writes within seconds.
 *
 * @param client  handle; borrowed
 * @return 1; 0 if it cannot be written
 * One round trip. Thread-safe; may be called from a callback. IPC: known.save. Since 1.0.
 */
RATS_API int rats_save_historical_peers(rats_client_t client);

/**
 * Empty the address book of the instance, also on disk. Without control permission nothing happens
 * (last error RATS_ERROR_NOT_PERMITTED).
 *
 * @param client  handle; borrowed
 * One round trip. Thread-safe; may be called from a callback. IPC: known.clear. Since 1.0.
 */
RATS_API void rats_clear_historical_peers(rats_client_t client);

/**
 * Ids of the peers in the address book, best first: those that dials reached in the last 30 days.
 *
 * @param client     handle; borrowed
 * @param ret_count  written: how many; must not be NULL
 * @return array to be released with rats_free_array(); NULL if there are none or on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: known.list. Since 1.0.
 */
RATS_API char **rats_get_historical_peer_ids(rats_client_t client, int *ret_count);

/**
 * The state of an instance is loaded when it starts; this says whether it can be kept.
 *
 * @param client  handle; borrowed
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if it cannot be read or written;
 *         RATS_ERROR_NOT_RUNNING if the daemon is gone; RATS_ERROR_INVALID_HANDLE
 * One round trip. Thread-safe; may be called from a callback. IPC: known.save. Since 1.0.
 */
RATS_API rats_error_t rats_load_configuration(rats_client_t client);

/**
 * Have the state of the instance on disk as it is now; by itself the daemon writes within seconds.
 *
 * @param client  handle; borrowed
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if it cannot be written;
 *         RATS_ERROR_NOT_RUNNING if the daemon is gone; RATS_ERROR_INVALID_HANDLE
 * One round trip. Thread-safe; may be called from a callback. IPC: known.save. Since 1.0.
 */
RATS_API rats_error_t rats_save_configuration(rats_client_t client);

/* ------------------------------------------------------------------ round trips and exchange ---
 */

/**
 * Ping a peer and wait for its answer.
 *
 * @param client      handle; borrowed
 * @param peer_id     id of the peer; copied
 * @param timeout_ms  1 to 600000 milliseconds
 * @param ret_rtt_us  set to the length of the round trip in microseconds on success; may be NULL
 * @return RATS_SUCCESS; RATS_ERROR_TIMEOUT if it did not answer in time: it may lack the service;
 *         RATS_ERROR_PEER_NOT_FOUND; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_RUNNING
 * Blocks timeout_ms at most. Thread-safe; may be called from a callback. IPC: ping.send. Since 1.0.
 */
RATS_API rats_error_t rats_ping_peer(rats_client_t client, const char *peer_id, int timeout_ms,
                                     int64_t *ret_rtt_us);

/**
 * Length of the latest round trip to a peer, as the daemon measures it by itself every ten seconds.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return microseconds, correct to a quarter or a millisecond; -1 if not known yet, if the peer
 *         answers no pings, or if it is not connected (RATS_ERROR_PEER_NOT_FOUND)
 * No round trip of its own. Thread-safe; may be called from a callback. IPC: peer.updated
 * (ping.rtt asks for the exact figure). Since 1.0.
 */
RATS_API int64_t rats_get_peer_rtt_us(rats_client_t client, const char *peer_id);

/**
 * Ask a peer for the addresses of other peers. The daemon dials those it names when its answer
 * comes, within limits; whoever is reached comes with the connection callback.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return RATS_SUCCESS once the request is queued; RATS_ERROR_PEER_NOT_FOUND;
 *         RATS_ERROR_NOT_SUPPORTED if peer exchange is switched off; RATS_ERROR_NOT_RUNNING;
 *         RATS_ERROR_INVALID_PARAMETER
 * One round trip to the daemon. Thread-safe; may be called from a callback. IPC: pex.request.
 * Since 1.0.
 */
RATS_API rats_error_t rats_request_peers(rats_client_t client, const char *peer_id);

/* ------------------------------------------------------------------ bans and limits ------------
 */

/**
 * Keep a peer out: it is disconnected, refused when it comes back, and not dialed. A ban of the
 * same peer is replaced. Bans outlive the daemon.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer, connected or not; copied
 * @param seconds  how long, up to 3153600000; 0 = until it is lifted
 * @param reason   for those who see the list, at most 200 bytes; copied; may be NULL
 * @return RATS_SUCCESS once it is in force and on disk; RATS_ERROR_INVALID_PARAMETER, also for the
 *         instance's own id; RATS_ERROR_NOT_PERMITTED; RATS_ERROR_BUSY if there are too many bans;
 *         RATS_ERROR_OPERATION_FAILED if it could not be kept; RATS_ERROR_NOT_RUNNING
 * One round trip. Thread-safe; may be called from a callback. IPC: ban.add. Since 1.0.
 */
RATS_API rats_error_t rats_ban_peer(rats_client_t client, const char *peer_id, int64_t seconds,
                                    const char *reason);

/**
 * Keep out whoever comes from an address or a network; the same is not dialed. A ban of the same
 * network is replaced.
 *
 * @param client   handle; borrowed
 * @param address  IPv4 or IPv6 literal, with or without a prefix length: "192.0.2.0/24"; copied
 * @param seconds  how long, up to 3153600000; 0 = until it is lifted
 * @param reason   for those who see the list, at most 200 bytes; copied; may be NULL
 * @return as rats_ban_peer()
 * One round trip. Thread-safe; may be called from a callback. IPC: ban.add. Since 1.0.
 */
RATS_API rats_error_t rats_ban_address(rats_client_t client, const char *address, int64_t seconds,
                                       const char *reason);

/**
 * Lift a ban.
 *
 * @param client   handle; borrowed
 * @param subject  id of a peer, or address as it was banned; copied
 * @return RATS_SUCCESS once it is lifted for good; RATS_ERROR_NOT_FOUND if there is no ban of
 *         exactly that subject; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_PERMITTED;
 *         RATS_ERROR_OPERATION_FAILED; RATS_ERROR_NOT_RUNNING
 * One round trip. Thread-safe; may be called from a callback. IPC: ban.remove. Since 1.0.
 */
RATS_API rats_error_t rats_unban(rats_client_t client, const char *subject);

/**
 * Who is banned.
 *
 * @param client  handle; borrowed
 * @return JSON object with the array "bans", oldest first, of objects with "subject", "kind"
 *         ("peer" or "address"), "reason", "added_unix_s" and, unless it is for ever,
 *         "left_seconds"; release with rats_string_free(); NULL on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: ban.list. Since 1.0.
 */
RATS_API char *rats_get_bans_json(rats_client_t client);

/**
 * Set what one peer may send in a second, in place of what is configured. Above it the daemon reads
 * its link more slowly; nothing is lost. Limits outlive the daemon.
 *
 * @param client               handle; borrowed
 * @param peer_id              id of the peer, connected or not; copied
 * @param messages_per_second  up to 2^40; 0 = any number
 * @param bytes_per_second     16384 to 2^40; 0 = any number
 * @return RATS_SUCCESS once they are in force and on disk; RATS_ERROR_INVALID_PARAMETER;
 *         RATS_ERROR_NOT_PERMITTED; RATS_ERROR_BUSY if too many peers have limits of their own;
 *         RATS_ERROR_OPERATION_FAILED; RATS_ERROR_NOT_RUNNING
 * One round trip. Thread-safe; may be called from a callback. IPC: limit.set. Since 1.0.
 */
RATS_API rats_error_t rats_set_peer_limits(rats_client_t client, const char *peer_id,
                                           int64_t messages_per_second, int64_t bytes_per_second);

/**
 * Let hold for a peer again what is configured for all.
 *
 * @param client   handle; borrowed
 * @param peer_id  id of the peer; copied
 * @return RATS_SUCCESS; RATS_ERROR_NOT_FOUND if it has no limits of its own;
 *         RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_PERMITTED; RATS_ERROR_OPERATION_FAILED;
 *         RATS_ERROR_NOT_RUNNING
 * One round trip. Thread-safe; may be called from a callback. IPC: limit.clear. Since 1.0.
 */
RATS_API rats_error_t rats_clear_peer_limits(rats_client_t client, const char *peer_id);

/**
 * What peers may send in a second.
 *
 * @param client  handle; borrowed
 * @return JSON object with what is configured, "messages_per_second" and "bytes_per_second" (0 =
 *         any number), and the array "limits" of objects with these and "peer"; release with
 *         rats_string_free(); NULL on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: limit.list. Since 1.0.
 */
RATS_API char *rats_get_limits_json(rats_client_t client);

/* ------------------------------------------------------------------ messages -------------------
 */

/**
 * Send a string to one connected peer (channel rats.string).
 *
 * @param client   started handle; borrowed
 * @param peer_id  id of the peer; copied
 * @param message  text, may be empty, at most RATS_MAX_PAYLOAD bytes; borrowed until return
 * @return RATS_SUCCESS once the daemon has it in its queue (not: received);
 * RATS_ERROR_PEER_NOT_FOUND; RATS_ERROR_NOT_RUNNING; RATS_ERROR_INVALID_PARAMETER if NULL or too
 * large; RATS_ERROR_OPERATION_FAILED if the daemon took nothing for 10 s; RATS_ERROR_INVALID_HANDLE
 * No round trip; blocks 10 s at most while the way to the peer is congested. Thread-safe; may be
 * called from a callback. IPC: MESSAGE frame. Since 1.0.
 */
RATS_API int rats_send_string(rats_client_t client, const char *peer_id, const char *message);

/**
 * Send a string to every connected peer (channel rats.string).
 *
 * @param client   started handle; borrowed
 * @param message  text, may be empty, at most RATS_MAX_PAYLOAD bytes; borrowed until return
 * @return number of peers it goes to; 0 also on failure
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API int rats_broadcast_string(rats_client_t client, const char *message);

/**
 * Send bytes to one connected peer (channel rats.binary).
 *
 * @param client   started handle; borrowed
 * @param peer_id  id of the peer; copied
 * @param data     payload; borrowed until return
 * @param size     bytes in data, 1 to RATS_MAX_PAYLOAD
 * @return as rats_send_string(), but RATS_ERROR_INVALID_PARAMETER for a NULL handle and for size 0
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_send_binary(rats_client_t client, const char *peer_id, const void *data,
                                       size_t size);

/**
 * Send bytes to every connected peer (channel rats.binary).
 *
 * @param client  started handle; borrowed
 * @param data    payload; borrowed until return
 * @param size    bytes in data, 1 to RATS_MAX_PAYLOAD
 * @return number of peers it goes to; 0 also on failure
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API int rats_broadcast_binary(rats_client_t client, const void *data, size_t size);

/**
 * Send JSON to one connected peer (channel rats.json). The text is checked and sent as it is.
 *
 * @param client   started handle; borrowed
 * @param peer_id  id of the peer; copied
 * @param json     one JSON value of any kind, at most RATS_MAX_PAYLOAD bytes and 2048 levels deep;
 *                 borrowed until return
 * @return as rats_send_binary(); RATS_ERROR_JSON_PARSE if the text is not JSON
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_send_json(rats_client_t client, const char *peer_id, const char *json);

/**
 * Send JSON to every connected peer (channel rats.json). The text is checked and sent as it is.
 *
 * @param client  started handle; borrowed
 * @param json    one JSON value of any kind; borrowed until return
 * @return number of peers it goes to; 0 also on failure
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API int rats_broadcast_json(rats_client_t client, const char *json);

/**
 * Send bytes to one connected peer on a named channel.
 *
 * @param client   started handle; borrowed
 * @param peer_id  id of the peer; copied
 * @param channel  name of the channel, at most 255 bytes; copied
 * @param data     payload; borrowed until return; may be NULL if size is 0
 * @param size     bytes in data, at most RATS_MAX_PAYLOAD
 * @return RATS_SUCCESS once the daemon has it in its queue (not: received);
 * RATS_ERROR_PEER_NOT_FOUND; RATS_ERROR_NOT_RUNNING; RATS_ERROR_INVALID_PARAMETER;
 * RATS_ERROR_TOO_LARGE; RATS_ERROR_NOT_PERMITTED for the reserved channel ratsd.ctl;
 * RATS_ERROR_OPERATION_FAILED if the daemon took nothing for 10 s No round trip; blocks 10 s at
 * most. Thread-safe; may be called from a callback. IPC: MESSAGE frame. Since 1.0.
 */
RATS_API rats_error_t rats_channel_send(rats_client_t client, const char *peer_id,
                                        const char *channel, const void *data, size_t size);

/**
 * Send bytes to every connected peer on a named channel.
 *
 * @param client   started handle; borrowed
 * @param channel  name of the channel, at most 255 bytes; copied
 * @param data     payload; borrowed until return; may be NULL if size is 0
 * @param size     bytes in data, at most RATS_MAX_PAYLOAD
 * @return number of peers it goes to, 0 or more; a negative code as rats_channel_send()
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API int rats_channel_broadcast(rats_client_t client, const char *channel, const void *data,
                                    size_t size);

/**
 * Receive the messages of a named channel. One callback for each channel and session; a second call
 * replaces it. The channels rats.string, rats.binary and rats.json are allowed; the string, binary
 * or JSON callback then runs as well, before this one.
 *
 * @param client     handle; borrowed
 * @param channel    name of the channel, at most 255 bytes; copied
 * @param callback   runs on the dispatcher thread; NULL only with RATS_DISPATCH_BATCHES
 * @param user_data  passed to the callback; borrowed until rats_channel_off() or rats_destroy()
 * @return RATS_SUCCESS once the daemon delivers it; RATS_ERROR_BUSY if the instance has a channel
 * of another name with the same number; RATS_ERROR_NOT_PERMITTED for ratsd.ctl;
 *         RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_MEMORY_ALLOCATION. While the daemon is gone the
 *         channel is noted and registered when it is back
 * One round trip. Thread-safe; may be called from a callback. IPC: channel.on. Since 1.0.
 */
RATS_API rats_error_t rats_channel_on(rats_client_t client, const char *channel,
                                      rats_channel_cb callback, void *user_data);

/**
 * No longer receive the messages of a named channel. When it returns on another thread than the
 * dispatcher's, the callback is not running and will not run again.
 *
 * @param client   handle; borrowed
 * @param channel  name of the channel; copied
 * @return RATS_SUCCESS; RATS_ERROR_NOT_FOUND if it was not registered; RATS_ERROR_INVALID_PARAMETER
 * One round trip. Thread-safe; may be called from a callback. IPC: channel.off. Since 1.0.
 */
RATS_API rats_error_t rats_channel_off(rats_client_t client, const char *channel);

/**
 * Number of a named channel on the wire.
 *
 * @param channel  name of the channel; NULL counts as ""
 * @return 0 to 65535
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API unsigned rats_channel_id(const char *channel);

/* ------------------------------------------------------------------ typed messages -------------
 */

/**
 * Receive the typed JSON messages of one type. Any number of handlers on one type, in any number of
 * sessions; all are called, in the order in which they came. An identical pair of callback and
 * user_data is registered once.
 *
 * @param client     handle; borrowed
 * @param type       type of the messages, at most 4096 bytes, may be ""; copied
 * @param callback   runs on the dispatcher thread; NULL only with RATS_DISPATCH_BATCHES
 * @param user_data  passed to the callback; borrowed until rats_off_message() or rats_destroy()
 * @return RATS_SUCCESS once the daemon delivers it; RATS_ERROR_INVALID_PARAMETER;
 *         RATS_ERROR_OPERATION_FAILED if the session has 512 types already;
 *         RATS_ERROR_MEMORY_ALLOCATION. While the daemon is gone the type is noted and registered
 *         when it is back
 * One round trip for the first handler of a type. Thread-safe; may be called from a callback.
 * IPC: typed.on. Since 1.0.
 */
RATS_API rats_error_t rats_on_message(rats_client_t client, const char *type,
                                      rats_message_cb callback, void *user_data);

/**
 * Receive the next typed JSON message of one type, and only that. A pair that rats_on_message()
 * has registered stays as it is.
 *
 * @param client     handle; borrowed
 * @param type       as for rats_on_message()
 * @param callback   runs once, on the dispatcher thread; not NULL
 * @param user_data  passed to the callback; borrowed until it ran, rats_off_message() or
 *                   rats_destroy()
 * @return as rats_on_message()
 * One round trip for the first handler of a type. Thread-safe; may be called from a callback.
 * IPC: typed.on. Since 1.0.
 */
RATS_API rats_error_t rats_once_message(rats_client_t client, const char *type,
                                        rats_message_cb callback, void *user_data);

/**
 * No longer receive the typed messages of one type: all its handlers end. When it returns on
 * another thread than the dispatcher's, none of them is running and none will run again.
 *
 * @param client  handle; borrowed
 * @param type    type of the messages; copied
 * @return RATS_SUCCESS; RATS_ERROR_NOT_FOUND if it has no handler; RATS_ERROR_INVALID_PARAMETER
 * One round trip. Thread-safe; may be called from a callback. IPC: typed.off. Since 1.0.
 */
RATS_API rats_error_t rats_off_message(rats_client_t client, const char *type);

/**
 * Send a typed JSON message to one connected peer.
 *
 * @param client   started handle; borrowed
 * @param peer_id  id of the peer; copied
 * @param type     type of the message, at most 4096 bytes, may be ""; borrowed until return
 * @param data     one JSON value of any kind, at most 1000 levels deep, which is sent as it is;
 *                 any other text is sent as a JSON string; borrowed until return
 * @return as rats_send_binary(); RATS_ERROR_JSON_PARSE if the text is JSON but too deep, or neither
 *         JSON nor UTF-8
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_send_message(rats_client_t client, const char *peer_id, const char *type,
                                        const char *data);

/**
 * Send a typed JSON message to every connected peer.
 *
 * @param client  started handle; borrowed
 * @param type    as for rats_send_message()
 * @param data    as for rats_send_message()
 * @return RATS_SUCCESS, also when no peer is connected; RATS_ERROR_NOT_RUNNING;
 *         RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_JSON_PARSE; RATS_ERROR_OPERATION_FAILED if the
 *         daemon took nothing for 10 s
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_broadcast_message(rats_client_t client, const char *type,
                                             const char *data);

/* ------------------------------------------------------------------ topics ---------------------
 */

/**
 * Whether this library knows topics.
 *
 * @param client  handle; borrowed
 * @return 1; 0 for NULL
 * No round trip. Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_is_gossipsub_available(rats_client_t client);

/**
 * Whether messages of topics are delivered and can be published: between rats_start() and
 * rats_stop().
 *
 * @param client  handle; borrowed
 * @return 1 or 0
 * No round trip. Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_is_gossipsub_running(rats_client_t client);

/**
 * Subscribe to a topic. Peers learn that the instance does; messages are delivered to this session
 * while it is started. Allowed before rats_start(); rats_stop() ends all subscriptions.
 *
 * @param client  handle; borrowed
 * @param topic   name of the topic, 1 to 4096 bytes; copied
 * @return RATS_SUCCESS once the daemon delivers it; RATS_ERROR_OPERATION_FAILED if the session
 *         subscribes to it already or to 512 topics; RATS_ERROR_INVALID_PARAMETER;
 *         RATS_ERROR_MEMORY_ALLOCATION. While the daemon is gone the subscription is noted and made
 *         when it is back
 * One round trip. Thread-safe; may be called from a callback. IPC: topic.subscribe. Since 1.0.
 */
RATS_API rats_error_t rats_subscribe_to_topic(rats_client_t client, const char *topic);

/**
 * End a subscription. When it returns on another thread than the dispatcher's, no callback of the
 * topic is running and none will run. The callbacks stay for a later subscription.
 *
 * @param client  handle; borrowed
 * @param topic   name of the topic; copied
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if the session does not subscribe to it;
 *         RATS_ERROR_INVALID_PARAMETER
 * One round trip. Thread-safe; may be called from a callback. IPC: topic.unsubscribe. Since 1.0.
 */
RATS_API rats_error_t rats_unsubscribe_from_topic(rats_client_t client, const char *topic);

/**
 * Whether this session subscribes to a topic.
 *
 * @param client  handle; borrowed
 * @param topic   name of the topic; copied
 * @return 1 or 0
 * No round trip. Thread-safe; may be called from a callback. IPC: topic.subscribe. Since 1.0.
 */
RATS_API int rats_is_subscribed_to_topic(rats_client_t client, const char *topic);

/**
 * The topics this session subscribes to, sorted.
 *
 * @param client     handle; borrowed
 * @param ret_count  how many there are; 0 on failure; not NULL
 * @return names, to be released with rats_free_array(); NULL when there are none
 * No round trip. Thread-safe; may be called from a callback. IPC: topic.list. Since 1.0.
 */
RATS_API char **rats_get_subscribed_topics(rats_client_t client, int *ret_count);

/**
 * Publish text on a topic: to the peers that subscribe to it, and to the other sessions of this
 * instance that do; not to this session. A subscription of one's own is not needed.
 *
 * @param client   started handle; borrowed
 * @param topic    name of the topic, 1 to 4096 bytes; borrowed until return
 * @param message  text of at most RATS_MAX_PAYLOAD bytes, less 43 and the topic's; may be "";
 *                 borrowed until return
 * @return RATS_SUCCESS once the daemon has it, also when nobody subscribes; RATS_ERROR_NOT_RUNNING;
 *         RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_OPERATION_FAILED if the daemon took nothing for
 *         10 s
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_publish_to_topic(rats_client_t client, const char *topic,
                                            const char *message);

/**
 * Publish JSON on a topic, as rats_publish_to_topic() does text. The text is checked and sent as it
 * is.
 *
 * @param client  started handle; borrowed
 * @param topic   as for rats_publish_to_topic()
 * @param json    one JSON value of any kind, at most 2048 levels deep; borrowed until return
 * @return as rats_publish_to_topic(); RATS_ERROR_JSON_PARSE if the text is not JSON
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_publish_json_to_topic(rats_client_t client, const char *topic,
                                                 const char *json);

/**
 * Publish bytes on a topic, as rats_publish_to_topic() does text.
 *
 * @param client  started handle; borrowed
 * @param topic   as for rats_publish_to_topic()
 * @param data    payload; borrowed until return; may be NULL if size is 0
 * @param size    bytes in data
 * @param echo    not 0: this session gets the message as well, if it subscribes to the topic
 * @return as rats_publish_to_topic(); RATS_ERROR_TOO_LARGE
 * No round trip; blocks 10 s at most. Thread-safe; may be called from a callback. IPC: MESSAGE
 * frame. Since 1.0.
 */
RATS_API rats_error_t rats_publish_binary_to_topic(rats_client_t client, const char *topic,
                                                   const void *data, size_t size, int echo);

/**
 * The connected peers that subscribe to a topic.
 *
 * @param client     handle; borrowed
 * @param topic      name of the topic; copied
 * @param ret_count  how many there are; 0 on failure; not NULL
 * @return peer ids, to be released with rats_free_array(); NULL when there are none or on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: topic.peers. Since 1.0.
 */
RATS_API char **rats_get_topic_peers(rats_client_t client, const char *topic, int *ret_count);

/**
 * The peers that messages of a topic are forwarded to.
 *
 * @param client     handle; borrowed
 * @param topic      name of the topic; copied
 * @param ret_count  how many there are; 0 on failure; not NULL
 * @return peer ids, to be released with rats_free_array(); NULL when there are none or on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: topic.mesh. Since 1.0.
 */
RATS_API char **rats_get_topic_mesh_peers(rats_client_t client, const char *topic, int *ret_count);

/**
 * How topics are doing: a JSON object with available, running, subscribed_topics_count (of this
 * session), total_topics_count, topics {name: {subscribers_count, mesh_peers_count,
 * fanout_peers_count, is_subscribed}}, peers_count, published, delivered, and with peers
 * average_peer_score, min_peer_score and max_peer_score, which are 0.0.
 *
 * @param client  handle; borrowed
 * @return text to be released with rats_string_free(); NULL while the daemon is gone
 * One round trip. Thread-safe; may be called from a callback. IPC: topic.statistics. Since 1.0.
 */
RATS_API char *rats_get_gossipsub_statistics_json(rats_client_t client);

/**
 * Set what runs when a message of a topic arrives, as text. Independent of the other callbacks.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param topic      name of the topic; copied; need not be subscribed to yet
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: topic.subscribe. Since 1.0.
 */
RATS_API void rats_set_topic_message_callback(rats_client_t client, const char *topic,
                                              rats_topic_message_cb callback, void *user_data);

/**
 * Set what runs when a message of a topic arrives that is JSON.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param topic      name of the topic; copied; need not be subscribed to yet
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: topic.subscribe. Since 1.0.
 */
RATS_API void rats_set_topic_json_message_callback(rats_client_t client, const char *topic,
                                                   rats_topic_json_message_cb callback,
                                                   void *user_data);

/**
 * Set what runs for every message of a topic, besides the text and JSON callbacks and after them.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param topic      name of the topic; copied; need not be subscribed to yet
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: topic.subscribe. Since 1.0.
 */
RATS_API void rats_set_topic_binary_callback(rats_client_t client, const char *topic,
                                             rats_topic_binary_cb callback, void *user_data);

/**
 * Set what runs for every message of a topic with the peer that passed it on, besides the other
 * callbacks and after them. The publisher of a message is a claim of that peer, and what matters
 * should be signed inside the message.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param topic      name of the topic; copied; need not be subscribed to yet
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: topic.subscribe. Since 1.0.
 */
RATS_API void rats_set_topic_forwarded_callback(rats_client_t client, const char *topic,
                                                rats_topic_forwarded_cb callback, void *user_data);

/**
 * Set what runs for each peer in a topic this session subscribes to: once for those that are there
 * when the session subscribes or starts, or is attached again to a daemon that was gone, and when
 * another joins.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param topic      name of the topic; copied; need not be subscribed to yet
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: topic.subscribe, topic.joined. Since 1.0.
 */
RATS_API void rats_set_topic_peer_joined_callback(rats_client_t client, const char *topic,
                                                  rats_topic_peer_joined_cb callback,
                                                  void *user_data);

/**
 * Set what runs when a peer leaves a topic this session subscribes to, or is gone, or the daemon
 * is: exactly once for each that joined.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param topic      name of the topic; copied; need not be subscribed to yet
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: topic.left. Since 1.0.
 */
RATS_API void rats_set_topic_peer_left_callback(rats_client_t client, const char *topic,
                                                rats_topic_peer_left_cb callback, void *user_data);

/**
 * Clear all callbacks of a topic.
 *
 * @param client  handle, or NULL (nothing happens); borrowed
 * @param topic   name of the topic; copied
 * They may still be running when this returns. Thread-safe; may be called from a callback.
 * IPC: none. Since 1.0.
 */
RATS_API void rats_clear_topic_callbacks(rats_client_t client, const char *topic);
/* ------------------------------------------------------------------ store ----------------------
 */

/**
 * Give a key a value, here and at every peer. There is one store for each instance, shared by its
 * sessions and by every connected peer that has one; who changes a key last, wins. Any peer may
 * write any key: a program that needs to know who wrote a value must sign it.
 *
 * @param client  attached handle, started or not; borrowed
 * @param key     1 to 1024 bytes of UTF-8, unless the instance says otherwise; copied
 * @param type    RATS_STORAGE_BINARY to RATS_STORAGE_JSON
 * @param data    the value; borrowed until return; may be NULL if size is 0. An int64_t or a double
 *                is given in this machine's byte order
 * @param size    bytes in data, at most 4 MiB unless the instance says otherwise; 8 for numbers
 * @return RATS_SUCCESS once it is on the daemon's disk; RATS_ERROR_INVALID_PARAMETER;
 *         RATS_ERROR_JSON_PARSE if the type is JSON and the text is not; RATS_ERROR_TOO_LARGE;
 *         RATS_ERROR_BUSY if the store is full; RATS_ERROR_NOT_PERMITTED if the instance allows it
 *         only with control permission; RATS_ERROR_NOT_SUPPORTED if it has no store;
 *         RATS_ERROR_OPERATION_FAILED if the disk is full or broken, nothing was changed then;
 *         RATS_ERROR_NOT_RUNNING and RATS_ERROR_TIMEOUT, after which it may have been stored
 * One round trip and a disk write; blocks 30 s at most. Thread-safe; may be called from a callback.
 * IPC: storage.put. Since 1.0.
 */
RATS_API rats_error_t rats_storage_put(rats_client_t client, const char *key, int type,
                                       const void *data, size_t size);

/**
 * The value of a key.
 *
 * @param client    attached handle; borrowed
 * @param key       the key; copied
 * @param ret_type  may be NULL. A RATS_STORAGE_ value; 0 if the daemon knows more than this library
 * @param ret_size  may be NULL. Bytes in the value, without the NUL that stands behind it
 * @return the value, never NULL when there is one, to be released with free(); NULL if the key has
 *         none (RATS_ERROR_NOT_FOUND) or on failure, as rats_last_error() says
 * One round trip; blocks 30 s at most. Thread-safe; may be called from a callback. IPC:
 * storage.get. Since 1.0.
 */
RATS_API void *rats_storage_get(rats_client_t client, const char *key, int *ret_type,
                                size_t *ret_size);

/**
 * Remove a key, here and at every peer.
 *
 * @param client  attached handle; borrowed
 * @param key     the key; copied
 * @return RATS_SUCCESS once that is on the daemon's disk; RATS_ERROR_NOT_FOUND if it has no value;
 *         else as rats_storage_put()
 * One round trip and a disk write; blocks 30 s at most. Thread-safe; may be called from a callback.
 * IPC: storage.remove. Since 1.0.
 */
RATS_API rats_error_t rats_storage_remove(rats_client_t client, const char *key);

/**
 * The keys that have a value, in the order of their bytes.
 *
 * @param client     attached handle; borrowed
 * @param prefix     only keys that begin so; NULL = all; copied
 * @param ret_count  their number; 0 on failure
 * @return array to be released with rats_free_array(); NULL if there are none or on failure, as
 *         rats_last_error() says
 * One round trip for every 1000 keys. Thread-safe; may be called from a callback. IPC:
 * storage.keys. Since 1.0.
 */
RATS_API char **rats_storage_keys(rats_client_t client, const char *prefix, int *ret_count);

/**
 * Ask every connected peer for everything it has. This happens by itself when a peer connects.
 *
 * @param client  attached handle; borrowed
 * @return RATS_SUCCESS once they are asked (not: have answered); RATS_ERROR_NOT_SUPPORTED if the
 *         instance has no store; RATS_ERROR_NOT_RUNNING
 * One round trip. Thread-safe; may be called from a callback. IPC: storage.sync. Since 1.0.
 */
RATS_API rats_error_t rats_storage_sync(rats_client_t client);

/**
 * How much is stored, what is allowed, and what peers have sent: the result of storage.statistics.
 *
 * @param client  attached handle; borrowed
 * @return JSON object to be released with rats_string_free(): keys, tombstones, total_bytes, limits
 *         and counters as rats-ipc(7) describes them; NULL on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: storage.statistics. Since 1.0.
 */
RATS_API char *rats_storage_statistics_json(rats_client_t client);

/**
 * Hear of changes of keys that begin with a prefix, made here or by peers. One callback for each
 * prefix and session; a second call replaces it. Where several prefixes fit a key each callback
 * runs, in the order in which the prefixes were set.
 *
 * @param client     handle; borrowed
 * @param prefix     NULL or "" = every key; copied
 * @param callback   runs on the dispatcher thread while the session is started, also for what this
 *                   session changes itself; NULL ends it
 * @param user_data  passed to the callback; borrowed until it is replaced or rats_destroy()
 * One round trip; rats_last_error() says if the daemon refused: RATS_ERROR_NOT_SUPPORTED,
 * RATS_ERROR_BUSY if there are too many prefixes. While the daemon is gone the prefix is noted and
 * asked for when it is back; changes made meanwhile are not told. A replaced callback that is
 * running finishes. Thread-safe; may be called from a callback. IPC: storage.watch,
 * storage.unwatch, storage.changed. Since 1.0.
 */
RATS_API void rats_set_storage_callback(rats_client_t client, const char *prefix,
                                        rats_storage_cb callback, void *user_data);

/* ------------------------------------------------------------------ files ----------------------
 */

/* A transfer moves one file or one directory tree between this program and a peer. Its id is 32
 * hexadecimal digits. It belongs to the session that started or accepted it and ends with that
 * session; one that ended is remembered for ten minutes.
 *
 * The daemon never opens a path: this library opens every file with the rights of the calling
 * process and hands descriptors over. What is received is written to a file without a name in the
 * target's directory, and put in place whole, over what is there, after its hash was verified: a
 * transfer that fails, and a program that dies, leave nothing of it behind. Where a file system has
 * no files without a name a hidden file ".rats-*.part" takes its place, which is removed unless the
 * program is killed. Files of a directory are put in place one by one, and those that arrived
 * before a failure stay.
 *
 * A directory's files are found by their paths below it: links in it are neither sent nor followed,
 * nor are links in a target; devices, pipes and sockets are left out; empty directories inside are
 * not represented.
 *
 * Relative paths are resolved against the working directory of the process during the call. Disk
 * work that a peer causes runs on a thread of its own, neither on the dispatcher nor on the reader.
 */

/**
 * Offer a file to a peer.
 *
 * @param client           started handle; borrowed
 * @param peer_id          connected peer; copied
 * @param file_path        regular file this process may read, also an empty one, also by a link;
 *                         opened during the call; copied
 * @param remote_filename  what the peer is shown, 1 to 4096 bytes of UTF-8; NULL = the last part of
 *                         file_path; copied
 * @return id of the transfer to be released with rats_string_free(); NULL on failure, as
 *         rats_last_error() says: RATS_ERROR_PEER_NOT_FOUND, RATS_ERROR_NOT_FOUND (no such file),
 *         RATS_ERROR_INVALID_PARAMETER (NULL, not a regular file, a name that is not UTF-8),
 *         RATS_ERROR_OPERATION_FAILED (not readable, or too many transfers), RATS_ERROR_NOT_RUNNING
 * The peer's answer and all that follows is told by the progress callback. One round trip.
 * Thread-safe; may be called from a callback. IPC: transfer.send. Since 1.0.
 */
RATS_API char *rats_send_file(rats_client_t client, const char *peer_id, const char *file_path,
                              const char *remote_filename);

/**
 * Offer a directory to a peer.
 *
 * @param client                 started handle; borrowed
 * @param peer_id                connected peer; copied
 * @param directory_path         directory this process may read, also an empty one; listed during
 *                               the call, its files are opened when their turn comes; copied
 * @param remote_directory_name  what the peer is shown, 1 to 4096 bytes of UTF-8; NULL = the last
 *                               part of directory_path; copied
 * @param recursive              0: only the directory's own files; else also what is below
 * @return id of the transfer to be released with rats_string_free(); NULL on failure, as
 *         rats_send_file(); RATS_ERROR_OPERATION_FAILED also if a directory below cannot be read,
 *         RATS_ERROR_INVALID_PARAMETER also if a path below is one that receivers refuse (the
 *         message names it), RATS_ERROR_TOO_LARGE if the list of files does not fit 64 MiB
 * Blocks while the tree is listed. Thread-safe; may be called from a callback. IPC: transfer.send,
 * transfer.open, transfer.provide, transfer.fail. Since 1.0.
 */
RATS_API char *rats_send_directory(rats_client_t client, const char *peer_id,
                                   const char *directory_path, const char *remote_directory_name,
                                   int recursive);

/**
 * Ask a peer for a file. What it sends in answer is accepted without asking again.
 *
 * @param client       started handle; borrowed
 * @param peer_id      connected peer; copied
 * @param remote_path  what the peer calls it, 1 to 4096 bytes of UTF-8; copied
 * @param local_path   where the file is put; missing directories above it are made; copied
 * @return id of the transfer to be released with rats_string_free(); NULL on failure, as
 *         rats_last_error() says: RATS_ERROR_NOT_SUPPORTED if the peer does not understand it (it
 *         is not a ratsd), RATS_ERROR_PEER_NOT_FOUND, RATS_ERROR_INVALID_PARAMETER,
 *         RATS_ERROR_OPERATION_FAILED if local_path cannot be written, RATS_ERROR_NOT_RUNNING
 * A peer that refuses, or does not answer within 120 s, ends the transfer. One round trip.
 * Thread-safe; may be called from a callback. IPC: transfer.request, transfer.offered,
 * transfer.accept. Since 1.0.
 */
RATS_API char *rats_request_file(rats_client_t client, const char *peer_id, const char *remote_path,
                                 const char *local_path);

/**
 * Ask a peer for a directory. What it sends in answer is accepted without asking again.
 *
 * @param client       started handle; borrowed
 * @param peer_id      connected peer; copied
 * @param remote_path  what the peer calls it, 1 to 4096 bytes of UTF-8; copied
 * @param local_path   directory the files are put in; made if it is missing; copied
 * @param recursive    0: only the directory's own files; else also what is below
 * @return as rats_request_file()
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.request,
 * transfer.offered, transfer.accept. Since 1.0.
 */
RATS_API char *rats_request_directory(rats_client_t client, const char *peer_id,
                                      const char *remote_path, const char *local_path,
                                      int recursive);

/**
 * Take an offer of a file, or serve a file that a peer asked for.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  from the file request callback; copied
 * @param local_path   offer: where the file is put; missing directories above it are made. Request:
 *                     the file the peer gets. Copied
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if this session was not shown such an offer or
 *         request, it is of a directory, it was answered or has ended, another session took it,
 *         local_path cannot be opened, or its disk lacks space; RATS_ERROR_INVALID_PARAMETER;
 *         RATS_ERROR_PEER_NOT_FOUND; RATS_ERROR_NOT_RUNNING. The id is checked before the state of
 *         the session
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.accept,
 * transfer.verified, transfer.placed. Since 1.0.
 */
RATS_API rats_error_t rats_accept_file_transfer(rats_client_t client, const char *transfer_id,
                                                const char *local_path);

/**
 * Take an offer of a directory, or serve a directory that a peer asked for.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  from the directory request callback; copied
 * @param local_path   offer: directory the files are put in; made if it is missing. Request: the
 *                     directory the peer gets. Copied
 * @return as rats_accept_file_transfer()
 * One round trip; blocks while a directory to be served is listed. Thread-safe; may be called from
 * a callback. IPC: transfer.accept, transfer.open, transfer.provide, transfer.verified,
 * transfer.placed, transfer.fail. Since 1.0.
 */
RATS_API rats_error_t rats_accept_directory_transfer(rats_client_t client, const char *transfer_id,
                                                     const char *local_path);

/**
 * Leave an offer or request of a file to the instance's other sessions. The peer is told when none
 * is left that might take it; here the transfer ends as CANCELLED.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  from the file request callback; copied
 * @param reason       what the peer is told, at most 512 bytes of UTF-8; may be NULL; copied
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if this session was not shown such an offer or
 *         request, or it was answered or has ended; RATS_ERROR_INVALID_PARAMETER;
 *         RATS_ERROR_NOT_RUNNING. The id is checked before the state of the session
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.reject. Since 1.0.
 */
RATS_API rats_error_t rats_reject_file_transfer(rats_client_t client, const char *transfer_id,
                                                const char *reason);

/**
 * The same for a directory.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  from the directory request callback; copied
 * @param reason       what the peer is told, at most 512 bytes of UTF-8; may be NULL; copied
 * @return as rats_reject_file_transfer()
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.reject. Since 1.0.
 */
RATS_API rats_error_t rats_reject_directory_transfer(rats_client_t client, const char *transfer_id,
                                                     const char *reason);

/**
 * End a transfer of this session, of a file or a directory, in whatever state it is.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  copied
 * @return RATS_SUCCESS, and the progress callback tells CANCELLED; RATS_ERROR_OPERATION_FAILED if
 *         this session has no such transfer, it has ended, or all of it has arrived and is being
 * put in place; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_RUNNING. The id is checked before the
 * state of the session One round trip. Thread-safe; may be called from a callback. IPC:
 * transfer.cancel. Since 1.0.
 */
RATS_API rats_error_t rats_cancel_file_transfer(rats_client_t client, const char *transfer_id);

/**
 * Hold a transfer of this session that runs, of a file or a directory, sent or received.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  copied
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED if this session has no such transfer or it does
 *         not run; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_RUNNING. The id is checked before
 *         the state of the session
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.pause. Since 1.0.
 */
RATS_API rats_error_t rats_pause_file_transfer(rats_client_t client, const char *transfer_id);

/**
 * Let a paused transfer of this session go on.
 *
 * @param client       started handle; borrowed
 * @param transfer_id  copied
 * @return as rats_pause_file_transfer(); RATS_ERROR_OPERATION_FAILED also if it is not paused
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.resume. Since 1.0.
 */
RATS_API rats_error_t rats_resume_file_transfer(rats_client_t client, const char *transfer_id);

/**
 * How far a transfer is. Known are those of this session, offers and requests that it was shown,
 * and what of these ended in the last ten minutes.
 *
 * @param client       handle; borrowed
 * @param transfer_id  copied
 * @return JSON object to be released with rats_string_free(): transfer_id, filename (what the
 *         sender calls it; only to be shown), local_path ("" until accepted), peer_id,
 *         bytes_transferred, total_bytes, completion_percentage (0.0 to 100.0), status (a
 *         rats_transfer_status_t), direction (0 sending, 1 receiving), kind ("file" or
 *         "directory"), request (whether the receiver asked for it), files_completed, total_files,
 *         error ("" or why it ended), rate_bps (bytes in the latest second); NULL if there is no
 *         such transfer (RATS_ERROR_NOT_FOUND) or on failure
 * Answered from what the library knows, also while the daemon is gone. Thread-safe; may be called
 * from a callback. IPC: transfer.changed. Since 1.0.
 */
RATS_API char *rats_get_file_transfer_progress_json(rats_client_t client, const char *transfer_id);

/**
 * All transfers that rats_get_file_transfer_progress_json() knows.
 *
 * @param client  handle; borrowed
 * @return JSON array of such objects, oldest first, to be released with rats_string_free(); NULL on
 *         failure
 * Answered from what the library knows. Thread-safe; may be called from a callback. IPC:
 * transfer.changed. Since 1.0.
 */
RATS_API char *rats_get_file_transfers_json(rats_client_t client);

/**
 * Sums over this session's transfers.
 *
 * @param client  attached handle; borrowed
 * @return JSON object to be released with rats_string_free(): uptime_seconds (since the session
 *         attached), total_bytes_sent, total_bytes_received, total_files_sent,
 *         total_files_received, active_transfers, completed_transfers (all that ended),
 *         success_rate (0.0 to 1.0), average_send_rate_bps, average_receive_rate_bps (bytes per
 *         second in which something moved); NULL on failure
 * One round trip. Thread-safe; may be called from a callback. IPC: transfer.statistics. Since 1.0.
 */
RATS_API char *rats_get_file_transfer_statistics_json(rats_client_t client);

/**
 * Let peers have what is below a directory. What they ask for there is sent to them by the library,
 * without the request callbacks. They may ask by the absolute path or by a path below the
 * directory; they get nothing that a link or ".." leads to outside of it.
 *
 * @param client     handle, started or not; borrowed
 * @param directory  directory this process may read; copied
 * @return RATS_SUCCESS, also if it is shared already; RATS_ERROR_NOT_FOUND;
 *         RATS_ERROR_INVALID_PARAMETER if it is NULL or not a directory;
 *         RATS_ERROR_OPERATION_FAILED if it cannot be opened
 * It ends with the session or rats_remove_share_root(). One round trip when the daemon must be
 * told. Thread-safe; may be called from a callback. IPC: transfer.watch, transfer.requested,
 * transfer.accept. Since 1.0.
 */
RATS_API rats_error_t rats_add_share_root(rats_client_t client, const char *directory);

/**
 * Share a directory no longer. Transfers that run are not ended.
 *
 * @param client     handle; borrowed
 * @param directory  as it was given to rats_add_share_root(), or its real path; copied
 * @return RATS_SUCCESS; RATS_ERROR_NOT_FOUND if it is not shared; RATS_ERROR_INVALID_PARAMETER
 * One round trip when the daemon must be told. Thread-safe; may be called from a callback. IPC:
 * transfer.watch. Since 1.0.
 */
RATS_API rats_error_t rats_remove_share_root(rats_client_t client, const char *directory);

/* ------------------------------------------------------------------ callbacks ------------------
 */

/**
 * Set what runs when a peer is usable.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: peer.connected. Since 1.0.
 */
RATS_API void rats_set_connection_callback(rats_client_t client, rats_connection_cb callback,
                                           void *user_data);

/**
 * Set what runs when a peer is gone.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: peer.disconnected. Since 1.0.
 */
RATS_API void rats_set_disconnect_callback(rats_client_t client, rats_disconnect_cb callback,
                                           void *user_data);

/**
 * Set what runs when a string arrives (channel rats.string).
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it and, unless rats_channel_on()
 * asked for the channel too, ends its delivery
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * One round trip when the daemon must be told; rats_last_error() says if it refused. A replaced
 * callback may still be running when this returns. Thread-safe; may be called from a callback.
 * IPC: channel.on, channel.off. Since 1.0.
 */
RATS_API void rats_set_string_callback(rats_client_t client, rats_string_cb callback,
                                       void *user_data);

/**
 * Set what runs when bytes arrive (channel rats.binary).
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it and, unless rats_channel_on()
 * asked for the channel too, ends its delivery
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * One round trip when the daemon must be told; rats_last_error() says if it refused. A replaced
 * callback may still be running when this returns. Thread-safe; may be called from a callback.
 * IPC: channel.on, channel.off. Since 1.0.
 */
RATS_API void rats_set_binary_callback(rats_client_t client, rats_binary_cb callback,
                                       void *user_data);

/**
 * Set what runs when JSON arrives (channel rats.json). Text that is not JSON is logged and dropped.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it and, unless rats_channel_on()
 * asked for the channel too, ends its delivery
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * One round trip when the daemon must be told; rats_last_error() says if it refused. A replaced
 * callback may still be running when this returns. Thread-safe; may be called from a callback.
 * IPC: channel.on, channel.off. Since 1.0.
 */
RATS_API void rats_set_json_callback(rats_client_t client, rats_json_cb callback, void *user_data);

/**
 * Set what runs when a peer offers a file or asks for one. Every session of the instance that has
 * such a callback is shown an offer; the first to accept has it, and for the others it is
 * cancelled. The peer is refused when all rejected, when nobody has a callback, and after 60 s.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   only informs: nothing is received or sent until rats_accept_file_transfer();
 *                   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * One round trip when the daemon must be told; rats_last_error() says if it refused. What lies in a
 * share root is answered without the callback. A replaced callback may still be running when this
 * returns. Thread-safe; may be called from a callback. IPC: transfer.watch, transfer.offered,
 * transfer.requested. Since 1.0.
 */
RATS_API void rats_set_file_request_callback(rats_client_t client, rats_file_request_cb callback,
                                             void *user_data);

/**
 * The same for directories.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   only informs: nothing is received or sent until
 *                   rats_accept_directory_transfer(); runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * One round trip when the daemon must be told; rats_last_error() says if it refused. A replaced
 * callback may still be running when this returns. Thread-safe; may be called from a callback.
 * IPC: transfer.watch, transfer.offered, transfer.requested. Since 1.0.
 */
RATS_API void rats_set_directory_request_callback(rats_client_t client,
                                                  rats_directory_request_cb callback,
                                                  void *user_data);

/**
 * Set what runs when a transfer of this session gets on.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread, and never holds a transfer up; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: transfer.changed. Since 1.0.
 */
RATS_API void rats_set_file_progress_callback(rats_client_t client, rats_file_progress_cb callback,
                                              void *user_data);

/**
 * Set what runs for each file of a directory.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread, and never holds a transfer up; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * Files that were whole before it was set are not told. A replaced callback may still be running
 * when this returns. Thread-safe; may be called from a callback. IPC: transfer.changed,
 * transfer.verified. Since 1.0.
 */
RATS_API void rats_set_directory_progress_callback(rats_client_t client,
                                                   rats_directory_progress_cb callback,
                                                   void *user_data);

/**
 * Set what runs when the daemon goes away or is found again. When it goes away, the disconnect
 * callback runs first for every peer; when it is back, the connection callback runs afterwards.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_daemon_callback(rats_client_t client, rats_daemon_cb callback,
                                       void *user_data);

/**
 * Set what runs when messages for this session were dropped because it did not keep up.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   gets the exact number since it last ran; runs on the dispatcher thread; NULL
 *                   clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: lost. Since 1.0.
 */
RATS_API void rats_set_overflow_callback(rats_client_t client, rats_overflow_cb callback,
                                         void *user_data);

/**
 * Set what runs for every event of rats-ipc(7), after the specific callback of that event. Runs
 * also before rats_start() and after rats_stop(), for tools that watch.
 *
 * @param client     handle, or NULL (nothing happens); borrowed
 * @param callback   runs on the dispatcher thread; NULL clears it
 * @param user_data  passed to the callback; borrowed until it is replaced or the handle destroyed
 * A replaced callback may still be running when this returns. Thread-safe; may be called from a
 * callback. IPC: every event; session.watch asks for more of them. Since 1.0.
 */
RATS_API void rats_set_event_callback(rats_client_t client, rats_event_cb callback,
                                      void *user_data);

/* ------------------------------------------------------------------ batches and calls ----------
 */

/**
 * Take what has arrived, instead of having callbacks called. For language bindings and event loops;
 * only for handles created with RATS_DISPATCH_BATCHES, whose callbacks never run.
 *
 * A batch is a run of whole frames of rats-ipc(7), in order: EVENT and MESSAGE frames are what the
 * callbacks would have seen; frames of any other kind must be skipped. After rats_start() there is
 * an EVENT peer.connected for each peer present. When the daemon goes away there is an EVENT
 * peer.disconnected for each peer and an EVENT daemon.detached; when it is back an EVENT
 * daemon.attached and peer.connected again. Of transfers the callbacks would have seen three events
 * of the library's own, which come whatever callbacks are set unless it says so:
 *   transfer.shown: transfer_id, peer_id, kind ("file" or "directory"), remote_path, name; while
 *     the request callback of that kind is set.
 *   transfer.progressed: as rats_get_file_transfer_progress_json().
 *   transfer.files: transfer_id, first (how many were whole before), total_files, files (their
 *     paths); while the directory progress callback is set.
 * Events that the library made have sequence number 0.
 *
 * @param client      handle; borrowed
 * @param timeout_ms  milliseconds to wait for one; 0 = do not wait; negative = for ever
 * @param ret_size    bytes in the batch; 0 without one
 * @return the batch, readable until rats_release_batch(); NULL after the timeout
 *         (RATS_ERROR_TIMEOUT), when rats_stop() or rats_end_wait() ended the wait (RATS_SUCCESS),
 *         when the handle is being destroyed (RATS_ERROR_NOT_RUNNING: take no more), or for a
 *         handle with callbacks (RATS_ERROR_INVALID_PARAMETER)
 * Any number of batches may be held; they count as unread until released. A batch that is held
 * while the handle is destroyed stays readable; rats_release_batch() is then the only function that
 * still takes the handle, and the last batch frees it. Thread-safe.
 * IPC: EVENT and MESSAGE frames. Since 1.0.
 */
RATS_API const void *rats_take_batch(rats_client_t client, int timeout_ms, size_t *ret_size);

/**
 * End a wait of rats_take_batch(): one that is in progress, or else the next one. What has arrived
 * is returned all the same.
 *
 * @param client  handle created with RATS_DISPATCH_BATCHES; borrowed
 * Thread-safe. IPC: none. Since 1.0.
 */
RATS_API void rats_end_wait(rats_client_t client);

/**
 * Give back a batch.
 *
 * @param client  the handle it came from; borrowed
 * @param batch   from rats_take_batch(), or NULL; taken
 * Thread-safe. IPC: none. Since 1.0.
 */
RATS_API void rats_release_batch(rats_client_t client, const void *batch);

/**
 * A descriptor that is readable while a batch waits, for poll() and the like. Do not read from it,
 * and do not close it: it belongs to the handle.
 *
 * @param client  handle created with RATS_DISPATCH_BATCHES; borrowed
 * @return descriptor; -1 on failure
 * Thread-safe. IPC: none. Since 1.0.
 */
RATS_API int rats_batch_fd(rats_client_t client);

/**
 * Call any method of rats-ipc(7).
 *
 * @param client       handle; borrowed
 * @param method       its name; copied
 * @param params_json  its parameters as a JSON object, at most 64 KiB; NULL = none; copied
 * @param timeout_ms   milliseconds to wait; negative = for ever. After that the call is cancelled
 * @param ret_result   may be NULL. Text to be released with rats_string_free(): the result as a
 * JSON object, or on failure at the daemon {"e":name,"code":n,"text":sentence,"d":{}}. NULL where
 * no answer came
 * @return RATS_SUCCESS; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_JSON_PARSE if params_json is no
 * JSON object; RATS_ERROR_TIMEOUT; RATS_ERROR_NOT_RUNNING if the daemon is or goes away; else the
 *         code of the daemon's answer
 * One round trip. Thread-safe; may be called from a callback. IPC: the named method. Since 1.0.
 */
RATS_API rats_error_t rats_call(rats_client_t client, const char *method, const char *params_json,
                                int timeout_ms, char **ret_result);

/* ------------------------------------------------------------------ protocol -------------------
 */

/**
 * Name the protocol that peers must share. Where the instance has another, this handle moves to a
 * private instance that has it: the one it had alone is replaced, on the same port; a shared one is
 * left, and the new one has any port and another peer id. All that was registered stays.
 *
 * @param client  handle; borrowed
 * @param name    not empty; copied. "rats" stands for what the network calls "librats"
 * @return RATS_SUCCESS; RATS_ERROR_OPERATION_FAILED, with nothing changed, if the instance has
 *         another and the session is started, or no instance may be started (the socket was named,
 *         RATS_CREATE=shared) or none gets up; RATS_ERROR_INVALID_PARAMETER; RATS_ERROR_NOT_RUNNING
 *         if the daemon is gone
 * Blocks 12 s at most where it moves. Thread-safe; may be called from a callback. IPC: hello.
 * Since 1.0.
 */
RATS_API rats_error_t rats_set_protocol_name(rats_client_t client, const char *name);

/**
 * Set the protocol version that peers must share, as rats_set_protocol_name() does the name.
 *
 * @param client   handle; borrowed
 * @param version  without '/'; copied
 * @return as rats_set_protocol_name()
 * Blocks 12 s at most where it moves. Thread-safe; may be called from a callback. IPC: hello.
 * Since 1.0.
 */
RATS_API rats_error_t rats_set_protocol_version(rats_client_t client, const char *version);

/**
 * Name of the instance's protocol; "rats" for the network's "librats".
 *
 * @param client  handle; borrowed
 * @return text to be released with rats_string_free(); NULL if the handle never was attached
 * No round trip. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API char *rats_get_protocol_name(rats_client_t client);

/**
 * Version of the instance's protocol; "" if it has none.
 *
 * @param client  handle; borrowed
 * @return text to be released with rats_string_free(); NULL if the handle never was attached
 * No round trip. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API char *rats_get_protocol_version(rats_client_t client);

/* ------------------------------------------------------------------ security and data ----------
 */

/**
 * Switch encryption on or off. A private instance that nobody else uses does that at once, also
 * while the session is started, for links made from then on; present ones stay as they are. Where
 * the instance is shared this is as rats_set_protocol_name(), and fails while the session is
 * started.
 *
 * @param client   handle; borrowed
 * @param enabled  0: plaintext, which neither encrypts nor proves who peers are; else Noise
 * @return as rats_set_protocol_name(); RATS_ERROR_INVALID_HANDLE
 * Blocks 12 s at most where it moves. Thread-safe; may be called from a callback. IPC:
 * instance.set_security. Since 1.0.
 */
RATS_API rats_error_t rats_set_encryption_enabled(rats_client_t client, int enabled);

/**
 * Whether the instance encrypts its links.
 *
 * @param client  handle; borrowed
 * @return 1 or 0; 1 for a handle that never was attached
 * No round trip. Thread-safe; may be called from a callback. IPC: hello. Since 1.0.
 */
RATS_API int rats_is_encryption_enabled(rats_client_t client);

/**
 * Private key of the instance, that is its identity. Only a private instance shows it, and only to
 * its owner; rats_get_public_key() is for everybody.
 *
 * @param client  handle; borrowed
 * @return 64 lowercase hex digits, to be released with rats_string_free() (wipe them before); NULL
 *         if the instance is shared or another user's (RATS_ERROR_NOT_PERMITTED) or the daemon is
 *         gone (RATS_ERROR_NOT_RUNNING)
 * One round trip. Thread-safe; may be called from a callback. IPC: instance.get_key. Since 1.0.
 */
RATS_API char *rats_get_encryption_key(rats_client_t client);

/**
 * Give the instance another private key and with it another peer id, as rats_set_protocol_name()
 * sets the protocol. It is kept in the data directory (the key that was there beside it, as
 * identity.key.old); a shared instance never gets it.
 *
 * @param client   handle; borrowed
 * @param key_hex  64 hex digits, not all zero; copied. The library keeps the key until the handle
 * is destroyed or another is set
 * @return as rats_set_protocol_name(); RATS_ERROR_INVALID_PARAMETER if it is no key
 * Blocks 12 s at most where it moves. Thread-safe; may be called from a callback. IPC:
 * instance.get_key. Since 1.0.
 */
RATS_API rats_error_t rats_set_encryption_key(rats_client_t client, const char *key_hex);

/**
 * Make a private key and give it to the instance, as rats_set_encryption_key() does.
 *
 * @param client  handle; borrowed
 * @return 64 lowercase hex digits, to be released with rats_string_free() (wipe them before); NULL
 *         where rats_set_encryption_key() would fail, with rats_last_error() saying why
 * Blocks 12 s at most where it moves. Thread-safe; may be called from a callback. IPC:
 * instance.get_key. Since 1.0.
 */
RATS_API char *rats_generate_encryption_key(rats_client_t client);

/**
 * Keep the identity and all other state elsewhere, as rats_set_protocol_name() sets the protocol.
 *
 * @param client     handle; borrowed
 * @param directory  made with its parents if it is missing; relative to the working directory of
 *                   the caller; copied. The identity in it is loaded, or made
 * @return as rats_set_protocol_name(); RATS_ERROR_OPERATION_FAILED also if another instance uses
 * the directory or it cannot be written Blocks 12 s at most where it moves. Thread-safe; may be
 * called from a callback. IPC: instance.get. Since 1.0.
 */
RATS_API rats_error_t rats_set_data_directory(rats_client_t client, const char *directory);

/**
 * Where the instance keeps its state.
 *
 * @param client  handle; borrowed
 * @return absolute path, to be released with rats_string_free(); NULL without control permission
 *         (RATS_ERROR_NOT_PERMITTED) or while the daemon is gone (RATS_ERROR_NOT_RUNNING)
 * One round trip. Thread-safe; may be called from a callback. IPC: instance.get. Since 1.0.
 */
RATS_API char *rats_get_data_directory(rats_client_t client);

/* ------------------------------------------------------------------ log of the library ---------
 */
/* These settings are the process's: they concern what this library itself has to say, on standard
 * error and in a file. The daemon's log is elsewhere. The handle is only checked for NULL. */

/**
 * Switch the log file on or off. Without a path nothing is written; the flag is kept for when one
 * is set. Off at first.
 *
 * @param enabled  0 or not 0
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_logging_enabled(int enabled);

/**
 * Set how much is logged, on standard error and in the file. WARN at first.
 *
 * @param level  "DEBUG", "INFO", "WARN" or "WARNING", "ERROR" in either case; any other text means
 *               INFO; NULL changes nothing
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_log_level(const char *level);

/**
 * Set the log file. Missing directories are created; takes effect at once if the file log is on.
 *
 * @param client  handle; only checked for NULL
 * @param path    copied; relative to the working directory; "" = none; NULL changes nothing
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_log_file_path(rats_client_t client, const char *path);

/**
 * Path of the log file.
 *
 * @param client  handle; only checked for NULL
 * @return text to be released with rats_string_free(), "" if none is set; NULL on failure
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API char *rats_get_log_file_path(rats_client_t client);

/**
 * Switch colours on standard error on or off; they only show on a terminal. On at first.
 *
 * @param client   handle; only checked for NULL
 * @param enabled  0 or not 0
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_log_colors_enabled(rats_client_t client, int enabled);

/**
 * Whether colours are on.
 *
 * @param client  handle; only checked for NULL
 * @return 1 or 0
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_is_log_colors_enabled(rats_client_t client);

/**
 * Switch the time of day on standard error on or off; the file always has it. On at first.
 *
 * @param client   handle; only checked for NULL
 * @param enabled  0 or not 0
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_log_timestamps_enabled(rats_client_t client, int enabled);

/**
 * Whether the time of day is shown on standard error.
 *
 * @param client  handle; only checked for NULL
 * @return 1 or 0
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API int rats_is_log_timestamps_enabled(rats_client_t client);

/**
 * Set the size at which the log file is put aside as "PATH.1" and begun anew. 10 MiB at first.
 *
 * @param client      handle; only checked for NULL
 * @param size_bytes  bytes; 0 = never
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_log_rotation_size(rats_client_t client, size_t size_bytes);

/**
 * Set how many old log files are kept, "PATH.1" being the newest. 5 at first.
 *
 * @param client  handle; only checked for NULL
 * @param count   0 to 1000; 0 = the old file is dropped; other values are brought into the range
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_set_log_retention_count(rats_client_t client, int count);

/**
 * Empty the log file.
 *
 * @param client  handle; only checked for NULL
 * Thread-safe; may be called from a callback. IPC: none. Since 1.0.
 */
RATS_API void rats_clear_log_file(rats_client_t client);

#ifdef __cplusplus
}
#endif

#endif
