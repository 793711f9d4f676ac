/* Stories of peer exchange: whom a hub names, whom the named are dialed by, and liars
 * (wire-services 5, reliability V25). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "service/pex.h"
#include "service_node.h"
#include "wire/pex_frame.h"

#define SEED  4711
#define CROWD 40

static const struct service *const only_pex[] = {&pex_service, NULL};
static const char *const off[] = {"pex", "enabled", "no", NULL};

static struct sim_net *net;
static struct service_node hub;
static struct service_node a;
static struct service_node b;
static struct sim_mesh bare; /* a peer whose words the test chooses */
static struct service_node *started[3];
static size_t started_count;
static bool has_bare;
static unsigned requests_heard;
static unsigned responses_heard;
static struct pex_frame last_response;

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    net = sim_net_new(SEED);
    requests_heard = 0;
    responses_heard = 0;
    memset(&last_response, 0, sizeof last_response);
    return 0;
}

static void leave(void)
{
    if (has_bare) {
        sim_mesh_fini(&bare);
    }
    has_bare = false;
    while (started_count > 0) {
        service_node_fini(started[--started_count]);
    }
    sim_net_free(net);
    net = NULL;
}

static int end(void **state)
{
    (void)state;
    leave();
    return 0;
}

static void start(struct service_node *self, const char *address, uint8_t seed,
                  const char *const *options)
{
    started[started_count++] = self;
    service_node_init(self, sim_node_new(net, address), seed, NULL, only_pex, NULL, options);
}

static void hear(void *arg, struct peer *from, const struct message *message)
{
    (void)arg;
    (void)from;
    struct pex_frame frame;
    assert_int_equal(pex_frame_decode(message->payload, &frame), 0);
    requests_heard += frame.op == PEX_REQUEST;
    if (frame.op == PEX_RESPONSE) {
        responses_heard++;
        last_response = frame;
    }
}

static void start_bare(const char *address)
{
    sim_mesh_init_bare(&bare, sim_node_new(net, address), 99, WIRE_PEX, hear);
    has_bare = true;
}

/* One daemon, and one who dials it. */
static void meet(const char *const *options)
{
    start(&a, "20.0.1.1", 2, options);
    start_bare("20.0.2.1");
    sim_mesh_connect(&bare, "20.0.1.1");
}

/* A hub that two have dialed: a daemon, and one whose words the test chooses. */
static void meet_at_a_hub(const char *const *options)
{
    start(&hub, "20.0.0.1", 1, options);
    start(&a, "20.0.1.1", 2, NULL);
    start_bare("20.0.2.1");
    sim_mesh_connect(&a.mesh, "20.0.0.1");
    sim_mesh_connect(&bare, "20.0.0.1");
}

static bool knows(const struct service_node *self, const struct peer_id *id)
{
    return mesh_find(self->mesh.mesh, id) != NULL;
}

static void say(const struct service_node *to, const struct pex_frame *frame)
{
    uint8_t encoded[PEX_MAX_SIZE];
    size_t size = pex_frame_encode(frame, encoded);
    assert_int_equal(
        mesh_send(bare.mesh, service_node_id(to), WIRE_PEX, 0, bytes_make(encoded, size)), 0);
    sim_net_run(net, 100);
}

static void ask(const struct service_node *whom, uint16_t max)
{
    say(whom, &(struct pex_frame){.op = PEX_REQUEST, .max = max});
}

static void add(struct pex_frame *frame, const char *ip, uint16_t port, uint8_t id)
{
    struct pex_entry *entry = &frame->entries[frame->entry_count++];
    assert_int_equal(endpoint_parse_ip(ip, port, &entry->address), 0);
    memset(entry->id.bytes, id, sizeof entry->id.bytes);
}

/* ---- how it is meant ---- */

static void peers_of_a_hub_find_each_other(void **state)
{
    (void)state;
    start(&hub, "20.0.0.1", 1, NULL);
    start(&a, "20.0.1.1", 2, NULL);
    start(&b, "20.0.2.1", 3, NULL);
    sim_mesh_connect(&a.mesh, "20.0.0.1");
    sim_mesh_connect(&b.mesh, "20.0.0.1");
    assert_true(knows(&a, service_node_id(&b)));
    assert_true(knows(&b, service_node_id(&a)));
    assert_int_equal(service_node_metric(&b, "pex_connected"), 1);
}

static void switched_off_nobody_asks_answers_or_dials(void **state)
{
    (void)state;
    struct pex_frame lie = {.op = PEX_RESPONSE};
    meet_at_a_hub(off);
    ask(&hub, 32);
    add(&lie, "20.0.9.1", 4000, 7);
    say(&hub, &lie);
    assert_int_equal(requests_heard + responses_heard, 0);
    assert_int_equal(service_node_metric(&hub, "pex_asked"), 0);
    assert_int_equal(sim_mesh_metric(&hub.mesh, "peer_dials"), 0);
    struct service_call call;
    service_node_call(&hub, M_PEX_REQUEST,
                      json_pack("{s:s}", "peer", peer_id_format(service_node_id(&a)).text), &call);
    assert_int_equal(call.error, E_NOT_SUPPORTED);
    service_node_reload(&hub, "pex", "enabled", "yes");
    ask(&hub, 32);
    assert_int_equal(responses_heard, 1);
}

static void a_call_asks_a_peer_again(void **state)
{
    (void)state;
    struct service_call call;
    start(&a, "20.0.1.1", 2, NULL);
    start_bare("20.0.2.1");
    json_t *params = json_pack("{s:s}", "peer", peer_id_format(&bare.identity.id).text);
    service_node_call(&a, M_PEX_REQUEST, json_incref(params), &call);
    assert_int_equal(call.error, E_PEER_NOT_FOUND);
    sim_mesh_connect(&a.mesh, "20.0.2.1");
    assert_int_equal(requests_heard, 1);
    service_node_call(&a, M_PEX_REQUEST, json_incref(params), &call);
    assert_int_equal(call.error, PROTO_ERROR_COUNT);
    service_call_fini(&call);
    json_decref(params);
    sim_net_run(net, 1000);
    assert_int_equal(requests_heard, 2);
}

static void the_answer_leaves_out_the_asker_and_keeps_to_the_number_asked(void **state)
{
    (void)state;
    static struct sim_mesh crowd[CROWD];
    char address[32];
    bool named[256] = {false};
    unsigned count = 0;
    start(&hub, "20.0.0.1", 1, NULL);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)snprintf(address, sizeof address, "20.0.%u.1", i + 1);
        sim_mesh_init(&crowd[i], sim_node_new(net, address), (uint8_t)(10 + i), NULL);
        sim_mesh_connect(&crowd[i], "20.0.0.1");
    }
    start_bare("20.0.200.1");
    sim_mesh_connect(&bare, "20.0.0.1");
    ask(&hub, 65535);
    assert_int_equal(last_response.entry_count, PEX_MAX_ENTRIES);
    for (size_t i = 0; i < last_response.entry_count; i++) {
        const struct pex_entry *entry = &last_response.entries[i];
        assert_false(peer_id_equal(&entry->id, &bare.identity.id));
        assert_int_equal(entry->address.port, 4000);
        assert_false(named[entry->address.ip[2]]); /* each once */
        named[entry->address.ip[2]] = true;
        count++;
    }
    assert_int_equal(count, PEX_MAX_ENTRIES);
    ask(&hub, 5);
    assert_int_equal(last_response.entry_count, 5);
    ask(&hub, 0);
    assert_int_equal(responses_heard, 2); /* nothing to say, nothing said */
    for (unsigned i = 0; i < CROWD; i++) {
        sim_mesh_fini(&crowd[i]);
    }
}

/* ---- what is told to whom ---- */

/* How many peers the hub names to one at that address, knowing one other at another. Loopback is
 * for the tests with real daemons: here everybody only reaches itself by it. */
static unsigned told(const char *asker, const char *subject)
{
    unsigned count = 0;
    net = sim_net_new(SEED);
    responses_heard = 0;
    last_response.entry_count = 0;
    struct sim_mesh other;
    start(&hub, "20.0.0.1", 1, NULL);
    sim_mesh_init(&other, sim_node_new(net, subject), 50, NULL);
    sim_mesh_connect(&other, "20.0.0.1");
    start_bare(asker);
    sim_mesh_connect(&bare, "20.0.0.1");
    ask(&hub, 32);
    count = (unsigned)last_response.entry_count;
    sim_mesh_fini(&other);
    leave();
    return count;
}

static void addresses_are_told_only_where_they_mean_something(void **state)
{
    (void)state;
    sim_net_free(net);
    static const struct {
        const char *asker;
        const char *subject;
        unsigned named;
    } cases[] = {
        {"20.0.9.1", "20.0.8.1", 1},     {"10.0.0.9", "20.0.8.1", 1},
        {"20.0.9.1", "10.0.0.8", 0},     {"10.0.0.9", "10.0.0.8", 1},
        {"192.168.0.9", "10.0.0.8", 0},  {"172.16.0.9", "172.16.0.8", 1},
        {"100.64.0.9", "100.64.0.8", 1}, {"10.0.0.9", "100.64.0.8", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("# %s asks for %s\n", cases[i].asker, cases[i].subject);
        assert_int_equal(told(cases[i].asker, cases[i].subject), cases[i].named);
    }
    net = sim_net_new(SEED);
}

/* ---- liars ---- */

static void nothing_is_dialed_that_is_nowhere_or_ourselves(void **state)
{
    (void)state;
    struct pex_frame lie = {.op = PEX_RESPONSE};
    meet(NULL);
    add(&lie, "0.0.0.0", 4000, 7);
    add(&lie, "20.0.9.1", 0, 7);
    add(&lie, "224.0.0.251", 5353, 7);
    add(&lie, "255.255.255.255", 4000, 7);
    add(&lie, "ff02::1", 4000, 7);
    add(&lie, "fe80::1", 4000, 7);
    add(&lie, "127.0.0.1", 4000, 7);
    add(&lie, "127.0.0.1", 22, 7);
    add(&lie, "::1", 22, 7);
    add(&lie, "10.0.0.1", 22, 7);
    add(&lie, "192.168.0.1", 80, 7);
    add(&lie, "169.254.169.254", 80, 7);
    add(&lie, "20.0.1.1", 4000, 7); /* our own address */
    add(&lie, "20.0.9.1", 4000, 7); /* our own id */
    lie.entries[lie.entry_count - 1].id = *service_node_id(&a);
    add(&lie, "20.0.9.1", 4000, 7); /* who says it is connected */
    lie.entries[lie.entry_count - 1].id = bare.identity.id;
    say(&a, &lie);
    sim_net_run(net, 30000);
    assert_int_equal(service_node_metric(&a, "pex_named"), lie.entry_count);
    assert_int_equal(service_node_metric(&a, "pex_dialed"), 0);
}

static void one_victim_named_a_thousand_times_is_dialed_four_times_a_minute(void **state)
{
    (void)state;
    uint16_t port = 1;
    struct sim_mesh victim;
    meet(NULL);
    sim_mesh_init(&victim, sim_node_new(net, "20.0.9.1"), 77, NULL);
    for (int i = 0; i < 32; i++) { /* 32 responses of 32, within the first minute */
        struct pex_frame lie = {.op = PEX_RESPONSE};
        for (size_t at = 0; at < PEX_MAX_ENTRIES; at++) {
            add(&lie, "20.0.9.1", i == 0 && at == 0 ? 4000 : port++, (uint8_t)(i + 1));
        }
        say(&a, &lie);
        sim_net_run(net, 1000);
    }
    assert_int_equal(service_node_metric(&a, "pex_dialed"), 4);
    assert_int_equal(service_node_metric(&a, "pex_wrong_peer"), 1);
    assert_int_equal(service_node_metric(&a, "pex_connected"), 0);
    assert_int_equal(mesh_peer_count(a.mesh.mesh), 1);
    assert_in_range(service_node_metric(&a, "pex_refused"), 20, 26);
    sim_mesh_fini(&victim);
}

static void one_network_is_dialed_sixteen_times_a_minute(void **state)
{
    (void)state;
    char ip[32];
    meet(NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct pex_frame lie = {.op = PEX_RESPONSE};
        for (unsigned at = 0; at < PEX_MAX_ENTRIES; at++) {
            (void)snprintf(ip, sizeof ip, "20.0.9.%u", i * 32 + at + 1);
            add(&lie, ip, 4000, (uint8_t)(at + 1));
        }
        say(&a, &lie);
    }
    assert_int_equal(service_node_metric(&a, "pex_dialed"), 16);
}

static void no_more_than_32_dials_are_under_way(void **state)
{
    (void)state;
    char ip[32];
    meet(NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct pex_frame lie = {.op = PEX_RESPONSE};
        for (unsigned at = 0; at < PEX_MAX_ENTRIES; at++) {
            (void)snprintf(ip, sizeof ip, "21.%u.%u.1", i, at);
            add(&lie, ip, 4000, (uint8_t)(at + 1));
            struct sim_node *silent = sim_node_new(net, ip);
            sim_node_set_down(silent, true);
        }
        say(&a, &lie);
    }
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_dials"), 32);
    sim_net_run(net, 20000);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_dials"), 0);
}

static void requests_are_answered_within_bounds(void **state)
{
    (void)state;
    meet_at_a_hub(NULL);
    for (int i = 0; i < 200; i++) {
        ask(&hub, 32); /* takes 100 ms */
    }
    assert_in_range(responses_heard, 7, 9); /* 6, and one every 10 s */
    assert_int_equal(service_node_metric(&hub, "pex_answered"), responses_heard);
}

static void whoever_was_disconnected_on_request_is_not_dialed_at_once(void **state)
{
    (void)state;
    struct pex_frame said = {.op = PEX_RESPONSE};
    start(&a, "20.0.1.1", 2, NULL);
    start(&b, "20.0.3.1", 3, NULL);
    start_bare("20.0.2.1");
    sim_mesh_connect(&a.mesh, "20.0.3.1");
    sim_mesh_connect(&bare, "20.0.1.1");
    assert_int_equal(mesh_disconnect(a.mesh.mesh, service_node_id(&b)), 0);
    add(&said, "20.0.3.1", 4000, 0);
    said.entries[0].id = *service_node_id(&b);
    say(&a, &said);
    sim_net_run(net, 50000);
    assert_false(knows(&a, service_node_id(&b)));
    sim_net_run(net, 12000);
    say(&a, &said);
    sim_net_run(net, 2000);
    assert_true(knows(&a, service_node_id(&b)));
}

static void enough_peers_are_enough(void **state)
{
    (void)state;
    static const char *const two[] = {"pex", "peer_target", "2", NULL};
    char ip[32];
    struct pex_frame said = {.op = PEX_RESPONSE};
    meet(two);
    for (unsigned at = 0; at < 10; at++) {
        (void)snprintf(ip, sizeof ip, "21.0.%u.1", at);
        add(&said, ip, 4000, (uint8_t)(at + 1));
    }
    say(&a, &said);
    assert_int_equal(service_node_metric(&a, "pex_dialed"), 1);
}

static void dials_end_with_the_daemon(void **state)
{
    (void)state;
    struct pex_frame said = {.op = PEX_RESPONSE};
    meet(NULL);
    sim_node_set_down(sim_node_new(net, "21.0.0.1"), true);
    add(&said, "21.0.0.1", 4000, 1);
    say(&a, &said);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_dials"), 1);
    service_node_stop(&a);
    assert_int_equal(sim_mesh_metric(&a.mesh, "peer_dials"), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(peers_of_a_hub_find_each_other),
        CASE(switched_off_nobody_asks_answers_or_dials),
        CASE(a_call_asks_a_peer_again),
        CASE(the_answer_leaves_out_the_asker_and_keeps_to_the_number_asked),
        CASE(addresses_are_told_only_where_they_mean_something),
        CASE(nothing_is_dialed_that_is_nowhere_or_ourselves),
        CASE(one_victim_named_a_thousand_times_is_dialed_four_times_a_minute),
        CASE(one_network_is_dialed_sixteen_times_a_minute),
        CASE(no_more_than_32_dials_are_under_way),
        CASE(requests_are_answered_within_bounds),
        CASE(whoever_was_disconnected_on_request_is_not_dialed_at_once),
        CASE(enough_peers_are_enough),
        CASE(dials_end_with_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
