#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SEED 4711

struct sim_net *net;
struct sim_node *node_a;
struct sim_node *node_b;
struct sim_mesh a;
struct sim_mesh b;

int pair_begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    net = sim_net_new(SEED);
    node_a = sim_node_new(net, "10.0.0.1");
    node_b = sim_node_new(net, "10.0.0.2");
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    return 0;
}

int pair_end(void **state)
{
    (void)state;
    if (a.mesh != NULL) {
        sim_mesh_fini(&a);
    }
    if (b.mesh != NULL) {
        sim_mesh_fini(&b);
    }
    sim_net_free(net);
    return 0;
}

void start_both(void)
{
    sim_mesh_init(&a, node_a, 1, NULL);
    sim_mesh_init(&b, node_b, 2, NULL);
}

void connect_a_to_b(void)
{
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 2000);
    assert_true(dial.done);
    assert_int_equal(dial.result, 0);
    assert_int_equal(a.ups, 1);
    assert_int_equal(b.ups, 1);
}

const struct peer *b_at_a(void)
{
    return mesh_find(a.mesh, &b.identity.id);
}

const struct peer *a_at_b(void)
{
    return mesh_find(b.mesh, &a.identity.id);
}
