#include "services.h"

#include "service/channels.h"
#include "service/guard.h"
#include "service/instance.h"
#include "service/peers.h"
#include "service/pex.h"
#include "service/ping.h"
#include "service/reconnect.h"
#include "service/storage.h"
#include "service/topics.h"
#include "service/transfers.h"
#include "service/typed.h"

const struct service *const services[] = {
    &guard_service, /* settles what a peer may send: part of what is announced */
    &peers_service, /* before all who speak: a peer is announced before anything it sends */
    &instance_service, &channels_service,  &typed_service,   &topics_service,   &ping_service,
    &pex_service,      &reconnect_service, &storage_service, &transfer_service,
};

const size_t service_count = sizeof(services) / sizeof(services[0]);
