#include <errno.h>
#include <stdio.h>

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

int mesh_listen(struct mesh *mesh, char *error, size_t error_size)
{
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
        rc = tcp_listen(mesh->loop, &bind_to, contact_on_accept, mesh, &mesh->listener);
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
    mesh->port = tcp_listener_port(mesh->listener);
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
    tcp_listener_close(mesh->listener);
    mesh->listener = NULL;
    mesh->port = 0;
}
