/* A channel's name as 16 bits: FNV-1a folded, 0 becomes 1 (wire-core 5.3). Collisions are
 * possible and belong to the caller. */
#ifndef RATSD_WIRE_CHANNEL_ID_H
#define RATSD_WIRE_CHANNEL_ID_H

#include "util/bytes.h"

uint16_t channel_id(struct bytes name);

#endif
