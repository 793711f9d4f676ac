/* Peer exchange (wire-services 5): asks newcomers whom they know, answers the same question, and
 * dials who was named.
 *
 * Nothing said here is believed: an address is dialed only if it can be reached from where it was
 * named, within the budget that all sources of addresses share (mesh_may_dial()), and only the peer
 * that was promised may answer there. Easy to break: addresses that mean something only on this
 * machine or its network are told to nobody outside it. */
#ifndef RATSD_SERVICE_PEX_H
#define RATSD_SERVICE_PEX_H

#include "service/service.h"

extern const struct service pex_service;

#endif
