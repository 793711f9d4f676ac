#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "peer/mesh_private.h"

int mesh_parse_listen(const char *listen, struct endpoint *ret_bind, char *error, size_t error_size)
{
    struct endpoint bind = {0};
    if (listen[0] != '\0' && strcmp(listen, "::") != 0 &&
        endpoint_parse_ip(listen, 0, &bind) != 0) {
        (void)snprintf(error, error_size,
                       "network.listen is not an address: '%.64s'; give an IPv4 or IPv6 literal, "
                       "nothing for all addresses, or none",
                       listen);
        return -EINVAL;
    }
    *ret_bind = bind;
    return 0;
}

static int explain(const char *listen, int rc, uint16_t port, char *error, size_t error_size)
{
    const char *where = listen[0] == '\0' ? "all addresses" : listen;
    const char *remedy = "see the message of the system";
    if (rc == -EACCES || rc == -EPERM) {
        remedy = "ports below 1024 need CAP_NET_BIND_SERVICE: choose a higher network.port";
    } else if (rc == -EADDRNOTAVAIL) {
        remedy = "no interface of this machine has that address: correct network.listen";
    } else if (rc == -EAFNOSUPPORT) {
        remedy = "this machine does not speak that IP version: correct network.listen";
    } else if (rc == -EMFILE || rc == -ENFILE) {
        remedy = "raise the limit of open files (LimitNOFILE)";
    }
    (void)snprintf(error, error_size, "cannot listen on port %u of %s: %s; %s", (unsigned)port,
                   where, strerror(-rc), remedy);
    return rc;
}

static int explain_busy(uint16_t wanted, uint16_t last, char *error, size_t error_size)
{
    char ports[32];
    if (last == wanted) {
        (void)snprintf(ports, sizeof ports, "port %u is", (unsigned)last);
    } else {
        (void)snprintf(ports, sizeof ports, "ports %u to %u are", (unsigned)wanted, (unsigned)last);
    }
    (void)snprintf(error, error_size,
                   "%s in use, perhaps by another ratsd or a program with librats built in ('ss "
                   "-ltnp' shows who); set network.port to a free port, or to 0 for any",
                   ports);
    return -EADDRINUSE;
}

void mesh_inherit(struct mesh *mesh, const int *fds, size_t count)
{
    assert(mesh->inherited_count + count <= MESH_MAX_LISTENERS);
    memcpy(mesh->inherited + mesh->inherited_count, fds, count * sizeof *fds);
    mesh->inherited_count += count;
}

void mesh_disinherit(struct mesh *mesh)
{
    for (size_t i = 0; i < mesh->inherited_count; i++) {
        (void)close(mesh->inherited[i]);
    }
    mesh->inherited_count = 0;
}

/* All of them or none. What was configured does not count: who holds the sockets has decided. */
static int adopt_inherited(struct mesh *mesh, char *error, size_t error_size)
{
    int rc = 0;
    while (mesh->inherited_count > 0 && rc == 0) {
        int fd = mesh->inherited[--mesh->inherited_count];
        rc = tcp_adopt(mesh->loop, fd, contact_on_accept, mesh,
                       &mesh->listeners[mesh->listener_count]);
        mesh->listener_count += rc == 0 ? 1 : 0;
    }
    if (rc != 0) {
        (void)snprintf(error, error_size,
                       "cannot listen on a socket that was handed over: %s; check the socket unit",
                       strerror(-rc));
        return rc;
    }
    mesh->port = tcp_listener_port(mesh->listeners[mesh->listener_count - 1]);
    log_info(MESH_TOPIC, "listening on port %u, with %zu sockets handed over", (unsigned)mesh->port,
             mesh->listener_count);
    return 0;
}

int mesh_try_ports(const char *listen, const struct endpoint *first, unsigned attempts,
                   int (*attempt)(void *arg, const struct endpoint *at), void *arg, char *error,
                   size_t error_size)
{
    struct endpoint at = *first;
    int rc = attempt(arg, &at);
    for (unsigned i = 1;
         i < attempts && rc == -EADDRINUSE && first->port != 0 && first->port + i <= UINT16_MAX;
         i++) {
        at.port = (uint16_t)(first->port + i);
        rc = attempt(arg, &at);
    }
    if (rc == -EADDRINUSE) {
        return explain_busy(first->port, at.port, error, error_size);
    }
    return rc == 0 ? 0 : explain(listen, rc, at.port, error, error_size);
}

static int open_listener(void *arg, const struct endpoint *at)
{
    struct mesh *mesh = arg;
    return tcp_listen(mesh->loop, at, contact_on_accept, mesh, &mesh->listeners[0]);
}

int mesh_listen(struct mesh *mesh, char *error, size_t error_size)
{
    if (mesh->inherited_count > 0) {
        return adopt_inherited(mesh, error, error_size);
    }
    if (strcmp(mesh->listen, MESH_LISTEN_NONE) == 0) {
        log_info(MESH_TOPIC, "not listening, only dialing");
        return 0;
    }
    struct endpoint bind_to;
    int rc = mesh_parse_listen(mesh->listen, &bind_to, error, error_size);
    if (rc == 0) {
        bind_to.port = mesh->wanted_port;
        rc = mesh_try_ports(mesh->listen, &bind_to, mesh->port_attempts, open_listener, mesh, error,
                            error_size);
    }
    if (rc != 0) {
        return rc;
    }
    mesh->listener_count = 1;
    mesh->port = tcp_listener_port(mesh->listeners[0]);
    if (mesh->wanted_port != 0 && mesh->port != mesh->wanted_port) {
        log_warn(MESH_TOPIC, "port %u is busy, listening on %u instead",
                 (unsigned)mesh->wanted_port, (unsigned)mesh->port);
    } else {
        log_info(MESH_TOPIC, "listening on port %u", (unsigned)mesh->port);
    }
    return 0;
}

void mesh_unlisten(struct mesh *mesh)
{
    while (mesh->listener_count > 0) {
        tcp_listener_close(mesh->listeners[--mesh->listener_count]);
    }
    mesh->port = 0;
}
