#include "peer/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/random.h"
#include "core/statefile.h"
#include "crypto/hash.h"

#define OWNER_ONLY (S_IRUSR | S_IWUSR)

int identity_init(struct identity *identity, const uint8_t secret[X25519_SIZE])
{
    struct identity made;
    memcpy(made.secret, secret, X25519_SIZE);
    int rc = x25519_public(made.secret, made.public_key);
    if (rc == 0) {
        rc = sha256(bytes_make(made.public_key, X25519_SIZE), made.id.bytes);
    }
    if (rc == 0) {
        *identity = made;
    }
    identity_wipe(&made);
    return rc == 0 ? 0 : -EIO;
}

void identity_wipe(struct identity *identity)
{
    if (identity != NULL) {
        explicit_bzero(identity, sizeof *identity);
    }
}

static int cannot(int rc, const char *verb, const char *path, char *error, size_t error_size)
{
    const char *remedy = "check the permissions of the directory and its owner";
    if (rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG) {
        remedy = "there is no room: free some space, or give another directory with --state-dir";
    } else if (rc == -EROFS) {
        remedy = "the file system is read-only: give another directory with --state-dir";
    } else if (rc == -ELOOP) {
        remedy = "it is a symbolic link: put the key file itself there";
    }
    (void)snprintf(error, error_size, "cannot %s the identity key %s/%s: %s; %s", verb, path,
                   IDENTITY_FILE, strerror(-rc), remedy);
    return rc;
}

/* The key must not be readable by others; a copy restored with a wide mode is put right. */
static int fix_mode(int directory, bool *ret_fixed)
{
    struct stat st;
    if (fstatat(directory, IDENTITY_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return -errno;
    }
    if (S_ISLNK(st.st_mode)) {
        return -ELOOP;
    }
    *ret_fixed = (st.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    if (*ret_fixed && fchmodat(directory, IDENTITY_FILE, OWNER_ONLY, 0) != 0) {
        return -errno;
    }
    return 0;
}

static int create(int directory, const char *path, uint8_t secret[X25519_SIZE], char *error,
                  size_t error_size)
{
    random_bytes(secret, X25519_SIZE);
    secret[0] &= 248; /* clamped as upstream stores it; the PeerId would be the same without */
    secret[31] = (uint8_t)((secret[31] & 127) | 64);
    int rc = statefile_create(directory, IDENTITY_FILE, bytes_make(secret, X25519_SIZE));
    return rc == 0 ? 0 : cannot(rc, "create", path, error, error_size);
}

int identity_load(int directory, const char *directory_path, struct identity *ret_identity,
                  bool *ret_created, bool *ret_fixed_mode, char *error, size_t error_size)
{
    uint8_t secret[X25519_SIZE];
    size_t size = 0;
    bool created = false;
    bool fixed_mode = false;
    int rc = statefile_read(directory, IDENTITY_FILE, secret, sizeof secret, &size);
    if (rc == -ENOENT) {
        created = true;
        rc = create(directory, directory_path, secret, error, error_size);
        if (rc != 0) {
            goto out;
        }
    } else if (rc == -EFBIG || (rc == 0 && size != X25519_SIZE)) {
        (void)snprintf(error, error_size,
                       "the identity key %s/%s is damaged: it must be exactly %d bytes; restore it "
                       "from a backup, or move it away to start as a new peer with a new id",
                       directory_path, IDENTITY_FILE, X25519_SIZE);
        rc = -EINVAL;
        goto out;
    } else {
        rc = rc != 0 ? rc : fix_mode(directory, &fixed_mode);
        if (rc != 0) {
            rc = cannot(rc, "read", directory_path, error, error_size);
            goto out;
        }
    }
    rc = identity_init(ret_identity, secret);
    if (rc != 0) {
        (void)snprintf(error, error_size,
                       "libcrypto cannot use the identity key %s/%s; check the "
                       "OpenSSL installation (X25519 is needed)",
                       directory_path, IDENTITY_FILE);
        goto out;
    }
    *ret_created = created;
    *ret_fixed_mode = fixed_mode;
out:
    explicit_bzero(secret, sizeof secret);
    return rc;
}
