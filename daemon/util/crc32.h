/* CRC-32 (IEEE 802.3, reflected, as zlib), which entries of the store carry (wire-services 7). It
 * finds accidents, not tampering. */
#ifndef RATSD_UTIL_CRC32_H
#define RATSD_UTIL_CRC32_H

#include "util/bytes.h"

/* Of what crc was the value for followed by more; begin with 0. */
uint32_t crc32_add(uint32_t crc, struct bytes more);

#endif
