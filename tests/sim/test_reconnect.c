/* Stories of losing each other and coming back: the reconnect service on real meshes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/book_file.h"
#include "service/reconnect.h"
#include "service_node.h"
#include "util/alloc.h"

#define SEED   815
#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define YEARS  (INT64_C(3652) * 24 * HOUR) /* ten */

/* a has the service, b is whom it looks for. */
static struct sim_net *net;
static struct sim_node *node_a;
static struct sim_node *node_b;
static struct service_node a;
static struct sim_mesh b;
static bool b_runs;
static char directory[64];

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    strcpy(directory, "/tmp/ratsd-reconnect-XXXXXX");
    assert_non_null(mkdtemp(directory));
    net = sim_net_new(SEED);
    node_a = sim_node_new(net, "10.0.0.1");
    node_b = sim_node_new(net, "10.0.0.2");
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    sim_mesh_init(&b, node_b, 2, NULL);
    b_runs = true;
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    if (a.host != NULL) {
        service_node_fini(&a);
    }
    if (b_runs) {
        sim_mesh_fini(&b);
    }
    sim_net_free(net);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void start_a(const char *const *options)
{
    static const struct service *const services[] = {&reconnect_service, NULL};
    service_node_init(&a, node_a, 1, directory, services, NULL, options);
}

/* Orderly, as on SIGTERM: identity, address and directory stay. */
static void restart_a(const char *const *options)
{
    service_node_fini(&a);
    virtual_world_settle(sim_net_world(net));
    start_a(options);
}

static bool together(void)
{
    return mesh_find(a.mesh.mesh, &b.identity.id) != NULL;
}

static void run(int64_t duration_ms)
{
    sim_net_run(net, duration_ms);
}

/* How long it takes until a has b; fails after at_most_ms. */
static int64_t wait_together(int64_t at_most_ms)
{
    int64_t began_ms = virtual_world_now_ms(sim_net_world(net));
    while (!together()) {
        int64_t passed_ms = virtual_world_now_ms(sim_net_world(net)) - began_ms;
        if (passed_ms >= at_most_ms) {
            fail_msg("not together after %lld ms", (long long)passed_ms);
        }
        run(100);
    }
    return virtual_world_now_ms(sim_net_world(net)) - began_ms;
}

/* As a program does that connects once. */
static void dial_b(void)
{
    sim_mesh_connect(&a.mesh, "10.0.0.2");
    assert_true(together());
}

static void power_off_b(void)
{
    sim_node_set_down(node_b, true);
    sim_node_forget(node_b);
    sim_node_break(node_a);
    run(1000);
    assert_false(together());
}

static uint64_t dials(void)
{
    return service_node_metric(&a, "reconnect_dials");
}

static void two_nodes_that_lose_each_other_find_each_other_again(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    for (int i = 0; i < 3; i++) {
        sim_node_break(node_b);
        run(100);
        assert_false(together());
        (void)wait_together(10000);
        run(2 * MINUTE);
    }
    assert_int_equal(dials(), 3);
    assert_int_equal(b.ups, 4);
}

static void whoever_was_dialed_before_is_dialed_after_a_restart(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    restart_a(NULL);
    (void)wait_together(3000);
    assert_int_equal(service_node_metric(&a, "reconnect_known"), 1);
}

static void with_learning_off_nobody_is_dialed_again(void **state)
{
    (void)state;
    static const char *const options[] = {"reconnect", "learn", "no", NULL};
    start_a(options);
    dial_b();
    sim_node_break(node_b);
    run(10 * MINUTE);
    assert_false(together());
    restart_a(options);
    run(MINUTE);
    assert_false(together());
    assert_int_equal(dials(), 0);
}

/* Only where a dial of ours led is known, not where somebody came from. */
static void who_comes_to_us_is_not_learned(void **state)
{
    (void)state;
    start_a(NULL);
    struct sim_dial dial;
    sim_mesh_dial(&b, &dial, "10.0.0.1", 4000, NULL);
    run(2000);
    assert_true(together());
    assert_int_equal(service_node_metric(&a, "reconnect_known"), 0);
    sim_node_break(node_a);
    run(5 * MINUTE);
    assert_false(together());
}

static void a_peer_that_is_away_for_long_is_found_within_a_minute(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    power_off_b();
    run(8 * HOUR);
    /* A dial hangs 15 s, the pause is at most 60 s: some 400 in 8 hours. */
    assert_in_range(dials(), 350, 700);
    sim_node_set_down(node_b, false);
    (void)wait_together(80000);
}

static void a_name_of_the_configuration_is_dialed_until_it_answers(void **state)
{
    (void)state;
    static const char *const options[] = {"reconnect", "targets", "b.example:4000 10.0.0.9:1",
                                          NULL};
    start_a(options);
    run(30000);
    assert_false(together());
    sim_net_add_name(net, "b.example", "10.0.0.2");
    (void)wait_together(40000);
    sim_node_break(node_b);
    run(100);
    (void)wait_together(90000);
    assert_int_equal(service_node_metric(&a, "reconnect_targets"),
                     2); /* and none learned beside it */
}

static void whoever_is_disconnected_is_left_alone_for_a_minute(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    assert_int_equal(mesh_disconnect(a.mesh.mesh, &b.identity.id), 0);
    run(59000);
    assert_false(together());
    assert_int_equal(dials(), 0);
    (void)wait_together(4000);
}

static void asking_for_it_ends_being_left_alone(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    assert_int_equal(mesh_disconnect(a.mesh.mesh, &b.identity.id), 0);
    run(5000);
    dial_b();
    sim_node_break(node_b);
    run(100);
    (void)wait_together(5000);
}

static void another_network_is_tried_at_once(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    power_off_b();
    run(10 * MINUTE + 20000); /* in the middle of a pause or a dial */
    sim_node_set_down(node_b, false);
    service_node_network_changed(&a);
    (void)wait_together(20000);
}

/* Reliability R19: the clock is set ten years forward and back, the machine sleeps 8 hours. */
static void setting_the_clock_loses_nobody_and_causes_no_storm(void **state)
{
    (void)state;
    static const int64_t jumps[] = {YEARS, -YEARS, -YEARS, YEARS, 8 * HOUR};
    start_a(NULL);
    dial_b();
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        uint64_t before = dials();
        virtual_world_set_clock(sim_net_world(net), jumps[i]);
        run(2 * MINUTE);
        assert_true(together());
        assert_int_equal(dials(), before);
        sim_node_break(node_b);
        run(100);
        (void)wait_together(10000);
        restart_a(NULL);
        (void)wait_together(3000);
        assert_int_equal(service_node_metric(&a, "reconnect_known"), 1);
    }
}

static void after_a_sleep_it_reconnects_within_ten_seconds(void **state)
{
    (void)state;
    static const char *const options[] = {"reconnect", "targets", "10.0.0.2:4001", NULL};
    start_a(options); /* nobody listens there yet: refused at once */
    run(10 * MINUTE);
    sim_mesh_fini(&b);
    static const char *const other_port[] = {"port", "4001", NULL};
    sim_mesh_init(&b, node_b, 2, other_port);
    virtual_world_set_clock(sim_net_world(net), 8 * HOUR);
    (void)wait_together(10000);
}

/* The machine was off for long, or its clock begins in 1970. */
static void a_clock_that_is_wrong_at_the_start_empties_nothing(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    restart_a(NULL);
    (void)wait_together(3000);
    for (int i = 0; i < 2; i++) {
        mesh_stop(b.mesh); /* so that nothing is refreshed */
        virtual_world_set_clock(sim_net_world(net), i == 0 ? YEARS : -6 * YEARS);
        restart_a(NULL);
        run(1000);
        assert_int_equal(service_node_metric(&a, "reconnect_known"), 1);
    }
}

static void another_peer_at_the_address_is_not_taken_for_the_old_one(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    sim_mesh_fini(&b);
    sim_mesh_init(&b, node_b, 3, NULL); /* the same address, another identity */
    run(5 * MINUTE);
    assert_false(together());
    assert_int_equal(dials(), 1);
    assert_int_equal(service_node_metric(&a, "reconnect_targets"), 0);
}

static void on_peer_close(struct sim_mesh *self, struct peer *peer, enum peer_event event)
{
    if (event == PEER_UP) {
        (void)mesh_disconnect(self->mesh, peer_id_of(peer));
    }
}

static void a_peer_that_always_hangs_up_is_not_hammered(void **state)
{
    (void)state;
    start_a(NULL);
    dial_b();
    b.on_event = on_peer_close;
    sim_node_break(node_b);
    run(HOUR);
    assert_in_range(dials(), 50, 90);
}

/* b lists both its addresses; the second needs no dial of its own. */
static void an_address_that_a_live_peer_lists_counts_as_connected(void **state)
{
    (void)state;
    static const char *const options[] = {"reconnect", "targets", "10.0.0.2:4000 10.0.0.3:4000",
                                          NULL};
    sim_mesh_fini(&b);
    sim_node_add_address(node_b, "10.0.0.3");
    sim_node_enter(node_b);
    sim_mesh_init(&b, node_b, 2, NULL);
    sim_net_set_latency(net, 20, 20);
    start_a(options);
    run(10 * MINUTE);
    assert_true(together());
    assert_true(dials() <= 2);
    uint64_t before = dials();
    sim_node_break(node_b);
    run(10000);
    assert_true(together());
    assert_in_range(dials(), before + 1, before + 2);
}

/* 1,024 targets on disk, one alive and last of all. */
static void write_targets(unsigned count)
{
    static const uint64_t seed[2] = {1, 2};
    char error[256] = "";
    struct book *book = book_new(seed);
    struct targets *none = targets_new(1, 0);
    struct book_file *file = book_file_new(NULL, directory);
    assert_int_equal(book_file_open(file, book, none, 1, 0, error, sizeof error), 0);
    struct book_batch batch = {.all_targets = true, .target_count = count};
    batch.targets = xalloc(count * sizeof *batch.targets);
    for (unsigned i = 0; i < count; i++) {
        struct book_file_target *target = &batch.targets[i];
        (void)snprintf(target->host, sizeof target->host, "10.%u.%u.%u", i % 2 + 1, i / 250,
                       i % 250 + 1);
        target->port = 4000;
    }
    (void)snprintf(batch.targets[count - 1].host, sizeof batch.targets[0].host, "10.0.0.2");
    assert_int_equal(book_file_write_now(file, &batch, error, sizeof error), 0);
    book_file_free(file);
    targets_free(none);
    book_free(book);
}

static void a_thousand_dead_targets_cost_a_bounded_number_of_dials(void **state)
{
    (void)state;
    write_targets(1024);
    for (unsigned i = 0; i < 512; i++) { /* half of them hang, the others do not exist */
        char ip[32];
        (void)snprintf(ip, sizeof ip, "10.1.%u.%u", 2 * i / 250, 2 * i % 250 + 1);
        sim_node_set_down(sim_node_new(net, ip), true);
    }
    start_a(NULL);
    assert_int_equal(service_node_metric(&a, "reconnect_targets"), 1024);
    (void)wait_together(15 * MINUTE);
    run(HOUR);
    assert_true(together());
    assert_true(dials() <= 75 * 60 * TARGETS_DIALS_PER_S + TARGETS_BURST);
    uint64_t before = dials();
    run(10 * MINUTE);
    assert_in_range(dials() - before, 100, 10 * 60 * TARGETS_DIALS_PER_S + TARGETS_BURST);
    sim_node_break(node_b); /* who was there a moment ago does not wait behind the dead */
    run(100);
    (void)wait_together(20000);
}

static void what_was_learned_survives_a_damaged_file_as_an_empty_book(void **state)
{
    (void)state;
    char path[96];
    start_a(NULL);
    dial_b();
    restart_a(NULL);
    (void)wait_together(3000);
    service_node_fini(&a);
    memset(&a, 0, sizeof a);
    (void)snprintf(path, sizeof path, "%s/" BOOK_FILE_NAME, directory);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fwrite("no database at all", 1, 18, file), 18);
    assert_int_equal(fclose(file), 0);
    start_a(NULL);
    run(MINUTE);
    assert_int_equal(service_node_metric(&a, "reconnect_known"), 0);
    dial_b();
    restart_a(NULL);
    (void)wait_together(3000);
}

static void a_node_without_targets_does_nothing(void **state)
{
    (void)state;
    start_a(NULL);
    run(1000);
    int64_t began_ms = virtual_world_now_ms(sim_net_world(net));
    assert_false(virtual_world_step(sim_net_world(net))); /* nothing is ever due */
    assert_int_equal(virtual_world_now_ms(sim_net_world(net)), began_ms);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(two_nodes_that_lose_each_other_find_each_other_again),
        CASE(whoever_was_dialed_before_is_dialed_after_a_restart),
        CASE(with_learning_off_nobody_is_dialed_again),
        CASE(who_comes_to_us_is_not_learned),
        CASE(a_peer_that_is_away_for_long_is_found_within_a_minute),
        CASE(a_name_of_the_configuration_is_dialed_until_it_answers),
        CASE(whoever_is_disconnected_is_left_alone_for_a_minute),
        CASE(asking_for_it_ends_being_left_alone),
        CASE(another_network_is_tried_at_once),
        CASE(setting_the_clock_loses_nobody_and_causes_no_storm),
        CASE(after_a_sleep_it_reconnects_within_ten_seconds),
        CASE(a_clock_that_is_wrong_at_the_start_empties_nothing),
        CASE(another_peer_at_the_address_is_not_taken_for_the_old_one),
        CASE(a_peer_that_always_hangs_up_is_not_hammered),
        CASE(an_address_that_a_live_peer_lists_counts_as_connected),
        CASE(a_thousand_dead_targets_cost_a_bounded_number_of_dials),
        CASE(what_was_learned_survives_a_damaged_file_as_an_empty_book),
        CASE(a_node_without_targets_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
