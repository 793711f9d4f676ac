/* Stories of the mesh: messages, back-pressure, ends and changes (wire-core 5 to 7, 9, 15, 17). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pair.h"
#include "peer/conn.h"
#include "wire/identify.h"

static const char *const plaintext[] = {"security", "plaintext", NULL};

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

static void a_peer_that_takes_a_little_every_29_s_is_dropped(void **state)
{
    (void)state;
    sim_net_set_window(net, 1000);
    start_both();
    connect_a_to_b();
    mesh_hold(b.mesh, &a.identity.id);
    while (sim_mesh_send(&a, &b.identity.id, 100000, 1) == 0) {
    }
    for (int i = 0; i < 4 && a.downs == 0; i++) {
        sim_net_run(net, 29000);
        mesh_release(b.mesh, &a.identity.id);
        sim_net_run(net, 21); /* a window, or two */
        mesh_hold(b.mesh, &a.identity.id);
    }
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

/* The other end as programs know it is another each time, and none of that may be dropped. */
static void who_makes_news_all_the_time_is_read_more_slowly_and_loses_nothing(void **state)
{
    (void)state;
    start_both();
    connect_a_to_b();
    const unsigned before = b.updated;
    const unsigned count = 1000;
    for (unsigned i = 0; i < count; i++) {
        uint8_t said[IDENTIFY_MAX_SIZE];
        const struct identify identify = {.transports = i % 2 == 0 ? 3 : 1};
        size_t size = identify_encode(&identify, said);
        assert_int_equal(mesh_send(a.mesh, &b.identity.id, WIRE_CONTROL, 0, bytes_make(said, size)),
                         0);
    }
    assert_int_equal(sim_mesh_send(&a, &b.identity.id, 10, 1), 0);
    sim_net_run(net, 1000);
    assert_in_range(b.updated - before, 200, 400);
    assert_int_equal(b.messages, 0);
    sim_net_run(net, 30000);
    assert_int_equal(b.updated - before, count);
    assert_int_equal(b.messages, 1);
    assert_int_equal(b.downs, 0);
    assert_true(peer_throttled(a_at_b()) > 0);
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

#define STORY(name) cmocka_unit_test_setup_teardown(name, pair_begin, pair_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORY(messages_arrive_whole_however_they_are_cut),
        STORY(types_nobody_claims_are_dropped_and_the_link_stays),
        STORY(the_largest_message_arrives),
        STORY(holding_slows_the_sender_and_loses_nothing),
        STORY(a_hold_inside_a_message_stops_before_the_next),
        STORY(a_peer_may_be_disconnected_inside_its_message),
        STORY(a_peer_may_be_disconnected_inside_its_first_event),
        STORY(a_peer_that_takes_nothing_for_30_s_is_dropped),
        STORY(a_peer_that_takes_a_little_every_29_s_is_dropped),
        STORY(a_slow_peer_is_not_a_dead_one),
        STORY(idle_peers_run_no_timers),
        STORY(a_broken_link_is_reported_on_both_ends),
        STORY(messages_sent_before_the_end_arrive),
        STORY(a_peer_that_restarted_silently_takes_over_its_link),
        STORY(it_does_so_whichever_id_is_smaller),
        STORY(a_change_of_addresses_is_told_to_peers),
        STORY(who_makes_news_all_the_time_is_read_more_slowly_and_loses_nothing),
        STORY(a_peer_keeps_32_addresses_at_most),
        STORY(a_busy_port_moves_the_listener_up),
        STORY(stopping_tells_observers_and_dialers),
        STORY(a_thousand_connections_come_and_go_without_a_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
