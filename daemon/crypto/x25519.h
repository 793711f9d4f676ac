/* X25519 (RFC 7748). A result of all zeros, which only low-order points produce, is refused
 * (wire-core 17.3): anyone could share such a "secret". */
#ifndef RATSD_CRYPTO_X25519_H
#define RATSD_CRYPTO_X25519_H

#include <stdint.h>

#define X25519_SIZE 32

/* 0 or -EIO. */
int x25519_public(const uint8_t secret[X25519_SIZE], uint8_t ret_public[X25519_SIZE]);
/* 0; -EPROTO for an all-zero result; -EIO. */
int x25519_shared(const uint8_t secret[X25519_SIZE], const uint8_t peer_public[X25519_SIZE],
                  uint8_t ret_shared[X25519_SIZE]);

#endif
