#include "core/sockaddr.h"

#include <errno.h>
#include <netinet/in.h>

int sockaddr_to_endpoint(const struct sockaddr *address, struct endpoint *ret_endpoint)
{
    struct endpoint endpoint = {.ip_size = 0};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        (void)endpoint_set_ip(&endpoint, bytes_make(&in.sin_addr, sizeof in.sin_addr));
        endpoint.port = ntohs(in.sin_port);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        (void)endpoint_set_ip(&endpoint, bytes_make(&in6.sin6_addr, sizeof in6.sin6_addr));
        endpoint.port = ntohs(in6.sin6_port);
        if (endpoint_is_link_local(&endpoint) && endpoint.ip_size == 16) {
            endpoint.scope = in6.sin6_scope_id;
        }
    } else {
        return -EAFNOSUPPORT;
    }
    *ret_endpoint = endpoint;
    return 0;
}

socklen_t sockaddr_from_endpoint(const struct endpoint *endpoint,
                                 struct sockaddr_storage *ret_storage)
{
    memset(ret_storage, 0, sizeof *ret_storage);
    if (endpoint->ip_size == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
        memcpy(&in.sin_addr, endpoint->ip, sizeof in.sin_addr);
        memcpy(ret_storage, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(endpoint->port),
        .sin6_scope_id = endpoint->scope,
    };
    if (endpoint->ip_size == 16) {
        memcpy(&in6.sin6_addr, endpoint->ip, sizeof in6.sin6_addr);
    }
    memcpy(ret_storage, &in6, sizeof in6);
    return sizeof in6;
}
