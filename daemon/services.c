#include "services.h"

#include "service/channels.h"
#include "service/instance.h"
#include "service/peers.h"
#include "service/reconnect.h"
#include "service/typed.h"

const struct service *const services[] = {
    &peers_service, /* first: a peer is announced before anything it sends */
    &instance_service,
    &channels_service,
    &typed_service,
    &reconnect_service,
};

const size_t service_count = sizeof(services) / sizeof(services[0]);
