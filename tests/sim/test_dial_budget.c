/* Whoever names an address, it is dialed four times a minute and its network sixteen times
 * (reliability V25): peer exchange, the reconnect list and a program share one budget. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service/pex.h"
#include "service/reconnect.h"
#include "service_node.h"
#include "wire/pex_frame.h"

#define SEED       25
#define MINUTE     60000
#define STEP_MS    100
#define MAX_DIALS  1024
#define VICTIM     "20.0.9.1"
#define BOTH_NAMED "20.0.9.1:4000 20.0.9.1:4001 20.0.9.1:4002"

static struct sim_net *net;
static struct sim_node *own;
static struct sim_node *victim; /* nobody listens there */
static struct service_node a;
static struct sim_mesh liar;
static char directory[64];

static int begin(void **state)
{
    (void)state;
    print_message("# seed %d\n", SEED);
    strcpy(directory, "/tmp/ratsd-dials-XXXXXX");
    assert_non_null(mkdtemp(directory));
    net = sim_net_new(SEED);
    own = sim_node_new(net, "20.0.1.1");
    victim = sim_node_new(net, VICTIM);
    sim_mesh_init(&liar, sim_node_new(net, "20.0.2.1"), 99, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    service_node_fini(&a);
    sim_mesh_fini(&liar);
    sim_net_free(net);
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void start(const char *targets)
{
    static const struct service *const services[] = {&pex_service, &reconnect_service, NULL};
    const char *const options[] = {"reconnect", "targets", targets, NULL};
    struct sim_dial dial;
    service_node_init(&a, own, 1, directory, services, NULL, options);
    sim_mesh_dial(&liar, &dial, "20.0.1.1", 4000, NULL);
    sim_net_run(net, 50);
    assert_int_equal(dial.result, 0);
}

static void add(struct pex_frame *frame, const char *ip, unsigned port)
{
    struct pex_entry *entry = &frame->entries[frame->entry_count++];
    assert_int_equal(endpoint_parse_ip(ip, (uint16_t)port, &entry->address), 0);
    memset(entry->id.bytes, (int)frame->entry_count, sizeof entry->id.bytes);
}

static void say(const struct pex_frame *frame)
{
    uint8_t encoded[PEX_MAX_SIZE];
    size_t size = pex_frame_encode(frame, encoded);
    assert_int_equal(
        mesh_send(liar.mesh, service_node_id(&a), WIRE_PEX, 0, bytes_make(encoded, size)), 0);
}

/* The peer names ports of the victim. */
static void name_victim(unsigned first_port)
{
    struct pex_frame lie = {.op = PEX_RESPONSE};
    for (unsigned i = 0; i < PEX_MAX_ENTRIES; i++) {
        add(&lie, VICTIM, first_port + i);
    }
    say(&lie);
}

/* When the victims were dialed in the time given; how often. */
static unsigned watch(int64_t duration_ms, unsigned (*dials)(void), int64_t *times)
{
    unsigned seen = dials();
    unsigned count = 0;
    for (int64_t passed = 0; passed < duration_ms; passed += STEP_MS) {
        sim_net_run(net, STEP_MS);
        for (; seen < dials(); seen++) {
            assert_true(count < MAX_DIALS);
            times[count++] = passed;
        }
    }
    return count;
}

static void assert_windows(const int64_t *times, unsigned count, unsigned limit)
{
    for (unsigned i = 0; i + limit < count; i++) {
        assert_true(times[i + limit] - times[i] >= MINUTE - STEP_MS);
    }
}

static unsigned dials_of_victim(void)
{
    return sim_node_dials(victim);
}

static void an_address_that_everybody_names_is_dialed_four_times_a_minute(void **state)
{
    (void)state;
    int64_t times[MAX_DIALS];
    struct sim_dial asked;
    start(BOTH_NAMED);
    sim_mesh_dial(&a.mesh, &asked, VICTIM, 4003, NULL);
    name_victim(5000);
    unsigned before = watch(MINUTE - 1000, dials_of_victim, times);
    assert_int_equal(dials_of_victim(), 4);
    assert_true(before <= 4);
    assert_true(asked.done);
    name_victim(6000);
    unsigned count = watch(10 * MINUTE, dials_of_victim, times);
    assert_in_range(count, 36, 44);
    assert_windows(times, count, 4);
}

/* What a program asks for is done, and the others wait for it. */
static void a_program_that_asks_is_not_refused_and_leaves_less_to_the_others(void **state)
{
    (void)state;
    int64_t times[MAX_DIALS];
    struct sim_dial asked;
    start("");
    for (unsigned i = 0; i < 10; i++) {
        sim_mesh_dial(&a.mesh, &asked, VICTIM, 4000, NULL);
        sim_net_run(net, 100);
        assert_int_equal(asked.result, -ECONNREFUSED);
    }
    assert_int_equal(dials_of_victim(), 10);
    name_victim(5000);
    assert_int_equal(watch(MINUTE - 2000, dials_of_victim, times), 0);
}

static struct sim_node *neighbours[64];

static unsigned dials_of_network(void)
{
    unsigned dials = 0;
    for (size_t i = 0; i < sizeof neighbours / sizeof neighbours[0]; i++) {
        dials += sim_node_dials(neighbours[i]);
    }
    return dials;
}

static void a_network_that_everybody_names_is_dialed_sixteen_times_a_minute(void **state)
{
    (void)state;
    int64_t times[MAX_DIALS];
    char targets[1024] = "";
    struct pex_frame lie = {.op = PEX_RESPONSE};
    for (unsigned i = 0; i < sizeof neighbours / sizeof neighbours[0]; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof ip, "20.0.7.%u", i);
        neighbours[i] = sim_node_new(net, ip);
        if (i < 32) {
            (void)snprintf(targets + strlen(targets), sizeof targets - strlen(targets), "%s:4000 ",
                           ip);
        } else if (lie.entry_count < PEX_MAX_ENTRIES) {
            add(&lie, ip, 4000);
        }
    }
    start(targets);
    say(&lie);
    (void)watch(MINUTE - 1000, dials_of_network, times);
    assert_int_equal(dials_of_network(), 16);
    unsigned count = watch(10 * MINUTE, dials_of_network, times);
    assert_in_range(count, 150, 176);
    assert_windows(times, count, 16);
    for (unsigned i = 0; i < 32; i++) {
        assert_true(sim_node_dials(neighbours[i]) > 0); /* each has its turn */
    }
}

static void a_name_that_leads_there_is_held_to_it_too(void **state)
{
    (void)state;
    int64_t times[MAX_DIALS];
    sim_net_add_name(net, "one.example", VICTIM);
    sim_net_add_name(net, "two.example", VICTIM);
    start("one.example:4000 two.example:4001 " BOTH_NAMED);
    unsigned count = watch(10 * MINUTE, dials_of_victim, times);
    assert_in_range(count, 34, 44);
    assert_windows(times, count, 4);
}

static unsigned dials_of_own(void)
{
    return sim_node_dials(own);
}

static void this_machine_is_nobodys_victim(void **state)
{
    (void)state;
    int64_t times[MAX_DIALS];
    start("127.0.0.1:4001 127.0.0.1:4002 127.0.0.1:4003 127.0.0.1:4004");
    assert_true(watch(MINUTE, dials_of_own, times) > 16);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(an_address_that_everybody_names_is_dialed_four_times_a_minute),
        CASE(a_program_that_asks_is_not_refused_and_leaves_less_to_the_others),
        CASE(a_network_that_everybody_names_is_dialed_sixteen_times_a_minute),
        CASE(a_name_that_leads_there_is_held_to_it_too),
        CASE(this_machine_is_nobodys_victim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
