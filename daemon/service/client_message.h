/* What channels and typed messages do with a client's message once its bytes for the wire are
 * known: to one peer, or to all of them. */
#ifndef RATSD_SERVICE_CLIENT_MESSAGE_H
#define RATSD_SERVICE_CLIENT_MESSAGE_H

#include "service/service.h"

/* For service.on_client_message(): the same results. */
int client_message_send(struct host *host, const struct client_message *message,
                        enum wire_type type, uint16_t channel, struct bytes payload,
                        size_t *ret_peers, char *error, size_t error_size);
/* -EMSGSIZE and its sentence, for a payload that is too large with size bytes. */
int client_message_too_large(size_t size, char *error, size_t error_size);

#endif
