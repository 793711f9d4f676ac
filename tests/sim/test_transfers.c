/* Stories of file transfers: links that break and come back, many at once, programs that do not
 * answer (api.md 7.4; wire-services 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "files_node.h"
#include "sim_worker.h"

#define SEED 20261130
#define MB   ((size_t)1024 * 1024)

static struct sim_net *net;
static struct files_node a;
static struct files_node b;
static size_t descriptors;

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    descriptors = files_descriptors();
    net = sim_net_new(SEED);
    sim_net_set_latency(net, 2, 3);
    return 0;
}

static void start(const char *const *options)
{
    files_node_init(&a, net, 1, options);
    files_node_init(&b, net, 2, options);
    files_link(&a, &b);
}

static int end(void **state)
{
    (void)state;
    sim_worker_set_job_ms(0);
    files_node_fini(&a);
    files_node_fini(&b);
    sim_net_free(net);
    assert_int_equal(files_descriptors(), descriptors);
    return 0;
}

static bool is_told(const struct files_node *node, const char *key, const char *state)
{
    return strcmp(files_state(node, 1, key), state) == 0;
}

static void run_until(const struct files_node *node, const char *key, const char *state)
{
    for (int i = 0; i < 20000 && !is_told(node, key, state); i++) {
        files_run(net, 5);
    }
    if (!is_told(node, key, state)) {
        fail_msg("%s, not %s: %s", files_state(node, 1, key), state, files_error(node, 1, key));
    }
}

static bool is_waiting(const struct files_node *node)
{
    return json_is_true(json_object_get(files_last(node, 1, EV_TRANSFER_CHANGED), "waiting"));
}

static uint64_t done_bytes(struct files_node *node, const char *key)
{
    assert_int_equal(files_do(node, 1, M_TRANSFER_GET, key), PROTO_ERROR_COUNT);
    return (uint64_t)json_integer_value(json_object_get(node->call.result, "done_bytes"));
}

static void run_until_done(struct files_node *node, const char *key, uint64_t bytes)
{
    for (int i = 0; i < 20000 && done_bytes(node, key) < bytes; i++) {
        files_run(net, 5);
    }
    assert_true(done_bytes(node, key) >= bytes);
}

static const char *accepted(void)
{
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_accept(&b, 1, offered), PROTO_ERROR_COUNT);
    return offered;
}

static void break_link(void)
{
    sim_node_break(a.node.mesh.node);
    files_run(net, 50);
    assert_false(files_is_linked(&a, &b));
}

/* ---- links that break ---- */

static void a_file_goes_on_where_it_was(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 10 * MB);
    break_link();
    assert_true(is_waiting(&a) && is_waiting(&b));
    assert_true(is_told(&a, key, "paused") && is_told(&b, offered, "paused"));
    files_run(net, 60 * 1000);
    files_link(&b, &a);
    run_until(&a, key, "completed");
    run_until(&b, offered, "completed");
    files_assert_target(&b, offered, 0, 40 * MB);
    assert_false(is_waiting(&a) || is_waiting(&b));
    assert_true(files_was(&a, 1, key, "resuming") && files_was(&b, 1, offered, "resuming"));
    assert_int_equal(service_node_metric(&a.node, "transfer_resumed"), 1);
    assert_int_equal(service_node_metric(&b.node, "transfer_resumed"), 1);
    /* what was on the way is sent again, and no more */
    assert_true(service_node_metric(&a.node, "transfer_bytes_sent") <= 45 * MB);
}

static void a_tree_goes_on_whenever_its_link_breaks(void **state)
{
    (void)state;
    size_t sizes[120];
    for (size_t i = 0; i < 120; i++) {
        sizes[i] = i * 8191 % 30000;
    }
    sizes[60] = 9 * MB;
    start(NULL);
    for (int64_t when_ms = 0; when_ms < 160; when_ms += 16) {
        const char *key = files_send_tree(&a, &b, 120, sizes);
        const char *offered = accepted();
        for (int times = 0; times < 3 && files_ends(&b, 1, offered) == 0; times++) {
            files_run(net, when_ms + times);
            if (files_ends(&a, 1, key) == 0 && files_was(&a, 1, key, "running")) {
                break_link();
                files_link(times % 2 == 0 ? &a : &b, times % 2 == 0 ? &b : &a);
            }
        }
        run_until(&a, key, "completed");
        run_until(&b, offered, "completed");
        for (uint32_t i = 0; i < 120; i++) {
            files_assert_target(&b, offered, i, sizes[i]);
        }
        assert_int_equal(files_ends(&a, 1, key), 1);
    }
}

/* Everything is there and verified, and the link breaks before or after it is in place. */
/* A slow disk and a large file: what is there takes longer to be read again than the two wait for
 * each other. */
static void what_is_there_takes_its_time_to_be_read_again(void **state)
{
    (void)state;
    static const char *const options[] = {"resume_time", "60", NULL};
    start(options);
    const char *key = files_send(&a, &b, 120 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 100 * MB); /* four steps of hashing */
    break_link();
    sim_worker_set_job_ms(25 * 1000);
    files_link(&a, &b);
    files_run(net, 220 * 1000);
    sim_worker_set_job_ms(0);
    run_until(&a, key, "completed");
    assert_true(is_told(&b, offered, "completed"));
    files_assert_target(&b, offered, 0, 120 * MB);
}

static void what_is_complete_needs_no_more_than_to_be_said(void **state)
{
    (void)state;
    static const size_t sizes[] = {70000, 3};
    start(NULL);
    for (int way = 0; way < 4; way++) {
        bool is_tree = way % 2 == 1;
        const char *key = is_tree ? files_send_tree(&a, &b, 2, sizes) : files_send(&a, &b, MB);
        const char *offered = accepted();
        b.places_nothing = true;
        files_run(net, 500);
        assert_true(files_count(&b, 1, EV_TRANSFER_VERIFIED) > 0);
        uint64_t sent = service_node_metric(&a.node, "transfer_bytes_sent");
        break_link();
        b.places_nothing = way / 2 == 0;
        files_run(net, 100); /* in place while the link is gone, or later */
        files_link(&a, &b);
        b.places_nothing = false;
        files_run(net, 500);
        assert_string_equal(files_state(&a, 1, key), "completed");
        assert_string_equal(files_state(&b, 1, offered), "completed");
        assert_true(service_node_metric(&a.node, "transfer_bytes_sent") == sent);
    }
}

static void a_link_that_died_in_silence_is_replaced(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 5 * MB);
    sim_node_forget(b.node.mesh.node); /* b's end is gone, a does not know */
    files_run(net, 20);
    sim_node_enter(b.node.mesh.node);
    (void)mesh_disconnect(b.node.mesh.mesh, service_node_id(&a.node));
    files_run(net, 61 * 1000); /* asked for, it is not dialed for a minute */
    if (files_ends(&a, 1, key) == 0 && !files_is_linked(&a, &b)) {
        files_link(&b, &a);
    }
    run_until(&b, offered, "completed");
    files_assert_target(&b, offered, 0, 40 * MB);
}

static void a_pause_outlasts_the_link(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 5 * MB);
    assert_int_equal(files_do(&b, 1, M_TRANSFER_PAUSE, offered), PROTO_ERROR_COUNT);
    break_link(); /* before a has heard of it, or not */
    files_link(&a, &b);
    files_run(net, 90 * 1000);
    assert_true(is_told(&a, key, "paused") && is_told(&b, offered, "paused"));
    assert_false(is_waiting(&a) || is_waiting(&b));
    assert_int_equal(files_do(&a, 1, M_TRANSFER_RESUME, key), PROTO_ERROR_COUNT);
    run_until(&b, offered, "completed");
    files_assert_target(&b, offered, 0, 40 * MB);
}

/* It is paused, and goes on, by a program of that node, which its peer cannot hear. */
static void end_pause_without_link(struct files_node *node)
{
    start(NULL);
    const char *key = files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    const char *its = node == &a ? key : offered;
    run_until_done(&b, offered, 5 * MB);
    assert_int_equal(files_do(node, 1, M_TRANSFER_PAUSE, its), PROTO_ERROR_COUNT);
    files_run(net, 100);
    assert_true(is_told(&a, key, "paused") && is_told(&b, offered, "paused"));
    break_link();
    assert_int_equal(files_do(node, 1, M_TRANSFER_RESUME, its), PROTO_ERROR_COUNT);
    files_link(&a, &b);
    run_until(&a, key, "completed");
    run_until(&b, offered, "completed");
    files_assert_target(&b, offered, 0, 40 * MB);
}

static void a_sender_ends_its_pause_while_the_link_is_lost(void **state)
{
    (void)state;
    end_pause_without_link(&a);
}

static void a_receiver_ends_its_pause_while_the_link_is_lost(void **state)
{
    (void)state;
    end_pause_without_link(&b);
}

static void a_peer_that_stays_away_ends_it(void **state)
{
    (void)state;
    static const char *const options[] = {"resume_time", "30", NULL};
    start(options);
    const char *key = files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 5 * MB);
    break_link();
    files_run(net, 29 * 1000);
    assert_int_equal(files_ends(&a, 1, key) + files_ends(&b, 1, offered), 0);
    files_run(net, 2 * 1000);
    assert_true(is_told(&a, key, "failed") && is_told(&b, offered, "failed"));
    assert_int_equal(files_placed(&b, offered), 0);
}

static void without_resuming_a_lost_link_is_the_end(void **state)
{
    (void)state;
    static const char *const options[] = {"resume_time", "0", NULL};
    start(options);
    const char *key = files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 5 * MB);
    break_link();
    assert_true(is_told(&a, key, "failed") && is_told(&b, offered, "failed"));
}

static void an_offer_and_a_request_end_with_their_link(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 1);
    const char *offered = files_offered(&b, 1);
    assert_int_equal(files_call(&a, 1, M_TRANSFER_REQUEST,
                                json_pack("{s:s, s:s, s:s}", "peer",
                                          peer_id_format(service_node_id(&b.node)).text, "kind",
                                          "file", "path", "x"),
                                bytes_make(NULL, 0), -1),
                     PROTO_ERROR_COUNT);
    char asked[TRANSFER_KEY_SIZE];
    (void)snprintf(asked, sizeof asked, "%s",
                   json_string_value(json_object_get(a.call.result, "transfer")));
    files_run(net, 50);
    break_link();
    assert_true(is_told(&a, key, "failed") && is_told(&b, offered, "failed"));
    assert_true(is_told(&a, asked, "failed"));
}

/* ---- one side is gone when the link is back ---- */

static void end_session(struct files_node *node)
{
    sim_node_enter(node->node.mesh.node);
    node->node.services[0]->on_session_end(node->node.selves[0], 1);
}

static void a_receiver_that_ended_meanwhile_ends_the_sender(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 40 * MB);
    run_until_done(&b, accepted(), 5 * MB);
    break_link();
    end_session(&b);
    files_link(&a, &b);
    files_run(net, 100);
    assert_string_equal(files_state(&a, 1, key), "cancelled");
}

static void a_sender_that_ended_meanwhile_ends_the_receiver(void **state)
{
    (void)state;
    start(NULL);
    (void)files_send(&a, &b, 40 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 5 * MB);
    break_link();
    end_session(&a);
    files_link(&a, &b);
    files_run(net, 100);
    assert_string_equal(files_state(&b, 1, offered), "failed");
}

static void a_source_changed_while_the_link_was_lost_is_not_delivered(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 20 * MB);
    const char *offered = accepted();
    run_until_done(&b, offered, 5 * MB);
    break_link();
    assert_int_equal(pwrite(a.last_source, "other bytes", 11, 1000), 11);
    files_link(&a, &b);
    files_run(net, 5000);
    assert_true(is_told(&a, key, "failed") && is_told(&b, offered, "failed"));
    assert_int_equal(files_placed(&b, offered), 0);
}

/* ---- many at once ---- */

static void transfers_share_a_link_evenly_and_leave_room(void **state)
{
    (void)state;
    static const char *const options[] = {NULL};
    const char *keys[4];
    const char *offered[4];
    start(options);
    for (int i = 0; i < 4; i++) {
        keys[i] = files_send(&a, &b, 30 * MB);
        offered[i] = files_offered(&b, 1);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(files_accept(&b, 1, offered[i]), PROTO_ERROR_COUNT);
    }
    const struct peer *peer = mesh_find(a.node.mesh.mesh, service_node_id(&b.node));
    for (int i = 0; i < 10000 && !is_told(&a, keys[0], "completed"); i++) {
        files_run(net, 5);
        assert_true(peer_queued(peer) <= 400 * 1024); /* messages wait behind no more */
    }
    for (int i = 1; i < 4; i++) {
        assert_true(done_bytes(&b, offered[i]) >= 25 * MB);
    }
    for (int i = 0; i < 4; i++) {
        run_until(&b, offered[i], "completed");
        files_assert_target(&b, offered[i], 0, 30 * MB);
    }
}

static void sixty_four_at_once_all_arrive(void **state)
{
    (void)state;
    const char *offered[64];
    start(NULL);
    for (int i = 0; i < 64; i++) {
        (void)files_send(&a, &b, MB / 2 + (size_t)i);
        offered[i] = files_offered(&b, 1);
    }
    for (int i = 0; i < 64; i++) {
        assert_int_equal(files_accept(&b, 1, offered[i]), PROTO_ERROR_COUNT);
    }
    for (int i = 0; i < 64; i++) {
        run_until(&b, offered[i], "completed");
        files_assert_target(&b, offered[i], 0, MB / 2 + (size_t)i);
    }
}

static void a_program_that_opens_no_files_stops_nobody_else(void **state)
{
    (void)state;
    static const size_t size = 5 * MB;
    const char *offered[20];
    start(NULL);
    b.opens_nothing = true;
    for (int i = 0; i < 20; i++) {
        (void)files_send_tree(&a, &b, 1, &size);
        offered[i] = files_offered(&b, 1);
    }
    for (int i = 0; i < 20; i++) {
        assert_int_equal(files_accept(&b, 1, offered[i]), PROTO_ERROR_COUNT);
    }
    const struct peer *peer = mesh_find(b.node.mesh.mesh, service_node_id(&a.node));
    files_run(net, 2000);
    assert_true(peer_is_held(peer)); /* what it makes us keep is bounded, */
    files_run(net, 20 * 1000);
    assert_false(peer_is_held(peer)); /* and not for long */
    for (int i = 0; i < 16; i++) {
        assert_string_equal(files_state(&b, 1, offered[i]), "failed");
    }
}

static void nothing_wakes_a_node_whose_transfers_are_over(void **state)
{
    (void)state;
    start(NULL);
    const char *key = files_send(&a, &b, 1);
    (void)accepted();
    run_until(&a, key, "completed");
    files_run(net, 1000);
    struct virtual_world *world = sim_net_world(net);
    int64_t until_ms = virtual_world_now_ms(world) + (int64_t)500 * 1000;
    unsigned turns = 0;
    while (virtual_world_step(world) && virtual_world_now_ms(world) < until_ms) {
        turns++;
    }
    assert_true(turns < 100);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_goes_on_where_it_was),
        CASE(a_tree_goes_on_whenever_its_link_breaks),
        CASE(what_is_there_takes_its_time_to_be_read_again),
        CASE(what_is_complete_needs_no_more_than_to_be_said),
        CASE(a_link_that_died_in_silence_is_replaced),
        CASE(a_pause_outlasts_the_link),
        CASE(a_sender_ends_its_pause_while_the_link_is_lost),
        CASE(a_receiver_ends_its_pause_while_the_link_is_lost),
        CASE(a_peer_that_stays_away_ends_it),
        CASE(without_resuming_a_lost_link_is_the_end),
        CASE(an_offer_and_a_request_end_with_their_link),
        CASE(a_receiver_that_ended_meanwhile_ends_the_sender),
        CASE(a_sender_that_ended_meanwhile_ends_the_receiver),
        CASE(a_source_changed_while_the_link_was_lost_is_not_delivered),
        CASE(transfers_share_a_link_evenly_and_leave_room),
        CASE(sixty_four_at_once_all_arrive),
        CASE(a_program_that_opens_no_files_stops_nobody_else),
        CASE(nothing_wakes_a_node_whose_transfers_are_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
