/* What is sent reaches the daemon as it should, and what cannot be sent does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"

/* Sending ----------------------------------------------------------------------------------- */

#define NOBODY "0000000000000000000000000000000000000000000000000000000000000000"

static void what_is_sent_reaches_the_daemon_in_order(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    assert_int_equal(rats_send_string(client, FAKE_BOB, "x"), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_broadcast_string(client, "x"), 0);
    assert_int_equal(rats_channel_broadcast(client, "chat", "x", 1), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_connect(client, "127.0.0.1", 1), 0);
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_RUNNING);
    fake_start(&daemon_side, client);
    assert_int_equal(rats_send_string(client, FAKE_BOB, "one"), RATS_SUCCESS);
    assert_int_equal(rats_send_string(client, FAKE_BOB, ""), RATS_SUCCESS);
    assert_int_equal(rats_send_binary(client, FAKE_BOB, "two", 3), RATS_SUCCESS);
    assert_int_equal(rats_send_json(client, FAKE_BOB, "[3]"), RATS_SUCCESS);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "chat", "four", 4), RATS_SUCCESS);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "chat", NULL, 0), RATS_SUCCESS);
    assert_int_equal(rats_broadcast_string(client, "five"), 1);
    assert_int_equal(rats_broadcast_binary(client, "six", 3), 1);
    assert_int_equal(rats_broadcast_json(client, "7"), 1);
    assert_int_equal(rats_channel_broadcast(client, "", "eight", 5), 1);
    expect_message(FAKE_BOB, "rats.string", "one");
    expect_message(FAKE_BOB, "rats.string", "");
    expect_message(FAKE_BOB, "rats.binary", "two");
    expect_message(FAKE_BOB, "rats.json", "[3]");
    expect_message(FAKE_BOB, "chat", "four");
    expect_message(FAKE_BOB, "chat", "");
    expect_message(NOBODY, "rats.string", "five");
    expect_message(NOBODY, "rats.binary", "six");
    expect_message(NOBODY, "rats.json", "7");
    expect_message(NOBODY, "", "eight");
}

static void sends_that_cannot_work_are_refused_at_once(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    fake_start(&daemon_side, client);
    assert_int_equal(rats_send_string(client, FAKE_EVE, "x"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_send_string(client, "bob", "x"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_send_json(client, FAKE_BOB, "{"), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_broadcast_json(client, "{"), 0);
    assert_int_equal(rats_last_error(client), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_send_binary(client, FAKE_BOB, "x", RATS_MAX_PAYLOAD + 1),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_last_error(client), RATS_ERROR_TOO_LARGE);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "chat", "x", RATS_MAX_PAYLOAD + 1),
                     RATS_ERROR_TOO_LARGE);
    assert_int_equal(rats_channel_send(client, FAKE_BOB, "ratsd.ctl", "x", 1),
                     RATS_ERROR_NOT_PERMITTED);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(rats_channel_send(client, FAKE_BOB, name, "x", 1),
                     RATS_ERROR_INVALID_PARAMETER);
    fake_event(&daemon_side, "peer.disconnected", "{\"peer\":\"" FAKE_BOB "\",\"reason\":\"x\"}");
    expect_seen(2, "+bob\n-bob\n");
    assert_int_equal(rats_send_string(client, FAKE_BOB, "x"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_broadcast_string(client, "x"), 0);
    assert_int_equal(rats_last_error(client), RATS_SUCCESS);
    assert_true(fake_is_silent(&daemon_side, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(what_is_sent_reaches_the_daemon_in_order),
        TEST(sends_that_cannot_work_are_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
