/* The listening socket: bound with the right owner and mode, replacing only what is dead. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/session.h"
#include "util/alloc.h"

#define BACKLOG 128
#define SECTION "clients"

static void fill_address(struct sockaddr_un *address, const char *path)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
}

/* Whether somebody answers on the socket that is in the way, and which process, 0 if not known. */
static bool is_alive(const struct sockaddr_un *address, pid_t *ret_pid)
{
    struct ucred owner = {.pid = 0};
    socklen_t size = sizeof(owner);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret_pid = 0;
    if (fd < 0) {
        return true; /* not known to be dead: leave it alone */
    }
    bool dead = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
                (errno == ECONNREFUSED || errno == ENOENT);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) == 0) {
        *ret_pid = owner.pid;
    }
    (void)close(fd);
    return !dead;
}

/* Makes way for bind(): a dead daemon's socket is removed, anything else stays. */
static int clear_path(const struct sockaddr_un *address, char *error, size_t error_size)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0) {
        return 0; /* nothing there, or bind() will say what is wrong */
    }
    if (!S_ISSOCK(status.st_mode)) {
        (void)snprintf(error, error_size,
                       "%s exists and is not a socket; remove it or use --socket",
                       address->sun_path);
        return -EEXIST;
    }
    pid_t pid;
    if (is_alive(address, &pid)) {
        (void)snprintf(error, error_size,
                       "another ratsd (pid %ld) answers on %s; stop it, or use --instance or "
                       "--socket for a second one",
                       (long)pid, address->sun_path);
        return -EADDRINUSE;
    }
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Owner and mode as configured. */
static int set_access(const struct ipc *ipc, const char *path, char *error, size_t error_size)
{
    const char *mode_text = config_text(host_config(ipc->host), SECTION, "socket_mode");
    const char *group_text = config_text(host_config(ipc->host), SECTION, "socket_group");
    gid_t group = NO_GROUP;
    char *end = NULL;
    unsigned long mode = strtoul(mode_text, &end, 8);
    if (*end != '\0' || end == mode_text || mode > 0777) {
        (void)snprintf(error, error_size, "[clients] socket_mode = %s: must be octal, 0600 to 0777",
                       mode_text);
        return -EINVAL;
    }
    if (credentials_find_group(group_text, &group) < 0) {
        (void)snprintf(error, error_size,
                       "[clients] socket_group = %s: there is no such group; create it or name "
                       "another",
                       group_text);
        return -EINVAL;
    }
    if ((group != NO_GROUP && chown(path, (uid_t)-1, group) < 0) || chmod(path, (mode_t)mode) < 0) {
        int failed = -errno;
        (void)snprintf(error, error_size, "cannot set owner and mode of %s: %s", path,
                       strerror(-failed));
        return failed;
    }
    return 0;
}

static int bind_and_listen(struct ipc *ipc, int fd, const char *path, char *error,
                           size_t error_size)
{
    struct sockaddr_un address;
    fill_address(&address, path);
    int result = clear_path(&address, error, error_size);
    if (result < 0) {
        return result;
    }
    /* Nobody may connect before owner and mode are right: not listening yet. */
    mode_t old_mask = umask(0177);
    result = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    (void)umask(old_mask);
    if (result < 0) {
        (void)snprintf(error, error_size,
                       "cannot create the socket %s: %s; check that the directory exists and is "
                       "writable, or use --socket",
                       path, strerror(-result));
        return result;
    }
    result = set_access(ipc, path, error, error_size);
    if (result == 0 && listen(fd, BACKLOG) < 0) {
        result = -errno;
        (void)snprintf(error, error_size, "cannot listen on %s: %s", path, strerror(-result));
    }
    if (result < 0) {
        (void)unlink(path);
    }
    return result;
}

int ipc_listen(struct ipc *ipc, const char *path, char *error, size_t error_size)
{
    struct sockaddr_un address;
    if (strlen(path) >= sizeof(address.sun_path)) {
        (void)snprintf(error, error_size, "the socket path has %zu bytes; at most %zu are possible",
                       strlen(path), sizeof(address.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -errno : 0;
    if (result < 0) {
        (void)snprintf(error, error_size, "cannot make a socket: %s", strerror(-result));
        return result;
    }
    result = bind_and_listen(ipc, fd, path, error, error_size);
    if (result < 0) {
        (void)close(fd);
        return result;
    }
    ipc->path = xstrdup(path);
    ipc_watch_listener(ipc, fd);
    return 0;
}

void ipc_adopt(struct ipc *ipc, int fd)
{
    ipc_watch_listener(ipc, fd);
}

void ipc_stop_listening(struct ipc *ipc)
{
    if (ipc->listen_fd < 0) {
        return;
    }
    io_fini(&ipc->listen_io);
    timer_stop(&ipc->accept_pause);
    if (ipc->path != NULL) {
        (void)unlink(ipc->path);
    }
    (void)close(ipc->listen_fd);
    free(ipc->path);
    ipc->listen_fd = -1;
    ipc->path = NULL;
}
