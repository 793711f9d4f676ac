/* Calls to the daemon: parameters, answers, refusals, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"

/* Calls ------------------------------------------------------------------------------------- */

static void a_call_carries_its_parameters_and_brings_the_result(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"peer.list", " {\"a\": [1]} ", -1, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    json_t *params = NULL;
    const uint64_t id = fake_expect_call(&daemon_side, "peer.list", &params);
    assert_int_equal(json_array_size(json_object_get(params, "a")), 1);
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"peers\":[]}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_string_equal(arguments.result, "{\"peers\":[]}");
    rats_string_free(arguments.result);
}

static void a_refusal_brings_its_code_and_the_daemons_words(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"log.set_level", "{\"level\":\"info\"}", 20000, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "log.set_level", NULL), "not_permitted",
              -8, "become root");
    assert_int_equal(fake_join(task), RATS_ERROR_NOT_PERMITTED);
    assert_string_equal(arguments.result,
                        "{\"e\":\"not_permitted\",\"code\":-8,\"text\":\"become root\",\"d\":{}}");
    rats_string_free(arguments.result);
}

static void an_answer_beyond_64_kib_travels_as_body(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"peer.list", NULL, 20000, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    char *text = malloc(200001);
    memset(text, ' ', 200000);
    memcpy(text, "{\"peers\":[]}", 12);
    text[200000] = '\0';
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "peer.list", NULL), text);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_string_equal(arguments.result, text);
    rats_string_free(arguments.result);
    free(text);
}

static void a_call_that_takes_too_long_is_cancelled(void **state)
{
    (void)state;
    attach("");
    struct call_arguments arguments = {"peer.list", NULL, 20, NULL};
    struct fake_task *task = fake_run(call, &arguments);
    const uint64_t id = fake_expect_call(&daemon_side, "peer.list", NULL);
    struct fake_frame cancel = fake_receive(&daemon_side);
    assert_int_equal(cancel.kind, FRAME_CANCEL);
    assert_int_equal(cancel.id, id);
    fake_frame_free(&cancel);
    assert_int_equal(fake_join(task), RATS_ERROR_TIMEOUT);
    assert_null(arguments.result);
    fake_fail(&daemon_side, id, "cancelled", -4, "late"); /* the one answer it still gets */
    assert_int_equal(rats_is_attached(client), 1);
}

static void nonsense_never_reaches_the_daemon(void **state)
{
    (void)state;
    attach("");
    char *result = NULL;
    assert_int_equal(rats_call(client, "peer list", NULL, 1, &result),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_call(client, "", NULL, 1, &result), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_call(client, "peer.list", "[]", 1, &result), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_call(client, "peer.list", "{", 1, &result), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_call(client, "peer.list", "{},\"m\":{}", 1, &result),
                     RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_call(client, "peer.list", "{\"a\":1,\"a\":2}", 1, &result),
                     RATS_ERROR_JSON_PARSE);
    assert_true(fake_is_silent(&daemon_side, 0));
}

static intptr_t connect_out(void *arg)
{
    (void)arg;
    return rats_connect(client, "example.org", 4711);
}

static intptr_t connect_relay(void *arg)
{
    (void)arg;
    return rats_connect_with_strategy(client, "192.0.2.7", 99, RATS_STRATEGY_TURN_RELAY);
}

static void connecting_asks_the_daemon_to_dial(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    fake_start(&daemon_side, client);
    struct fake_task *task = fake_run(connect_out, NULL);
    json_t *params = NULL;
    uint64_t id = fake_expect_call(&daemon_side, "peer.connect", &params);
    assert_string_equal(json_string_value(json_object_get(params, "host")), "example.org");
    assert_int_equal(json_integer_value(json_object_get(params, "port")), 4711);
    assert_int_equal(json_integer_value(json_object_get(params, "timeout_ms")), 15000);
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"peer\":\"" FAKE_BOB "\",\"already\":true}");
    assert_int_equal(fake_join(task), 1);
    task = fake_run(connect_out, NULL);
    id = fake_expect_call(&daemon_side, "peer.connect", NULL);
    fake_fail(&daemon_side, id, "connect_failed", -4, "refused");
    assert_int_equal(fake_join(task), 0);
    task = fake_run(connect_relay, NULL);
    assert_int_equal(fake_join(task), RATS_SUCCESS); /* connected to that address already */
    assert_int_equal(rats_connect_with_strategy(client, "192.0.2.8", 99, RATS_STRATEGY_TURN_RELAY),
                     RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_SUPPORTED);
    assert_int_equal(rats_connect_with_strategy(client, "x", 0, RATS_STRATEGY_DIRECT_ONLY),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_connect_with_strategy(client, "x", 1, (rats_connection_strategy_t)5),
                     RATS_ERROR_INVALID_PARAMETER);
}

static intptr_t connect_over(void *arg)
{
    const unsigned *transports = arg;
    return rats_connect_with(client, "example.org", 4711, *transports, 0);
}

static void assert_connects_over(unsigned transports, const char *words)
{
    struct fake_task *task = fake_run(connect_over, &transports);
    json_t *params = NULL;
    uint64_t id = fake_expect_call(&daemon_side, "peer.connect", &params);
    json_t *expected = words == NULL ? NULL : json_loads(words, 0, NULL);
    assert_true(json_object_get(params, "transports") == expected ||
                json_equal(json_object_get(params, "transports"), expected));
    json_decref(expected);
    json_decref(params);
    fake_fail(&daemon_side, id, "not_supported", -9, "transports: not these");
    assert_int_equal(fake_join(task), RATS_ERROR_NOT_SUPPORTED);
}

static void the_daemon_is_told_over_what_to_dial(void **state)
{
    (void)state;
    attach("");
    assert_int_equal(rats_connect_with(client, "x", 1, RATS_TRANSPORT_TCP, 0),
                     RATS_ERROR_NOT_RUNNING);
    fake_start(&daemon_side, client);
    assert_connects_over(0, NULL);
    assert_connects_over(RATS_TRANSPORT_TCP, "[\"tcp\"]");
    assert_connects_over(RATS_TRANSPORT_UDP, "[\"udp\"]");
    assert_connects_over(RATS_TRANSPORT_TCP | RATS_TRANSPORT_UDP, "[\"tcp\",\"udp\"]");
    assert_int_equal(rats_connect_with(client, "x", 1, 4, 0), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_connect_with(client, "x", 0, 1, 0), RATS_ERROR_INVALID_PARAMETER);
}

static intptr_t demand(void *arg)
{
    (void)arg;
    return rats_set_max_peers(client, 20);
}

static intptr_t disconnect(void *arg)
{
    (void)arg;
    return rats_disconnect_peer_by_id(client, FAKE_BOB);
}

static void limits_and_disconnects_go_to_the_daemon(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    struct fake_task *task = fake_run(demand, NULL);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "session.demand_peers", NULL),
               "{\"max_peers\":256}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(rats_get_max_peers(client), 20);
    assert_int_equal(rats_set_max_peers(client, 0), RATS_ERROR_INVALID_PARAMETER);
    task = fake_run(disconnect, NULL);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "peer.disconnect", NULL),
              "not_permitted", -8, "no");
    assert_int_equal(fake_join(task), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_disconnect_peer_by_id(client, "nobody"), RATS_SUCCESS);
    fake_event(&daemon_side, "instance.changed", "{\"listen_port\":5,\"max_peers\":9}");
    /* A round trip, so that the event has been read. */
    task = fake_run(disconnect, NULL);
    fake_grant(&daemon_side, "peer.disconnect");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(rats_get_listen_port(client), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(a_call_carries_its_parameters_and_brings_the_result),
        TEST(a_refusal_brings_its_code_and_the_daemons_words),
        TEST(an_answer_beyond_64_kib_travels_as_body),
        TEST(a_call_that_takes_too_long_is_cancelled),
        TEST(nonsense_never_reaches_the_daemon),
        TEST(connecting_asks_the_daemon_to_dial),
        TEST(the_daemon_is_told_over_what_to_dial),
        TEST(limits_and_disconnects_go_to_the_daemon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
