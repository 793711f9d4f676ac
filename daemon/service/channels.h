/* Application channels (wire-core 5.3, api.md 6.2 and 7.1): named streams of messages between
 * programs, carried in App messages whose 16-bit id is a hash of the name. Two names with one id
 * cannot be told apart on the wire, so the second is refused in the whole instance. */
#ifndef RATSD_SERVICE_CHANNELS_H
#define RATSD_SERVICE_CHANNELS_H

#include "service/service.h"

extern const struct service channels_service;

#endif
