/* The scene of most stories: two nodes, a at 10.0.0.1 and b at 10.0.0.2. */
#ifndef RATSD_TESTS_SIM_PAIR_H
#define RATSD_TESTS_SIM_PAIR_H

#include "sim_mesh.h"

extern struct sim_net *net;
extern struct sim_node *node_a;
extern struct sim_node *node_b;
extern struct sim_mesh a;
extern struct sim_mesh b;

/* Set-up and tear-down of a test; the meshes are the test's to start. */
int pair_begin(void **state);
int pair_end(void **state);

void start_both(void);
/* a dials b; both are up then. */
void connect_a_to_b(void);
const struct peer *b_at_a(void);
const struct peer *a_at_b(void);

#endif
