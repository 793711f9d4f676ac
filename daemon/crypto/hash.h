/* SHA-256 and HMAC-SHA-256 over libcrypto, in one call. Pure: no state beyond the arguments.
 * All return 0 or -EIO (libcrypto refused, which only happens when it has no memory). */
#ifndef RATSD_CRYPTO_HASH_H
#define RATSD_CRYPTO_HASH_H

#include "util/bytes.h"

#define SHA256_SIZE 32

int sha256(struct bytes data, uint8_t ret_digest[SHA256_SIZE]);
/* SHA-256 of a || b, without joining them first. */
int sha256_two(struct bytes a, struct bytes b, uint8_t ret_digest[SHA256_SIZE]);
/* The two-output HKDF of Noise revision 34, section 4.3 (HMAC-SHA-256). */
int hkdf2(const uint8_t chaining_key[SHA256_SIZE], struct bytes input,
          uint8_t ret_first[SHA256_SIZE], uint8_t ret_second[SHA256_SIZE]);

#endif
