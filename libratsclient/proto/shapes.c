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
