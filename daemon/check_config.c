#include "check_config.h"

#include <errno.h>

#include "core/by_port.h"
#include "peer/mesh.h"

/* Whether this instance runs and has one of the ports that a start would try. */
static bool is_running(const struct paths *paths, const struct config *config)
{
    uint64_t first = config_uint(config, "network", "port");
    uint64_t attempts = config_uint(config, "network", "port_attempts");
    for (uint64_t port = first; port < first + attempts && port <= UINT16_MAX; port++) {
        if (by_port_is_served(paths->runtime, (uint16_t)port, paths->socket)) {
            return true;
        }
    }
    return false;
}

int check_config(const struct paths *paths, const struct config *config, char *error,
                 size_t error_size)
{
    int result = mesh_check_listen(config, error, error_size);
    return result == -EADDRINUSE && is_running(paths, config) ? 0 : result;
}
