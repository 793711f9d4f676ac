/* Who we are: one X25519 key pair; its public key's SHA-256 is our PeerId (wire-core 1).
 *
 * The secret never leaves this file except into the Noise handshake. Its file is 32 raw bytes, as
 * upstream has it, created 0600 and never replaced in silence. Those bytes cannot show that one of
 * them has changed, so a second file beside it records the public key and the PeerId as text. A key
 * of another length, one that is gone while the record is there, one that does not fit the record:
 * each stops the start with a sentence and a remedy (design, Instances; reliability R8). */
#ifndef RATSD_PEER_IDENTITY_H
#define RATSD_PEER_IDENTITY_H

#include "crypto/x25519.h"
#include "util/peer_id.h"

#define IDENTITY_FILE   "identity.key"
#define IDENTITY_RECORD "identity.pub" /* 64 hex digits, a space, 64 hex digits, a newline */

struct identity {
    uint8_t secret[X25519_SIZE];
    uint8_t public_key[X25519_SIZE];
    struct peer_id id;
};

/* What identity_load() did besides loading. */
struct identity_report {
    bool created;         /* there was neither key nor record */
    bool fixed_mode;      /* group or others could read the key; now they cannot */
    bool record_added;    /* there was a key and no record */
    bool record_repaired; /* half of the record was damaged, the other half proved the key */
};

/* Loads <directory>/identity.key, or creates it. 0; -EINVAL for a damaged or lost key; other
 * negative errno; each with a sentence that names the file and the remedy in error. */
int identity_load(int directory, const char *directory_path, struct identity *ret_identity,
                  struct identity_report *ret_report, char *error, size_t error_size);
/* Renames key and record to NAME.old, so that the next load creates others. 0, also when there is
 * nothing to rename; or a negative errno and a sentence. */
int identity_set_aside(int directory, const char *directory_path, char *error, size_t error_size);
/* Reads exactly 32 secret bytes up to the end of fd. 0; -EINVAL when there are fewer or more; other
 * negative errno. */
int identity_read_secret(int fd, uint8_t ret_secret[X25519_SIZE]);
/* Puts another secret in the place of the present one, which is kept as identity.key.old. At every
 * instant the directory holds one of the two, whole. *ret_changed: it was not the same already. 0,
 * or a negative errno and a sentence; then the old one is still in place. */
int identity_install(int directory, const char *directory_path, const uint8_t secret[X25519_SIZE],
                     bool *ret_changed, char *error, size_t error_size);
/* From 32 secret bytes. 0 or -EIO. */
int identity_init(struct identity *identity, const uint8_t secret[X25519_SIZE]);
void identity_wipe(struct identity *identity);

#endif
