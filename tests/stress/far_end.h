/* What the stress programs share: a daemon that answers, threads, and time.
 *
 * The far end has a client that sends each string back to who sent it. Whatever is waited for here
 * comes within PATIENCE_S, or the program ends with the news (node.h). */
#ifndef TESTS_STRESS_FAR_END_H
#define TESTS_STRESS_FAR_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "librats.h"
#include "node.h"

#define THREADS    16
#define PATIENCE_S 60                  /* nothing here may take longer */
#define LARGEST    ((size_t)40 * 1024) /* of the messages */

/* The far end subscribes to it. */
#define STRESS_TOPIC "stress"

struct far_end {
    struct node node;
    rats_client_t client;
    char *peer_id;
    int port;
};

void far_open(struct far_end *far, const char *program);
void far_close(struct far_end *far);

/* A handle at the node's daemon. */
rats_client_t attach(const struct node *node);
/* Runs the function in THREADS threads and waits for their end. */
void run_threads(void *(*function)(void *), void *arg);
void wait_for(const char *what, bool (*holds)(void *arg), void *arg);

double now_s(void);
void nap_ms(long ms);
unsigned next_random(uint64_t *state); /* state is not 0 */

#endif
