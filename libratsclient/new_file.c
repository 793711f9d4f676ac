#include "new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_NAMES 16 /* that are tried before somebody is believed to make them as we look */

/* By this path the kernel finds a file that has no name. */
#define BY_NUMBER      "/proc/self/fd/%d"
#define BY_NUMBER_SIZE 32

static void make_hidden_name(char name[NEW_FILE_NAME_SIZE])
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) < 0) {
        number = (uint64_t)getpid(); /* early at boot: O_EXCL keeps names apart as well */
    }
    (void)snprintf(name, NEW_FILE_NAME_SIZE, ".rats-%016" PRIx64 ".part", number);
}

/* Whether it will be possible to name it. */
static bool is_nameable(int fd)
{
    char path[BY_NUMBER_SIZE];
    (void)snprintf(path, sizeof path, BY_NUMBER, fd);
    return access(path, F_OK) == 0;
}

static int open_hidden(struct new_file *file, int dir_fd)
{
    for (int i = 0; i < MOST_NAMES; i++) {
        make_hidden_name(file->hidden);
        file->fd =
            openat(dir_fd, file->hidden, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (file->fd >= 0 || errno != EEXIST) {
            break;
        }
    }
    return file->fd < 0 ? -errno : 0;
}

int new_file_open(struct new_file *file, int dir_fd)
{
    file->hidden[0] = '\0';
    file->fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (file->fd >= 0 && !is_nameable(file->fd)) {
        (void)close(file->fd);
        return open_hidden(file, dir_fd);
    }
    if (file->fd >= 0) {
        return 0;
    }
    /* What file systems and kernels that know no such files say. */
    const bool unknown = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL;
    return unknown ? open_hidden(file, dir_fd) : -errno;
}

static int name_it(int fd, int dir_fd, const char *name)
{
    char path[BY_NUMBER_SIZE];
    (void)snprintf(path, sizeof path, BY_NUMBER, fd);
    return linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* A file without a name gets a hidden one, to be renamed over the name that is taken. */
static int hide(struct new_file *file, int dir_fd)
{
    int rc = -EEXIST;
    for (int i = 0; i < MOST_NAMES && rc == -EEXIST; i++) {
        make_hidden_name(file->hidden);
        rc = name_it(file->fd, dir_fd, file->hidden);
    }
    if (rc < 0) {
        file->hidden[0] = '\0';
    }
    return rc;
}

int new_file_may_replace(int dir_fd, const char *name)
{
    struct stat info;
    if (fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(info.st_mode) ||
        S_ISLNK(info.st_mode)) {
        return 0;
    }
    return S_ISDIR(info.st_mode) ? -EISDIR : -EEXIST;
}

int new_file_place(struct new_file *file, int dir_fd, const char *name)
{
    int rc = 0;
    if (file->hidden[0] == '\0') {
        rc = name_it(file->fd, dir_fd, name);
        if (rc == -EEXIST) {
            rc = hide(file, dir_fd);
        }
    }
    if (rc == 0 && file->hidden[0] != '\0') {
        rc = new_file_may_replace(dir_fd, name);
    }
    if (rc == 0 && file->hidden[0] != '\0') {
        rc = renameat(dir_fd, file->hidden, dir_fd, name) < 0 ? -errno : 0;
        if (rc == 0) {
            file->hidden[0] = '\0';
        }
    }
    new_file_discard(file, dir_fd);
    return rc;
}

void new_file_discard(struct new_file *file, int dir_fd)
{
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    file->fd = -1;
    if (file->hidden[0] != '\0') {
        (void)unlinkat(dir_fd, file->hidden, 0);
        file->hidden[0] = '\0';
    }
}
