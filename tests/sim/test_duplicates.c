/* The duplicate rule (wire-core 7.1) over all arrival orders: however connections between two nodes
 * cross, both ends keep the same one, each sees one peer come up and none go down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/random.h"
#include "peer/duplicate.h"
#include "sim_mesh.h"

#define MAX_LINKS  3
#define FIRST_SEED 20261122

static const char *const addresses[2][MAX_LINKS] = {
    {"10.0.0.1", "10.0.1.1", "10.0.2.1"},
    {"10.0.0.2", "10.0.1.2", "10.0.2.2"},
};

/* One connection of a case: who dials, over what, when, how fast. */
struct dial_plan {
    int dialer; /* 0 or 1 */
    enum transport_kind kind;
    int64_t start_ms;
    int64_t out_ms;
    int64_t back_ms;
};

struct plan {
    const char *const *options;
    bool first_is_smaller; /* does node 0 have the smaller id? */
    size_t count;
    struct dial_plan dials[MAX_LINKS];
};

/* Cross-connects by which end's connection came first at node 0 and at node 1. */
static unsigned first_seen[2][2];
static int first_dialer[2];

static void on_event(struct sim_mesh *self, struct peer *peer, enum peer_event event)
{
    if (event == PEER_UP && self->ups == 1) {
        int own = self->number;
        first_dialer[own] = peer_is_outgoing(peer) ? own : 1 - own;
    }
}

static void print_plan(const struct plan *plan)
{
    (void)fprintf(stderr, "node 0 has the %s id:", plan->first_is_smaller ? "smaller" : "larger");
    for (size_t i = 0; i < plan->count; i++) {
        const struct dial_plan *dial = &plan->dials[i];
        (void)fprintf(stderr, " {%d, %s, at %d, out %d, back %d}", dial->dialer,
                      dial->kind == TRANSPORT_TCP ? "TCP" : "UDP", (int)dial->start_ms,
                      (int)dial->out_ms, (int)dial->back_ms);
    }
    (void)fprintf(stderr, "\n");
}

static bool both_agree(struct sim_mesh nodes[2])
{
    for (int i = 0; i < 2; i++) {
        struct sim_mesh *self = &nodes[i];
        if (mesh_peer_count(self->mesh) != 1 || self->ups != 1 || self->downs != 0 ||
            sim_node_links(self->node) != 1) {
            (void)fprintf(stderr, "node %d: %zu peers, %u up, %u down, %zu links\n", i,
                          mesh_peer_count(self->mesh), self->ups, self->downs,
                          sim_node_links(self->node));
            return false;
        }
    }
    const struct peer *seen[2];
    for (int i = 0; i < 2; i++) {
        seen[i] = mesh_find(nodes[i].mesh, &nodes[1 - i].identity.id);
        if (seen[i] == NULL) {
            return false;
        }
    }
    return peer_is_outgoing(seen[0]) != peer_is_outgoing(seen[1]) &&
           peer_transport(seen[0]) == peer_transport(seen[1]);
}

/* What the rule says when every pair has an order that does not depend on time. */
static bool survivor_is_right(const struct plan *plan, struct sim_mesh nodes[2])
{
    bool smaller = plan->first_is_smaller;
    const struct peer *seen = mesh_find(nodes[0].mesh, &nodes[1].identity.id);
    bool any_by_smaller = false;
    bool any_udp = false;
    for (size_t i = 0; i < plan->count; i++) {
        any_by_smaller = any_by_smaller || (plan->dials[i].dialer == 0) == smaller;
    }
    for (size_t i = 0; i < plan->count; i++) {
        bool by_smaller = (plan->dials[i].dialer == 0) == smaller;
        any_udp = any_udp || (by_smaller == any_by_smaller && plan->dials[i].kind == TRANSPORT_UDP);
    }
    bool dialed_by_smaller = peer_is_outgoing(seen) == smaller;
    return dialed_by_smaller == any_by_smaller &&
           (peer_transport(seen) == TRANSPORT_UDP) == any_udp;
}

static bool still_talk(struct sim_net *net, struct sim_mesh nodes[2])
{
    for (int i = 0; i < 2; i++) {
        if (sim_mesh_send(&nodes[i], &nodes[1 - i].identity.id, 10, 1) != 0) {
            return false;
        }
    }
    sim_net_run(net, 1000);
    return nodes[0].messages == 1 && nodes[1].messages == 1;
}

static void run_case(const struct plan *plan, uint64_t seed)
{
    struct sim_net *net = sim_net_new(seed);
    struct sim_mesh nodes[2];
    struct sim_dial dials[MAX_LINKS];
    sim_net_set_segments(net, 40);
    for (int i = 0; i < 2; i++) {
        struct sim_node *node = sim_node_new(net, addresses[i][0]);
        sim_node_add_address(node, addresses[i][1]);
        sim_node_add_address(node, addresses[i][2]);
        sim_mesh_init(&nodes[i], node, (uint8_t)(1 + (i + (plan->first_is_smaller ? 0 : 1)) % 2),
                      plan->options);
        nodes[i].number = i;
        nodes[i].on_event = on_event;
    }
    /* Whichever secret gives the smaller id. */
    bool smaller = peer_id_compare(&nodes[0].identity.id, &nodes[1].identity.id) < 0;
    struct plan actual = *plan;
    actual.first_is_smaller = smaller;

    int64_t begin_ms = virtual_world_now_ms(sim_net_world(net));
    for (int64_t at_ms = 0; at_ms <= 200; at_ms++) {
        for (size_t i = 0; i < plan->count; i++) {
            const struct dial_plan *dial = &plan->dials[i];
            if (dial->start_ms == at_ms) {
                sim_net_set_latency(net, dial->out_ms, dial->back_ms);
                sim_net_set_kind(net, dial->kind);
                sim_mesh_dial(&nodes[dial->dialer], &dials[i], addresses[1 - dial->dialer][i], 4000,
                              NULL);
                virtual_world_settle(sim_net_world(net));
            }
        }
        virtual_world_run(sim_net_world(net), begin_ms + at_ms);
    }
    sim_net_run(net, 20000);

    bool good = both_agree(nodes) && survivor_is_right(&actual, nodes) && still_talk(net, nodes);
    for (size_t i = 0; i < plan->count; i++) {
        if (!dials[i].done || dials[i].result != 0) {
            (void)fprintf(stderr, "dial %zu: %s\n", i, dials[i].done ? dials[i].error : "no end");
            good = false;
        }
    }
    if (!good) {
        (void)fprintf(stderr, "seed %llu, ", (unsigned long long)seed);
        print_plan(&actual);
    }
    assert_true(good);
    if (plan->count == 2 && plan->dials[0].dialer != plan->dials[1].dialer) {
        first_seen[first_dialer[0]][first_dialer[1]]++;
    }
    sim_mesh_fini(&nodes[0]);
    sim_mesh_fini(&nodes[1]);
    sim_net_free(net);
}

static const char *const plaintext[] = {"security", "plaintext", NULL};

/* Two connections: every pair of dialers, wires and latencies, and starts that let each be first
 * at each end. */
static size_t enumerate_pairs(const char *const *options, const int64_t *latencies,
                              size_t latency_count, const int64_t *starts, size_t start_count)
{
    size_t cases = 0;
    size_t latency_pairs = latency_count * latency_count;
    for (unsigned bits = 0; bits < 32; bits++) {
        for (size_t first = 0; first < latency_pairs; first++) {
            for (size_t second = 0; second < latency_pairs; second++) {
                for (size_t start = 0; start < start_count; start++) {
                    struct plan plan = {
                        .options = options,
                        .first_is_smaller = (bits & 1) != 0,
                        .count = 2,
                        .dials =
                            {
                                {
                                    .dialer = (bits & 2) != 0,
                                    .kind = (bits & 4) != 0 ? TRANSPORT_UDP : TRANSPORT_TCP,
                                    .out_ms = latencies[first / latency_count],
                                    .back_ms = latencies[first % latency_count],
                                },
                                {
                                    .dialer = (bits & 8) != 0,
                                    .kind = (bits & 16) != 0 ? TRANSPORT_UDP : TRANSPORT_TCP,
                                    .start_ms = starts[start],
                                    .out_ms = latencies[second / latency_count],
                                    .back_ms = latencies[second % latency_count],
                                },
                            },
                    };
                    run_case(&plan, FIRST_SEED + cases++);
                }
            }
        }
    }
    return cases;
}

/* Of the four pairs of first connections one cannot be: with Noise the dialing end is established
 * before the accepting one, in plaintext after it. */
static void check_coverage(size_t cases, bool own_may_be_first)
{
    print_message("# %zu cases from seed %d; first at each end: %u, %u, %u, %u\n", cases,
                  FIRST_SEED, first_seen[0][0], first_seen[0][1], first_seen[1][0],
                  first_seen[1][1]);
    assert_true(first_seen[0][0] > 0 && first_seen[1][1] > 0);
    assert_int_equal(first_seen[0][1] > 0, own_may_be_first);
    assert_int_equal(first_seen[1][0] > 0, !own_may_be_first);
}

static void two_plaintext_connections_end_as_one_whatever_their_order(void **state)
{
    (void)state;
    static const int64_t latencies[] = {1, 6, 25};
    static const int64_t starts[] = {0, 7, 30};
    memset(first_seen, 0, sizeof first_seen);
    check_coverage(enumerate_pairs(plaintext, latencies, 3, starts, 3), false);
}

static void two_noise_connections_end_as_one_whatever_their_order(void **state)
{
    (void)state;
    static const int64_t latencies[] = {1, 20};
    static const int64_t starts[] = {0, 30};
    memset(first_seen, 0, sizeof first_seen);
    check_coverage(enumerate_pairs(NULL, latencies, 2, starts, 2), true);
}

static void random_plan(struct plan *plan, uint64_t seed)
{
    struct sim_net *net = sim_net_new(seed); /* for its random numbers */
    plan->first_is_smaller = random_u64() % 2 == 0;
    for (size_t i = 0; i < plan->count; i++) {
        struct dial_plan *dial = &plan->dials[i];
        dial->dialer = (int)(random_u64() % 2);
        dial->kind = random_u64() % 2 == 0 ? TRANSPORT_TCP : TRANSPORT_UDP;
        dial->start_ms = (int64_t)(random_u64() % 60);
        dial->out_ms = 1 + (int64_t)(random_u64() % 30);
        dial->back_ms = 1 + (int64_t)(random_u64() % 30);
    }
    sim_net_free(net);
}

static void three_plaintext_connections_end_as_one(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 3000; i++) {
        struct plan plan = {.options = plaintext, .count = 3};
        random_plan(&plan, FIRST_SEED + i);
        run_case(&plan, FIRST_SEED + i);
    }
    print_message("# 3000 cases from seed %d\n", FIRST_SEED);
}

static void three_noise_connections_end_as_one(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        struct plan plan = {.count = 3};
        random_plan(&plan, FIRST_SEED + i);
        run_case(&plan, FIRST_SEED + i);
    }
    print_message("# 1000 cases from seed %d\n", FIRST_SEED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_plaintext_connections_end_as_one_whatever_their_order),
        cmocka_unit_test(two_noise_connections_end_as_one_whatever_their_order),
        cmocka_unit_test(three_plaintext_connections_end_as_one),
        cmocka_unit_test(three_noise_connections_end_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
