/* One handle under random calls from THREADS threads and from its callbacks. */
#ifndef TESTS_STRESS_ROUND_H
#define TESTS_STRESS_ROUND_H

#include "far_end.h"

/* Started, stopped and, in some rounds, cut off from its daemon at random; in the end it is as good
 * as new. The seed says which calls and which kind of round. */
void play_round(const struct far_end *far, struct node *node, uint64_t seed);
/* Destroyed under those who call; they are told so from then on. */
void play_end(const struct far_end *far, struct node *node, uint64_t seed);

#endif
