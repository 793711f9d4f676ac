#include "core/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/sockaddr.h"
#include "util/alloc.h"

#define MAX_LOOKUPS    64  /* of names, which hold a worker; literals are not counted */
#define HOST_TEXT_SIZE 256 /* RFC 1035 allows 253 characters */

/* What goes to the worker and comes back; the lookup itself never leaves the loop's thread. */
struct query {
    char host[HOST_TEXT_SIZE];
    uint16_t port;
    struct endpoint endpoints[RESOLVER_MAX_ADDRESSES];
    size_t count;
    const char *error;
};

struct lookup {
    struct list node;
    struct resolver *resolver;
    struct job *job;        /* on the worker, or */
    struct deferred answer; /* literal is known and answered at the end of the turn */
    struct query *literal;
    void (*on_found)(void *arg, const struct endpoint *endpoints, size_t count, const char *error);
    void *arg;
};

struct resolver {
    struct loop *loop;
    struct worker *worker;
    struct list lookups;
    size_t count;
};

int resolver_new(struct loop *loop, struct worker *worker, struct resolver **ret_resolver)
{
    struct resolver *resolver = xalloc(sizeof *resolver);
    resolver->loop = loop;
    resolver->worker = worker;
    list_init(&resolver->lookups);
    *ret_resolver = resolver;
    return 0;
}

static void lookup_free(struct lookup *lookup)
{
    list_remove(&lookup->node);
    lookup->resolver->count -= lookup->job != NULL;
    deferred_cancel(&lookup->answer);
    free(lookup->literal);
    free(lookup);
}

void resolver_free(struct resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    LIST_EACH(&resolver->lookups, node)
    {
        lookup_cancel(CONTAINER_OF(node, struct lookup, node));
    }
    free(resolver);
}

static bool is_known(const struct query *query, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < query->count; i++) {
        if (endpoint_same_ip(&query->endpoints[i], endpoint)) {
            return true;
        }
    }
    return false;
}

static void take_family(struct query *query, const struct addrinfo *found, int family)
{
    for (; found != NULL && query->count < RESOLVER_MAX_ADDRESSES; found = found->ai_next) {
        struct endpoint endpoint;
        if (found->ai_family == family && sockaddr_to_endpoint(found->ai_addr, &endpoint) == 0 &&
            !is_known(query, &endpoint)) {
            endpoint.port = query->port;
            query->endpoints[query->count++] = endpoint;
        }
    }
}

/* On a worker thread. IPv6 first; within a family the order of RFC 6724 that getaddrinfo gives. */
static void run_query(void *data)
{
    struct query *query = data;
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_ADDRCONFIG,
    };
    struct addrinfo *found = NULL;
    int error = getaddrinfo(query->host, NULL, &hints, &found);
    if (error != 0) {
        query->error = error == EAI_SYSTEM ? "the name service failed" : gai_strerror(error);
        return;
    }
    take_family(query, found, AF_INET6);
    take_family(query, found, AF_INET);
    freeaddrinfo(found);
    if (query->count == 0) {
        query->error = "the name has no address";
    }
}

static void on_answer(void *arg, void *data)
{
    struct lookup *lookup = arg;
    const struct query *query = data;
    void (*on_found)(void *, const struct endpoint *, size_t, const char *) = lookup->on_found;
    void *on_found_arg = lookup->arg;
    lookup_free(lookup);
    on_found(on_found_arg, query->endpoints, query->count, query->error);
}

static void on_literal(void *arg)
{
    struct lookup *lookup = arg;
    struct query *query = lookup->literal;
    lookup->literal = NULL;
    on_answer(lookup, query);
    free(query);
}

/* What needs no worker: literal addresses, and what cannot be a name. */
static bool answer_at_once(const char *host, struct query *query)
{
    size_t length = strlen(host);
    if (endpoint_parse_ip(host, query->port, &query->endpoints[0]) == 0) {
        query->count = 1;
        return true;
    }
    if (length == 0 || length >= HOST_TEXT_SIZE) {
        query->error = "not a host name";
        return true;
    }
    memcpy(query->host, host, length + 1);
    return false;
}

struct lookup *resolver_find(struct resolver *resolver, const char *host, uint16_t port,
                             void (*on_found)(void *arg, const struct endpoint *endpoints,
                                              size_t count, const char *error),
                             void *arg)
{
    struct query *query = xalloc(sizeof *query);
    struct lookup *lookup = xalloc(sizeof *lookup);
    *lookup = (struct lookup){.resolver = resolver, .on_found = on_found, .arg = arg};
    list_init(&lookup->node);
    deferred_init(&lookup->answer, resolver->loop, on_literal, lookup);
    query->port = port;
    if (answer_at_once(host, query)) {
        lookup->literal = query;
        deferred_schedule(&lookup->answer);
    } else {
        if (resolver->count < MAX_LOOKUPS) {
            lookup->job = worker_submit(resolver->worker, "resolve", run_query, on_answer, lookup,
                                        query, free);
        }
        if (lookup->job != NULL) {
            job_may_be_left(lookup->job);
        }
        if (lookup->job == NULL) {
            free(query);
            free(lookup);
            return NULL;
        }
    }
    list_append(&resolver->lookups, &lookup->node);
    resolver->count += lookup->job != NULL;
    return lookup;
}

void lookup_cancel(struct lookup *lookup)
{
    if (lookup->job != NULL) {
        job_cancel(lookup->job);
    }
    lookup_free(lookup);
}
