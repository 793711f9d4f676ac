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

static struct sim_net *net;
static struct store_node store;

static int begin(void **state)
{
    (void)state;
    net = sim_net_new(1);
    store_node_init(&store, net, 1, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_node_fini(&store);
    sim_net_free(net);
    return 0;
}

static void ask(struct service_call *call, uint64_t session, bool has_no_room)
{
    *call = (struct service_call){.session = session, .has_no_room = has_no_room};
    service_node_call_with(&store.node, M_STORAGE_GET, json_pack("{s:s}", "key", "k"), call);
}

static void a_value_waits_until_its_client_has_room(void **state)
{
    (void)state;
    struct service_call call;
    assert_int_equal(store_put(&store, "k", "old"), PROTO_ERROR_COUNT);
    ask(&call, 1, true);
    sim_net_run(net, 2000);
    assert_false(call.done);
    assert_true(call.refused >= 3 && call.refused < 20); /* with pauses that grow */
    assert_int_equal(store_put(&store, "k", "new"), PROTO_ERROR_COUNT);
    call.has_no_room = false;
    sim_net_run(net, 1000);
    assert_true(call.done);
    assert_memory_equal(call.reply_body.data + call.reply_body.start, "new", 3);
    service_call_fini(&call);
}

static void only_one_value_of_a_client_is_read_at_a_time_meanwhile(void **state)
{
    (void)state;
    struct service_call calls[30];
    struct service_call other;
    unsigned refused = 0;
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    for (size_t i = 0; i < 30; i++) {
        ask(&calls[i], 1, true);
    }
    sim_net_run(net, 100);
    ask(&other, 2, false);
    sim_net_run(net, 10);
    assert_true(other.done); /* others do not wait for it */
    sim_net_run(net, 10000);
    for (size_t i = 0; i < 30; i++) {
        refused += calls[i].refused;
        calls[i].has_no_room = false;
    }
    assert_true(refused <= 30 + 30);
    sim_net_run(net, 2000);
    for (size_t i = 0; i < 30; i++) {
        assert_true(calls[i].done);
        assert_int_equal(calls[i].error, PROTO_ERROR_COUNT);
        service_call_fini(&calls[i]);
    }
    service_call_fini(&other);
}

static void a_client_that_goes_away_meanwhile_is_forgotten(void **state)
{
    (void)state;
    struct service_call first;
    struct service_call second;
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    ask(&first, 1, true);
    ask(&second, 1, true);
    sim_net_run(net, 100);
    service_call_cancel(&first);
    second.has_no_room = false;
    sim_net_run(net, 2000);
    assert_true(second.done);
    service_call_fini(&first);
    service_call_fini(&second);
}

static void many_large_values_come_in_several_batches(void **state)
{
    (void)state;
    static char value[3 << 20];
    struct service_call calls[12];
    memset(value, 'x', sizeof value - 1);
    assert_int_equal(store_put(&store, "k", value), PROTO_ERROR_COUNT);
    for (size_t i = 0; i < 12; i++) {
        ask(&calls[i], 1, false);
    }
    sim_net_run(net, 1000);
    for (size_t i = 0; i < 12; i++) {
        assert_true(calls[i].done);
        assert_int_equal(buf_size(&calls[i].reply_body), sizeof value - 1);
        service_call_fini(&calls[i]);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_value_waits_until_its_client_has_room),
        CASE(only_one_value_of_a_client_is_read_at_a_time_meanwhile),
        CASE(a_client_that_goes_away_meanwhile_is_forgotten),
        CASE(many_large_values_come_in_several_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
