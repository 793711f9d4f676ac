/* Stories of pings: round trips, silence, floods and lies (wire-services 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "service/ping.h"
#include "service_node.h"
#include "wire/ping_frame.h"

#define SEED  4711
#define CROWD 40

static const struct service *const only_ping[] = {&ping_service, NULL};
static const char *const watchful[] = {"ping", "liveness", "yes", NULL};

static struct sim_net *net;
static struct service_node a; /* at 10.0.0.1 */
static struct service_node b; /* at 10.0.0.2, with the service ... */
static struct sim_mesh bare;  /* ... and without it, at 10.0.0.3 */
static unsigned pings_heard;
static struct ping_frame last_heard;

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    net = sim_net_new(SEED);
    pings_heard = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    sim_net_free(net);
    return 0;
}

static void start_a(const char *const *options)
{
    service_node_init(&a, sim_node_new(net, "10.0.0.1"), 1, NULL, only_ping, NULL, options);
}

static void start_b(void)
{
    service_node_init(&b, sim_node_new(net, "10.0.0.2"), 2, NULL, only_ping, NULL, NULL);
}

static void hear_ping(void *arg, struct peer *from, const struct message *message)
{
    (void)arg;
    (void)from;
    pings_heard += ping_frame_decode(message->payload, &last_heard) == 0;
}

static void start_bare(void)
{
    sim_mesh_init_bare(&bare, sim_node_new(net, "10.0.0.3"), 3, WIRE_PING, hear_ping);
}

static void connect_to_b(void)
{
    sim_mesh_connect(&a.mesh, "10.0.0.2");
}

static void connect_to_bare(void)
{
    sim_mesh_connect(&a.mesh, "10.0.0.3");
}

static int64_t rtt_of_b(void)
{
    const struct peer *peer = mesh_find(a.mesh.mesh, service_node_id(&b));
    return peer == NULL ? -2 : peer_rtt_us(peer);
}

static json_t *params(const struct peer_id *peer, int timeout_ms)
{
    return json_pack("{s:s, s:i}", "peer", peer_id_format(peer).text, "timeout_ms", timeout_ms);
}

static void send_as_bare(enum ping_tag tag, const uint8_t token[PING_TOKEN_SIZE])
{
    struct ping_frame frame = {.tag = tag};
    uint8_t encoded[PING_FRAME_SIZE];
    memcpy(frame.token, token, PING_TOKEN_SIZE);
    ping_frame_encode(&frame, encoded);
    assert_int_equal(mesh_send(bare.mesh, service_node_id(&a), WIRE_PING, 0,
                               bytes_make(encoded, sizeof encoded)),
                     0);
}

/* ---- round trips ---- */

static void both_ends_know_the_round_trip(void **state)
{
    (void)state;
    sim_net_set_latency(net, 30, 50);
    start_a(NULL);
    start_b();
    connect_to_b();
    assert_in_range(rtt_of_b(), 80000, 85000);
    const struct peer *peer = mesh_find(b.mesh.mesh, service_node_id(&a));
    assert_in_range(peer_rtt_us(peer), 80000, 85000);
    service_node_fini(&b);
    service_node_fini(&a);
}

static void a_peer_is_pinged_at_once_and_every_interval(void **state)
{
    (void)state;
    start_a(NULL);
    start_b();
    connect_to_b();
    assert_int_equal(service_node_metric(&a, "ping_sent"), 1);
    sim_net_run(net, 100000);
    assert_in_range(service_node_metric(&a, "ping_sent"), 11, 12);
    assert_int_equal(service_node_metric(&a, "ping_received"),
                     service_node_metric(&a, "ping_sent"));
    assert_int_equal(a.mesh.updated, 2); /* identify, the first round trip: it did not change */
    service_node_fini(&b);
    service_node_fini(&a);
}

static void an_interval_of_zero_pings_nobody(void **state)
{
    (void)state;
    static const char *const never[] = {"ping", "interval", "0", NULL};
    start_a(never);
    start_b();
    connect_to_b();
    sim_net_run(net, 100000);
    assert_int_equal(service_node_metric(&a, "ping_sent"), 0);
    assert_int_equal(rtt_of_b(), -1);
    assert_in_range(service_node_metric(&a, "ping_answered"), 11, 12);
    service_node_reload(&a, "ping", "interval", "5");
    sim_net_run(net, 100000);
    assert_in_range(service_node_metric(&a, "ping_sent"), 19, 21);
    service_node_fini(&b);
    service_node_fini(&a);
}

/* However many peers there are, they are pinged at no more than ten moments of an interval. */
static void a_crowd_costs_one_wakeup_a_second(void **state)
{
    (void)state;
    static struct sim_mesh crowd[CROWD];
    char address[32];
    start_a(NULL);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)snprintf(address, sizeof address, "10.0.1.%u", i + 1);
        sim_mesh_init(&crowd[i], sim_node_new(net, address), (uint8_t)(10 + i), NULL);
        sim_mesh_connect(&crowd[i], "10.0.0.1");
    }
    unsigned moments = 0;
    uint64_t before = service_node_metric(&a, "ping_sent");
    const uint64_t first = before;
    for (int i = 0; i < 10000; i++) {
        sim_net_run(net, 1);
        uint64_t sent = service_node_metric(&a, "ping_sent");
        moments += sent != before;
        before = sent;
    }
    assert_in_range(moments, 9, 10);
    assert_int_equal(before - first, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        sim_mesh_fini(&crowd[i]);
    }
    service_node_fini(&a);
}

/* ---- silence ---- */

static void a_peer_without_the_service_stays(void **state)
{
    (void)state;
    start_a(NULL);
    start_bare();
    connect_to_bare();
    sim_net_run(net, 300000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    assert_in_range(service_node_metric(&a, "ping_missed"), 29, 31);
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

static void with_liveness_a_silent_peer_is_disconnected(void **state)
{
    (void)state;
    start_a(watchful);
    start_bare();
    connect_to_bare();
    sim_net_run(net, 18000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    sim_net_run(net, 25000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 0);
    assert_string_equal(a.mesh.down_reason, "answers no pings");
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_silent"), 1);
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

static void with_liveness_a_peer_that_speaks_or_answers_stays(void **state)
{
    (void)state;
    start_a(watchful);
    start_b();
    start_bare();
    connect_to_b();
    connect_to_bare();
    for (int i = 0; i < 30; i++) {
        assert_int_equal(sim_mesh_send(&bare, service_node_id(&a), 10, 1), 0);
        sim_net_run(net, 9000);
    }
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 2);
    sim_mesh_fini(&bare);
    service_node_fini(&b);
    service_node_fini(&a);
}

static void whom_we_do_not_read_is_not_missed(void **state)
{
    (void)state;
    start_a(watchful);
    start_b();
    connect_to_b();
    mesh_hold(a.mesh.mesh, service_node_id(&b));
    sim_net_run(net, 200000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    mesh_release(a.mesh.mesh, service_node_id(&b));
    sim_net_run(net, 100000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    service_node_fini(&b);
    service_node_fini(&a);
}

static void a_machine_that_vanishes_is_noticed(void **state)
{
    (void)state;
    start_a(watchful);
    start_b();
    connect_to_b();
    sim_node_set_down(b.mesh.node, true);
    sim_net_run(net, 45000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 0);
    service_node_fini(&b);
    service_node_fini(&a);
}

/* ---- lies and floods ---- */

static void a_pong_nobody_asked_for_is_no_round_trip(void **state)
{
    (void)state;
    static const uint8_t guess[PING_TOKEN_SIZE] = {1, 2, 3};
    start_a(NULL);
    start_bare();
    connect_to_bare();
    const struct peer *peer = mesh_find(a.mesh.mesh, &bare.identity.id);
    assert_int_equal(pings_heard, 1);
    send_as_bare(PING_ANSWER, guess);
    sim_net_run(net, 100);
    assert_int_equal(peer_rtt_us(peer), -1);
    assert_int_equal(service_node_metric(&a, "ping_unmatched"), 1);
    send_as_bare(PING_ANSWER, last_heard.token);
    sim_net_run(net, 100);
    assert_in_range(peer_rtt_us(peer), 1000000, 3000000);
    send_as_bare(PING_ANSWER, last_heard.token); /* once is enough */
    sim_net_run(net, 100);
    assert_int_equal(service_node_metric(&a, "ping_unmatched"), 2);
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

static void a_flood_of_pings_is_answered_within_bounds(void **state)
{
    (void)state;
    static const uint8_t token[PING_TOKEN_SIZE] = {7};
    start_a(NULL);
    start_bare();
    connect_to_bare();
    for (int i = 0; i < 10000; i++) {
        send_as_bare(PING_ASK, token);
        sim_net_run(net, 1);
    }
    uint64_t answered = service_node_metric(&a, "ping_answered");
    assert_in_range(answered, 140, 160); /* 50, and 10 s of 10 */
    assert_in_range(service_node_metric(&a, "ping_refused"), 10000 - 160 - 10, 10000 - 140);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

/* ---- ping.send ---- */

static void a_call_is_answered_with_the_round_trip(void **state)
{
    (void)state;
    struct service_call call;
    sim_net_set_latency(net, 30, 50);
    start_a(NULL);
    start_b();
    connect_to_b();
    service_node_call(&a, M_PING_SEND, params(service_node_id(&b), 1000), &call);
    assert_false(call.done);
    sim_net_run(net, 200);
    assert_true(call.done);
    assert_in_range(json_integer_value(json_object_get(call.result, "rtt_us")), 80000, 85000);
    service_call_fini(&call);
    service_node_call(&a, M_PING_RTT, params(service_node_id(&b), 1000), &call);
    assert_in_range(json_integer_value(json_object_get(call.result, "rtt_us")), 80000, 85000);
    service_call_fini(&call);
    service_node_fini(&b);
    service_node_fini(&a);
}

static void a_call_to_a_peer_that_never_answers_times_out(void **state)
{
    (void)state;
    struct service_call call;
    start_a(NULL);
    start_bare();
    connect_to_bare();
    service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 1000), &call);
    sim_net_run(net, 990);
    assert_false(call.done);
    sim_net_run(net, 20);
    assert_true(call.done);
    assert_int_equal(call.error, E_TIMEOUT);
    service_node_call(&a, M_PING_RTT, params(&bare.identity.id, 1000), &call);
    assert_int_equal(json_object_size(call.result), 0);
    service_call_fini(&call);
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

static void calls_end_with_the_peer_the_client_or_the_daemon(void **state)
{
    (void)state;
    struct service_call call;
    struct service_call cancelled;
    start_a(NULL);
    start_bare();
    service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 1000), &call);
    assert_int_equal(call.error, E_PEER_NOT_FOUND);
    service_node_call(&a, M_PING_RTT, params(&bare.identity.id, 1000), &call);
    assert_int_equal(call.error, E_PEER_NOT_FOUND);
    connect_to_bare();
    service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 60000), &call);
    service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 60000), &cancelled);
    service_call_cancel(&cancelled);
    assert_int_equal(mesh_disconnect(a.mesh.mesh, &bare.identity.id), 0);
    assert_true(call.done);
    assert_int_equal(call.error, E_PEER_NOT_FOUND);
    connect_to_bare();
    service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 60000), &call);
    service_node_stop(&a);
    assert_int_equal(call.error, E_NOT_RUNNING);
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

static void calls_of_all_clients_together_are_bounded(void **state)
{
    (void)state;
    static struct service_call calls[1024];
    struct service_call call;
    start_a(NULL);
    start_bare();
    connect_to_bare();
    for (size_t i = 0; i < 1024; i++) {
        service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 1000), &calls[i]);
        assert_false(calls[i].done);
    }
    service_node_call(&a, M_PING_SEND, params(&bare.identity.id, 1000), &call);
    assert_int_equal(call.error, E_LIMIT);
    sim_net_run(net, 2000);
    for (size_t i = 0; i < 1024; i++) {
        assert_int_equal(calls[i].error, E_TIMEOUT);
    }
    sim_mesh_fini(&bare);
    service_node_fini(&a);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(both_ends_know_the_round_trip),
        CASE(a_peer_is_pinged_at_once_and_every_interval),
        CASE(an_interval_of_zero_pings_nobody),
        CASE(a_crowd_costs_one_wakeup_a_second),
        CASE(a_peer_without_the_service_stays),
        CASE(with_liveness_a_silent_peer_is_disconnected),
        CASE(with_liveness_a_peer_that_speaks_or_answers_stays),
        CASE(whom_we_do_not_read_is_not_missed),
        CASE(a_machine_that_vanishes_is_noticed),
        CASE(a_pong_nobody_asked_for_is_no_round_trip),
        CASE(a_flood_of_pings_is_answered_within_bounds),
        CASE(a_call_is_answered_with_the_round_trip),
        CASE(a_call_to_a_peer_that_never_answers_times_out),
        CASE(calls_end_with_the_peer_the_client_or_the_daemon),
        CASE(calls_of_all_clients_together_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
