/* Who we are: one X25519 key pair; its public key's SHA-256 is our PeerId (wire-core 1).
 *
 * The secret never leaves this file except into the Noise handshake. The file is 32 raw bytes,
 * created 0600 and never replaced: anything but exactly 32 bytes stops the start with a sentence
 * and a remedy (design, Instances). */
#ifndef RATSD_PEER_IDENTITY_H
#define RATSD_PEER_IDENTITY_H

#include "crypto/x25519.h"
#include "util/peer_id.h"

#define IDENTITY_FILE "identity.key"

struct identity {
    uint8_t secret[X25519_SIZE];
    uint8_t public_key[X25519_SIZE];
    struct peer_id id;
};

/* Loads <directory>/identity.key, or creates it when there is none. 0; -EINVAL for a damaged file;
 * other negative errno; each with a sentence that names the file and the remedy in error. Wrong
 * permissions (group or others may read) are corrected and reported in *ret_fixed_mode. */
int identity_load(int directory, const char *directory_path, struct identity *ret_identity,
                  bool *ret_created, bool *ret_fixed_mode, char *error, size_t error_size);
/* From 32 secret bytes. 0 or -EIO. */
int identity_init(struct identity *identity, const uint8_t secret[X25519_SIZE]);
void identity_wipe(struct identity *identity);

#endif
