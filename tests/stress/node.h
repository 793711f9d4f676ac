/* A real ratsd for the stress programs: in a directory of its own, on loopback. A daemon that ends
 * with another status than 0 (a sanitizer's word, a crash) ends the program with that news. */
#ifndef TESTS_STRESS_NODE_H
#define TESTS_STRESS_NODE_H

#include <stdnoreturn.h>
#include <sys/types.h>

struct node {
    const char *program;
    char directory[64];
    char socket[96];
    char state[96];
    char log[96];
    char config[96];
    pid_t pid;
};

/* Prints the sentence and ends the program with status 1; daemons end with it. */
__attribute__((format(printf, 1, 2))) noreturn void fail(const char *format, ...);

/* Makes the directory and starts it. Returns when a client can attach. */
void node_open(struct node *node, const char *program);
void node_start(struct node *node);
void node_kill(struct node *node); /* SIGKILL; may be started again */
/* SIGTERM, exit status 0; the directory goes. */
void node_close(struct node *node);

#endif
