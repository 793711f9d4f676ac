/* The method table: one row for each thing a client can ask. Nothing about a method is written by
 * hand anywhere else without a contract test that compares. */
#ifndef RATS_PROTO_METHODS_H
#define RATS_PROTO_METHODS_H

#include "proto/errors.h"
#include "proto/fields.h"

#define PROTO_MAJOR 1
#define PROTO_MINOR 0

enum method_id {
    M_HELLO,
    M_PROTOCOL_DESCRIBE,
    M_INSTANCE_GET,
    M_INSTANCE_GET_KEY,
    M_INSTANCE_SET_SECURITY,
    M_SESSION_START,
    M_SESSION_STOP,
    M_SESSION_LIST,
    M_SESSION_WATCH,
    M_SESSION_DEMAND_PEERS,
    M_PEER_LIST,
    M_PEER_GET,
    M_PEER_CONNECT,
    M_PEER_DISCONNECT,
    M_CHANNEL_ON,
    M_CHANNEL_OFF,
    M_TYPED_ON,
    M_TYPED_OFF,
    M_RECONNECT_ADD,
    M_RECONNECT_REMOVE,
    M_RECONNECT_LIST,
    M_KNOWN_LIST,
    M_KNOWN_CLEAR,
    M_KNOWN_CONNECT,
    M_KNOWN_SAVE,
    M_PING_SEND,
    M_PING_RTT,
    M_PEX_REQUEST,
    M_BAN_ADD,
    M_BAN_REMOVE,
    M_BAN_LIST,
    M_LIMIT_SET,
    M_LIMIT_CLEAR,
    M_LIMIT_LIST,
    M_TOPIC_SUBSCRIBE,
    M_TOPIC_UNSUBSCRIBE,
    M_TOPIC_LIST,
    M_TOPIC_PEERS,
    M_TOPIC_MESH,
    M_TOPIC_STATISTICS,
    M_TOPIC_ALL,
    M_LOG_GET_LEVEL,
    M_LOG_SET_LEVEL,
    M_STORAGE_PUT,
    M_STORAGE_GET,
    M_STORAGE_REMOVE,
    M_STORAGE_KEYS,
    M_STORAGE_SYNC,
    M_STORAGE_STATISTICS,
    M_STORAGE_WATCH,
    M_STORAGE_UNWATCH,
    M_TRANSFER_WATCH,
    M_TRANSFER_SEND,
    M_TRANSFER_REQUEST,
    M_TRANSFER_ACCEPT,
    M_TRANSFER_REJECT,
    M_TRANSFER_PROVIDE,
    M_TRANSFER_PLACED,
    M_TRANSFER_FAIL,
    M_TRANSFER_PAUSE,
    M_TRANSFER_RESUME,
    M_TRANSFER_CANCEL,
    M_TRANSFER_GET,
    M_TRANSFER_LIST,
    M_TRANSFER_STATISTICS,
    METHOD_COUNT,
};

enum permission { PERMISSION_USE, PERMISSION_CONTROL };

#define ERRORS(...) ((const enum proto_error[]){__VA_ARGS__, PROTO_ERROR_COUNT})
#define NO_ERRORS   ((const enum proto_error[]){PROTO_ERROR_COUNT})

struct method_row {
    const char *name;      /* "<service>.<verb>" */
    unsigned since;        /* minor version of the protocol; 0 = 1.0 */
    const char *stability; /* "stable" or "experimental" */
    enum permission permission;
    const char *summary;
    const struct field *params;
    const struct field *result;
    const char *body;               /* what the body of the CALL is; NULL: it has none */
    const char *reply_body;         /* the same of the REPLY */
    unsigned fds;                   /* descriptors the CALL may carry, at most FRAME_MAX_FDS */
    const enum proto_error *errors; /* besides invalid_parameter, malformed, limit, cancelled */
    const char *api;                /* C functions, separated by spaces; NULL when none */
    const char *ctl;                /* ratsctl command; NULL when only `ratsctl call` reaches it */
    bool before_hello;
};

extern const struct method_row proto_methods[METHOD_COUNT];

/* METHOD_COUNT when unknown. name need not be NUL-terminated. */
enum method_id method_find(const char *name, size_t size);

#endif
