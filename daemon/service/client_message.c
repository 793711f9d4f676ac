#include "service/client_message.h"

#include <errno.h>
#include <stdio.h>

int client_message_too_large(size_t size, char *error, size_t error_size)
{
    (void)snprintf(error, error_size, "the message has %zu bytes; at most %u are allowed", size,
                   WIRE_MAX_PAYLOAD);
    return -EMSGSIZE;
}

int client_message_send(struct host *host, const struct client_message *message,
                        enum wire_type type, uint16_t channel, struct bytes payload,
                        size_t *ret_peers, char *error, size_t error_size)
{
    if (payload.size > WIRE_MAX_PAYLOAD) {
        return client_message_too_large(payload.size, error, error_size);
    }
    int result = 0;
    size_t reached = 1;
    if (peer_id_is_zero(&message->peer)) {
        result = host_broadcast(host, message->session, message->broadcast, type, channel, payload,
                                &reached);
    } else {
        result = host_send(host, message->session, &message->peer, type, channel, payload);
    }
    if (result == 0) {
        *ret_peers = reached;
    } else if (result != -EAGAIN) {
        (void)snprintf(error, error_size, "peer %s: %s", peer_id_format(&message->peer).text,
                       result == -ENOTCONN ? "not connected" : strerror(-result));
    }
    return result;
}
