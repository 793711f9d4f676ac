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
static char heard[512];

static void on_change(struct service_node *node, uint64_t session, const json_t *fields,
                      struct bytes body)
{
    (void)node;
    size_t at = strlen(heard);
    (void)snprintf(heard + at, sizeof heard - at, "%llu:%s%s=%.*s;", (unsigned long long)session,
                   json_is_true(json_object_get(fields, "deleted")) ? "-" : "",
                   json_string_value(json_object_get(fields, "key")), (int)body.size,
                   body.size == 0 ? "" : (const char *)body.data);
}

static void start(const char *const *options)
{
    store_node_init(&store, net, 1, options);
    store.node.on_body_event = on_change;
}

static int begin(void **state)
{
    (void)state;
    net = sim_net_new(1);
    heard[0] = '\0';
    return 0;
}

static int end(void **state)
{
    (void)state;
    store_node_fini(&store);
    sim_net_free(net);
    return 0;
}

/* A call with more than its parameters; the answer in store.call. */
static enum proto_error call_as(enum method_id method, json_t *params, struct service_call call)
{
    service_call_fini(&store.call);
    store.call = call;
    sim_node_enter(store.node.mesh.node);
    service_node_call_with(&store.node, method, params, &store.call);
    sim_net_run(net, 100);
    assert_true(store.call.done);
    return store.call.error;
}

static enum proto_error watch(uint64_t session, const char *prefix)
{
    return call_as(M_STORAGE_WATCH, json_pack("{s:s}", "prefix", prefix),
                   (struct service_call){.session = session});
}

static void values_are_kept_and_removed(void **state)
{
    (void)state;
    start(NULL);
    assert_null(store_get(&store, "k"));
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    assert_true(json_integer_value(json_object_get(store.call.result, "timestamp_ms")) >=
                VIRTUAL_EPOCH_UNIX_MS);
    assert_string_equal(store_get(&store, "k"), "v");
    assert_string_equal(json_string_value(json_object_get(store.call.result, "type")), "string");
    assert_string_equal(json_string_value(json_object_get(store.call.result, "origin")),
                        peer_id_format(service_node_id(&store.node)).text);
    assert_int_equal(store_remove(&store, "k"), PROTO_ERROR_COUNT);
    assert_int_equal(store_remove(&store, "k"), E_NOT_FOUND);
    assert_int_equal(store_statistic(&store, "tombstones"), 1);
    assert_int_equal(store_statistic(&store, "changes"), 2);
}

static void a_put_is_answered_only_once_it_is_on_disk(void **state)
{
    (void)state;
    start(NULL);
    sim_net_run(net, 100);
    uint64_t before = store_digest(&store);
    struct service_call call = {.body = bytes_from_string("v")};
    service_node_call_with(&store.node, M_STORAGE_PUT, json_pack("{s:s}", "key", "k"), &call);
    assert_false(call.done);
    assert_true(store_digest(&store) == before);
    sim_net_run(net, 100);
    assert_true(call.done && store_digest(&store) != before);
    service_call_fini(&call);
}

static void a_call_that_is_given_up_still_happens(void **state)
{
    (void)state;
    start(NULL);
    struct service_call call = {.body = bytes_from_string("v")};
    service_node_call_with(&store.node, M_STORAGE_PUT, json_pack("{s:s}", "key", "k"), &call);
    service_call_cancel(&call);
    sim_net_run(net, 100);
    assert_string_equal(store_get(&store, "k"), "v");
}

static void watchers_hear_each_change_of_theirs_once(void **state)
{
    (void)state;
    start(NULL);
    assert_int_equal(watch(1, "a"), PROTO_ERROR_COUNT);
    assert_int_equal(watch(1, "a/"), PROTO_ERROR_COUNT);
    assert_int_equal(watch(2, ""), PROTO_ERROR_COUNT);
    assert_int_equal(store_put(&store, "a/1", "x"), PROTO_ERROR_COUNT);
    assert_true(strcmp(heard, "1:a/1=x;2:a/1=x;") == 0 || strcmp(heard, "2:a/1=x;1:a/1=x;") == 0);
    heard[0] = '\0';
    assert_int_equal(store_remove(&store, "a/1"), PROTO_ERROR_COUNT);
    assert_int_equal(store_statistic(&store, "watchers"), 3);
    assert_int_equal(call_as(M_STORAGE_UNWATCH, json_pack("{s:s}", "prefix", "a"),
                             (struct service_call){.session = 2}),
                     E_NOT_FOUND);
    heard[0] = '\0';
    store.node.services[0]->on_session_end(store.node.selves[0], 1);
    assert_int_equal(store_put(&store, "a/2", "y"), PROTO_ERROR_COUNT);
    assert_string_equal(heard, "2:a/2=y;");
}

static void a_session_has_its_share_of_prefixes(void **state)
{
    (void)state;
    char prefix[16];
    start(NULL);
    for (int i = 0; i < 512; i++) {
        (void)snprintf(prefix, sizeof prefix, "p%d", i);
        assert_int_equal(watch(1, prefix), PROTO_ERROR_COUNT);
    }
    assert_int_equal(watch(1, "one more"), E_LIMIT);
    assert_int_equal(watch(2, "one more"), PROTO_ERROR_COUNT);
}

static void sizes_are_refused_before_they_are_copied(void **state)
{
    (void)state;
    static const char *const options[] = {"max_value", "16", "max_key", "4", NULL};
    start(options);
    assert_int_equal(store_put(&store, "k", "12345678901234567"), E_TOO_LARGE);
    assert_non_null(strstr(store.call.text, "max_value"));
    assert_int_equal(store_put(&store, "longer", "1"), E_TOO_LARGE);
    assert_non_null(strstr(store.call.text, "max_key"));
    assert_int_equal(call_as(M_STORAGE_PUT, json_pack("{s:s, s:s}", "key", "k", "type", "double"),
                             (struct service_call){.body = bytes_from_string("1")}),
                     E_INVALID_PARAMETER);
    assert_null(store_get(&store, "k"));
}

static void limits_that_are_reloaded_hold_at_once(void **state)
{
    (void)state;
    start(NULL);
    assert_int_equal(store_put(&store, "a", "1"), PROTO_ERROR_COUNT);
    service_node_reload(&store.node, "storage", "max_keys", "1");
    assert_int_equal(store_put(&store, "b", "1"), E_LIMIT);
    assert_int_equal(store_put(&store, "a", "2"), PROTO_ERROR_COUNT);
}

static void writing_may_need_control_permission(void **state)
{
    (void)state;
    static const char *const options[] = {"write", "control", NULL};
    start(options);
    struct service_call nobody = {.may_not_control = true, .body = bytes_from_string("v")};
    assert_int_equal(call_as(M_STORAGE_PUT, json_pack("{s:s}", "key", "k"), nobody),
                     E_NOT_PERMITTED);
    assert_int_equal(call_as(M_STORAGE_REMOVE, json_pack("{s:s}", "key", "k"), nobody),
                     E_NOT_PERMITTED);
    assert_int_equal(store_put(&store, "k", "v"), PROTO_ERROR_COUNT);
    assert_int_equal(call_as(M_STORAGE_GET, json_pack("{s:s}", "key", "k"), nobody),
                     PROTO_ERROR_COUNT);
}

static void without_a_store_nothing_is_kept_and_calls_say_so(void **state)
{
    (void)state;
    static const char *const options[] = {"enabled", "no", NULL};
    start(options);
    assert_int_equal(store_put(&store, "k", "v"), E_NOT_SUPPORTED);
    assert_int_equal(watch(1, ""), E_NOT_SUPPORTED);
    assert_int_equal(store_call(&store, M_STORAGE_SYNC, json_object()), E_NOT_SUPPORTED);
}

static void keys_come_in_parts(void **state)
{
    (void)state;
    start(NULL);
    for (int i = 0; i < 5; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(store_put(&store, key, ""), PROTO_ERROR_COUNT);
    }
    assert_int_equal(
        store_call(&store, M_STORAGE_KEYS, json_pack("{s:s, s:i}", "after", "k1", "limit", 2)),
        PROTO_ERROR_COUNT);
    json_t *keys = json_object_get(store.call.result, "keys");
    assert_int_equal(json_array_size(keys), 2);
    assert_string_equal(json_string_value(json_array_get(keys, 0)), "k2");
    assert_true(json_is_true(json_object_get(store.call.result, "more")));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(values_are_kept_and_removed),
        CASE(a_put_is_answered_only_once_it_is_on_disk),
        CASE(a_call_that_is_given_up_still_happens),
        CASE(watchers_hear_each_change_of_theirs_once),
        CASE(a_session_has_its_share_of_prefixes),
        CASE(sizes_are_refused_before_they_are_copied),
        CASE(limits_that_are_reloaded_hold_at_once),
        CASE(writing_may_need_control_permission),
        CASE(without_a_store_nothing_is_kept_and_calls_say_so),
        CASE(keys_come_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
