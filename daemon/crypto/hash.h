/* SHA-256 and HMAC-SHA-256 over libcrypto, in one call. Pure: no state beyond the arguments.
 * All return 0 or -EIO (libcrypto refused, which only happens when it has no memory). */
#ifndef RATSD_CRYPTO_HASH_H
#define RATSD_CRYPTO_HASH_H

#include "util/bytes.h"

#define SHA256_SIZE 32

int sha256(struct bytes data, uint8_t ret_digest[SHA256_SIZE]);
/* SHA-256 of a || b, without joining them first. */
int sha256_two(struct bytes a, struct bytes b, uint8_t ret_digest[SHA256_SIZE]);
/* SHA-256 of bytes that come one after another. A zeroed struct may be given to sha256_fini(). */
struct sha256_stream {
    void *context; /* EVP_MD_CTX */
};

/* Begins, or begins again. */
int sha256_begin(struct sha256_stream *stream);
int sha256_add(struct sha256_stream *stream, struct bytes data);
int sha256_end(struct sha256_stream *stream, uint8_t ret_digest[SHA256_SIZE]);
void sha256_fini(struct sha256_stream *stream);

/* The two-output HKDF of Noise revision 34, section 4.3 (HMAC-SHA-256). */
int hkdf2(const uint8_t chaining_key[SHA256_SIZE], struct bytes input,
          uint8_t ret_first[SHA256_SIZE], uint8_t ret_second[SHA256_SIZE]);

#endif
