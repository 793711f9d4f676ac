/* Noise_XX_25519_ChaChaPoly_SHA256 (Noise revision 34), both roles. Pure: the ephemeral key comes
 * in as an argument, bytes come in and go out, nothing is sent or logged.
 *
 * The three messages alternate, the initiator first; payloads are empty when written, and up to
 * NOISE_MAX_PAYLOAD bytes are tolerated and ignored when read (wire-core 3). Any error is final:
 * free the object and close the link. Easy to break: message sizes are checked before any key is
 * touched, so an empty or short block can never advance the state (wire-core 17.2). */
#ifndef RATSD_CRYPTO_NOISE_H
#define RATSD_CRYPTO_NOISE_H

#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

#define NOISE_MAX_PAYLOAD 256
#define NOISE_MAX_MESSAGE 96 /* the largest we write */

enum noise_role { NOISE_INITIATOR, NOISE_RESPONDER };

struct noise;

/* Secrets and prologue are copied and wiped when no longer needed. 0, -ENOMEM or -EIO. */
int noise_new(enum noise_role role, const uint8_t static_secret[X25519_SIZE],
              const uint8_t ephemeral_secret[X25519_SIZE], struct bytes prologue,
              struct noise **ret_noise);
void noise_free(struct noise *noise);

/* Whose turn it is: true when noise_write() is next. */
bool noise_wants_write(const struct noise *noise);
bool noise_is_done(const struct noise *noise);

/* Writes the next handshake message. out has room for NOISE_MAX_MESSAGE bytes.
 * 0; -EPROTO when it is not our turn or the peer's point is of low order; -EIO. */
int noise_write(struct noise *noise, uint8_t *out, size_t *ret_size);
/* Reads the peer's next message. 0; -EPROTO for a wrong size, turn or low-order point;
 * -EBADMSG when it does not authenticate; -EIO. */
int noise_read(struct noise *noise, struct bytes message);

/* After noise_is_done(): the key the peer has proved, the transcript hash, and the two ciphers.
 * send and receive are initialised here, once, and belong to the caller. 0, -ENOMEM or -EIO. */
void noise_remote_public(const struct noise *noise, uint8_t ret_public[X25519_SIZE]);
void noise_handshake_hash(const struct noise *noise, uint8_t ret_hash[SHA256_SIZE]);
int noise_split(struct noise *noise, struct aead *ret_send, struct aead *ret_receive);

#endif
