#include "proto/events.h"

#include <string.h>

#include "proto/message_head.h"
#include "proto/shapes.h"

#define SESSION_FIELDS                                                                             \
    FIELDS(F_UINT("session", FIELD_REQUIRED, "number of the session", 1, 0),                       \
           F_UINT("pid", FIELD_REQUIRED, "process id of the client", 0, 0),                        \
           F_UINT("uid", FIELD_REQUIRED, "user id of the client", 0, 0),                           \
           F_TEXT("name", FIELD_REQUIRED, "name the client gave itself", 0, 0))

#define TOPIC_FIELDS                                                                               \
    FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"),                                       \
           F_TEXT("topic", FIELD_REQUIRED, "name of the topic", 1, MESSAGE_HEAD_MAX_NAME))

const struct event_row proto_events[EVENT_COUNT] = {
    [EV_PEER_CONNECTED] =
        {
            .name = "peer.connected",
            .summary = "A peer is usable.",
            .fields = shape_peer,
            .callback = "rats_set_connection_callback",
        },
    [EV_PEER_UPDATED] =
        {
            .name = "peer.updated",
            .summary = "What is known of a connected peer changed, its link for instance.",
            .fields = shape_peer,
        },
    [EV_PEER_DISCONNECTED] =
        {
            .name = "peer.disconnected",
            .summary = "A peer is gone; exactly one for each peer.connected.",
            .fields = FIELDS(F_PEER("peer", FIELD_REQUIRED, "id of the peer"),
                             F_TEXT("reason", FIELD_REQUIRED, "why, in a few words", 0, 0)),
            .callback = "rats_set_disconnect_callback",
        },
    [EV_INSTANCE_CHANGED] =
        {
            .name = "instance.changed",
            .summary = "The listen port, the peer limit or the security of the instance changed.",
            .fields = FIELDS(
                F_UINT("listen_port", FIELD_REQUIRED, "port the instance listens on", 0, 65535),
                F_UINT("max_peers", FIELD_REQUIRED, "peers allowed; 0 = no limit", 0, 0),
                F_CHOICE("security", 0, "security mode of new links", "noise|plaintext")),
        },
    [EV_SESSION_ATTACHED] =
        {
            .name = "session.attached",
            .summary = "A client attached to the instance.",
            .fields = SESSION_FIELDS,
            .watched = true,
        },
    [EV_SESSION_ENDED] =
        {
            .name = "session.ended",
            .summary = "A client detached from the instance.",
            .fields = SESSION_FIELDS,
            .watched = true,
        },
    [EV_TOPIC_JOINED] =
        {
            .name = "topic.joined",
            .summary = "A connected peer subscribes to a topic of this session; of those that did "
                       "when the session subscribed, topic.subscribe tells.",
            .fields = TOPIC_FIELDS,
            .callback = "rats_set_topic_peer_joined_callback",
        },
    [EV_TOPIC_LEFT] =
        {
            .name = "topic.left",
            .summary = "A peer no longer subscribes to a topic of this session, or is gone.",
            .fields = TOPIC_FIELDS,
            .callback = "rats_set_topic_peer_left_callback",
        },
    [EV_LOST] =
        {
            .name = "lost",
            .summary = "Messages to this session were dropped because it did not read in time.",
            .fields = FIELDS(F_UINT("channel", FIELD_REQUIRED, "channel messages dropped", 0, 0),
                             F_UINT("typed", FIELD_REQUIRED, "typed messages dropped", 0, 0),
                             F_UINT("topic", FIELD_REQUIRED, "topic messages dropped", 0, 0),
                             F_UINT("storage", 0, "changes of the store not told", 0, 0),
                             F_UINT("total", FIELD_REQUIRED, "the sum of them", 0, 0)),
            .callback = "rats_set_overflow_callback",
        },
    [EV_STORAGE_CHANGED] =
        {
            .name = "storage.changed",
            .summary = "A key that this session watches by storage.watch has another value, or "
                       "none any more.",
            .fields =
                FIELDS(F_TEXT("key", FIELD_REQUIRED, "the key", 0, 0),
                       F_CHOICE("type", FIELD_REQUIRED, "what the value is",
                                "binary|string|int64|double|json"),
                       F_BOOL("deleted", FIELD_REQUIRED, "whether the key was removed"),
                       F_BOOL("remote", FIELD_REQUIRED, "whether a peer sent it"),
                       F_UINT("timestamp_ms", FIELD_REQUIRED,
                              "milliseconds since 1970 by the writer's clock", 0, 0),
                       F_PEER("origin", 0, "who changed it; absent when the writer did not say")),
            .body = "The value, as for storage.put; empty when the key was removed.",
            .callback = "rats_set_storage_callback",
        },
    [EV_TRANSFER_OFFERED] =
        {
            .name = "transfer.offered",
            .summary = "A peer offers a file or a directory: transfer.accept or transfer.reject "
                       "answers. When another session was faster, or nobody answered in time, "
                       "transfer.changed says cancelled.",
            .fields =
                FIELDS(F_TRANSFER, F_PEER("peer", FIELD_REQUIRED, "id of the peer"),
                       F_CHOICE("kind", FIELD_REQUIRED, "what is offered", TRANSFER_KINDS),
                       F_TEXT("name", FIELD_REQUIRED,
                              "what the peer calls it; only to be shown, never a path", 0, 0),
                       F_UINT("total_bytes", FIELD_REQUIRED, "bytes of all files", 0, 0),
                       F_UINT("total_files", FIELD_REQUIRED, "how many files", 0, 0),
                       F_BOOL("request", FIELD_REQUIRED,
                              "whether it answers this session's transfer.request of that id")),
            .callback = "rats_set_file_request_callback",
        },
    [EV_TRANSFER_REQUESTED] =
        {
            .name = "transfer.requested",
            .summary = "A peer asks for a file or a directory: transfer.accept with what it is to "
                       "get, or transfer.reject answers.",
            .fields = FIELDS(F_TRANSFER, F_PEER("peer", FIELD_REQUIRED, "id of the peer"),
                             F_CHOICE("kind", FIELD_REQUIRED, "what is asked for", TRANSFER_KINDS),
                             F_TEXT("path", FIELD_REQUIRED, "what the peer calls it", 0, 0),
                             F_CHOICE("depth", FIELD_REQUIRED,
                                      "how much of a directory: its own files, or all below it",
                                      "flat|tree")),
            .callback = "rats_set_file_request_callback",
        },
    [EV_TRANSFER_OPEN] =
        {
            .name = "transfer.open",
            .summary = "Descriptors of these files of a directory are wanted: transfer.provide, "
                       "also in parts. To be sent: open for reading. To be received: of empty "
                       "files, open for reading and writing.",
            .fields =
                FIELDS(
                    F_TRANSFER,
                    F_UINT("first", FIELD_REQUIRED, "number of the first file, from 0", 0,
                           UINT32_MAX),
                    F_ARRAY("files", FIELD_REQUIRED, "the files, in order; at most 16", 1,
                            16, FIELDS(F_TEXT("path", FIELD_REQUIRED, "path below the directory", 1, 0), F_UINT("size_bytes", FIELD_REQUIRED, "bytes of the file", 0, 0)))),
        },
    [EV_TRANSFER_VERIFIED] =
        {
            .name = "transfer.verified",
            .summary = "These files arrived whole and have the hash their sender said: put them "
                       "into place and answer with transfer.placed.",
            .fields = FIELDS(F_TRANSFER,
                             F_UINT("first", FIELD_REQUIRED, "number of the first file, from 0", 0,
                                    UINT32_MAX),
                             F_UINT("count", FIELD_REQUIRED, "how many", 1, UINT32_MAX)),
        },
    [EV_TRANSFER_CHANGED] =
        {
            .name = "transfer.changed",
            .summary = "The state of a transfer changed, or it got on: the latter is told every "
                       "100 ms at most. Completed, failed or cancelled is told exactly once.",
            .fields = shape_transfer,
            .callback = "rats_set_file_progress_callback",
        },
};

enum event_id event_find(const char *name, size_t size)
{
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        if (strlen(proto_events[i].name) == size && memcmp(proto_events[i].name, name, size) == 0) {
            return (enum event_id)i;
        }
    }
    return EVENT_COUNT;
}
