#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_request.h"
#include "service/channels.h"
#include "wire/channel_id.h"

static void *channels;

static int set_up(void **state)
{
    (void)state;
    fake_reset();
    return channels_service.open(NULL, &channels);
}

static int tear_down(void **state)
{
    (void)state;
    channels_service.close(channels);
    fake_reset();
    return 0;
}

static const struct fake_answer *call(enum method_id method, uint64_t session, const char *name)
{
    return fake_call(&channels_service, channels, method, session,
                     json_pack("{s:s}", "channel", name));
}

static void receive(const char *name, const char *payload)
{
    static const struct peer_id from = {{5}};
    struct message message = {.type = WIRE_APP,
                              .channel = channel_id(bytes_from_string(name)),
                              .payload = bytes_from_string(payload)};
    channels_service.on_message(channels, fake_peer(&from), &message);
}

static int send_to(const struct peer_id *peer, const char *name, size_t *ret_peers)
{
    char error[256] = "";
    struct client_message message = {.session = 1,
                                     .plane = PLANE_CHANNEL,
                                     .peer = *peer,
                                     .name = bytes_from_string(name),
                                     .payload = bytes_from_string("hi")};
    int result =
        channels_service.on_client_message(channels, &message, ret_peers, error, sizeof error);
    assert_true(result == 0 || result == -EAGAIN || error[0] != '\0');
    return result;
}

static void messages_reach_every_session_that_registered(void **state)
{
    (void)state;
    assert_int_equal(call(M_CHANNEL_ON, 1, "chat")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_CHANNEL_ON, 2, "chat")->error, PROTO_ERROR_COUNT);
    receive("chat", "hello");
    assert_int_equal(fake_delivered.session_count, 2);
    assert_string_equal(fake_delivered.name, "chat");
    assert_memory_equal(fake_delivered.payload, "hello", 5);
}

static void a_channel_nobody_registered_is_dropped(void **state)
{
    (void)state;
    receive("chat", "hello");
    assert_int_equal(fake_delivered.count, 0);
}

static void registering_twice_delivers_once(void **state)
{
    (void)state;
    (void)call(M_CHANNEL_ON, 1, "chat");
    assert_int_equal(call(M_CHANNEL_ON, 1, "chat")->error, PROTO_ERROR_COUNT);
    receive("chat", "x");
    assert_int_equal(fake_delivered.session_count, 1);
}

static void two_names_with_one_id_collide_and_the_second_is_told_why(void **state)
{
    (void)state;
    (void)call(M_CHANNEL_ON, 1, "ch117");
    const struct fake_answer *answer = call(M_CHANNEL_ON, 2, "ch187");
    assert_int_equal(answer->error, E_BUSY);
    assert_non_null(strstr(answer->text, "ch117"));
    assert_non_null(strstr(answer->text, "ch187"));
    (void)call(M_CHANNEL_OFF, 1, "ch117");
    assert_int_equal(call(M_CHANNEL_ON, 2, "ch187")->error, PROTO_ERROR_COUNT);
}

static void the_daemons_own_channel_is_refused(void **state)
{
    (void)state;
    size_t peers = 0;
    struct peer_id to = {{1}};
    assert_int_equal(call(M_CHANNEL_ON, 1, "ratsd.ctl")->error, E_NOT_PERMITTED);
    assert_int_equal(send_to(&to, "ratsd.ctl", &peers), -EPERM);
}

/* Another program's channel may have the number of ours. */
static void messages_between_daemons_reach_no_program(void **state)
{
    (void)state;
    char name[24] = "";
    for (unsigned i = 0; channel_id(bytes_from_string(name)) != 0x564d; i++) {
        (void)snprintf(name, sizeof name, "twin%u", i);
    }
    (void)call(M_CHANNEL_ON, 1, name);
    receive(name, "RDC1{}");
    assert_int_equal(fake_control_count, 1);
    assert_int_equal(fake_delivered.count, 0);
    receive(name, "RDC");
    assert_int_equal(fake_control_count, 1);
    assert_int_equal(fake_delivered.count, 1);
}

static void what_was_not_registered_cannot_be_released(void **state)
{
    (void)state;
    assert_int_equal(call(M_CHANNEL_OFF, 1, "chat")->error, E_NOT_FOUND);
    (void)call(M_CHANNEL_ON, 1, "chat");
    assert_int_equal(call(M_CHANNEL_OFF, 2, "chat")->error, E_NOT_FOUND);
    assert_int_equal(call(M_CHANNEL_OFF, 1, "chat")->error, PROTO_ERROR_COUNT);
}

static void a_session_that_ends_leaves_nothing_behind(void **state)
{
    (void)state;
    (void)call(M_CHANNEL_ON, 1, "a");
    (void)call(M_CHANNEL_ON, 1, "b");
    (void)call(M_CHANNEL_ON, 2, "b");
    channels_service.on_session_end(channels, 1);
    receive("a", "x");
    assert_int_equal(fake_delivered.count, 0);
    receive("b", "x");
    assert_int_equal(fake_delivered.session_count, 1);
    assert_int_equal(fake_delivered.sessions[0], 2);
}

static void a_session_may_register_512_channels(void **state)
{
    (void)state;
    char name[16];
    size_t registered = 0;
    for (int i = 0; registered < 512; i++) {
        (void)snprintf(name, sizeof name, "n%d", i);
        registered += call(M_CHANNEL_ON, 1, name)->error == PROTO_ERROR_COUNT;
    }
    assert_int_equal(call(M_CHANNEL_ON, 1, "one too many")->error, E_LIMIT);
    json_t *row = json_object();
    channels_service.on_describe_session(channels, 1, row);
    assert_int_equal(json_integer_value(json_object_get(row, "channels")), 512);
    json_decref(row);
}

static void sending_goes_to_one_peer_or_to_all(void **state)
{
    (void)state;
    size_t peers = 0;
    struct peer_id to = {{7}};
    assert_int_equal(send_to(&to, "chat", &peers), 0);
    assert_int_equal(peers, 1);
    assert_true(peer_id_equal(&fake_sent.to, &to));
    assert_int_equal(fake_sent.type, WIRE_APP);
    assert_int_equal(fake_sent.channel, channel_id(bytes_from_string("chat")));
    assert_int_equal(send_to(&(struct peer_id){{0}}, "chat", &peers), 0);
    assert_true(fake_sent.broadcast);
    assert_int_equal(peers, 3);
}

static void a_congested_link_passes_the_wait_on(void **state)
{
    (void)state;
    size_t peers = 0;
    struct peer_id to = {{7}};
    fake_sent.result = -EAGAIN;
    assert_int_equal(send_to(&to, "chat", &peers), -EAGAIN);
    fake_sent.result = -ENOTCONN;
    assert_int_equal(send_to(&to, "chat", &peers), -ENOTCONN);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(messages_reach_every_session_that_registered),
        CASE(a_channel_nobody_registered_is_dropped),
        CASE(registering_twice_delivers_once),
        CASE(two_names_with_one_id_collide_and_the_second_is_told_why),
        CASE(the_daemons_own_channel_is_refused),
        CASE(messages_between_daemons_reach_no_program),
        CASE(what_was_not_registered_cannot_be_released),
        CASE(a_session_that_ends_leaves_nothing_behind),
        CASE(a_session_may_register_512_channels),
        CASE(sending_goes_to_one_peer_or_to_all),
        CASE(a_congested_link_passes_the_wait_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
