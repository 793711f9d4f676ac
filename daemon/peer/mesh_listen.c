#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "peer/mesh_private.h"

#define LISTEN_NONE "none"

static int parse_listen(const struct mesh *mesh, struct endpoint *ret_bind, char *error,
                        size_t error_size)
{
    struct endpoint bind = {0};
    if (mesh->listen[0] != '\0' && strcmp(mesh->listen, "::") != 0 &&
        endpoint_parse_ip(mesh->listen, 0, &bind) != 0) {
        (void)snprintf(error, error_size,
                       "network.listen is not an address: '%.64s'; give an IPv4 or IPv6 literal, "
                       "nothing for all addresses, or none",
                       mesh->listen);
        return -EINVAL;
    }
    *ret_bind = bind;
    return 0;
}

static int explain(const struct mesh *mesh, int rc, uint16_t port, char *error, size_t error_size)
{
    const char *where = mesh->listen[0] == '\0' ? "all addresses" : mesh->listen;
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

static int explain_busy(const struct mesh *mesh, uint16_t last, char *error, size_t error_size)
{
    char ports[32];
    if (last == mesh->wanted_port) {
        (void)snprintf(ports, sizeof ports, "port %u is", (unsigned)last);
    } else {
        (void)snprintf(ports, sizeof ports, "ports %u to %u are", (unsigned)mesh->wanted_port,
                       (unsigned)last);
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

int mesh_listen(struct mesh *mesh, char *error, size_t error_size)
{
    if (mesh->inherited_count > 0) {
        return adopt_inherited(mesh, error, error_size);
    }
    if (strcmp(mesh->listen, LISTEN_NONE) == 0) {
        log_info(MESH_TOPIC, "not listening, only dialing");
        return 0;
    }
    struct endpoint bind_to;
    int rc = parse_listen(mesh, &bind_to, error, error_size);
    if (rc != 0) {
        return rc;
    }
    unsigned attempts = mesh->wanted_port == 0 ? 1 : mesh->port_attempts;
    unsigned port = mesh->wanted_port;
    rc = -EADDRINUSE;
    for (unsigned i = 0; i < attempts && mesh->wanted_port + i <= UINT16_MAX; i++) {
        port = mesh->wanted_port + i;
        bind_to.port = (uint16_t)port;
        rc = tcp_listen(mesh->loop, &bind_to, contact_on_accept, mesh, &mesh->listeners[0]);
        if (rc != -EADDRINUSE) {
            break;
        }
    }
    if (rc == -EADDRINUSE) {
        return explain_busy(mesh, (uint16_t)port, error, error_size);
    }
    if (rc != 0) {
        return explain(mesh, rc, (uint16_t)port, error, error_size);
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
