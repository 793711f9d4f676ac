#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_DIRECTORY (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MOST_RACES     8 /* openat2() says EAGAIN when somebody renames beside it */

/* Of linux/openat2.h, which is younger than some systems this is built on. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define NO_MAGIC_LINKS 0x02u
#define NO_LINKS       0x04u
#define BENEATH        0x08u

struct open_how_1 {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

const char *beneath_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* 0; -EXDEV for what is not a name below. */
static int check(const char *path)
{
    const char *at = path;
    while (true) {
        const size_t size = strcspn(at, "/");
        if (size == 0 || (size == 2 && memcmp(at, "..", 2) == 0)) {
            return -EXDEV;
        }
        if (at[size] == '\0') {
            return 0;
        }
        at += size + 1;
    }
}

/* A descriptor; -ENOSYS when this kernel, or what watches over us, has no openat2(). */
static int open_at_once(int dir_fd, const char *path, int flags, uint64_t resolve)
{
    const struct open_how_1 how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = resolve | BENEATH,
    };
    long fd = -1;
    for (int i = 0; i < MOST_RACES; i++) {
        fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN) {
            break;
        }
    }
    return fd >= 0 ? (int)fd : errno == EPERM || errno == EAGAIN ? -ENOSYS : -errno;
}

/* The component at the front of *path, which moves behind it and its slash. -ENAMETOOLONG. */
static int take_component(const char **path, char ret_name[NAME_MAX + 1])
{
    const size_t size = strcspn(*path, "/");
    if (size > NAME_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(ret_name, *path, size);
    ret_name[size] = '\0';
    *path += size + ((*path)[size] == '/' ? 1 : 0);
    return 0;
}

/* The directory `name` in dir_fd; with ret_made it is made if it is missing, and that is said. */
static int enter(int dir_fd, const char *name, bool *ret_made)
{
    int fd = openat(dir_fd, name, OPEN_DIRECTORY);
    if (fd < 0 && errno == ENOENT && ret_made != NULL) {
        *ret_made = mkdirat(dir_fd, name, 0777) == 0;
        if (!*ret_made && errno != EEXIST) {
            return -errno;
        }
        fd = openat(dir_fd, name, OPEN_DIRECTORY);
    }
    return fd < 0 ? -errno : fd;
}

/* Opens what holds the last component, one directory after another. With ret_made what is missing
 * is made: the size of the path up to the first that was; 0: none was. */
static int walk(int dir_fd, const char *path, size_t *ret_made)
{
    const char *at = path;
    int fd = openat(dir_fd, ".", OPEN_DIRECTORY);
    int rc = fd < 0 ? -errno : 0;
    while (rc == 0 && strchr(at, '/') != NULL) {
        char name[NAME_MAX + 1];
        bool made = false;
        rc = take_component(&at, name);
        const int next = rc < 0 ? rc : enter(fd, name, ret_made == NULL ? NULL : &made);
        if (made && *ret_made == 0) {
            *ret_made = (size_t)(at - path) - 1;
        }
        (void)close(fd);
        fd = next;
        rc = next < 0 ? next : 0;
    }
    return rc < 0 ? rc : fd;
}

static int open_by_component(int dir_fd, const char *path, int flags)
{
    const int parent = walk(dir_fd, path, NULL);
    if (parent < 0) {
        return parent;
    }
    const int fd = openat(parent, beneath_base(path), flags | O_NOFOLLOW | O_CLOEXEC);
    const int rc = fd < 0 ? -errno : fd;
    (void)close(parent);
    return rc;
}

static int open_below(int dir_fd, const char *path, int flags, uint64_t resolve)
{
    int rc = check(path);
    if (rc == 0) {
        rc = open_at_once(dir_fd, path, flags, resolve);
    }
    return rc == -ENOSYS || rc == -ENAMETOOLONG ? open_by_component(dir_fd, path, flags) : rc;
}

int beneath_open(int dir_fd, const char *path, int flags)
{
    return open_below(dir_fd, path, flags, NO_LINKS);
}

int beneath_open_linked(int dir_fd, const char *path, int flags)
{
    return open_below(dir_fd, path, flags, NO_MAGIC_LINKS);
}

int beneath_make_parent(int dir_fd, const char *path, size_t *ret_made)
{
    const int rc = check(path);
    *ret_made = 0;
    return rc < 0 ? rc : walk(dir_fd, path, ret_made);
}

void beneath_prune(int dir_fd, const char *path, size_t made)
{
    char shorter[PATH_MAX + 1];
    const size_t size = strlen(path);
    if (made == 0 || size >= sizeof shorter) {
        return;
    }
    memcpy(shorter, path, size + 1);
    int rc = 0;
    for (char *slash = strrchr(shorter, '/');
         rc == 0 && slash != NULL && (size_t)(slash - shorter) >= made;
         slash = strrchr(shorter, '/')) {
        *slash = '\0';
        const int parent = walk(dir_fd, shorter, NULL);
        rc = parent < 0 ? parent : unlinkat(parent, beneath_base(shorter), AT_REMOVEDIR);
        if (parent >= 0) {
            (void)close(parent);
        }
    }
}
