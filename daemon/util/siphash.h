/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", with one compression and
 * three finalisation rounds): a keyed 64-bit hash. For hash tables fed by strangers; not a
 * signature. Pure. */
#ifndef RATSD_UTIL_SIPHASH_H
#define RATSD_UTIL_SIPHASH_H

#include "util/bytes.h"

/* key: the 16 key bytes read as two little-endian words. */
uint64_t siphash13(const uint64_t key[2], struct bytes from);

#endif
