#include "far_end.h"

#include <pthread.h>
#include <time.h>

double now_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void nap_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

unsigned next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 32);
}

void wait_for(const char *what, bool (*holds)(void *arg), void *arg)
{
    const double deadline = now_s() + PATIENCE_S;
    while (!holds(arg)) {
        if (now_s() > deadline) {
            fail("waited %d s in vain: %s", PATIENCE_S, what);
        }
        nap_ms(5);
    }
}

rats_client_t attach(const struct node *node)
{
    rats_client_t client = rats_create_at(node->socket);
    if (client == NULL) {
        fail("cannot attach: %s", rats_last_error_message(NULL));
    }
    return client;
}

static void on_far_string(void *user_data, const char *peer_id, const char *message)
{
    const struct far_end *far = user_data;
    (void)rats_send_string(far->client, peer_id, message);
}

void far_open(struct far_end *far, const char *program)
{
    node_open(&far->node, program);
    far->client = attach(&far->node);
    far->peer_id = rats_get_our_peer_id(far->client);
    far->port = rats_get_listen_port(far->client);
    rats_set_string_callback(far->client, on_far_string, far);
    (void)rats_subscribe_to_topic(far->client, STRESS_TOPIC);
    if (rats_start(far->client) != 0) {
        fail("the far end does not start: %s", rats_last_error_message(NULL));
    }
}

void far_close(struct far_end *far)
{
    rats_destroy(far->client);
    rats_string_free(far->peer_id);
    node_close(&far->node);
}

void run_threads(void *(*function)(void *), void *arg)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, function, arg) != 0) {
            fail("no thread is left");
        }
    }
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}
