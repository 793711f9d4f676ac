#include "core/net.h"
#include "peer/mesh_private.h"

static int try_bind(void *arg, const struct endpoint *at)
{
    (void)arg;
    return net_try_bind_tcp(at);
}

int mesh_check_listen(const struct config *config, char *error, size_t error_size)
{
    const char *listen = config_text(config, MESH_SECTION, "listen");
    struct endpoint at;
    if (strcmp(listen, MESH_LISTEN_NONE) == 0) {
        return 0;
    }
    int rc = mesh_parse_listen(listen, &at, error, error_size);
    if (rc != 0) {
        return rc;
    }
    at.port = (uint16_t)config_uint(config, MESH_SECTION, "port");
    return mesh_try_ports(listen, &at, (unsigned)config_uint(config, MESH_SECTION, "port_attempts"),
                          try_bind, NULL, error, error_size);
}
