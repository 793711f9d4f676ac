#include "core/by_port.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/log.h"

/* 0, or -ENAMETOOLONG. */
static int link_path(const char *runtime, uint16_t port, const char *suffix, char path[PATH_MAX])
{
    int size = snprintf(path, PATH_MAX, "%s/by-port/%u%s", runtime, (unsigned)port, suffix);
    return size > 0 && size < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* As open to look into as the runtime directory itself, whatever the umask: programs of other users
 * look for instances here. */
static int make_directory(const char *runtime)
{
    struct stat status;
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/by-port", runtime);
    if (size < 0 || (size_t)size >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    if (stat(runtime, &status) < 0) {
        return -errno;
    }
    const mode_t mode = status.st_mode & 0755;
    if (mkdir(path, mode) < 0) {
        return errno == EEXIST ? 0 : -errno;
    }
    return chmod(path, mode) < 0 ? -errno : 0;
}

static int make_link(const char *runtime, uint16_t port, const char *socket)
{
    char path[PATH_MAX];
    char fresh[PATH_MAX];
    char suffix[32];
    (void)snprintf(suffix, sizeof(suffix), ".%ld", (long)getpid());
    int result = link_path(runtime, port, "", path);
    if (result == 0) {
        result = link_path(runtime, port, suffix, fresh);
    }
    if (result == 0) {
        result = make_directory(runtime);
    }
    if (result < 0) {
        return result;
    }
    (void)unlink(fresh);
    if (symlink(socket, fresh) < 0) {
        return -errno;
    }
    if (rename(fresh, path) < 0) {
        result = -errno;
        (void)unlink(fresh);
    }
    return result;
}

/* Whether somebody listens where the link leads. */
static bool is_alive(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        return false;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return true; /* not known to be dead: leave it alone */
    }
    bool dead = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
                errno != EAGAIN && errno != EACCES;
    (void)close(fd);
    return !dead;
}

void by_port_publish(struct by_port *by_port, uint16_t port)
{
    if (by_port->runtime[0] == '\0' || port == 0) {
        return;
    }
    if (port != by_port->port) {
        by_port_withdraw(by_port);
    }
    int result = make_link(by_port->runtime, port, by_port->socket);
    if (result < 0) {
        log_warn("ratsd",
                 "cannot register port %u in %s/by-port: %s; programs that ask for it will not "
                 "find this instance",
                 (unsigned)port, by_port->runtime, strerror(-result));
        return;
    }
    by_port->port = port;
}

void by_port_claim(struct by_port *by_port, uint16_t port)
{
    char path[PATH_MAX];
    if (port != 0 && link_path(by_port->runtime, port, "", path) == 0 && !is_alive(path)) {
        by_port_publish(by_port, port);
    }
}

static bool leads_to(const char *path, const char *socket)
{
    char target[PATH_MAX];
    ssize_t size = readlink(path, target, sizeof(target) - 1);
    if (size < 0) {
        return false;
    }
    target[size] = '\0';
    return strcmp(target, socket) == 0;
}

void by_port_withdraw(struct by_port *by_port)
{
    char path[PATH_MAX];
    if (by_port->port == 0 || link_path(by_port->runtime, by_port->port, "", path) < 0) {
        return;
    }
    by_port->port = 0;
    if (leads_to(path, by_port->socket)) {
        (void)unlink(path);
    }
}

bool by_port_is_served(const char *runtime, uint16_t port, const char *socket)
{
    char path[PATH_MAX];
    return link_path(runtime, port, "", path) == 0 && leads_to(path, socket) && is_alive(path);
}
