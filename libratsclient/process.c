#include "process.h"

#include <pthread.h>

#include "client.h"
#include "clock.h"
#include "proto/json_head.h"

/* Counts the forks between the first process and this one; only ever changed in a new child. */
static unsigned generation;

/* All handles, for flush_at_exit(). */
static struct {
    pthread_mutex_t lock;
    struct list handles;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER, .handles = {&registry.handles, &registry.handles}};

static void before_fork(void)
{
    (void)pthread_mutex_lock(&registry.lock);
    handle_before_fork();
    log_before_fork();
}

static void after_fork_in_parent(void)
{
    log_after_fork();
    handle_after_fork();
    (void)pthread_mutex_unlock(&registry.lock);
}

static void after_fork_in_child(void)
{
    generation++;
    list_init(&registry.handles); /* the parent's; nobody here may use them */
    after_fork_in_parent();
}

static void init_once(void)
{
    json_head_init();
    (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* What was accepted is sent although the program ends without rats_destroy(). */
__attribute__((destructor)) static void flush_at_exit(void)
{
    const int64_t deadline_ms = clock_deadline(STOP_TIMEOUT_MS);
    (void)pthread_mutex_lock(&registry.lock);
    LIST_EACH(&registry.handles, node)
    {
        struct client *client = CONTAINER_OF(node, struct client, node);
        client_lock(client);
        (void)outbox_flush(&client->outbox, deadline_ms);
        client_unlock(client);
    }
    (void)pthread_mutex_unlock(&registry.lock);
}

void process_enlist(struct client *client)
{
    (void)pthread_mutex_lock(&registry.lock);
    list_append(&registry.handles, &client->node);
    (void)pthread_mutex_unlock(&registry.lock);
}

void process_delist(struct client *client)
{
    (void)pthread_mutex_lock(&registry.lock);
    list_remove(&client->node);
    (void)pthread_mutex_unlock(&registry.lock);
}

void process_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, init_once);
}

unsigned process_generation(void)
{
    return generation;
}
