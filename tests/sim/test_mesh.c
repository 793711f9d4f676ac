/* Stories of the mesh: whole nodes on a simulated network (wire-core 6 to 9, 15, 17). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "peer/conn.h"
#include "sim_mesh.h"
#include "wire/block.h"
#include "wire/identify.h"

#define SEED 4711

static struct sim_net *net;
static struct sim_mesh a;
static struct sim_mesh b;
static struct sim_node *node_a;
static struct sim_node *node_b;

static const char *const plaintext[] = {"security", "plaintext", NULL};

static int begin(void **state)
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

static int end(void **state)
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

static void start_both(void)
{
    sim_mesh_init(&a, node_a, 1, NULL);
    sim_mesh_init(&b, node_b, 2, NULL);
}

static void connect_a_to_b(void)
{
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 2000);
    assert_true(dial.done);
    assert_int_equal(dial.result, 0);
    assert_int_equal(a.ups, 1);
    assert_int_equal(b.ups, 1);
}

static const struct peer *b_at_a(void)
{
    return mesh_find(a.mesh, &b.identity.id);
}

static const struct peer *a_at_b(void)
{
    return mesh_find(b.mesh, &a.identity.id);
}

/* ---- connecting ---- */

static void two_nodes_meet_and_learn_each_others_addresses(void **state)
{
    (void)state;
    sim_node_add_address(node_a, "127.0.0.1");
    sim_node_add_address(node_a, "fe80::1");
    sim_node_add_address(node_a, "2001:db8::1");
    start_both();
    connect_a_to_b();
    const struct endpoint *addresses = NULL;
    assert_int_equal(peer_addresses(a_at_b(), &addresses), 2); /* neither loopback nor link-local */
    assert_string_equal(endpoint_format(&addresses[0]).text, "10.0.0.1:4000");
    assert_string_equal(endpoint_format(&addresses[1]).text, "[2001:db8::1]:4000");
    assert_int_equal(peer_addresses(b_at_a(), &addresses), 1);
    assert_string_equal(endpoint_format(&addresses[0]).text, "10.0.0.2:4000");
    assert_int_equal(peer_transports(a_at_b()), WIRE_TRANSPORT_TCP);
    assert_true(peer_is_outgoing(b_at_a()));
    assert_false(peer_is_outgoing(a_at_b()));
    assert_memory_equal(peer_public_key(b_at_a()), b.identity.public_key, X25519_SIZE);
    assert_int_equal(mesh_observed(a.mesh, &addresses), 1);
    assert_string_equal(endpoint_format(&addresses[0]).text, "10.0.0.1:4000");
    assert_int_equal(a.updated,
                     1); /* B's UDP-less identify: the address was known, transports not */
}

static void a_dial_only_node_tells_no_addresses(void **state)
{
    (void)state;
    static const char *const options[] = {"listen", "none", NULL};
    sim_mesh_init(&a, node_a, 1, options);
    sim_mesh_init(&b, node_b, 2, NULL);
    assert_int_equal(mesh_port(a.mesh), 0);
    connect_a_to_b();
    const struct endpoint *addresses = NULL;
    assert_int_equal(peer_addresses(a_at_b(), &addresses), 0);
    assert_int_equal(peer_transports(a_at_b()), 0);
}

static void a_name_with_several_addresses_is_tried_until_one_answers(void **state)
{
    (void)state;
    start_both();
    struct sim_node *silent = sim_node_new(net, "10.0.0.8");
    sim_node_set_down(silent, true);
    (void)sim_node_new(net, "10.0.0.7");            /* there, but nobody listens */
    sim_net_add_name(net, "b.example", "10.0.0.9"); /* no such machine */
    sim_net_add_name(net, "b.example", "10.0.0.8");
    sim_net_add_name(net, "b.example", "10.0.0.7");
    sim_net_add_name(net, "b.example", "10.0.0.2");
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "b.example", 4000, NULL);
    sim_net_run(net, 1100);
    assert_false(dial.done);
    sim_net_run(net, 400); /* 1.2 s for the silent one, then one refusal and one success */
    assert_true(dial.done);
    assert_int_equal(dial.result, 0);
    assert_int_equal(sim_node_links(node_a), 1);
}

static void failures_are_told_in_a_sentence(void **state)
{
    (void)state;
    start_both();
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 9, NULL);
    sim_net_run(net, 1000);
    assert_int_equal(dial.result, -ECONNREFUSED);
    assert_string_equal(dial.error, "cannot connect to 10.0.0.2:9: Connection refused");
    sim_mesh_dial(&a, &dial, "nowhere.example", 9, NULL);
    sim_net_run(net, 1000);
    assert_int_equal(dial.result, -ENOENT);
    assert_string_equal(dial.error, "cannot find the address of nowhere.example: no such name");
    assert_int_equal(sim_mesh_metric(&a, "peer_dials_failed"), 2);
}

static void a_silent_host_ends_the_dial_after_15_s(void **state)
{
    (void)state;
    start_both();
    sim_node_set_down(node_b, true);
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, CONN_DEADLINE_MS - 1);
    assert_false(dial.done);
    sim_net_run(net, 2);
    assert_true(dial.done);
    assert_int_equal(dial.result, -ETIMEDOUT);
    assert_int_equal(sim_node_links(node_a), 0);
}

static void a_cancelled_dial_is_silent(void **state)
{
    (void)state;
    start_both();
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 25); /* connected, in the handshake */
    assert_int_equal(sim_node_links(node_a), 1);
    mesh_dial_cancel(dial.dial);
    assert_int_equal(sim_node_links(node_a), 0);
    sim_net_run(net, 20000);
    assert_false(dial.done);
    assert_int_equal(b.ups, 0);
}

static void programs_that_dial_the_same_address_share_one_connection(void **state)
{
    (void)state;
    start_both();
    struct sim_dial dials[3];
    for (int i = 0; i < 3; i++) {
        sim_mesh_dial(&a, &dials[i], "10.0.0.2", 4000, NULL);
    }
    sim_net_run(net, 1000);
    for (int i = 0; i < 3; i++) {
        assert_true(dials[i].done && dials[i].result == 0);
        assert_true(peer_id_equal(&dials[i].peer, &b.identity.id));
    }
    assert_int_equal(a.replaced, 0);
    assert_int_equal(sim_mesh_metric(&b, "peer_accepted"), 1);
    struct sim_dial again;
    sim_mesh_dial(&a, &again, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 1000);
    assert_true(again.done && again.already);
    sim_mesh_dial(&a, &again, "10.9.9.9", 1, &b.identity.id);
    sim_net_run(net, 1000);
    assert_true(again.done && again.already);
    assert_int_equal(sim_mesh_metric(&b, "peer_accepted"), 1);
}

static void a_connection_to_ourselves_ends_without_events(void **state)
{
    (void)state;
    start_both();
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 2000);
    assert_true(dial.done);
    assert_int_equal(dial.result, -ELOOP);
    assert_string_equal(dial.error, "10.0.0.1:4000 is this node itself");
    assert_int_equal(a.ups + a.downs, 0);
    assert_int_equal(sim_node_links(node_a), 0);
}

static void another_peer_than_expected_is_dropped_without_events(void **state)
{
    (void)state;
    start_both();
    struct peer_id other = {{9}};
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, &other);
    sim_net_run(net, 2000);
    assert_int_equal(dial.result, -EPERM);
    assert_non_null(strstr(dial.error, "10.0.0.2:4000 is another peer than expected"));
    assert_int_equal(a.ups, 0);
    assert_int_equal(sim_node_links(node_a), 0);
    assert_int_equal(mesh_peer_count(b.mesh), 0);
}

static void a_plaintext_node_and_a_noise_node_do_not_connect(void **state)
{
    (void)state;
    sim_mesh_init(&a, node_a, 1, plaintext);
    sim_mesh_init(&b, node_b, 2, NULL);
    struct sim_dial dial;
    struct sim_dial back;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_mesh_dial(&b, &back, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 20000);
    assert_int_equal(dial.result, -EPROTO);
    assert_int_equal(back.result, -EPROTO);
    assert_int_equal(a.ups + b.ups, 0);
}

static void another_protocol_does_not_connect(void **state)
{
    (void)state;
    static const char *const options[] = {"protocol", "other/1.0", NULL};
    sim_mesh_init(&a, node_a, 1, NULL);
    sim_mesh_init(&b, node_b, 2, options);
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 20000);
    assert_int_equal(dial.result, -EPROTO);
    assert_non_null(strstr(dial.error, "another protocol than 'librats/1.0'"));
    assert_int_equal(sim_mesh_metric(&b, "peer_handshakes_failed"), 1);
}

static void plaintext_nodes_talk(void **state)
{
    (void)state;
    sim_mesh_init(&a, node_a, 1, plaintext);
    sim_mesh_init(&b, node_b, 2, plaintext);
    connect_a_to_b();
    assert_null(peer_public_key(b_at_a()));
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, 100000, 3), 0);
    sim_net_run(net, 1000);
    assert_int_equal(b.bytes, 100000);
}

/* ---- strangers ---- */

static void half_open_connections_end_after_15_s(void **state)
{
    (void)state;
    start_both();
    struct sim_raw *raw = sim_raw_dial(node_b, "10.0.0.1", 4000);
    sim_net_run(net, 10 + CONN_DEADLINE_MS - 1);
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 1);
    sim_net_run(net, 2);
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 0);
    sim_net_run(net, 100);
    assert_true(sim_raw_is_closed(raw));
    sim_raw_close(raw);
}

static void check_stranger(struct bytes sent, bool closed_at_once, size_t answer)
{
    struct sim_raw *raw = sim_raw_dial(node_b, "10.0.0.1", 4000);
    sim_raw_send(raw, sent);
    sim_net_run(net, 100);
    assert_int_equal(sim_raw_is_closed(raw), closed_at_once);
    assert_int_equal(sim_raw_received(raw), answer);
    sim_raw_close(raw);
    sim_net_run(net, 100);
}

static void bad_handshake_blocks_end_the_connection_at_once(void **state)
{
    (void)state;
    uint8_t block[4 + BLOCK_MAX_HANDSHAKE] = {0};
    start_both();
    block_encode_prefix(BLOCK_MAX_HANDSHAKE + 1, block);
    check_stranger(bytes_make(block, 4), true, 0); /* as soon as the prefix is in */
    block_encode_prefix(0, block);
    check_stranger(bytes_make(block, 4), true, 0);
    block_encode_prefix(31, block);
    check_stranger(bytes_make(block, 4 + 31), true, 0);
    block_encode_prefix(32 + 257, block);
    check_stranger(bytes_make(block, 4 + 32 + 257), true, 0);
    block_encode_prefix(32, block); /* the all-zero point: a low-order one */
    check_stranger(bytes_make(block, 4 + 32), true, 0);
    block[4] = 9; /* an honest point draws message 2 */
    check_stranger(bytes_make(block, 4 + 32), false, 100);
    block_encode_prefix(32 + 256, block); /* with the largest payload there may be */
    check_stranger(bytes_make(block, 4 + 32 + 256), false, 100);
    block_encode_prefix(BLOCK_MAX_HANDSHAKE, block); /* not complete: wait for more */
    check_stranger(bytes_make(block, 4 + 100), false, 0);
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 0);
}

static void half_open_connections_are_capped_by_source_and_overall(void **state)
{
    (void)state;
    static const char *const options[] = {"max_pending", "5", "max_pending_per_source", "3", NULL};
    struct sim_raw *raws[8];
    sim_mesh_init(&a, node_a, 1, options);
    struct sim_node *node_c = sim_node_new(net, "10.0.0.3");
    for (int i = 0; i < 8; i++) {
        raws[i] = sim_raw_dial(i < 4 ? node_b : node_c, "10.0.0.1", 4000);
        sim_net_run(net, 50);
        /* The fourth of one source, and whatever comes after five. */
        assert_int_equal(sim_raw_is_closed(raws[i]), i == 3 || i > 5);
    }
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 5);
    assert_int_equal(sim_mesh_metric(&a, "peer_refused"), 3);
    sim_net_run(net, 16000);
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 0);
    for (int i = 0; i < 8; i++) {
        sim_raw_close(raws[i]);
    }
    sim_mesh_init(&b, node_b, 2, NULL);
    struct sim_dial dial;
    sim_mesh_dial(&b, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 2000);
    assert_true(dial.done && dial.result == 0); /* the honest one comes in */
}

static void a_full_node_keeps_places_for_peers_it_knows(void **state)
{
    (void)state;
    static const char *const options[] = {"max_peers", "1", "reserved_peers", "1", NULL};
    sim_mesh_init(&a, node_a, 1, options);
    sim_mesh_init(&b, node_b, 2, NULL);
    struct sim_mesh c;
    struct sim_mesh d;
    sim_mesh_init(&c, sim_node_new(net, "10.0.0.3"), 3, NULL);
    sim_mesh_init(&d, sim_node_new(net, "10.0.0.4"), 4, NULL);
    struct sim_dial dial;
    sim_mesh_dial(&b, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 1000);
    assert_int_equal(mesh_disconnect(a.mesh, &b.identity.id), 0);
    sim_net_run(net, 1000);
    sim_mesh_dial(&c, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 1000);
    assert_int_equal(mesh_peer_count(a.mesh), 1);
    sim_mesh_dial(&d, &dial, "10.0.0.1", 4000, NULL); /* a stranger finds it full */
    sim_net_run(net, 1000);
    assert_int_equal(mesh_peer_count(a.mesh), 1);
    sim_mesh_dial(&a, &dial, "10.0.0.4", 4000, &d.identity.id); /* nor may we dial it */
    sim_net_run(net, 1000);
    assert_int_equal(dial.result, -EUSERS);
    assert_non_null(strstr(dial.error, "the limit of 1 peers is reached"));
    sim_mesh_dial(&b, &dial, "10.0.0.1", 4000, NULL); /* one we know comes back */
    sim_net_run(net, 1000);
    assert_int_equal(mesh_peer_count(a.mesh), 2);
    sim_mesh_dial(&a, &dial, "10.0.0.4", 4000, NULL);
    sim_net_run(net, 1000);
    assert_int_equal(dial.result, -EUSERS);
    sim_mesh_fini(&c);
    sim_mesh_fini(&d);
}

static void a_demand_raises_the_limit_up_to_the_hard_one(void **state)
{
    (void)state;
    static const char *const options[] = {"max_peers", "10", "max_peers_hard", "20", NULL};
    sim_mesh_init(&a, node_a, 1, options);
    assert_int_equal(mesh_max_peers(a.mesh), 10);
    assert_int_equal(mesh_demand_peers(a.mesh, 5), 10);
    assert_int_equal(mesh_demand_peers(a.mesh, 15), 15);
    assert_int_equal(mesh_demand_peers(a.mesh, 12), 12);
    assert_int_equal(mesh_demand_peers(a.mesh, 50), 20);
}

/* ---- talking ---- */

static void messages_arrive_whole_however_they_are_cut(void **state)
{
    (void)state;
    sim_net_set_segments(net, 7);
    start_both();
    connect_a_to_b();
    for (size_t size = 0; size < 40; size++) {
        assert_int_equal(sim_mesh_send(&a, &b.identity.id, size, (uint8_t)size), 0);
    }
    sim_net_run(net, 1000);
    assert_int_equal(b.messages, 40);
    assert_int_equal(b.bytes, 39 * 40 / 2);
    assert_int_equal(b.last_byte, 39);
}

static void types_nobody_claims_are_dropped_and_the_link_stays(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    assert_int_equal(mesh_send(a.mesh, &b.identity.id, (enum wire_type)42, 9, bytes_make("x", 1)),
                     0);
    assert_int_equal(mesh_send(a.mesh, &b.identity.id, WIRE_CONTROL, 9, bytes_make("x", 1)), 0);
    sim_net_run(net, 1000);
    assert_int_equal(sim_mesh_metric(&b, "peer_messages_dropped"), 1);
    assert_int_equal(mesh_peer_count(b.mesh), 1);
}

static void the_largest_message_arrives(void **state)
{
    (void)state;
    sim_net_set_window(net, (size_t)8 * 1024 * 1024);
    start_both();
    connect_a_to_b();
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, WIRE_MAX_PAYLOAD, 77), 1);
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, 1, 1), -ENOBUFS);
    sim_net_run(net, 5000);
    assert_int_equal(b.messages, 1);
    assert_int_equal(b.bytes, WIRE_MAX_PAYLOAD);
    assert_int_equal(b.last_byte, 77);
    assert_int_equal(a.drained, 1);
    assert_false(peer_is_congested(b_at_a()));
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, 1, 1), 0);
    assert_int_equal(mesh_send(a.mesh, &b.identity.id, WIRE_APP, 0,
                               bytes_make(&net, (size_t)WIRE_MAX_PAYLOAD + 1)),
                     -EMSGSIZE);
}

static void holding_slows_the_sender_and_loses_nothing(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    mesh_hold(b.mesh, &a.identity.id);
    mesh_hold(b.mesh, &a.identity.id);
    unsigned sent = 0;
    int rc = 0;
    while (rc != -ENOBUFS) {
        rc = sim_mesh_send(&a, &b.identity.id, 100000, 1);
        sent += rc >= 0 ? 1u : 0u;
        sim_net_run(net, 10);
    }
    assert_true(peer_is_congested(b_at_a()));
    assert_in_range(sent, 80, 90); /* 8 MiB queued here, and what the network holds */
    sim_net_run(net, 5000);
    assert_int_equal(b.messages, 0);
    mesh_release(b.mesh, &a.identity.id);
    sim_net_run(net, 5000);
    assert_int_equal(b.messages, 0);
    mesh_release(b.mesh, &a.identity.id);
    sim_net_run(net, 5000);
    assert_int_equal(b.messages, sent);
    assert_int_equal(a.drained, 1);
}

static void hold_at_once(struct sim_mesh *self, struct peer *peer, const struct message *message)
{
    (void)message;
    mesh_hold(self->mesh, peer_id_of(peer));
}

static void a_hold_inside_a_message_stops_before_the_next(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    b.on_message = hold_at_once;
    for (int i = 0; i < 5; i++) {
        (void)sim_mesh_send(&a, &b.identity.id, 10, 1); /* all in one segment */
    }
    for (unsigned i = 1; i <= 5; i++) {
        sim_net_run(net, 1000);
        assert_int_equal(b.messages, i);
        mesh_release(b.mesh, &a.identity.id);
    }
}

static void leave_at_once(struct sim_mesh *self, struct peer *peer, const struct message *message)
{
    assert_int_equal(mesh_disconnect(self->mesh, peer_id_of(peer)), 0);
    assert_int_equal(message->payload.data[9], 1); /* the view lives until we return */
    assert_int_equal(peer_send(peer, WIRE_APP, 0, bytes_make(NULL, 0)), -ENOTCONN);
}

static void a_peer_may_be_disconnected_inside_its_message(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    b.on_message = leave_at_once;
    for (int i = 0; i < 3; i++) {
        (void)sim_mesh_send(&a, &b.identity.id, 10, 1);
    }
    sim_net_run(net, 1000);
    assert_int_equal(b.messages, 1);
    assert_int_equal(b.downs, 1);
    assert_string_equal(b.down_reason, "closed here");
    assert_int_equal(a.downs, 1);
}

static void leave_when_up(struct sim_mesh *self, struct peer *peer, enum peer_event event)
{
    if (event == PEER_UP) {
        assert_int_equal(mesh_disconnect(self->mesh, peer_id_of(peer)), 0);
    }
}

static void a_peer_may_be_disconnected_inside_its_first_event(void **state)
{
    (void)state;
    start_both();
    a.on_event = leave_when_up;
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 20000);
    assert_true(dial.done);
    assert_int_equal(a.ups, 1);
    assert_int_equal(a.downs, 1);
    assert_int_equal(sim_node_links(node_a), 0);
    assert_int_equal(sim_node_links(node_b), 0);
}

static void a_peer_that_takes_nothing_for_30_s_is_dropped(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    mesh_hold(b.mesh, &a.identity.id);
    while (sim_mesh_send(&a, &b.identity.id, 100000, 1) == 0) {
        sim_net_run(net, 10); /* until it is congested */
    }
    sim_net_run(net, CONN_STALL_MS - 5000);
    assert_int_equal(a.downs, 0);
    sim_net_run(net, 10000);
    assert_int_equal(a.downs, 1);
    assert_string_equal(a.down_reason, "peer stopped reading");
}

static void a_slow_peer_is_not_a_dead_one(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    mesh_hold(b.mesh, &a.identity.id);
    while (sim_mesh_send(&a, &b.identity.id, 100000, 1) != -ENOBUFS) {
    }
    for (int i = 0; i < 10; i++) { /* a little every 20 s */
        sim_net_run(net, 20000);
        mesh_release(b.mesh, &a.identity.id);
        sim_net_run(net, 21);
        mesh_hold(b.mesh, &a.identity.id);
    }
    assert_int_equal(a.downs, 0);
}

static void idle_peers_run_no_timers(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    (void)sim_mesh_send(&a, &b.identity.id, 100000, 1);
    sim_net_run(net, 1000);
    assert_false(virtual_world_step(sim_net_world(net))); /* nothing will ever happen by itself */
}

/* ---- ends and changes ---- */

static void a_broken_link_is_reported_on_both_ends(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    sim_node_break(node_a);
    sim_net_run(net, 1000);
    assert_int_equal(a.downs, 1);
    assert_int_equal(b.downs, 1);
    assert_string_equal(a.down_reason, "connection lost");
    assert_int_equal(mesh_send(a.mesh, &b.identity.id, WIRE_APP, 0, bytes_make("x", 1)), -ENOTCONN);
    assert_int_equal(mesh_disconnect(a.mesh, &b.identity.id), -ENOTCONN);
    mesh_release(a.mesh, &b.identity.id); /* of a hold that ended with the peer */
    a.ups = 0;
    b.ups = 0;
    connect_a_to_b(); /* and they meet again */
}

static void messages_sent_before_the_end_arrive(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, 1000, 1), 0);
    assert_int_equal(mesh_disconnect(a.mesh, &b.identity.id), 0);
    sim_net_run(net, 1000);
    assert_int_equal(b.messages, 1);
    assert_string_equal(b.down_reason, "closed by the peer");
}

/* Power fails at B; A does not know. B comes back and dials. */
static void restart_b_and_dial(uint8_t secret_a, uint8_t secret_b)
{
    sim_mesh_init(&a, node_a, secret_a, NULL);
    sim_mesh_init(&b, node_b, secret_b, NULL);
    connect_a_to_b();
    sim_net_run(net, 10000);
    sim_node_forget(node_b);
    sim_mesh_restart(&b, NULL);
    b.ups = 0;
    b.downs = 0;
    b.updated = 0;
    struct sim_dial dial;
    sim_mesh_dial(&b, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 30000);
    assert_true(dial.done && dial.result == 0);
    assert_int_equal(a.ups, 1);
    assert_int_equal(a.downs, 0); /* nothing was lost and found: the link was replaced */
    assert_int_equal(a.replaced, 1);
    assert_int_equal(b.ups, 1);
    assert_int_equal(b.downs, 0);
    assert_true(b.updated > 0); /* identify came again */
    assert_int_equal(sim_node_links(node_a), 1);
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, 10, 1), 0);
    sim_net_run(net, 1000);
    assert_int_equal(b.messages, 1);
}

static void a_peer_that_restarted_silently_takes_over_its_link(void **state)
{
    (void)state;
    restart_b_and_dial(1, 2);
}

static void it_does_so_whichever_id_is_smaller(void **state)
{
    (void)state;
    restart_b_and_dial(2, 1);
}

static void a_change_of_addresses_is_told_to_peers(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    unsigned before = b.updated;
    sim_node_enter(node_a);
    mesh_network_changed(a.mesh); /* routes changed, addresses did not */
    sim_net_run(net, 100);
    assert_int_equal(sim_mesh_metric(&b, "peer_messages_in"), 1);
    sim_node_add_address(node_a, "192.168.7.7");
    sim_node_enter(node_a);
    mesh_network_changed(a.mesh);
    sim_net_run(net, 100);
    assert_int_equal(b.updated, before + 1);
    const struct endpoint *addresses = NULL;
    assert_int_equal(peer_addresses(a_at_b(), &addresses), 2);
    assert_string_equal(endpoint_format(&addresses[1]).text, "192.168.7.7:4000");
}

static void a_peer_keeps_32_addresses_at_most(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    for (int round = 0; round < 2; round++) {
        sim_node_drop_addresses(node_a);
        for (int i = 0; i < 40; i++) {
            char address[32];
            (void)snprintf(address, sizeof address, "10.%d.0.%d", round + 1, i + 1);
            sim_node_add_address(node_a, address);
        }
        sim_node_enter(node_a);
        mesh_network_changed(a.mesh);
        sim_net_run(net, 100);
    }
    const struct endpoint *addresses = NULL;
    assert_int_equal(peer_addresses(a_at_b(), &addresses), MESH_MAX_ADDRESSES);
}

static void a_busy_port_moves_the_listener_up(void **state)
{
    (void)state;
    static const char *const again[] = {"port_attempts", "2", NULL};
    static const char *const any[] = {"port", "0", NULL};
    struct sim_mesh c;
    sim_mesh_init(&a, node_a, 1, NULL);
    sim_mesh_init(&b, node_a, 2, again);
    sim_mesh_init(&c, node_a, 3, any);
    assert_int_equal(mesh_port(a.mesh), 4000);
    assert_int_equal(mesh_port(b.mesh), 4001);
    assert_true(mesh_port(c.mesh) >= 40000);
    char error[320];
    mesh_stop(c.mesh);
    assert_int_equal(config_set(c.config, "network", "port", "4000", error, sizeof error), 0);
    assert_int_equal(config_set(c.config, "network", "port_attempts", "2", error, sizeof error), 0);
    struct mesh *third = NULL;
    assert_int_equal(
        mesh_new(sim_node_loop(node_a), c.resolver, c.metrics, &c.identity, c.config, &third), 0);
    assert_int_equal(mesh_start(third, error, sizeof error), -EADDRINUSE);
    assert_non_null(strstr(error, "ports 4000 to 4001 are in use"));
    assert_int_equal(mesh_port(third), 0);
    mesh_free(third);
    assert_int_equal(config_set(c.config, "network", "listen", "here", error, sizeof error), 0);
    assert_int_equal(
        mesh_new(sim_node_loop(node_a), c.resolver, c.metrics, &c.identity, c.config, &third), 0);
    assert_int_equal(mesh_start(third, error, sizeof error), -EINVAL);
    mesh_free(third);
    sim_mesh_fini(&c);
}

static void stopping_tells_observers_and_dialers(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    struct sim_dial dial;
    sim_mesh_dial(&a, &dial, "10.0.0.1", 4001, NULL);
    mesh_stop(a.mesh);
    assert_int_equal(a.downs, 1);
    assert_string_equal(a.down_reason, "shutting down");
    sim_net_run(net, 100);
    assert_true(dial.done);
    assert_int_equal(dial.result, -ESHUTDOWN);
    sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
    sim_net_run(net, 100);
    assert_int_equal(dial.result, -ESHUTDOWN);
    assert_int_equal(sim_node_links(node_a), 0);
}

static void a_thousand_connections_come_and_go_without_a_trace(void **state)
{
    (void)state;
    sim_mesh_init(&a, node_a, 1, plaintext);
    sim_mesh_init(&b, node_b, 2, plaintext);
    for (unsigned i = 1; i <= 1000; i++) {
        struct sim_dial dial;
        sim_mesh_dial(&a, &dial, "10.0.0.2", 4000, NULL);
        sim_net_run(net, 100);
        assert_true(dial.done && dial.result == 0 && !dial.already);
        assert_int_equal(mesh_disconnect(i % 2 == 0 ? a.mesh : b.mesh,
                                         i % 2 == 0 ? &b.identity.id : &a.identity.id),
                         0);
        sim_net_run(net, 100);
        assert_int_equal(a.downs, i);
        assert_int_equal(b.downs, i);
    }
    assert_int_equal(sim_node_links(node_a) + sim_node_links(node_b), 0);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(two_nodes_meet_and_learn_each_others_addresses),
        STORY(a_dial_only_node_tells_no_addresses),
        STORY(a_name_with_several_addresses_is_tried_until_one_answers),
        STORY(failures_are_told_in_a_sentence),
        STORY(a_silent_host_ends_the_dial_after_15_s),
        STORY(a_cancelled_dial_is_silent),
        STORY(programs_that_dial_the_same_address_share_one_connection),
        STORY(a_connection_to_ourselves_ends_without_events),
        STORY(another_peer_than_expected_is_dropped_without_events),
        STORY(a_plaintext_node_and_a_noise_node_do_not_connect),
        STORY(another_protocol_does_not_connect),
        STORY(plaintext_nodes_talk),
        STORY(half_open_connections_end_after_15_s),
        STORY(bad_handshake_blocks_end_the_connection_at_once),
        STORY(half_open_connections_are_capped_by_source_and_overall),
        STORY(a_full_node_keeps_places_for_peers_it_knows),
        STORY(a_demand_raises_the_limit_up_to_the_hard_one),
        STORY(messages_arrive_whole_however_they_are_cut),
        STORY(types_nobody_claims_are_dropped_and_the_link_stays),
        STORY(the_largest_message_arrives),
        STORY(holding_slows_the_sender_and_loses_nothing),
        STORY(a_hold_inside_a_message_stops_before_the_next),
        STORY(a_peer_may_be_disconnected_inside_its_message),
        STORY(a_peer_may_be_disconnected_inside_its_first_event),
        STORY(a_peer_that_takes_nothing_for_30_s_is_dropped),
        STORY(a_slow_peer_is_not_a_dead_one),
        STORY(idle_peers_run_no_timers),
        STORY(a_broken_link_is_reported_on_both_ends),
        STORY(messages_sent_before_the_end_arrive),
        STORY(a_peer_that_restarted_silently_takes_over_its_link),
        STORY(it_does_so_whichever_id_is_smaller),
        STORY(a_change_of_addresses_is_told_to_peers),
        STORY(a_peer_keeps_32_addresses_at_most),
        STORY(a_busy_port_moves_the_listener_up),
        STORY(stopping_tells_observers_and_dialers),
        STORY(a_thousand_connections_come_and_go_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
