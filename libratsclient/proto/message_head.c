#include "proto/message_head.h"

#include <string.h>

int message_head_decode(const uint8_t *data, size_t size, struct message_head *ret_head)
{
    if (size < MESSAGE_HEAD_FIXED) {
        return -1;
    }
    const uint8_t plane = data[0];
    const size_t name_size = (size_t)data[2] | (size_t)data[3] << 8;
    if (plane < PLANE_CHANNEL || plane > PLANE_TOPIC || name_size > MESSAGE_HEAD_MAX_NAME ||
        name_size > size - MESSAGE_HEAD_FIXED) {
        return -1;
    }
    const size_t after = size - MESSAGE_HEAD_FIXED - name_size;
    const uint8_t *forwarder = NULL;
    /* Nothing may follow the name but a topic message's forwarder: a later minor version that adds
     * something there will say so in the flags. */
    if (after != 0) {
        if (plane != PLANE_TOPIC || after != MESSAGE_PEER_SIZE) {
            return -1;
        }
        forwarder = data + MESSAGE_HEAD_FIXED + name_size;
    }
    *ret_head = (struct message_head){
        .plane = (enum message_plane)plane,
        .flags = data[1],
        .peer = data + 4,
        .name = (const char *)data + MESSAGE_HEAD_FIXED,
        .name_size = name_size,
        .forwarder = forwarder,
    };
    return 0;
}

size_t message_head_size(const struct message_head *head)
{
    return MESSAGE_HEAD_FIXED + head->name_size + (head->forwarder == NULL ? 0 : MESSAGE_PEER_SIZE);
}

void message_head_encode(const struct message_head *head, uint8_t *out)
{
    out[0] = (uint8_t)head->plane;
    out[1] = head->flags;
    out[2] = (uint8_t)head->name_size;
    out[3] = (uint8_t)(head->name_size >> 8);
    memcpy(out + 4, head->peer, MESSAGE_PEER_SIZE);
    if (head->name_size > 0) {
        memcpy(out + MESSAGE_HEAD_FIXED, head->name, head->name_size);
    }
    if (head->forwarder != NULL) {
        memcpy(out + MESSAGE_HEAD_FIXED + head->name_size, head->forwarder, MESSAGE_PEER_SIZE);
    }
}
