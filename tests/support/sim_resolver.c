/* core/resolver.h: the names of the simulated network. */
#include <stdlib.h>

#include "core/resolver.h"
#include "sim_net.h"
#include "util/alloc.h"

#define LOOKUP_MS 5

struct resolver {
    struct loop *loop;
};

struct lookup {
    struct timer timer;
    char *host;
    uint16_t port;
    void (*on_found)(void *arg, const struct endpoint *endpoints, size_t count, const char *error);
    void *arg;
};

int resolver_new(struct loop *loop, struct worker *worker, struct resolver **ret_resolver)
{
    (void)worker;
    struct resolver *resolver = xalloc(sizeof *resolver);
    resolver->loop = loop;
    *ret_resolver = resolver;
    return 0;
}

void resolver_free(struct resolver *resolver)
{
    free(resolver);
}

static void lookup_free(struct lookup *lookup)
{
    timer_stop(&lookup->timer);
    free(lookup->host);
    free(lookup);
}

static void on_lookup(void *arg)
{
    struct lookup *lookup = arg;
    struct endpoint found[RESOLVER_MAX_ADDRESSES];
    size_t count = 0;
    if (endpoint_parse_ip(lookup->host, lookup->port, &found[0]) == 0) {
        count = 1;
    } else {
        count = sim_net_find_name(lookup->host, lookup->port, found, RESOLVER_MAX_ADDRESSES);
    }
    lookup->on_found(lookup->arg, found, count, count == 0 ? "no such name" : NULL);
    lookup_free(lookup);
}

struct lookup *resolver_find(struct resolver *resolver, const char *host, uint16_t port,
                             void (*on_found)(void *arg, const struct endpoint *endpoints,
                                              size_t count, const char *error),
                             void *arg)
{
    struct endpoint literal;
    struct lookup *lookup = xalloc(sizeof *lookup);
    lookup->host = xstrdup(host);
    lookup->port = port;
    lookup->on_found = on_found;
    lookup->arg = arg;
    timer_init(&lookup->timer, resolver->loop, on_lookup, lookup);
    timer_start(&lookup->timer, endpoint_parse_ip(host, port, &literal) == 0 ? 0 : LOOKUP_MS);
    return lookup;
}

void lookup_cancel(struct lookup *lookup)
{
    lookup_free(lookup);
}
