/* ChaCha20-Poly1305 (RFC 8439) for one direction of a link: one key, one context, a counter.
 *
 * The context is keyed once and reused; each message only sets its nonce: 4 zero bytes, then the
 * 64-bit counter little-endian (Noise 12.3; wire-core 3). The counter advances by one per
 * message and its last value is never used: then -EOVERFLOW, close the link. */
#ifndef RATSD_CRYPTO_AEAD_H
#define RATSD_CRYPTO_AEAD_H

#include "util/bytes.h"

#define AEAD_KEY_SIZE 32
#define AEAD_TAG_SIZE 16

struct aead {
    void *context; /* EVP_CIPHER_CTX */
    uint64_t counter;
};

enum aead_direction { AEAD_SEAL, AEAD_OPEN };

/* 0 or -ENOMEM. A zeroed struct may be given to aead_fini. */
int aead_init(struct aead *aead, enum aead_direction direction, const uint8_t key[AEAD_KEY_SIZE]);
void aead_fini(struct aead *aead);

/* Encrypts head || body into out, which has room for both and the tag. No associated data.
 * head may be empty; body is read once, straight into out (which may not overlap it).
 * Returns 0, -EOVERFLOW or -EIO. */
int aead_seal(struct aead *aead, struct bytes head, struct bytes body, uint8_t *out);
/* Decrypts size bytes (with the tag) in place. 0 with size - AEAD_TAG_SIZE bytes of plaintext at
 * data; -EBADMSG when it does not authenticate (data is then garbage); -EOVERFLOW. */
int aead_open(struct aead *aead, uint8_t *data, size_t size);

/* With associated data, for the handshake; same errors. in and out may be the same. */
int aead_seal_with(struct aead *aead, struct bytes associated, struct bytes plain, uint8_t *out);
int aead_open_with(struct aead *aead, struct bytes associated, struct bytes sealed, uint8_t *out);

#endif
