#include "peer/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/random.h"
#include "core/statefile.h"
#include "crypto/hash.h"
#include "util/hex.h"

#define OWNER_ONLY  (S_IRUSR | S_IWUSR)
#define HALF_SIZE   ((size_t)2 * X25519_SIZE) /* a public key, or a PeerId, in hex */
#define RECORD_SIZE (2 * HALF_SIZE + 2)       /* both, a space and a newline */
#define NEW_START   "start once with --new-identity to be a new peer with a new id"

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

/* One load: where, and where to complain. */
struct loading {
    int directory;
    const char *path;
    char *error;
    size_t error_size;
};

static int cannot(const struct loading *loading, int rc, const char *verb, const char *name)
{
    const char *remedy = "check the permissions of the directory and its owner";
    if (rc == -ENOSPC || rc == -EDQUOT || rc == -EFBIG) {
        remedy = "there is no room: free some space, or give another directory with --state-dir";
    } else if (rc == -EROFS) {
        remedy = "the file system is read-only: give another directory with --state-dir";
    } else if (rc == -ELOOP) {
        remedy = "it is a symbolic link: put the file itself there";
    }
    (void)snprintf(loading->error, loading->error_size, "cannot %s the identity key %s/%s: %s; %s",
                   verb, loading->path, name, strerror(-rc), remedy);
    return rc;
}

static int damaged(const struct loading *loading)
{
    (void)snprintf(loading->error, loading->error_size,
                   "the identity key %s/" IDENTITY_FILE
                   " is damaged: it must be exactly %d bytes; restore it from a backup, "
                   "or " NEW_START,
                   loading->path, X25519_SIZE);
    return -EINVAL;
}

static int lost(const struct loading *loading)
{
    (void)snprintf(loading->error, loading->error_size,
                   "the identity key %s/" IDENTITY_FILE " is gone, but " IDENTITY_RECORD
                   " shows that there was one; restore it from a backup, or " NEW_START,
                   loading->path);
    return -EINVAL;
}

static int contradicted(const struct loading *loading)
{
    (void)snprintf(loading->error, loading->error_size,
                   "the identity key %s/" IDENTITY_FILE " does not fit " IDENTITY_RECORD
                   ": one of them is damaged or was replaced; restore the key from a backup, "
                   "remove " IDENTITY_RECORD " if you know that the key is right, or " NEW_START,
                   loading->path);
    return -EINVAL;
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

static int create(const struct loading *loading, uint8_t secret[X25519_SIZE])
{
    random_bytes(secret, X25519_SIZE);
    secret[0] &= 248; /* clamped as upstream stores it; the PeerId would be the same without */
    secret[31] = (uint8_t)((secret[31] & 127) | 64);
    int rc = statefile_create(loading->directory, IDENTITY_FILE, bytes_make(secret, X25519_SIZE));
    return rc == 0 ? 0 : cannot(loading, rc, "create", IDENTITY_FILE);
}

/* The secret from its file, or a new one when there has never been one. */
static int find_secret(const struct loading *loading, uint8_t secret[X25519_SIZE],
                       struct identity_report *report)
{
    size_t size = 0;
    int rc = statefile_read(loading->directory, IDENTITY_FILE, secret, X25519_SIZE, &size);
    if (rc == -ENOENT) {
        if (faccessat(loading->directory, IDENTITY_RECORD, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            return lost(loading);
        }
        report->created = true;
        return create(loading, secret);
    }
    if (rc == -EFBIG || (rc == 0 && size != X25519_SIZE)) {
        return damaged(loading);
    }
    if (rc == 0) {
        statefile_tidy(loading->directory, IDENTITY_FILE); /* it may hold the secret */
        rc = fix_mode(loading->directory, &report->fixed_mode);
    }
    return rc == 0 ? 0 : cannot(loading, rc, "read", IDENTITY_FILE);
}

static void format_record(const struct identity *identity, char out[RECORD_SIZE + 1])
{
    hex_format(bytes_make(identity->public_key, X25519_SIZE), out);
    out[HALF_SIZE] = ' ';
    hex_format(bytes_make(identity->id.bytes, sizeof identity->id.bytes), out + HALF_SIZE + 1);
    out[RECORD_SIZE - 1] = '\n';
    out[RECORD_SIZE] = '\0';
}

/* Holds the key against its record. The record has two halves that say the same: one of them
 * proves the key, and then the other must be what is damaged. */
static int check_record(const struct loading *loading, const struct identity *identity,
                        struct identity_report *report)
{
    char right[RECORD_SIZE + 1];
    uint8_t found[RECORD_SIZE] = {0};
    size_t size = 0;
    format_record(identity, right);
    int rc = statefile_read(loading->directory, IDENTITY_RECORD, found, sizeof found, &size);
    if (rc == 0 && size == RECORD_SIZE && memcmp(found, right, RECORD_SIZE) == 0) {
        return 0;
    }
    if (rc == -ENOENT) {
        report->record_added = !report->created;
    } else if (rc == 0 || rc == -EFBIG) {
        size_t second = HALF_SIZE + 1;
        if (memcmp(found, right, HALF_SIZE) != 0 &&
            memcmp(found + second, right + second, HALF_SIZE) != 0) {
            return contradicted(loading);
        }
        report->record_repaired = true;
    } else {
        return cannot(loading, rc, "check", IDENTITY_RECORD);
    }
    rc = statefile_write(loading->directory, IDENTITY_RECORD, bytes_make(right, RECORD_SIZE));
    return rc == 0 ? 0 : cannot(loading, rc, "record", IDENTITY_RECORD);
}

int identity_load(int directory, const char *directory_path, struct identity *ret_identity,
                  struct identity_report *ret_report, char *error, size_t error_size)
{
    const struct loading loading = {directory, directory_path, error, error_size};
    struct identity_report report = {0};
    struct identity identity = {0};
    uint8_t secret[X25519_SIZE];
    int rc = find_secret(&loading, secret, &report);
    if (rc != 0) {
        goto out;
    }
    rc = identity_init(&identity, secret);
    if (rc != 0) {
        (void)snprintf(error, error_size,
                       "libcrypto cannot use the identity key %s/%s; check the "
                       "OpenSSL installation (X25519 is needed)",
                       directory_path, IDENTITY_FILE);
        goto out;
    }
    rc = check_record(&loading, &identity, &report);
    if (rc == 0) {
        *ret_identity = identity;
        *ret_report = report;
    }
out:
    explicit_bzero(secret, sizeof secret);
    identity_wipe(&identity);
    return rc;
}

int identity_set_aside(int directory, const char *directory_path, char *error, size_t error_size)
{
    /* The record first: a key alone is still a key, a record alone is a lost one. */
    static const char *const names[][2] = {
        {IDENTITY_RECORD, IDENTITY_RECORD ".old"},
        {IDENTITY_FILE, IDENTITY_FILE ".old"},
    };
    const struct loading loading = {directory, directory_path, error, error_size};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int rc = statefile_rename(directory, names[i][0], names[i][1]);
        if (rc != 0 && rc != -ENOENT) {
            return cannot(&loading, rc, "set aside", names[i][0]);
        }
    }
    return 0;
}

int identity_read_secret(int fd, uint8_t ret_secret[X25519_SIZE])
{
    uint8_t read_bytes[X25519_SIZE + 1]; /* one more than there may be */
    size_t size = 0;
    int rc = 0;
    while (rc == 0 && size < sizeof read_bytes) {
        ssize_t got = read(fd, read_bytes + size, sizeof read_bytes - size);
        if (got == 0) {
            break;
        }
        if (got > 0) {
            size += (size_t)got;
        } else if (errno != EINTR) {
            rc = -errno;
        }
    }
    if (rc == 0 && size != X25519_SIZE) {
        rc = -EINVAL;
    }
    if (rc == 0) {
        memcpy(ret_secret, read_bytes, X25519_SIZE);
    }
    explicit_bzero(read_bytes, sizeof read_bytes);
    return rc;
}

/* Everything but the key itself: a copy of the old one, and no record that would contradict the new
 * one. A key without its record is whole, so it does not matter where this is cut short. */
static int make_way(const struct loading *loading, struct bytes old)
{
    int rc = statefile_write(loading->directory, IDENTITY_FILE ".old", old);
    if (rc != 0) {
        return cannot(loading, rc, "keep", IDENTITY_FILE ".old");
    }
    rc = statefile_rename(loading->directory, IDENTITY_RECORD, IDENTITY_RECORD ".old");
    return rc == 0 || rc == -ENOENT ? 0 : cannot(loading, rc, "set aside", IDENTITY_RECORD);
}

int identity_install(int directory, const char *directory_path, const uint8_t secret[X25519_SIZE],
                     bool *ret_changed, char *error, size_t error_size)
{
    const struct loading loading = {directory, directory_path, error, error_size};
    uint8_t old[X25519_SIZE];
    size_t size = 0;
    bool changed = true;
    int rc = statefile_read(directory, IDENTITY_FILE, old, sizeof old, &size);
    if (rc == 0 && size == X25519_SIZE) {
        changed = memcmp(old, secret, X25519_SIZE) != 0;
        rc = changed ? make_way(&loading, bytes_make(old, size)) : 0;
    } else if (rc == -ENOENT) {
        rc = statefile_rename(directory, IDENTITY_RECORD, IDENTITY_RECORD ".old");
        rc = rc == 0 || rc == -ENOENT ? 0 : cannot(&loading, rc, "set aside", IDENTITY_RECORD);
    } else {
        rc = rc == 0 || rc == -EFBIG ? damaged(&loading)
                                     : cannot(&loading, rc, "read", IDENTITY_FILE);
    }
    if (rc == 0 && changed) {
        rc = statefile_write(directory, IDENTITY_FILE, bytes_make(secret, X25519_SIZE));
        rc = rc == 0 ? 0 : cannot(&loading, rc, "write", IDENTITY_FILE);
    }
    explicit_bzero(old, sizeof old);
    if (rc == 0) {
        *ret_changed = changed;
    }
    return rc;
}
