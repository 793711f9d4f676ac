#include "proto/methods.h"

#include <stddef.h>
#include <string.h>

#include "proto/message_head.h"
#include "proto/shapes.h"

#define STABLE "stable"

#define LIMIT_FIELDS                                                                               \
    FIELDS(                                                                                        \
        F_UINT("message_bytes", FIELD_REQUIRED, "largest payload of one message in bytes", 0, 0),  \
        F_UINT("queue_bytes", FIELD_REQUIRED,                                                      \
               "bytes held for this session before the slow rule applies", 0, 0),                  \
        F_UINT("calls", FIELD_REQUIRED, "calls in progress at once", 0, 0))

#define SESSION_ROW                                                                                \
    FIELDS(F_UINT("session", FIELD_REQUIRED, "number of the session", 1, 0),                       \
           F_UINT("pid", FIELD_REQUIRED, "process id of the client", 0, 0),                        \
           F_UINT("uid", FIELD_REQUIRED, "user id of the client", 0, 0),                           \
           F_UINT("gid", FIELD_REQUIRED, "group id of the client", 0, 0),                          \
           F_TEXT("name", FIELD_REQUIRED, "name the client gave itself", 0, 0),                    \
           F_TEXT("agent", FIELD_REQUIRED, "client library and version", 0, 0),                    \
           F_CHOICE("role", FIELD_REQUIRED, "what the session may do", "use|control"),             \
           F_BOOL("started", FIELD_REQUIRED, "whether messages are delivered to it"),              \
           F_UINT("age_seconds", FIELD_REQUIRED, "seconds since it attached", 0, 0),               \
           F_UINT("channels", FIELD_REQUIRED, "channels it registered", 0, 0),                     \
           F_UINT("types", FIELD_REQUIRED, "message types it registered", 0, 0),                   \
           F_UINT("topics", FIELD_REQUIRED, "topics it subscribes to", 0, 0),                      \
           F_UINT("transfers", FIELD_REQUIRED, "transfers it has that have not ended", 0, 0),      \
           F_UINT("queued_bytes", FIELD_REQUIRED, "bytes waiting for it to read", 0, 0),           \
           F_UINT("lost", FIELD_REQUIRED, "messages dropped because it was slow", 0, 0),           \
           F_UINT("calls", FIELD_REQUIRED, "calls in progress", 0, 0))

#define HELLO_PARAMS                                                                               \
    FIELDS(                                                                                        \
        F_ARRAY("versions", FIELD_REQUIRED,                                                        \
                "protocol versions the client knows, as [major, minor] pairs", 1, 16, NULL),       \
        F_TEXT_DEFAULT("agent", "client library and version", 0, 128, "empty"),                    \
        F_TEXT_DEFAULT("name", "what the client calls itself, for session.list", 0, 128, "empty"), \
        F_CHOICE_DEFAULT("slow",                                                                   \
                         "what happens to messages when the client does not read: hold their "     \
                         "senders up for 2 s and then drop, drop at once, or end the session",     \
                         "stall|drop|close", "stall"))

#define HELLO_RESULT                                                                               \
    FIELDS(                                                                                        \
        F_ARRAY("version", FIELD_REQUIRED, "the version chosen, [major, minor]", 2, 2, NULL),      \
        F_TEXT("daemon", FIELD_REQUIRED, "version of the daemon", 0, 0),                           \
        F_TEXT("instance", FIELD_REQUIRED, "name of the instance", 0, 0),                          \
        F_BOOL("shared", FIELD_REQUIRED,                                                           \
               "whether programs share it; a private one ends with its last session"),             \
        F_BOOL("on_demand", 0,                                                                     \
               "whether a program started it, and whoever misses it starts it again"),             \
        F_PEER("peer_id", FIELD_REQUIRED, "id of this instance on the network"),                   \
        F_TEXT("public_key", FIELD_REQUIRED, "X25519 public key, 64 hexadecimal digits", 64, 64),  \
        F_TEXT("protocol", FIELD_REQUIRED, "protocol string that peers must share", 0, 0),         \
        F_CHOICE("security", FIELD_REQUIRED, "security mode of all links", "noise|plaintext"),     \
        F_UINT("listen_port", FIELD_REQUIRED, "port the instance listens on; 0 = none", 0, 65535), \
        F_CHOICE("role", FIELD_REQUIRED, "what this session may do", "use|control"),               \
        F_UINT("session", FIELD_REQUIRED, "number of this session", 1, 0),                         \
        F_UINT("max_peers", FIELD_REQUIRED, "peers allowed; 0 = no limit", 0, 0),                  \
        F_OBJECT("limits", FIELD_REQUIRED, "limits of this session", LIMIT_FIELDS),                \
        F_WORDS("services", FIELD_REQUIRED, "services the instance runs", NULL),                   \
        F_ARRAY("peers", FIELD_REQUIRED, "peers connected now", 0, 0, shape_peer))

#define INSTANCE_RESULT                                                                            \
    FIELDS(                                                                                        \
        F_TEXT("name", FIELD_REQUIRED, "name of the instance", 0, 0),                              \
        F_TEXT("version", FIELD_REQUIRED, "version of the daemon", 0, 0),                          \
        F_UINT("pid", FIELD_REQUIRED, "process id of the daemon", 0, 0),                           \
        F_TEXT("socket", FIELD_REQUIRED, "path of its socket", 0, 0),                              \
        F_BOOL("shared", FIELD_REQUIRED, "whether programs share it"),                             \
        F_PEER("peer_id", FIELD_REQUIRED, "id of this instance on the network"),                   \
        F_TEXT("public_key", FIELD_REQUIRED, "X25519 public key, 64 hexadecimal digits", 64, 64),  \
        F_TEXT("protocol", FIELD_REQUIRED, "protocol string that peers must share", 0, 0),         \
        F_CHOICE("security", FIELD_REQUIRED, "security mode of all links", "noise|plaintext"),     \
        F_UINT("listen_port", FIELD_REQUIRED, "port the instance listens on; 0 = none", 0, 65535), \
        F_WORDS("transports", FIELD_REQUIRED, "transports it listens on", "tcp|udp"),              \
        F_UINT("peers", FIELD_REQUIRED, "connected peers", 0, 0),                                  \
        F_UINT("sessions", FIELD_REQUIRED, "attached clients", 0, 0),                              \
        F_UINT("max_peers", FIELD_REQUIRED, "peers allowed; 0 = no limit", 0, 0),                  \
        F_UINT("uptime_seconds", FIELD_REQUIRED, "seconds since the daemon started", 0, 0),        \
        F_TEXT("data_directory", 0, "where it keeps its state; only with control permission", 0,   \
               0),                                                                                 \
        F_OBJECT("counters", FIELD_REQUIRED, "every counter of the daemon by name", NULL))

#define DESCRIBE_RESULT                                                                            \
    FIELDS(F_ARRAY("version", FIELD_REQUIRED, "protocol version, [major, minor]", 2, 2, NULL),     \
           F_ARRAY("methods", FIELD_REQUIRED, "one object for each method", 0, 0, NULL),           \
           F_ARRAY("events", 0, "one object for each event; absent when a method was named", 0, 0, \
                   NULL),                                                                          \
           F_ARRAY("errors", 0, "one object for each error; absent when a method was named", 0, 0, \
                   NULL))

#define CHANNEL_PARAMS                                                                             \
    FIELDS(F_TEXT("channel", FIELD_REQUIRED,                                                       \
                  "name of the channel; its bytes are hashed as they "                             \
                  "are",                                                                           \
                  0, 255))

#define TYPE_PARAMS                                                                                \
    FIELDS(F_TEXT("type", FIELD_REQUIRED, "type of the messages, of any form; may be empty", 0,    \
                  MESSAGE_HEAD_MAX_NAME))

#define TARGET_HOST_PORT                                                                           \
    F_TEXT("host", FIELD_REQUIRED, "name or address; names are resolved by the daemon", 1, 255),   \
        F_UINT("port", FIELD_REQUIRED, "port", 1, 65535)

#define TARGET_ROW                                                                                 \
    FIELDS(F_TEXT("address", FIELD_REQUIRED, "host:port", 0, 0), TARGET_HOST_PORT,                 \
           F_CHOICE(                                                                               \
               "origin", FIELD_REQUIRED,                                                           \
               "why it is a target: a dial reached a peer there, a program or ratsctl added it, "  \
               "or the configuration names it",                                                    \
               "learned|added|configured"),                                                        \
           F_CHOICE("state", FIELD_REQUIRED,                                                       \
                    "held: somebody disconnected the peer and it is left alone for a while",       \
                    "connected|dialing|waiting|held"),                                             \
           F_BOOL("connected", FIELD_REQUIRED, "whether the peer there is connected"),             \
           F_PEER("peer", 0, "who is connected, or expected there; absent when nobody is"),        \
           F_UINT("attempts", FIELD_REQUIRED, "dials that failed since it was connected", 0, 0),   \
           F_UINT("next_attempt_seconds", FIELD_REQUIRED,                                          \
                  "seconds until it is dialed; 0 when it is not waiting", 0, 0),                   \
           F_TEXT("error", 0, "why the last dial failed; absent when none did", 0, 0))

#define KNOWN_ROW                                                                                  \
    FIELDS(                                                                                        \
        F_TEXT("address", FIELD_REQUIRED, "address:port", 0, 0),                                   \
        F_TEXT("host", FIELD_REQUIRED, "the address without the port", 0, 0),                      \
        F_UINT("port", FIELD_REQUIRED, "port", 1, 65535),                                          \
        F_PEER("peer", 0, "who answered there; absent when nobody ever did"),                      \
        F_BOOL("connected", FIELD_REQUIRED, "whether that peer is connected now"),                 \
        F_UINT("first_seen_unix_s", FIELD_REQUIRED, "when it became known, Unix seconds", 0, 0),   \
        F_UINT("last_seen_unix_s", FIELD_REQUIRED, "when it was last connected, Unix seconds", 0,  \
               0),                                                                                 \
        F_UINT("last_connected_unix_s", FIELD_REQUIRED,                                            \
               "when a dial last reached it, Unix seconds; 0 = never", 0, 0),                      \
        F_UINT("connect_count", FIELD_REQUIRED, "dials that reached it", 0, 0),                    \
        F_UINT("fail_streak", FIELD_REQUIRED, "dials that failed since", 0, 0))

#define TOPIC_PARAMS                                                                               \
    FIELDS(F_TEXT("topic", FIELD_REQUIRED, "name of the topic", 1, MESSAGE_HEAD_MAX_NAME))

#define TOPIC_PEERS FIELDS(F_WORDS("peers", FIELD_REQUIRED, "ids of the peers, sorted", NULL))

#define TOPIC_ROW                                                                                  \
    FIELDS(F_TEXT("topic", FIELD_REQUIRED,                                                         \
                  "name of the topic; bytes of a peer's topic that are no text are escaped", 0,    \
                  0),                                                                              \
           F_UINT("sessions", FIELD_REQUIRED, "sessions of this instance that subscribe", 0, 0),   \
           F_UINT("subscribers", FIELD_REQUIRED, "connected peers that subscribe", 0, 0),          \
           F_UINT("mesh", FIELD_REQUIRED, "those of them that messages are forwarded to", 0, 0),   \
           F_UINT("fanout", FIELD_REQUIRED,                                                        \
                  "those that messages published here go to first while no session subscribes", 0, \
                  0))

#define TOPIC_STATISTICS                                                                           \
    FIELDS(                                                                                        \
        F_UINT("subscribed", FIELD_REQUIRED, "topics that sessions of this instance subscribe to", \
               0, 0),                                                                              \
        F_UINT("known", FIELD_REQUIRED, "topics known in all, those of peers too", 0, 0),          \
        F_UINT("peers", FIELD_REQUIRED, "connected peers", 0, 0),                                  \
        F_UINT("published", FIELD_REQUIRED, "messages published by sessions", 0, 0),               \
        F_UINT("received", FIELD_REQUIRED, "messages that came from peers, each counted once", 0,  \
               0),                                                                                 \
        F_UINT("delivered", FIELD_REQUIRED, "messages handed to sessions, once for each", 0, 0),   \
        F_UINT("forwarded", FIELD_REQUIRED, "messages passed on to peers, once for each", 0, 0),   \
        F_UINT("duplicates", FIELD_REQUIRED, "copies that came again and were not delivered", 0,   \
               0),                                                                                 \
        F_UINT("recovered", FIELD_REQUIRED, "messages that were missed and asked for", 0, 0),      \
        F_UINT("dropped", FIELD_REQUIRED, "messages not sent to a peer because its link was full", \
               0, 0),                                                                              \
        F_UINT("cached_bytes", FIELD_REQUIRED, "bytes kept for peers that missed a message", 0,    \
               0),                                                                                 \
        F_ARRAY("topics", FIELD_REQUIRED, "the topics as topic.all gives them, at most 1000", 0,   \
                1000, TOPIC_ROW))

#define LEVELS "error|warn|info|debug"

#define SUBJECT_FIELD                                                                              \
    F_TEXT("subject", FIELD_REQUIRED,                                                              \
           "id of a peer, an address, or an address and a prefix length, as in 192.0.2.0/24", 1,   \
           128)

#define BAN_ROW                                                                                    \
    FIELDS(F_TEXT("subject", FIELD_REQUIRED, "who is banned", 0, 0),                               \
           F_CHOICE("kind", FIELD_REQUIRED, "what the subject is", "peer|address"),                \
           F_TEXT("reason", FIELD_REQUIRED, "why, as whoever banned it said", 0, 0),               \
           F_UINT("added_unix_s", FIELD_REQUIRED, "when, in seconds since 1970", 0, 0),            \
           F_UINT("left_seconds", 0, "seconds until it ends; absent when it does not end", 0, 0))

#define LIMIT_FIELDS_OF(flag)                                                                      \
    F_UINT("messages_per_second", (flag), "messages in a second; 0 = any number", 0,               \
           INT64_C(1) << 40),                                                                      \
        F_UINT("bytes_per_second", (flag), "bytes in a second, at least 16384; 0 = any number", 0, \
               INT64_C(1) << 40)

#define LIMIT_ROW                                                                                  \
    FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"), LIMIT_FIELDS_OF(FIELD_REQUIRED))
#define KEY_FIELD F_TEXT("key", FIELD_REQUIRED, "the key", 1, 8192)
#define PREFIX_PARAMS                                                                              \
    FIELDS(F_TEXT("prefix", FIELD_REQUIRED, "what the keys begin with; empty for all", 0, 8192))
#define STORAGE_TYPES "binary|string|int64|double|json"
#define STORED_RESULT                                                                              \
    FIELDS(F_UINT("timestamp_ms", FIELD_REQUIRED,                                                  \
                  "the change's stamp, milliseconds since 1970; later ones win", 0, 0))

#define STORAGE_STATISTICS_RESULT                                                                  \
    FIELDS(                                                                                        \
        F_UINT("keys", FIELD_REQUIRED, "keys that have a value", 0, 0),                            \
        F_UINT("tombstones", FIELD_REQUIRED, "keys removed and still remembered", 0, 0),           \
        F_UINT("total_bytes", FIELD_REQUIRED, "bytes of all keys and values", 0, 0),               \
        F_UINT("max_keys", FIELD_REQUIRED, "most keys allowed, tombstones included", 0, 0),        \
        F_UINT("max_total_bytes", FIELD_REQUIRED, "most bytes of keys and values allowed", 0, 0),  \
        F_UINT("max_key_bytes", FIELD_REQUIRED, "most bytes of one key", 0, 0),                    \
        F_UINT("max_value_bytes", FIELD_REQUIRED, "most bytes of one value", 0, 0),                \
        F_UINT("queued_bytes", FIELD_REQUIRED, "bytes that wait for the disk", 0, 0),              \
        F_UINT("peers_behind", FIELD_REQUIRED, "peers that have not been sent everything", 0, 0),  \
        F_UINT("changes", FIELD_REQUIRED, "changes made here since the daemon started", 0, 0),     \
        F_UINT("entries_in", FIELD_REQUIRED, "entries received from peers since then", 0, 0),      \
        F_UINT("entries_taken", FIELD_REQUIRED, "of these, newer than what was here", 0, 0),       \
        F_UINT("entries_out", FIELD_REQUIRED, "entries sent to peers since then", 0, 0),           \
        F_UINT("refused", FIELD_REQUIRED,                                                          \
               "entries of peers refused by a limit or for their clock since then", 0, 0),         \
        F_UINT("watchers", FIELD_REQUIRED, "prefixes that programs watch", 0, 0))

#define TRANSFER_RESULT FIELDS(F_TRANSFER)
#define KIND_FIELD      F_CHOICE("kind", FIELD_REQUIRED, "what is transferred", TRANSFER_KINDS)
#define MANIFEST                                                                                   \
    "Of a directory its files in the order in which they are to be sent: for each u64 size, u16 "  \
    "size of the path, both little-endian, and the path below the directory, with slashes."

#define ACCEPT_DESCRIPTOR                                                                          \
    " Only to serve a directory. The descriptor is that of the file; or, to receive a directory, " \
    "that of where it goes to, whose disk is looked at first, or none."

#define TRANSFER_STATISTICS_RESULT                                                                 \
    FIELDS(F_UINT("uptime_seconds", FIELD_REQUIRED, "seconds since the session attached", 0, 0),   \
           F_UINT("sent_bytes", FIELD_REQUIRED, "bytes of its transfers that peers have", 0, 0),   \
           F_UINT("received_bytes", FIELD_REQUIRED, "bytes its transfers wrote", 0, 0),            \
           F_UINT("sent_files", FIELD_REQUIRED, "files that peers have whole", 0, 0),              \
           F_UINT("received_files", FIELD_REQUIRED, "files received whole", 0, 0),                 \
           F_UINT("active", FIELD_REQUIRED, "transfers of the session that have not ended", 0, 0), \
           F_UINT("completed", FIELD_REQUIRED, "transfers that completed", 0, 0),                  \
           F_UINT("failed", FIELD_REQUIRED, "transfers that failed or were cancelled", 0, 0),      \
           F_UINT("sending_ms", FIELD_REQUIRED, "milliseconds in which something was sent", 0, 0), \
           F_UINT("receiving_ms", FIELD_REQUIRED, "milliseconds in which something was received",  \
                  0, 0))

const struct method_row proto_methods[METHOD_COUNT] = {
    [M_HELLO] =
        {
            .name = "hello",
            .stability = STABLE,
            .summary =
                "Opens the session: versions, names, and what the instance is. Always first.",
            .params = HELLO_PARAMS,
            .result = HELLO_RESULT,
            .errors = ERRORS(E_VERSION),
            .api = "rats_create rats_create_at rats_create_with",
            .before_hello = true,
        },
    [M_PROTOCOL_DESCRIBE] =
        {
            .name = "protocol.describe",
            .stability = STABLE,
            .summary = "The tables of this protocol: methods, events and errors.",
            .params = FIELDS(F_TEXT_DEFAULT("method", "only this method", 1, 128, "all")),
            .result = DESCRIBE_RESULT,
            .errors = ERRORS(E_NOT_FOUND),
            .ctl = "protocol",
        },
    [M_INSTANCE_GET] =
        {
            .name = "instance.get",
            .stability = STABLE,
            .summary = "What this instance is and how it is doing.",
            .params = NO_FIELDS,
            .result = INSTANCE_RESULT,
            .errors = NO_ERRORS,
            .api = "rats_get_instance_json rats_get_connection_statistics_json "
                   "rats_set_data_directory rats_get_data_directory",
            .ctl = "status",
        },
    [M_INSTANCE_GET_KEY] =
        {
            .name = "instance.get_key",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "The private key of a private instance, for its owner; that of a shared one "
                       "is handed to nobody.",
            .params = NO_FIELDS,
            .result = FIELDS(F_TEXT("key", FIELD_REQUIRED | FIELD_SECRET,
                                    "X25519 private key, 64 hexadecimal digits", 64, 64)),
            .errors = ERRORS(E_NOT_PERMITTED),
            .api = "rats_get_encryption_key rats_set_encryption_key rats_generate_encryption_key",
        },
    [M_INSTANCE_SET_SECURITY] =
        {
            .name = "instance.set_security",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Encryption of a private instance that no other session uses, for links "
                       "made from now on; present links stay as they are.",
            .params = FIELDS(
                F_CHOICE("security", FIELD_REQUIRED, "mode of new links", "noise|plaintext")),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_PERMITTED, E_BUSY),
            .api = "rats_set_encryption_enabled",
        },
    [M_SESSION_START] =
        {
            .name = "session.start",
            .stability = STABLE,
            .summary =
                "Messages for this session's channels are delivered from now on. On a private "
                "instance the first one opens the network.",
            .params = NO_FIELDS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_OPERATION_FAILED),
            .api = "rats_start",
        },
    [M_SESSION_STOP] =
        {
            .name = "session.stop",
            .stability = STABLE,
            .summary =
                "No more messages are delivered; registrations stay. On a private instance the "
                "last one closes the network.",
            .params = NO_FIELDS,
            .result = NO_FIELDS,
            .errors = NO_ERRORS,
            .api = "rats_stop",
        },
    [M_SESSION_LIST] =
        {
            .name = "session.list",
            .stability = STABLE,
            .summary = "The clients attached to this instance.",
            .params = NO_FIELDS,
            .result = FIELDS(F_ARRAY("sessions", FIELD_REQUIRED, "one object for each client", 0, 0,
                                     SESSION_ROW)),
            .errors = NO_ERRORS,
            .ctl = "clients",
        },
    [M_SESSION_WATCH] =
        {
            .name = "session.watch",
            .stability = STABLE,
            .summary = "Says which of the events that are only sent on request this session wants.",
            .params = FIELDS(F_WORDS("events", FIELD_REQUIRED,
                                     "all it wants; replaces what it asked for before",
                                     "session.attached|session.ended")),
            .result = NO_FIELDS,
            .errors = NO_ERRORS,
            .ctl = "monitor",
        },
    [M_SESSION_DEMAND_PEERS] =
        {
            .name = "session.demand_peers",
            .stability = STABLE,
            .summary =
                "Asks for room for that many peers: the limit of a private instance; that of "
                "a shared one it can raise, never lower.",
            .params =
                FIELDS(F_UINT("max_peers", FIELD_REQUIRED,
                              "peers this session wants room for; 0 = no demand", 0, 1000000)),
            .result = FIELDS(F_UINT("max_peers", FIELD_REQUIRED,
                                    "the limit that holds now; 0 = no limit", 0, 0)),
            .errors = NO_ERRORS,
            .api = "rats_set_max_peers",
        },
    [M_PEER_LIST] =
        {
            .name = "peer.list",
            .stability = STABLE,
            .summary = "The peers connected now.",
            .params = NO_FIELDS,
            .result = FIELDS(
                F_ARRAY("peers", FIELD_REQUIRED, "one object for each peer", 0, 0, shape_peer)),
            .errors = NO_ERRORS,
            .api = "rats_get_peer_count rats_get_peer_ids rats_get_validated_peer_ids",
            .ctl = "peers",
        },
    [M_PEER_GET] =
        {
            .name = "peer.get",
            .stability = STABLE,
            .summary = "One connected peer.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer")),
            .result = shape_peer,
            .errors = ERRORS(E_PEER_NOT_FOUND),
            .api = "rats_get_peer_info_json",
            .ctl = "peer",
        },
    [M_PEER_CONNECT] =
        {
            .name = "peer.connect",
            .stability = STABLE,
            .summary = "Dials an address and answers once the peer behind it is usable.",
            .params =
                FIELDS(F_TEXT("host", FIELD_REQUIRED,
                              "name or address; names are resolved by the daemon", 1, 255),
                       F_UINT("port", FIELD_REQUIRED, "port", 1, 65535),
                       F_UINT_DEFAULT("timeout_ms",
                                      "milliseconds for the name and all its addresses "
                                      "together; each of these has at most 15 s, until the "
                                      "handshake is done",
                                      1, 600000, "15000"),
                       F_PEER("peer", 0,
                              "refuse the link unless this peer answers; default: any peer"),
                       F_WORDS("transports", 0,
                               "those that may be used; default: all the daemon has", "tcp|udp")),
            .result = FIELDS(F_PEER("peer", FIELD_REQUIRED, "the peer that answered"),
                             F_BOOL("already",
                                    FIELD_REQUIRED, "whether it was connected before the call")),
            .errors = ERRORS(E_CONNECT_FAILED, E_TIMEOUT, E_NOT_RUNNING, E_BUSY, E_NOT_SUPPORTED),
            .api = "rats_connect rats_connect_with rats_connect_with_strategy",
            .ctl = "connect",
        },
    [M_PEER_DISCONNECT] =
        {
            .name = "peer.disconnect",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Closes the link to a peer for everybody; it is not dialed again for 60 s "
                       "unless asked to.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer")),
            .result =
                FIELDS(F_BOOL("disconnected", FIELD_REQUIRED, "false when it was not connected")),
            .errors = ERRORS(E_NOT_PERMITTED),
            .api = "rats_disconnect_peer_by_id",
            .ctl = "disconnect",
        },
    [M_CHANNEL_ON] =
        {
            .name = "channel.on",
            .stability = STABLE,
            .summary = "Messages of that channel are delivered to this session.",
            .params = CHANNEL_PARAMS,
            .result = FIELDS(F_UINT("id", FIELD_REQUIRED,
                                    "16-bit number of the channel on the wire", 0, 65535)),
            .errors = ERRORS(E_BUSY, E_NOT_PERMITTED, E_OUT_OF_MEMORY),
            .api = "rats_channel_on rats_set_string_callback rats_set_binary_callback "
                   "rats_set_json_callback",
            .ctl = "recv",
        },
    [M_CHANNEL_OFF] =
        {
            .name = "channel.off",
            .stability = STABLE,
            .summary = "Messages of that channel are no longer delivered to this session.",
            .params = CHANNEL_PARAMS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND),
            .api = "rats_channel_off",
        },
    [M_TYPED_ON] =
        {
            .name = "typed.on",
            .stability = STABLE,
            .summary = "Typed JSON messages of that type are delivered to this session.",
            .params = TYPE_PARAMS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_OUT_OF_MEMORY),
            .api = "rats_on_message rats_once_message",
            .ctl = "recv",
        },
    [M_TYPED_OFF] =
        {
            .name = "typed.off",
            .stability = STABLE,
            .summary = "Messages of that type are no longer delivered to this session.",
            .params = TYPE_PARAMS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND),
            .api = "rats_off_message",
        },
    [M_RECONNECT_ADD] =
        {
            .name = "reconnect.add",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "The instance stays connected to that address: it is dialed whenever no "
                       "peer there is connected, also after a restart.",
            .params = FIELDS(TARGET_HOST_PORT, F_PEER("peer", 0,
                                                      "refuse the link unless this peer answers; "
                                                      "default: any peer")),
            .result = FIELDS(F_BOOL("already", FIELD_REQUIRED, "whether it was a target before")),
            .errors = ERRORS(E_NOT_PERMITTED, E_OPERATION_FAILED, E_NOT_RUNNING),
            .api = "rats_add_reconnect",
            .ctl = "reconnect",
        },
    [M_RECONNECT_REMOVE] =
        {
            .name = "reconnect.remove",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "That address is no longer dialed by itself; a link to it stays.",
            .params = FIELDS(TARGET_HOST_PORT),
            .result = NO_FIELDS,
            .errors =
                ERRORS(E_NOT_PERMITTED, E_NOT_FOUND, E_BUSY, E_OPERATION_FAILED, E_NOT_RUNNING),
            .api = "rats_remove_reconnect",
            .ctl = "reconnect",
        },
    [M_RECONNECT_LIST] =
        {
            .name = "reconnect.list",
            .stability = STABLE,
            .summary = "The addresses the instance stays connected to.",
            .params = NO_FIELDS,
            .result =
                FIELDS(F_ARRAY("targets", FIELD_REQUIRED, "one object for each", 0, 0, TARGET_ROW)),
            .errors = NO_ERRORS,
            .api = "rats_get_reconnect_json",
            .ctl = "reconnect",
        },
    [M_KNOWN_LIST] =
        {
            .name = "known.list",
            .stability = STABLE,
            .summary = "The address book: where dials reached peers in the last 30 days, best "
                       "first.",
            .params = FIELDS(F_UINT_DEFAULT("limit", "how many addresses to give at most", 1, 4096,
                                            "4096")),
            .result = FIELDS(F_UINT("count", FIELD_REQUIRED, "addresses in the book", 0, 0),
                             F_ARRAY("peers", FIELD_REQUIRED, "one object for each address", 0, 0,
                                     KNOWN_ROW)),
            .errors = NO_ERRORS,
            .api = "rats_get_historical_peer_ids",
            .ctl = "known",
        },
    [M_KNOWN_CLEAR] =
        {
            .name = "known.clear",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Empties the address book, also on disk. Links and added targets stay.",
            .params = NO_FIELDS,
            .result = FIELDS(F_UINT("removed", FIELD_REQUIRED, "addresses that were in it", 0, 0)),
            .errors = ERRORS(E_NOT_PERMITTED, E_OPERATION_FAILED, E_NOT_RUNNING),
            .api = "rats_clear_historical_peers",
            .ctl = "known",
        },
    [M_KNOWN_CONNECT] =
        {
            .name = "known.connect",
            .stability = STABLE,
            .summary = "Dials the best known addresses whose peers are not connected.",
            .params =
                FIELDS(F_UINT_DEFAULT("limit", "how many addresses to dial at most", 1, 256, "32")),
            .result = FIELDS(F_UINT("dials", FIELD_REQUIRED, "addresses that are dialed", 0, 0)),
            .errors = ERRORS(E_NOT_RUNNING),
            .api = "rats_load_and_reconnect_peers",
            .ctl = "known",
        },
    [M_KNOWN_SAVE] =
        {
            .name = "known.save",
            .stability = STABLE,
            .summary = "Answers once the address book and the targets are on disk as they are now.",
            .params = NO_FIELDS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_OPERATION_FAILED, E_NOT_RUNNING),
            .api = "rats_save_historical_peers rats_load_historical_peers rats_save_configuration "
                   "rats_load_configuration",
        },
    [M_PING_SEND] =
        {
            .name = "ping.send",
            .stability = STABLE,
            .summary = "Pings a peer and answers when it has answered.",
            .params =
                FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"),
                       F_UINT_DEFAULT("timeout_ms", "milliseconds to wait", 1, 600000, "5000")),
            .result = FIELDS(F_UINT("rtt_us", FIELD_REQUIRED,
                                    "length of the round trip in microseconds", 0, 0)),
            .errors = ERRORS(E_PEER_NOT_FOUND, E_TIMEOUT, E_NOT_RUNNING),
            .api = "rats_ping_peer",
            .ctl = "ping",
        },
    [M_PING_RTT] =
        {
            .name = "ping.rtt",
            .stability = STABLE,
            .summary = "How long the latest round trip to a peer took.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer")),
            .result = FIELDS(F_UINT("rtt_us", 0,
                                    "length of the round trip in microseconds; absent when unknown",
                                    0, 0)),
            .errors = ERRORS(E_PEER_NOT_FOUND),
            .api = "rats_get_peer_rtt_us",
        },
    [M_PEX_REQUEST] =
        {
            .name = "pex.request",
            .stability = STABLE,
            .summary = "Asks a peer for the addresses of others. Those it names are dialed when "
                       "its answer comes, within limits.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer")),
            .result = NO_FIELDS,
            .errors = ERRORS(E_PEER_NOT_FOUND, E_NOT_SUPPORTED),
            .api = "rats_request_peers",
            .ctl = "request-peers",
        },
    [M_BAN_ADD] =
        {
            .name = "ban.add",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Keeps a peer or all peers of an address out, and disconnects them. A ban "
                       "of the same subject is replaced.",
            .params = FIELDS(SUBJECT_FIELD,
                             F_UINT_DEFAULT("seconds", "seconds until the ban ends; 0 = never", 0,
                                            INT64_C(3153600000), "0"),
                             F_TEXT_DEFAULT("reason", "why, for those who see the list", 0, 200,
                                            "empty")),
            .result = FIELDS(F_TEXT("subject", FIELD_REQUIRED, "who is banned", 0, 0),
                             F_UINT("disconnected", FIELD_REQUIRED,
                                    "how many peers were disconnected", 0, 0)),
            .errors = ERRORS(E_NOT_PERMITTED, E_OPERATION_FAILED, E_OUT_OF_MEMORY, E_NOT_RUNNING),
            .api = "rats_ban_peer rats_ban_address",
            .ctl = "ban",
        },
    [M_BAN_REMOVE] =
        {
            .name = "ban.remove",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Lifts a ban.",
            .params = FIELDS(SUBJECT_FIELD),
            .result = FIELDS(F_TEXT("subject", FIELD_REQUIRED, "who is no longer banned", 0, 0),
                             F_BOOL("removed", FIELD_REQUIRED, "false when there was no such ban")),
            .errors = ERRORS(E_NOT_PERMITTED, E_OPERATION_FAILED, E_NOT_RUNNING),
            .api = "rats_unban",
            .ctl = "unban",
        },
    [M_BAN_LIST] =
        {
            .name = "ban.list",
            .stability = STABLE,
            .summary = "Who is banned.",
            .params = NO_FIELDS,
            .result = FIELDS(F_ARRAY("bans", FIELD_REQUIRED,
                                     "one object for each ban, oldest first", 0, 0, BAN_ROW)),
            .errors = NO_ERRORS,
            .api = "rats_get_bans_json",
            .ctl = "bans",
        },
    [M_LIMIT_SET] =
        {
            .name = "limit.set",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Sets what one peer may send in a second, in place of what is configured. "
                       "Above it the peer is slowed down; nothing is lost.",
            .params = LIMIT_ROW,
            .result = LIMIT_ROW,
            .errors = ERRORS(E_NOT_PERMITTED, E_OPERATION_FAILED, E_OUT_OF_MEMORY, E_NOT_RUNNING),
            .api = "rats_set_peer_limits",
            .ctl = "limit",
        },
    [M_LIMIT_CLEAR] =
        {
            .name = "limit.clear",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "For one peer holds again what is configured for all.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer")),
            .result = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"),
                             F_BOOL("cleared", FIELD_REQUIRED, "false when it had no own limits")),
            .errors = ERRORS(E_NOT_PERMITTED, E_OPERATION_FAILED, E_NOT_RUNNING),
            .api = "rats_clear_peer_limits",
            .ctl = "limit",
        },
    [M_LIMIT_LIST] =
        {
            .name = "limit.list",
            .stability = STABLE,
            .summary = "What peers may send in a second.",
            .params = NO_FIELDS,
            .result =
                FIELDS(F_ARRAY("limits", FIELD_REQUIRED,
                               "one object for each peer with limits of its own", 0, 0, LIMIT_ROW),
                       LIMIT_FIELDS_OF(FIELD_REQUIRED)),
            .errors = NO_ERRORS,
            .api = "rats_get_limits_json",
            .ctl = "limit",
        },
    [M_TOPIC_SUBSCRIBE] =
        {
            .name = "topic.subscribe",
            .stability = STABLE,
            .summary = "Messages of that topic are delivered to this session, and peers learn that "
                       "this instance subscribes.",
            .params = TOPIC_PARAMS,
            .result =
                FIELDS(
                    F_BOOL("already", FIELD_REQUIRED, "whether this session subscribed before"),
                    F_UINT("peers", FIELD_REQUIRED, "connected peers that subscribe now", 0, 0),
                    F_TEXT("topic", FIELD_REQUIRED, "name of the topic", 1, MESSAGE_HEAD_MAX_NAME),
                    F_WORDS("members", FIELD_REQUIRED,
                            "ids of those peers, sorted; topic.joined tells of later ones", NULL)),
            .errors = ERRORS(E_OUT_OF_MEMORY),
            .api = "rats_subscribe_to_topic",
            .ctl = "sub",
        },
    [M_TOPIC_UNSUBSCRIBE] =
        {
            .name = "topic.unsubscribe",
            .stability = STABLE,
            .summary = "Messages of that topic are no longer delivered to this session; peers are "
                       "told when no other session subscribes.",
            .params = TOPIC_PARAMS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND),
            .api = "rats_unsubscribe_from_topic",
        },
    [M_TOPIC_LIST] =
        {
            .name = "topic.list",
            .stability = STABLE,
            .summary = "The topics this session subscribes to.",
            .params = NO_FIELDS,
            .result = FIELDS(F_WORDS("topics", FIELD_REQUIRED, "names, sorted", NULL)),
            .errors = NO_ERRORS,
            .api = "rats_get_subscribed_topics",
        },
    [M_TOPIC_PEERS] =
        {
            .name = "topic.peers",
            .stability = STABLE,
            .summary = "The connected peers that subscribe to a topic.",
            .params = TOPIC_PARAMS,
            .result = TOPIC_PEERS,
            .errors = NO_ERRORS,
            .api = "rats_get_topic_peers",
            .ctl = "subs",
        },
    [M_TOPIC_MESH] =
        {
            .name = "topic.mesh",
            .stability = STABLE,
            .summary = "The peers that messages of a topic are forwarded to.",
            .params = TOPIC_PARAMS,
            .result = TOPIC_PEERS,
            .errors = NO_ERRORS,
            .api = "rats_get_topic_mesh_peers",
        },
    [M_TOPIC_STATISTICS] =
        {
            .name = "topic.statistics",
            .stability = STABLE,
            .summary = "How the topics of this instance are doing, since it started.",
            .params = NO_FIELDS,
            .result = TOPIC_STATISTICS,
            .errors = NO_ERRORS,
            .api = "rats_get_gossipsub_statistics_json",
        },
    [M_TOPIC_ALL] =
        {
            .name = "topic.all",
            .stability = STABLE,
            .summary = "Every topic this instance knows: first those that sessions subscribe to, "
                       "then those with most subscribers.",
            .params = FIELDS(F_UINT_DEFAULT("limit", "how many topics to give at most", 1,
                                            10000, "1000")),
            .result = FIELDS(F_UINT("known", FIELD_REQUIRED, "topics known in all", 0, 0),
                             F_ARRAY("topics", FIELD_REQUIRED, "one object for each topic", 0,
                                     10000, TOPIC_ROW)),
            .errors = NO_ERRORS,
            .ctl = "topics",
        },
    [M_LOG_GET_LEVEL] =
        {
            .name = "log.get_level",
            .stability = STABLE,
            .summary = "How much the daemon logs.",
            .params = NO_FIELDS,
            .result = FIELDS(F_CHOICE("level", FIELD_REQUIRED, "the level", LEVELS)),
            .errors = NO_ERRORS,
            .ctl = "log-level",
        },
    [M_LOG_SET_LEVEL] =
        {
            .name = "log.set_level",
            .stability = STABLE,
            .permission = PERMISSION_CONTROL,
            .summary = "Sets how much the daemon logs, until it ends or reloads its configuration.",
            .params = FIELDS(F_CHOICE("level", FIELD_REQUIRED, "the level", LEVELS)),
            .result = FIELDS(F_CHOICE("level", FIELD_REQUIRED, "the level that holds now", LEVELS)),
            .errors = ERRORS(E_NOT_PERMITTED),
            .ctl = "log-level",
        },
    [M_STORAGE_PUT] =
        {
            .name = "storage.put",
            .stability = STABLE,
            .summary = "Gives a key a value, here and at every peer. Answered once it is on disk.",
            .params = FIELDS(KEY_FIELD, F_CHOICE_DEFAULT(
                                            "type", "what the value is", STORAGE_TYPES, "binary")),
            .body = "The value. An int64 or a double has 8 bytes, big-endian.",
            .result = STORED_RESULT,
            .errors = ERRORS(E_NOT_SUPPORTED, E_NOT_PERMITTED, E_TOO_LARGE, E_OPERATION_FAILED,
                             E_OUT_OF_MEMORY),
            .api = "rats_storage_put",
            .ctl = "kv",
        },
    [M_STORAGE_GET] =
        {
            .name = "storage.get",
            .stability = STABLE,
            .summary = "The value of a key.",
            .params = FIELDS(KEY_FIELD),
            .result =
                FIELDS(F_CHOICE("type", FIELD_REQUIRED, "what the value is", STORAGE_TYPES),
                       F_UINT("timestamp_ms", FIELD_REQUIRED,
                              "when it was stored, milliseconds since 1970 by the writer's clock",
                              0, 0),
                       F_PEER("origin", 0, "who stored it; absent when the writer did not say")),
            .reply_body = "The value, as for storage.put.",
            .errors = ERRORS(E_NOT_SUPPORTED, E_NOT_FOUND, E_OPERATION_FAILED, E_OUT_OF_MEMORY),
            .api = "rats_storage_get",
            .ctl = "kv",
        },
    [M_STORAGE_REMOVE] =
        {
            .name = "storage.remove",
            .stability = STABLE,
            .summary = "Removes a key, here and at every peer. Answered once that is on disk.",
            .params = FIELDS(KEY_FIELD),
            .result = STORED_RESULT,
            .errors = ERRORS(E_NOT_SUPPORTED, E_NOT_PERMITTED, E_NOT_FOUND, E_OPERATION_FAILED,
                             E_OUT_OF_MEMORY),
            .api = "rats_storage_remove",
            .ctl = "kv",
        },
    [M_STORAGE_KEYS] =
        {
            .name = "storage.keys",
            .stability = STABLE,
            .summary = "Keys that have a value, in the order of their bytes, a part at a time.",
            .params =
                FIELDS(F_TEXT_DEFAULT("prefix", "only keys that begin with it", 0, 8192, "empty"),
                       F_TEXT_DEFAULT("after", "only keys behind this one", 0,
                                      8192, "from the first on"),
                       F_UINT_DEFAULT("limit", "how many at most", 1, 10000, "1000")),
            .result =
                FIELDS(F_WORDS("keys", FIELD_REQUIRED, "the keys", NULL),
                       F_BOOL("more", FIELD_REQUIRED, "whether others follow behind the last")),
            .errors = ERRORS(E_NOT_SUPPORTED, E_OPERATION_FAILED, E_OUT_OF_MEMORY),
            .api = "rats_storage_keys",
            .ctl = "kv",
        },
    [M_STORAGE_SYNC] =
        {
            .name = "storage.sync",
            .stability = STABLE,
            .summary = "Asks every connected peer for everything it has stored; that happens by "
                       "itself when a peer connects.",
            .params = NO_FIELDS,
            .result = FIELDS(F_UINT("peers", FIELD_REQUIRED, "peers that were asked", 0, 0)),
            .errors = ERRORS(E_NOT_SUPPORTED, E_OPERATION_FAILED),
            .api = "rats_storage_sync",
            .ctl = "kv",
        },
    [M_STORAGE_STATISTICS] =
        {
            .name = "storage.statistics",
            .stability = STABLE,
            .summary = "How much is stored, what is allowed, and what peers have sent.",
            .params = NO_FIELDS,
            .result = STORAGE_STATISTICS_RESULT,
            .errors = ERRORS(E_NOT_SUPPORTED, E_OPERATION_FAILED),
            .api = "rats_storage_statistics_json",
            .ctl = "kv",
        },
    [M_STORAGE_WATCH] =
        {
            .name = "storage.watch",
            .stability = STABLE,
            .summary = "Changes of keys that begin so are told to this session from now on.",
            .params = PREFIX_PARAMS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_SUPPORTED, E_OUT_OF_MEMORY),
            .api = "rats_set_storage_callback",
            .ctl = "kv",
        },
    [M_STORAGE_UNWATCH] =
        {
            .name = "storage.unwatch",
            .stability = STABLE,
            .summary = "Changes of keys that begin so are no longer told, unless another prefix of "
                       "this session fits.",
            .params = PREFIX_PARAMS,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_SUPPORTED, E_NOT_FOUND),
            .api = "rats_set_storage_callback",
        },
    [M_TRANSFER_WATCH] =
        {
            .name = "transfer.watch",
            .stability = STABLE,
            .summary = "Says which offers and requests of peers are shown to this session while it "
                       "is started.",
            .params =
                FIELDS(F_WORDS("kinds", FIELD_REQUIRED,
                               "all it wants; replaces what it asked for before", TRANSFER_KINDS)),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_SUPPORTED),
            .api = "rats_set_file_request_callback rats_set_directory_request_callback "
                   "rats_add_share_root rats_remove_share_root",
            .ctl = "accept",
        },
    [M_TRANSFER_SEND] =
        {
            .name = "transfer.send",
            .stability = STABLE,
            .summary = "Offers a file or a directory to a peer. It ends with this session.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"), KIND_FIELD,
                             F_TEXT("name", FIELD_REQUIRED, "what the peer is shown", 1, 4096)),
            .body = MANIFEST " Empty for a file, whose descriptor comes with the call.",
            .fds = 1,
            .result = TRANSFER_RESULT,
            .errors = ERRORS(E_PEER_NOT_FOUND, E_NOT_SUPPORTED, E_TOO_LARGE, E_OPERATION_FAILED,
                             E_OUT_OF_MEMORY),
            .api = "rats_send_file rats_send_directory",
            .ctl = "put",
        },
    [M_TRANSFER_REQUEST] =
        {
            .name = "transfer.request",
            .stability = STABLE,
            .summary = "Asks a peer to send a file or a directory. What it offers in answer is to "
                       "be accepted like any offer, but shown to nobody else.",
            .params = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"), KIND_FIELD,
                             F_TEXT("path", FIELD_REQUIRED, "what the peer calls it", 1, 4096),
                             F_CHOICE_DEFAULT("depth",
                                              "how much of a directory: its own files, or "
                                              "all below it",
                                              "flat|tree", "tree")),
            .result = TRANSFER_RESULT,
            .errors = ERRORS(E_PEER_NOT_FOUND, E_NOT_SUPPORTED, E_OUT_OF_MEMORY),
            .api = "rats_request_file rats_request_directory",
            .ctl = "get",
        },
    [M_TRANSFER_ACCEPT] =
        {
            .name = "transfer.accept",
            .stability = STABLE,
            .summary = "Takes an offer, or serves what a peer requested. The first session to "
                       "accept has it.",
            .params = FIELDS(F_TRANSFER,
                             F_TEXT_DEFAULT("name", "what the peer is shown of what it requested",
                                            1, 4096, "the last part of what it asked for")),
            .body = MANIFEST ACCEPT_DESCRIPTOR,
            .fds = 1,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND, E_PEER_NOT_FOUND, E_TOO_LARGE, E_OPERATION_FAILED,
                             E_OUT_OF_MEMORY),
            .api = "rats_accept_file_transfer rats_accept_directory_transfer",
            .ctl = "accept",
        },
    [M_TRANSFER_REJECT] =
        {
            .name = "transfer.reject",
            .stability = STABLE,
            .summary = "This session does not take an offer or request. The peer is told when no "
                       "other session is left that might.",
            .params = FIELDS(F_TRANSFER,
                             F_TEXT_DEFAULT("reason", "what the peer is told", 0, 512, "empty")),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND),
            .api = "rats_reject_file_transfer rats_reject_directory_transfer",
            .ctl = "accept",
        },
    [M_TRANSFER_PROVIDE] =
        {
            .name = "transfer.provide",
            .stability = STABLE,
            .summary = "Descriptors for the files that transfer.open named, in their order, as "
                       "many as came with the call.",
            .params = FIELDS(F_TRANSFER,
                             F_UINT("first", FIELD_REQUIRED, "number of the first file, from 0", 0,
                                    UINT32_MAX)),
            .fds = 16,
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND, E_OPERATION_FAILED),
        },
    [M_TRANSFER_PLACED] =
        {
            .name = "transfer.placed",
            .stability = STABLE,
            .summary = "Files that transfer.verified named are in place, in their order.",
            .params =
                FIELDS(F_TRANSFER, F_UINT("count", FIELD_REQUIRED, "how many more", 1, UINT32_MAX)),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND, E_OPERATION_FAILED),
        },
    [M_TRANSFER_FAIL] =
        {
            .name = "transfer.fail",
            .stability = STABLE,
            .summary = "Ends a transfer of this session because the program cannot go on with it.",
            .params =
                FIELDS(F_TRANSFER, F_TEXT("error", FIELD_REQUIRED, "why it cannot go on", 1, 512)),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND),
        },
    [M_TRANSFER_PAUSE] =
        {
            .name = "transfer.pause",
            .stability = STABLE,
            .summary = "Holds a running transfer of this session, or with control permission of "
                       "any.",
            .params = FIELDS(F_TRANSFER),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND, E_OPERATION_FAILED),
            .api = "rats_pause_file_transfer",
            .ctl = "transfer",
        },
    [M_TRANSFER_RESUME] =
        {
            .name = "transfer.resume",
            .stability = STABLE,
            .summary = "Lets a paused transfer go on, of this session, or with control permission "
                       "any.",
            .params = FIELDS(F_TRANSFER),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND, E_OPERATION_FAILED),
            .api = "rats_resume_file_transfer",
            .ctl = "transfer",
        },
    [M_TRANSFER_CANCEL] =
        {
            .name = "transfer.cancel",
            .stability = STABLE,
            .summary = "Ends a transfer in any state, of this session, or with control permission "
                       "of any. What has arrived and is being put in place is not undone.",
            .params = FIELDS(F_TRANSFER),
            .result = NO_FIELDS,
            .errors = ERRORS(E_NOT_FOUND, E_OPERATION_FAILED),
            .api = "rats_cancel_file_transfer",
            .ctl = "transfer",
        },
    [M_TRANSFER_GET] =
        {
            .name = "transfer.get",
            .stability = STABLE,
            .summary = "How far a transfer is: of this session, or shown to it, or with control "
                       "permission any. Those that ended are kept for ten minutes.",
            .params = FIELDS(F_TRANSFER),
            .result = shape_transfer,
            .errors = ERRORS(E_NOT_FOUND),
            .api = "rats_get_file_transfer_progress_json",
            .ctl = "transfer",
        },
    [M_TRANSFER_LIST] =
        {
            .name = "transfer.list",
            .stability = STABLE,
            .summary = "Transfers of this session, or with control permission all.",
            .params =
                FIELDS(F_CHOICE_DEFAULT("whose", "whose transfers", "session|all", "session")),
            .result =
                FIELDS(F_ARRAY("transfers", FIELD_REQUIRED,
                               "one object for each transfer, oldest first", 0, 0, shape_transfer)),
            .errors = ERRORS(E_NOT_PERMITTED),
            .api = "rats_get_file_transfers_json",
            .ctl = "transfers",
        },
    [M_TRANSFER_STATISTICS] =
        {
            .name = "transfer.statistics",
            .stability = STABLE,
            .summary = "Sums over the transfers of this session.",
            .params = NO_FIELDS,
            .result = TRANSFER_STATISTICS_RESULT,
            .errors = NO_ERRORS,
            .api = "rats_get_file_transfer_statistics_json",
        },
};

enum method_id method_find(const char *name, size_t size)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (strlen(proto_methods[i].name) == size &&
            memcmp(proto_methods[i].name, name, size) == 0) {
            return (enum method_id)i;
        }
    }
    return METHOD_COUNT;
}
