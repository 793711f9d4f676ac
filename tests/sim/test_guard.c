/* Stories of bans and limits: who is kept out, who is slowed down, and what outlives the daemon. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/guard.h"
#include "service_node.h"

#define SEED 4711

static const struct service *const only_guard[] = {&guard_service, NULL};

static char directory[64];
static struct sim_net *net;
static struct sim_node *node_a;
static struct sim_node *node_b;
static struct service_node a; /* at 20.0.1.1, with the service */
static struct sim_mesh b;     /* at 20.0.2.1 */

static void remove_files(void)
{
    static const char *const names[] = {"guard.db", "guard.db-wal", "guard.db-shm"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        (void)unlink(path);
    }
}

static void start_a(const char *const *mesh_options, const char *const *options)
{
    service_node_init(&a, node_a, 1, directory, only_guard, mesh_options, options);
}

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    (void)snprintf(directory, sizeof directory, "/tmp/test-guard-XXXXXX");
    assert_non_null(mkdtemp(directory));
    net = sim_net_new(SEED);
    node_a = sim_node_new(net, "20.0.1.1");
    node_b = sim_node_new(net, "20.0.2.1");
    sim_mesh_init(&b, node_b, 2, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    service_node_fini(&a);
    sim_mesh_fini(&b);
    sim_net_free(net);
    remove_files();
    return rmdir(directory);
}

/* The daemon ends and starts again: what it kept is all it knows. */
static void restart_a(const char *const *options)
{
    service_node_fini(&a);
    sim_net_run(net, 1000); /* b notices */
    start_a(NULL, options);
}

static int dial(struct sim_mesh *from, const char *to, const struct peer_id *expected)
{
    struct sim_dial dial;
    sim_mesh_dial(from, &dial, to, 4000, expected);
    sim_net_run(net, 31000);
    assert_true(dial.done);
    return dial.result;
}

static int dial_from_b(void)
{
    return dial(&b, "20.0.1.1", NULL);
}

/* The error; PROTO_ERROR_COUNT for success. The whole result is its first number or truth. */
static enum proto_error call(enum method_id method, json_t *params, const char *member,
                             json_int_t *ret_value)
{
    struct service_call call;
    service_node_call(&a, method, params, &call);
    sim_net_run(net, 10);
    assert_true(call.done);
    const json_t *value = json_object_get(call.result, member == NULL ? "" : member);
    if (ret_value != NULL) {
        *ret_value = json_is_true(value) ? 1 : json_integer_value(value);
    }
    service_call_fini(&call);
    return call.error;
}

static enum proto_error ban(const char *subject, int seconds)
{
    return call(M_BAN_ADD,
                json_pack("{s:s, s:i, s:s}", "subject", subject, "seconds", seconds, "reason", "x"),
                NULL, NULL);
}

static enum proto_error unban(const char *subject, json_int_t *ret_removed)
{
    return call(M_BAN_REMOVE, json_pack("{s:s}", "subject", subject), "removed", ret_removed);
}

static size_t count_of(enum method_id method, const char *member)
{
    struct service_call call;
    service_node_call(&a, method, json_object(), &call);
    size_t count = json_array_size(json_object_get(call.result, member));
    service_call_fini(&call);
    return count;
}

static struct peer_id_text id_of_b(void)
{
    return peer_id_format(&b.identity.id);
}

static enum proto_error limit_b(json_int_t messages, json_int_t bytes)
{
    return call(M_LIMIT_SET,
                json_pack("{s:s, s:I, s:I}", "peer", id_of_b().text, "messages_per_second",
                          messages, "bytes_per_second", bytes),
                NULL, NULL);
}

static struct peer *b_at_a(void)
{
    return mesh_find(a.mesh.mesh, &b.identity.id);
}

/* ---- bans ---- */

static void a_banned_peer_is_disconnected_and_stays_out(void **state)
{
    (void)state;
    json_int_t disconnected = 0;
    start_a(NULL, NULL);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(call(M_BAN_ADD, json_pack("{s:s}", "subject", id_of_b().text), "disconnected",
                          &disconnected),
                     PROTO_ERROR_COUNT);
    assert_int_equal(disconnected, 1);
    assert_string_equal(a.mesh.down_reason, "banned");
    (void)dial_from_b();
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 0);
    assert_int_equal(dial(&a.mesh, "20.0.2.1", NULL), -EACCES);
    assert_int_equal(dial(&a.mesh, "20.0.2.1", &b.identity.id), -EACCES);
    assert_int_equal(unban(id_of_b().text, NULL), PROTO_ERROR_COUNT);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
}

static void a_banned_network_is_refused_before_the_handshake(void **state)
{
    (void)state;
    start_a(NULL, NULL);
    assert_int_equal(dial_from_b(), 0);
    uint64_t accepted = sim_mesh_metric(&a.mesh, "peer_accepted");
    assert_int_equal(ban("20.0.2.0/24", 0), PROTO_ERROR_COUNT);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 0);
    assert_int_not_equal(dial_from_b(), 0);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_accepted"), accepted);
    assert_int_equal(dial(&a.mesh, "20.0.2.1", NULL), -EACCES);
    assert_in_range(sim_mesh_metric(&a.mesh, "peer_banned"), 2, 3);
}

static void who_has_not_said_who_it_is_is_ended_too(void **state)
{
    (void)state;
    start_a(NULL, NULL);
    struct sim_raw *raw = sim_raw_dial(node_b, "20.0.1.1", 4000);
    sim_net_run(net, 1000);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_pending"), 1);
    assert_int_equal(ban("20.0.2.1", 0), PROTO_ERROR_COUNT);
    sim_net_run(net, 1000);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_pending"), 0);
    assert_true(sim_raw_is_closed(raw));
    sim_raw_close(raw);
}

static void a_ban_ends_by_itself(void **state)
{
    (void)state;
    start_a(NULL, NULL);
    assert_int_equal(ban(id_of_b().text, 60), PROTO_ERROR_COUNT);
    assert_int_equal(ban("20.0.0.0/8", 60), PROTO_ERROR_COUNT);
    assert_int_equal(count_of(M_BAN_LIST, "bans"), 2);
    assert_int_not_equal(dial_from_b(), 0);
    sim_net_run(net, 30000);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(count_of(M_BAN_LIST, "bans"), 0);
}

static void bans_outlive_the_daemon_and_keep_their_end(void **state)
{
    (void)state;
    json_int_t removed = 0;
    start_a(NULL, NULL);
    assert_int_equal(ban(id_of_b().text, 100), PROTO_ERROR_COUNT);
    assert_int_equal(ban("10.0.0.0/8", 0), PROTO_ERROR_COUNT);
    assert_int_equal(ban("10.9.0.0/16", 10), PROTO_ERROR_COUNT);
    assert_int_equal(ban("11.0.0.0/8", 0), PROTO_ERROR_COUNT);
    assert_int_equal(unban("11.0.0.0/8", &removed), PROTO_ERROR_COUNT);
    assert_int_equal(removed, 1);
    sim_net_run(net, 20000);
    restart_a(NULL);
    assert_int_equal(count_of(M_BAN_LIST, "bans"), 2);
    (void)dial_from_b();
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 0);
    sim_net_run(net, 60000);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    restart_a(NULL);
    assert_int_equal(count_of(M_BAN_LIST, "bans"), 1);
}

static void what_cannot_be_banned_is_refused(void **state)
{
    (void)state;
    json_int_t removed = 1;
    start_a(NULL, NULL);
    assert_int_equal(ban("nonsense", 0), E_INVALID_PARAMETER);
    assert_int_equal(ban("10.0.0.0/33", 0), E_INVALID_PARAMETER);
    assert_int_equal(ban(peer_id_format(service_node_id(&a)).text, 0), E_INVALID_PARAMETER);
    assert_int_equal(unban("nonsense", NULL), E_INVALID_PARAMETER);
    assert_int_equal(unban("10.0.0.0/8", &removed), PROTO_ERROR_COUNT);
    assert_int_equal(removed, 0);
}

static void there_are_at_most_so_many_bans(void **state)
{
    (void)state;
    static const char *const three[] = {"guard", "max_bans", "3", NULL};
    start_a(NULL, three);
    assert_int_equal(ban("10.0.0.1", 5), PROTO_ERROR_COUNT);
    assert_int_equal(ban("10.0.0.2", 0), PROTO_ERROR_COUNT);
    assert_int_equal(ban("10.0.0.3", 0), PROTO_ERROR_COUNT);
    assert_int_equal(ban("10.0.0.4", 0), E_LIMIT);
    assert_int_equal(ban("10.0.0.3", 60), PROTO_ERROR_COUNT); /* replaces its own */
    sim_net_run(net, 5000);
    assert_int_equal(ban("10.0.0.4", 0), PROTO_ERROR_COUNT); /* the first has ended */
    service_node_reload(&a, "guard", "max_bans", "4");
    assert_int_equal(ban("10.0.0.5", 0), PROTO_ERROR_COUNT);
}

static void a_change_that_cannot_be_kept_is_told(void **state)
{
    (void)state;
    struct service_call waiting;
    start_a(NULL, NULL);
    service_node_call(&a, M_BAN_ADD, json_pack("{s:s}", "subject", "10.0.0.1"), &waiting);
    assert_false(waiting.done); /* in force, but not on disk yet */
    service_node_stop(&a);
    assert_true(waiting.done);
    assert_int_equal(waiting.error, E_NOT_RUNNING);
}

static void a_client_that_gives_up_leaves_its_ban(void **state)
{
    (void)state;
    struct service_call waiting;
    start_a(NULL, NULL);
    service_node_call(&a, M_BAN_ADD, json_pack("{s:s}", "subject", "10.0.0.1"), &waiting);
    service_call_cancel(&waiting);
    sim_net_run(net, 10);
    restart_a(NULL);
    assert_int_equal(count_of(M_BAN_LIST, "bans"), 1);
}

/* ---- limits ---- */

static void send_from_b(unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        assert_in_range(sim_mesh_send(&b, service_node_id(&a), size, 1), 0, 1);
    }
}

static void messages_above_the_limit_come_later_and_all_of_them(void **state)
{
    (void)state;
    static const char *const ten[] = {"peer_messages_per_second", "10", NULL};
    start_a(ten, NULL);
    assert_int_equal(dial_from_b(), 0);
    send_from_b(200, 10);
    sim_net_run(net, 1000);
    assert_in_range(a.mesh.messages, 10, 21);
    sim_net_run(net, 9000);
    assert_in_range(a.mesh.messages, 95, 112);
    sim_net_run(net, 11000);
    assert_int_equal(a.mesh.messages, 200);
    assert_true(peer_throttled(b_at_a()) > 10);
    assert_false(peer_is_held(b_at_a()) && a.mesh.messages < 200);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_throttled"), peer_throttled(b_at_a()));
}

static void bytes_above_the_limit_slow_the_sender(void **state)
{
    (void)state;
    static const char *const slow[] = {"peer_bytes_per_second", "100K", NULL};
    start_a(slow, NULL);
    assert_int_equal(dial_from_b(), 0);
    send_from_b(40, 50000); /* two million bytes */
    sim_net_run(net, 10000);
    assert_in_range(a.mesh.bytes, 800000, 1500000);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    sim_net_run(net, 15000);
    assert_int_equal(a.mesh.bytes, 2000000);
}

static void one_message_larger_than_a_seconds_worth_arrives(void **state)
{
    (void)state;
    static const char *const slow[] = {"peer_bytes_per_second", "100K", NULL};
    start_a(slow, NULL);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(sim_mesh_send(&b, service_node_id(&a), 5000000, 7), 1);
    sim_net_run(net, 40000);
    assert_int_equal(a.mesh.messages, 0);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    sim_net_run(net, 15000);
    assert_int_equal(a.mesh.bytes, 5000000);
}

static void one_peers_limit_is_its_own_and_outlives_the_daemon(void **state)
{
    (void)state;
    json_int_t cleared = 0;
    start_a(NULL, NULL);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(limit_b(10, 0), PROTO_ERROR_COUNT);
    assert_int_equal(a.events, 1);
    send_from_b(100, 10);
    sim_net_run(net, 1000);
    assert_in_range(a.mesh.messages, 10, 22);
    restart_a(NULL);
    assert_int_equal(count_of(M_LIMIT_LIST, "limits"), 1);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(peer_get_limit(b_at_a()).messages_per_s, 10);
    assert_int_equal(
        call(M_LIMIT_CLEAR, json_pack("{s:s}", "peer", id_of_b().text), "cleared", &cleared),
        PROTO_ERROR_COUNT);
    assert_int_equal(cleared, 1);
    assert_int_equal(peer_get_limit(b_at_a()).messages_per_s, 0);
    send_from_b(100, 10);
    sim_net_run(net, 1000);
    assert_int_equal(a.mesh.messages, 100);
    restart_a(NULL);
    assert_int_equal(count_of(M_LIMIT_LIST, "limits"), 0);
}

/* b may send one message in a second, and has sent a hundred. */
static void slow_b_down(void)
{
    start_a(NULL, NULL);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(limit_b(1, 0), PROTO_ERROR_COUNT);
    send_from_b(100, 10);
    sim_net_run(net, 1000);
}

static void lifting_a_limit_lets_the_rest_through_at_once(void **state)
{
    (void)state;
    slow_b_down();
    assert_in_range(a.mesh.messages, 1, 4);
    assert_int_equal(limit_b(0, 0), PROTO_ERROR_COUNT);
    sim_net_run(net, 100);
    assert_int_equal(a.mesh.messages, 100);
}

static void a_reload_changes_the_limit_of_all_others(void **state)
{
    (void)state;
    char error[256];
    start_a(NULL, NULL);
    assert_int_equal(dial_from_b(), 0);
    assert_int_equal(
        config_set(a.mesh.config, "network", "peer_messages_per_second", "5", error, sizeof error),
        0);
    mesh_reload(a.mesh.mesh, a.mesh.config);
    assert_int_equal(peer_get_limit(b_at_a()).messages_per_s, 5);
    assert_int_equal(limit_b(7, 0), PROTO_ERROR_COUNT);
    assert_int_equal(
        config_set(a.mesh.config, "network", "peer_messages_per_second", "6", error, sizeof error),
        0);
    mesh_reload(a.mesh.mesh, a.mesh.config);
    assert_int_equal(peer_get_limit(b_at_a()).messages_per_s, 7);
}

static void limits_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const one[] = {"guard", "max_limits", "1", NULL};
    json_int_t cleared = 1;
    start_a(NULL, one);
    assert_int_equal(limit_b(0, PEER_LIMIT_MIN_BYTES - 1), E_INVALID_PARAMETER);
    assert_int_equal(
        call(M_LIMIT_CLEAR, json_pack("{s:s}", "peer", id_of_b().text), "cleared", &cleared),
        PROTO_ERROR_COUNT);
    assert_int_equal(cleared, 0);
    assert_int_equal(limit_b(5, 0), PROTO_ERROR_COUNT);
    assert_int_equal(limit_b(6, 0), PROTO_ERROR_COUNT);
    assert_int_equal(
        call(M_LIMIT_SET,
             json_pack("{s:s, s:i, s:i}", "peer", peer_id_format(service_node_id(&a)).text,
                       "messages_per_second", 1, "bytes_per_second", 0),
             NULL, NULL),
        E_LIMIT);
}

static void a_slowed_peer_that_goes_leaves_nothing_behind(void **state)
{
    (void)state;
    slow_b_down();
    assert_true(peer_is_held(b_at_a()));
    assert_int_equal(mesh_disconnect(a.mesh.mesh, &b.identity.id), 0);
    sim_net_run(net, 5000);
    assert_int_equal(dial_from_b(), 0);
    assert_non_null(b_at_a());
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_banned_peer_is_disconnected_and_stays_out),
        CASE(a_banned_network_is_refused_before_the_handshake),
        CASE(who_has_not_said_who_it_is_is_ended_too),
        CASE(a_ban_ends_by_itself),
        CASE(bans_outlive_the_daemon_and_keep_their_end),
        CASE(what_cannot_be_banned_is_refused),
        CASE(there_are_at_most_so_many_bans),
        CASE(a_change_that_cannot_be_kept_is_told),
        CASE(a_client_that_gives_up_leaves_its_ban),
        CASE(messages_above_the_limit_come_later_and_all_of_them),
        CASE(bytes_above_the_limit_slow_the_sender),
        CASE(one_message_larger_than_a_seconds_worth_arrives),
        CASE(one_peers_limit_is_its_own_and_outlives_the_daemon),
        CASE(lifting_a_limit_lets_the_rest_through_at_once),
        CASE(a_reload_changes_the_limit_of_all_others),
        CASE(limits_that_make_no_sense_are_refused),
        CASE(a_slowed_peer_that_goes_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
