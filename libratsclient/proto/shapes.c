#include "proto/shapes.h"

#include <stddef.h>

const struct field shape_peer[] = {
    F_PEER("peer", FIELD_REQUIRED, "id of the peer"),
    F_TEXT("ip", FIELD_REQUIRED, "address of the link's other end, without the port", 0, 0),
    F_UINT("port", FIELD_REQUIRED, "port of the link's other end", 0, 65535),
    F_BOOL("outgoing", FIELD_REQUIRED, "whether this instance dialed"),
    F_CHOICE("transport", FIELD_REQUIRED, "what carries the link", "tcp|udp"),
    F_WORDS("transports", FIELD_REQUIRED, "transports the peer says it listens on", "tcp|udp"),
    F_WORDS("addresses", FIELD_REQUIRED, "address:port texts the peer says it can be reached at",
            NULL),
    F_REAL("rtt_ms", 0, "latest round trip of a ping in milliseconds; absent when unknown"),
    F_UINT("messages_per_second", FIELD_REQUIRED,
           "messages it may send in a second before it is slowed down; 0 = any number", 0, 0),
    F_UINT("bytes_per_second", FIELD_REQUIRED,
           "bytes it may send in a second before it is slowed down; 0 = any number", 0, 0),
    F_UINT("throttled", FIELD_REQUIRED, "how often it was slowed down", 0, 0),
    F_UINT("connected_ms_ago", FIELD_REQUIRED, "age of the link in milliseconds", 0, 0),
    F_TEXT("public_key", 0,
           "64 hexadecimal digits; absent when the instance runs in plaintext mode", 64, 64),
    F_BOOL("encrypted", FIELD_REQUIRED, "whether the link is encrypted"),
    F_END,
};

const struct field shape_transfer[] = {
    F_TRANSFER,
    F_PEER("peer", FIELD_REQUIRED, "id of the peer at the other end"),
    F_CHOICE("kind", FIELD_REQUIRED, "what is transferred", TRANSFER_KINDS),
    F_CHOICE("direction", FIELD_REQUIRED, "which way the data goes", "sending|receiving"),
    F_BOOL("request", FIELD_REQUIRED, "whether whoever receives it asked for it"),
    F_TEXT("name", FIELD_REQUIRED, "what the sender calls it; only to be shown", 0, 0),
    F_CHOICE("state", FIELD_REQUIRED,
             "pending: not answered here; starting: not answered by the peer; resuming: told once "
             "between paused and running",
             "pending|starting|running|paused|completed|failed|cancelled|resuming"),
    F_BOOL("waiting", FIELD_REQUIRED, "whether its link was lost and it waits for the peer"),
    F_UINT("done_bytes", FIELD_REQUIRED, "bytes that are on the receiver's disk", 0, 0),
    F_UINT("total_bytes", FIELD_REQUIRED, "bytes in all", 0, 0),
    F_UINT("done_files", FIELD_REQUIRED, "files that are whole at the receiver", 0, 0),
    F_UINT("total_files", FIELD_REQUIRED, "files in all", 0, 0),
    F_UINT("rate", FIELD_REQUIRED, "bytes in the latest second; 0 when it does not run", 0, 0),
    F_UINT("age_seconds", FIELD_REQUIRED, "seconds since it was offered", 0, 0),
    F_UINT("session", 0, "whose it is; absent when nobody's", 1, 0),
    F_TEXT("error", 0, "why it failed or was cancelled; absent unless somebody said", 0, 0),
    F_END,
};
