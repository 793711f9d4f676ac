#include "core/listen_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_FD  3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define MAX_FDS   (1 + LISTEN_FDS_PEERS)
#define NAME_SIZE 64

enum kind { KIND_CONTROL, KIND_PEER, KIND_OTHER };

/* A whole decimal number, or -1. */
static long parse_number(const char *text)
{
    char *end = NULL;
    errno = 0;
    long value = text[0] >= '0' && text[0] <= '9' ? strtol(text, &end, 10) : -1;
    return end != NULL && *end == '\0' && errno == 0 ? value : -1;
}

static int int_option(int fd, int option)
{
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static enum kind kind_of(int fd)
{
    int domain = int_option(fd, SO_DOMAIN);
    if (int_option(fd, SO_TYPE) != SOCK_STREAM || int_option(fd, SO_ACCEPTCONN) != 1) {
        return KIND_OTHER;
    }
    if (domain == AF_UNIX) {
        return KIND_CONTROL;
    }
    return domain == AF_INET || domain == AF_INET6 ? KIND_PEER : KIND_OTHER;
}

/* The next of the names separated by colons. */
static void next_name(const char **names, char ret_name[NAME_SIZE])
{
    size_t size = strcspn(*names, ":");
    (void)snprintf(ret_name, NAME_SIZE, "%.*s", (int)size, *names);
    *names += size + ((*names)[size] == ':' ? 1 : 0);
}

static int refuse(int fd, const char *name, const char *why, char *error, size_t error_size)
{
    (void)snprintf(error, error_size,
                   "descriptor %d (\"%s\") of LISTEN_FDS %s; ratsd takes one listening Unix stream "
                   "socket named control and at most %d listening TCP sockets named peer",
                   fd, name, why, LISTEN_FDS_PEERS);
    return -EINVAL;
}

static int make_ours(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        return -errno;
    }
    return 0;
}

static void find_path(int fd, char *ret_path, size_t size)
{
    struct sockaddr_un address = {0};
    socklen_t address_size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &address_size) == 0 &&
        address.sun_path[0] == '/') {
        (void)snprintf(ret_path, size, "%.*s", (int)sizeof address.sun_path, address.sun_path);
    }
}

static int take_one(struct listen_fds *fds, int fd, const char *name, char *error,
                    size_t error_size)
{
    enum kind kind = kind_of(fd);
    if (kind == KIND_OTHER) {
        return refuse(fd, name, "is no listening stream socket", error, error_size);
    }
    if ((kind != KIND_CONTROL && strcmp(name, "control") == 0) ||
        (kind != KIND_PEER && strcmp(name, "peer") == 0)) {
        return refuse(fd, name, "is of another kind than its name says", error, error_size);
    }
    if (kind == KIND_CONTROL ? fds->control >= 0 : fds->peer_count == LISTEN_FDS_PEERS) {
        return refuse(fd, name, "is one too many", error, error_size);
    }
    int result = make_ours(fd);
    if (result != 0) {
        return refuse(fd, name, strerror(-result), error, error_size);
    }
    if (kind == KIND_CONTROL) {
        fds->control = fd;
        find_path(fd, fds->control_path, sizeof fds->control_path);
    } else {
        fds->peers[fds->peer_count++] = fd;
    }
    return 0;
}

static size_t count_names(const char *names)
{
    size_t count = 1;
    for (const char *at = names; (at = strchr(at, ':')) != NULL; at++) {
        count++;
    }
    return count;
}

static int take_all(struct listen_fds *fds, const char *count_text, const char *names, char *error,
                    size_t error_size)
{
    long count = parse_number(count_text);
    if (count < 0 || count > MAX_FDS) {
        (void)snprintf(error, error_size,
                       "LISTEN_FDS=%.32s is not the number of descriptors handed over, 0 to %d",
                       count_text, MAX_FDS);
        return -EINVAL;
    }
    if (names != NULL && count > 0 && count_names(names) != (size_t)count) {
        (void)snprintf(error, error_size,
                       "LISTEN_FDNAMES must name every descriptor: %zu names for %ld descriptors",
                       count_names(names), count);
        return -EINVAL;
    }
    int result = 0;
    const char *at = names != NULL ? names : "";
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)count && result == 0; fd++) {
        char name[NAME_SIZE];
        next_name(&at, name);
        result = take_one(fds, fd, name, error, error_size);
    }
    return result;
}

int listen_fds_take(struct listen_fds *ret_fds, char *error, size_t error_size)
{
    struct listen_fds fds = {.control = -1};
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    int result = 0;
    /* Another's pid: our parent was meant, and has forgotten to clear its environment. */
    if (pid != NULL && count != NULL && parse_number(pid) == (long)getpid()) {
        result = take_all(&fds, count, getenv("LISTEN_FDNAMES"), error, error_size);
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (result != 0) {
        listen_fds_close(&fds);
        return result;
    }
    *ret_fds = fds;
    return 0;
}

void listen_fds_close(struct listen_fds *fds)
{
    if (fds->control >= 0) {
        (void)close(fds->control);
        fds->control = -1;
    }
    for (size_t i = 0; i < fds->peer_count; i++) {
        (void)close(fds->peers[i]);
    }
    fds->peer_count = 0;
}
