/* The binary head of a MESSAGE frame (rats-ipc(7), MESSAGE head): plane, flags, name, peer, and
 * for a topic message towards a client the forwarding peer. 36 bytes and the name. */
#ifndef RATS_PROTO_MESSAGE_HEAD_H
#define RATS_PROTO_MESSAGE_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESSAGE_HEAD_FIXED    36u
#define MESSAGE_HEAD_MAX_NAME 4096u
#define MESSAGE_PEER_SIZE     32u

enum message_plane { PLANE_CHANNEL = 1, PLANE_TYPED = 2, PLANE_TOPIC = 3 };

#define MESSAGE_FLAG_ECHO  1u /* topic, client to daemon */
#define MESSAGE_FLAG_LOCAL 2u /* daemon to client: from a session of the same instance */

struct message_head {
    enum message_plane plane;
    uint8_t flags;
    const uint8_t *peer; /* MESSAGE_PEER_SIZE bytes */
    const char *name;    /* not NUL-terminated */
    size_t name_size;
    const uint8_t *forwarder; /* MESSAGE_PEER_SIZE bytes, or NULL */
};

/* 0, or -1 when short, of an unknown plane, or with a name over MESSAGE_HEAD_MAX_NAME.
 * Views point into data. */
int message_head_decode(const uint8_t *data, size_t size, struct message_head *ret_head);
/* Bytes message_head_encode() will write. */
size_t message_head_size(const struct message_head *head);
/* out has message_head_size() bytes. */
void message_head_encode(const struct message_head *head, uint8_t *out);

#endif
