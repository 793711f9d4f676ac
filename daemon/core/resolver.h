/* Host names to addresses, without blocking the loop: getaddrinfo on a worker, so that the
 * machine's own name service rules apply. Literal addresses answer in the same turn's deferred
 * step, never inside the call. */
#ifndef RATSD_CORE_RESOLVER_H
#define RATSD_CORE_RESOLVER_H

#include "core/worker.h"
#include "util/endpoint.h"

#define RESOLVER_MAX_ADDRESSES 16

struct resolver;
struct lookup;

int resolver_new(struct loop *loop, struct worker *worker, struct resolver **ret_resolver);
void resolver_free(struct resolver *resolver);

/* on_found gets count > 0 addresses (IPv6 first, each with port), or count 0 and a text saying
 * why. Called once, never inside this function. NULL when out of memory or too many lookups. */
struct lookup *resolver_find(struct resolver *resolver, const char *host, uint16_t port,
                             void (*on_found)(void *arg, const struct endpoint *endpoints,
                                              size_t count, const char *error),
                             void *arg);
/* After this on_found is not called. Not after on_found has run. */
void lookup_cancel(struct lookup *lookup);

#endif
