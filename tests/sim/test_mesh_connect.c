/* Stories of the mesh: who connects to whom, and who does not (wire-core 3, 4, 6 to 8, 17). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pair.h"
#include "peer/conn.h"
#include "wire/block.h"

static const char *const plaintext[] = {"security", "plaintext", NULL};

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
        /* The fourth of one source is refused. After five, who has fewer displaces who has more. */
        assert_int_equal(sim_raw_is_closed(raws[i]), i == 3 || i == 7);
        assert_int_equal(sim_raw_is_closed(raws[0]), i > 5);
    }
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 5);
    assert_int_equal(sim_mesh_metric(&a, "peer_refused"), 2);
    /* The places are taken, but not from somebody who can say who it is. */
    sim_net_run(net, 2000);
    sim_mesh_init(&b, node_b, 2, NULL);
    struct sim_dial dial;
    sim_mesh_dial(&b, &dial, "10.0.0.1", 4000, NULL);
    sim_net_run(net, 1000);
    assert_true(dial.done && dial.result == 0);
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 4);
    sim_net_run(net, 16000);
    assert_int_equal(sim_mesh_metric(&a, "peer_pending"), 0);
    for (int i = 0; i < 8; i++) {
        sim_raw_close(raws[i]);
    }
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

static void a_limit_that_is_set_takes_the_place_of_the_configured_one(void **state)
{
    (void)state;
    static const char *const options[] = {"max_peers", "10", "max_peers_hard", "20", NULL};
    sim_mesh_init(&a, node_a, 1, options);
    assert_int_equal(mesh_limit_peers(a.mesh, 5), 5);
    assert_int_equal(mesh_limit_peers(a.mesh, 15), 15);
    assert_int_equal(mesh_limit_peers(a.mesh, 50), 20);
    assert_int_equal(mesh_limit_peers(a.mesh, 0), 10);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, pair_begin, pair_end)

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
        STORY(a_limit_that_is_set_takes_the_place_of_the_configured_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
