#include "core/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY_SUFFIX ".tmp"
#define NAME_SIZE        256 /* NAME_MAX with the NUL */

static int sync_fd(int fd)
{
    /* EINVAL, EROFS: this file system has nothing to sync here. */
    return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : -errno;
}

/* Ours or root's, and nobody else may change it. */
static bool is_trusted(const struct stat *st)
{
    return (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static int check_name(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length + sizeof TEMPORARY_SUFFIX > NAME_SIZE || strchr(name, '/') != NULL ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
        return -EINVAL;
    }
    return 0;
}

/* Creates one directory; an existing one is left as it is. */
static int make_directory(int parent, const char *name)
{
    if (mkdirat(parent, name, S_IRWXU) != 0) {
        return errno == EEXIST ? 0 : -errno;
    }
    if (fchmodat(parent, name, S_IRWXU, 0) != 0) { /* the umask took something */
        return -errno;
    }
    /* The new entry must survive as well. parent was opened with O_PATH, which cannot sync. */
    int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    int result = sync_fd(fd);
    (void)close(fd);
    return result;
}

/* Opens the next component, creating it when missing: the last one for reading, others as a step
 * on the way only, since we may pass through directories that we may not list. */
static int descend(int *fd, const char *name, bool is_last)
{
    int flags = O_DIRECTORY | O_CLOEXEC | (is_last ? O_RDONLY : O_PATH);
    int next = openat(*fd, name, flags);
    if (next < 0 && errno == ENOENT) {
        int result = make_directory(*fd, name);
        if (result != 0) {
            return result;
        }
        next = openat(*fd, name, flags);
    }
    if (next < 0) {
        return -errno;
    }
    (void)close(*fd);
    *fd = next;
    return 0;
}

int statefile_open_directory(const char *path, int *ret_fd)
{
    int fd = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int result = -EINVAL;
    const char *at = path + strspn(path, "/");
    while (*at != '\0') {
        char name[NAME_SIZE];
        size_t length = strcspn(at, "/");
        if (length >= sizeof name) {
            result = -ENAMETOOLONG;
            goto out;
        }
        memcpy(name, at, length);
        name[length] = '\0';
        at += length;
        at += strspn(at, "/");
        result = descend(&fd, name, *at == '\0');
        if (result != 0) {
            goto out;
        }
    }
    struct stat st;
    if (result == 0 && fstat(fd, &st) != 0) {
        result = -errno;
    } else if (result == 0 && !is_trusted(&st)) {
        result = -EPERM;
    }
out:
    if (result != 0) {
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

static int write_all(int fd, struct bytes content)
{
    while (content.size > 0) {
        ssize_t written = write(fd, content.data, content.size);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        if (written > 0) {
            content = bytes_make(content.data + written, content.size - (size_t)written);
        }
    }
    return 0;
}

/* The first line of the lock file, for a message. */
static void read_holder(int fd, char *holder, size_t size)
{
    if (size == 0) {
        return;
    }
    ssize_t got = pread(fd, holder, size - 1, 0);
    holder[got > 0 ? (size_t)got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
}

int statefile_lock(int directory, const char *line, int *ret_fd, char *holder, size_t holder_size)
{
    int fd = openat(directory, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return -errno;
    }
    int result = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        result = errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (result == -EBUSY) {
            read_holder(fd, holder, holder_size);
        }
        goto out;
    }
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || ftruncate(fd, 0) != 0) {
        result = -errno;
        goto out;
    }
    result = write_all(fd, bytes_from_string(line));
    if (result == 0) {
        result = write_all(fd, bytes_make("\n", 1));
    }
out:
    if (result != 0) {
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    return 0;
}

static int read_all(int fd, uint8_t *out, size_t max, size_t *ret_size)
{
    size_t size = 0;
    for (;;) {
        uint8_t beyond;
        ssize_t got = size < max ? read(fd, out + size, max - size) : read(fd, &beyond, 1);
        if (got < 0 && errno != EINTR) {
            return -errno;
        }
        if (got == 0) {
            *ret_size = size;
            return 0;
        }
        if (got > 0 && size == max) {
            return -EFBIG;
        }
        size += got > 0 ? (size_t)got : 0;
    }
}

int statefile_read(int directory, const char *name, uint8_t *out, size_t max, size_t *ret_size)
{
    int result = check_name(name);
    if (result != 0) {
        return result;
    }
    /* O_NONBLOCK: a FIFO put in its place must not hang us. */
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    struct stat st;
    if (fstat(fd, &st) != 0) {
        result = -errno;
    } else if (!S_ISREG(st.st_mode) || !is_trusted(&st)) {
        result = -EPERM;
    } else {
        result = read_all(fd, out, max, ret_size);
    }
    (void)close(fd);
    return result;
}

static void name_temporary(const char *name, char out[NAME_SIZE + sizeof TEMPORARY_SUFFIX])
{
    (void)snprintf(out, NAME_SIZE + sizeof TEMPORARY_SUFFIX, "%s" TEMPORARY_SUFFIX, name);
}

/* Writes content to a new temporary file and syncs it. */
static int write_aside(int directory, const char *temporary, struct bytes content)
{
    if (unlinkat(directory, temporary, 0) != 0 && errno != ENOENT) {
        return -errno;
    }
    int fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
    if (fd < 0) {
        return -errno;
    }
    int result = fchmod(fd, S_IRUSR | S_IWUSR) == 0 ? 0 : -errno;
    if (result == 0) {
        result = write_all(fd, content);
    }
    if (result == 0 && fsync(fd) != 0) {
        result = -errno;
    }
    if (close(fd) != 0 && result == 0) {
        result = -errno;
    }
    return result;
}

static int put(int directory, const char *name, struct bytes content, bool may_replace)
{
    int result = check_name(name);
    if (result != 0) {
        return result;
    }
    char temporary[NAME_SIZE + sizeof TEMPORARY_SUFFIX];
    name_temporary(name, temporary);
    result = write_aside(directory, temporary, content);
    if (result == 0 && may_replace) {
        result = renameat(directory, temporary, directory, name) == 0 ? 0 : -errno;
    } else if (result == 0) {
        result = linkat(directory, temporary, directory, name, 0) == 0 ? 0 : -errno;
    }
    if (result != 0 || !may_replace) {
        (void)unlinkat(directory, temporary, 0);
    }
    return result != 0 ? result : sync_fd(directory);
}

int statefile_write(int directory, const char *name, struct bytes content)
{
    return put(directory, name, content, true);
}

int statefile_create(int directory, const char *name, struct bytes content)
{
    return put(directory, name, content, false);
}

int statefile_rename(int directory, const char *name, const char *new_name)
{
    int result = check_name(name);
    if (result == 0) {
        result = check_name(new_name);
    }
    if (result == 0 && renameat(directory, name, directory, new_name) != 0) {
        result = -errno;
    }
    return result != 0 ? result : sync_fd(directory);
}

void statefile_tidy(int directory, const char *name)
{
    char temporary[NAME_SIZE + sizeof TEMPORARY_SUFFIX];
    if (check_name(name) == 0) {
        name_temporary(name, temporary);
        (void)unlinkat(directory, temporary, 0);
    }
}
