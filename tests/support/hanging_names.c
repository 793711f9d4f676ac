/* A name service that never answers, to be preloaded into a daemon. */
#include <netdb.h>
#include <unistd.h>

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret_found)
{
    (void)name;
    (void)service;
    (void)hints;
    (void)ret_found;
    for (;;) {
        (void)pause();
    }
}
