/* Stories of the store: partitions, wrong clocks, crowds (wire-services 7). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store_node.h"

#define SEED    20261122
#define NODES   20
#define KEYS    30
#define MINUTES ((int64_t)60 * 1000)

static struct sim_net *net;
static struct store_node nodes[NODES];
static uint64_t dice_state;

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    net = sim_net_new(SEED);
    dice_state = SEED;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sim_net_free(net);
    return 0;
}

static unsigned dice(unsigned sides)
{
    dice_state = dice_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(dice_state >> 33) % sides;
}

static void start_all(size_t count, const char *const *options)
{
    for (size_t i = 0; i < count; i++) {
        store_node_init(&nodes[i], net, (uint8_t)(i + 1), options);
    }
}

static void end_all(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        store_node_fini(&nodes[i]);
    }
}

static void assert_converged(size_t count)
{
    uint64_t digest = store_digest(&nodes[0]);
    for (size_t i = 1; i < count; i++) {
        if (store_digest(&nodes[i]) != digest) {
            fail_msg("node %zu differs from node 0", i);
        }
    }
}

static void change_something(struct store_node *node)
{
    char key[16];
    char value[16];
    (void)snprintf(key, sizeof key, "k%u", dice(KEYS));
    (void)snprintf(value, sizeof value, "v%u", dice(1000000));
    if (dice(4) == 0) {
        (void)store_remove(node, key);
    } else {
        assert_int_equal(store_put(node, key, value), PROTO_ERROR_COUNT);
    }
}

/* A ring, and for each node a chord. */
static size_t neighbour(size_t node, size_t which)
{
    return which == 0 ? (node + 1) % NODES : (node + 7) % NODES;
}

static void link_all(void)
{
    for (size_t i = 0; i < NODES; i++) {
        for (size_t which = 0; which < 2; which++) {
            if (!store_is_linked(&nodes[i], &nodes[neighbour(i, which)])) {
                store_link(&nodes[i], &nodes[neighbour(i, which)]);
            }
        }
    }
}

/* Links between the lower and the upper half go. */
static void cut_in_two(size_t at)
{
    for (size_t i = 0; i < NODES; i++) {
        for (size_t which = 0; which < 2; which++) {
            size_t other = neighbour(i, which);
            if ((i < at) != (other < at) && store_is_linked(&nodes[i], &nodes[other])) {
                store_unlink(&nodes[i], &nodes[other]);
            }
        }
    }
    sim_net_run(net, 1000);
}

/* The whole story; a number for all that happened. */
static uint64_t partitions_and_skew(void)
{
    static const char *const options[] = {"resync_interval", "60s", NULL};
    uint64_t log = 0;
    start_all(NODES, options);
    for (size_t i = 0; i < NODES; i++) { /* within the four minutes that all others accept */
        virtual_loop_set_clock(sim_node_loop(nodes[i].node.mesh.node),
                               (int64_t)dice(240000) - 120000);
    }
    link_all();
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 20; i++) {
            change_something(&nodes[dice(NODES)]);
        }
        if (round % 2 == 0) {
            cut_in_two(1 + dice(NODES - 1));
        } else {
            link_all();
        }
        log = log * 31 + store_digest(&nodes[round]);
    }
    link_all();
    sim_net_run(net, 15 * MINUTES);
    assert_converged(NODES);
    log = log * 31 + store_digest(&nodes[0]);
    for (size_t i = 0; i < NODES; i++) {
        log = log * 31 + store_statistic(&nodes[i], "entries_in");
        assert_int_equal(store_statistic(&nodes[i], "peers_behind"), 0);
    }
    end_all(NODES);
    return log;
}

static void twenty_nodes_agree_after_partitions_with_wrong_clocks(void **state)
{
    (void)state;
    uint64_t first = partitions_and_skew();
    assert_int_equal(end(NULL), 0);
    assert_int_equal(begin(NULL), 0);
    assert_true(partitions_and_skew() == first); /* and it goes the same way again */
}

static void a_change_crosses_a_line_of_nodes_at_once(void **state)
{
    (void)state;
    start_all(5, NULL);
    for (size_t i = 0; i + 1 < 5; i++) {
        store_link(&nodes[i], &nodes[i + 1]);
    }
    assert_int_equal(store_put(&nodes[0], "k", "v"), PROTO_ERROR_COUNT);
    sim_net_run(net, 1000);
    assert_string_equal(store_get(&nodes[4], "k"), "v");
    assert_int_equal(store_remove(&nodes[4], "k"), PROTO_ERROR_COUNT);
    sim_net_run(net, 1000);
    assert_null(store_get(&nodes[0], "k"));
    assert_converged(5);
    end_all(5);
}

/* What a node brings back from a partition is not forwarded; those behind it find it by asking. */
static void what_was_missed_two_hops_away_is_found_by_asking(void **state)
{
    (void)state;
    start_all(3, NULL);
    store_link(&nodes[1], &nodes[2]);
    assert_int_equal(store_put(&nodes[0], "k", "alone"), PROTO_ERROR_COUNT);
    store_link(&nodes[0], &nodes[1]);
    sim_net_run(net, 5000);
    assert_string_equal(store_get(&nodes[1], "k"), "alone");
    assert_null(store_get(&nodes[2], "k"));
    sim_net_run(net, 13 * MINUTES);
    assert_string_equal(store_get(&nodes[2], "k"), "alone");
    end_all(3);
}

static void a_clock_far_ahead_is_refused_until_the_others_get_there(void **state)
{
    (void)state;
    static const char *const options[] = {"resync_interval", "60s", NULL};
    start_all(2, options);
    virtual_loop_set_clock(sim_node_loop(nodes[0].node.mesh.node), 8 * MINUTES);
    store_link(&nodes[0], &nodes[1]);
    assert_int_equal(store_put(&nodes[0], "k", "early"), PROTO_ERROR_COUNT);
    sim_net_run(net, 5000);
    assert_null(store_get(&nodes[1], "k"));
    assert_true(store_statistic(&nodes[1], "refused") >= 1);
    assert_int_equal(store_put(&nodes[1], "k", "now"), PROTO_ERROR_COUNT);
    sim_net_run(net, 5000);
    assert_string_equal(store_get(&nodes[1], "k"), "now");
    sim_net_run(net, 6 * MINUTES); /* its stamp is only two minutes ahead now */
    assert_string_equal(store_get(&nodes[1], "k"), "early");
    assert_converged(2);
    assert_int_equal(store_put(&nodes[1], "k", "ours"), PROTO_ERROR_COUNT); /* and is no obstacle */
    sim_net_run(net, 5000);
    assert_string_equal(store_get(&nodes[0], "k"), "ours");
    end_all(2);
}

/* A machine without a battery begins in 1970 and learns the time from the network. */
static void who_starts_without_the_time_has_everything_once_the_clock_is_set(void **state)
{
    (void)state;
    static const char *const options[] = {"resync_interval", "0", NULL};
    int64_t wrong_ms = -INT64_C(3652) * 24 * 60 * MINUTES;
    start_all(2, options);
    virtual_loop_set_clock(sim_node_loop(nodes[1].node.mesh.node), wrong_ms);
    assert_int_equal(store_put(&nodes[0], "k", "v"), PROTO_ERROR_COUNT);
    store_link(&nodes[0], &nodes[1]);
    sim_net_run(net, 60000);
    assert_null(store_get(&nodes[1], "k"));
    virtual_loop_set_clock(sim_node_loop(nodes[1].node.mesh.node), -wrong_ms);
    sim_net_run(net, 10000);
    assert_string_equal(store_get(&nodes[1], "k"), "v");
    assert_converged(2);
    end_all(2);
}

/* Whose clock stays wrong is not asked again and again. */
static void a_peer_that_is_ahead_for_good_costs_nothing(void **state)
{
    (void)state;
    static const char *const options[] = {"resync_interval", "0", NULL};
    start_all(2, options);
    virtual_loop_set_clock(sim_node_loop(nodes[0].node.mesh.node), 60 * MINUTES);
    store_link(&nodes[0], &nodes[1]);
    assert_int_equal(store_put(&nodes[0], "k", "early"), PROTO_ERROR_COUNT);
    sim_net_run(net, 20 * MINUTES);
    assert_int_equal(store_statistic(&nodes[1], "entries_in"), 1);
    end_all(2);
}

static void a_snapshot_of_many_pages_passes_a_narrow_link(void **state)
{
    (void)state;
    static char value[100001];
    memset(value, 'x', sizeof value - 1);
    start_all(2, NULL);
    for (unsigned i = 0; i < 60; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "large%u", i);
        assert_int_equal(store_put(&nodes[0], key, value), PROTO_ERROR_COUNT);
    }
    sim_net_set_window(net, 20000);
    store_link(&nodes[0], &nodes[1]);
    size_t most = 0;
    for (unsigned i = 0; i < 3000 && store_digest(&nodes[1]) != store_digest(&nodes[0]); i++) {
        sim_net_run(net, 100);
        size_t queued = mesh_queued_bytes(nodes[0].node.mesh.mesh);
        most = queued > most ? queued : most;
        if (i == 5) { /* changes meanwhile come after what was there */
            assert_int_equal(store_put(&nodes[0], "large0", "newer"), PROTO_ERROR_COUNT);
        }
    }
    assert_converged(2);
    assert_string_equal(store_get(&nodes[1], "large0"), "newer");
    assert_true(most > 0 && most < (size_t)4 * 1024 * 1024);
    end_all(2);
}

static void tombstones_end_everywhere(void **state)
{
    (void)state;
    static const char *const options[] = {"tombstone_age", "2h", "resync_interval", "60s", NULL};
    start_all(3, options);
    store_link(&nodes[0], &nodes[1]);
    store_link(&nodes[1], &nodes[2]);
    assert_int_equal(store_put(&nodes[0], "k", "v"), PROTO_ERROR_COUNT);
    assert_int_equal(store_remove(&nodes[0], "k"), PROTO_ERROR_COUNT);
    sim_net_run(net, 10 * MINUTES);
    assert_int_equal(store_statistic(&nodes[2], "tombstones"), 1);
    sim_net_run(net, 200 * MINUTES);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(store_statistic(&nodes[i], "tombstones"), 0);
        assert_int_equal(store_statistic(&nodes[i], "total_bytes"), 0);
    }
    end_all(3);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(twenty_nodes_agree_after_partitions_with_wrong_clocks),
        STORY(a_change_crosses_a_line_of_nodes_at_once),
        STORY(what_was_missed_two_hops_away_is_found_by_asking),
        STORY(a_clock_far_ahead_is_refused_until_the_others_get_there),
        STORY(who_starts_without_the_time_has_everything_once_the_clock_is_set),
        STORY(a_peer_that_is_ahead_for_good_costs_nothing),
        STORY(a_snapshot_of_many_pages_passes_a_narrow_link),
        STORY(tombstones_end_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
