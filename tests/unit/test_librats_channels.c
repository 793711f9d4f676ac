/* Named channels and the callbacks of the untyped ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"

/* Channels ---------------------------------------------------------------------------------- */

static void a_channel_is_registered_heard_and_given_up(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(channel_on, chat);
    json_t *params = NULL;
    const uint64_t id = fake_expect_call(&daemon_side, "channel.on", &params);
    assert_string_equal(json_string_value(json_object_get(params, "channel")), "chat");
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"id\":23520}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(channel_on(chat), RATS_SUCCESS); /* only another callback: no call */
    fake_start(&daemon_side, client);
    message("chat", "abc");
    message("other", "abc");
    message("chat", "");
    expect_seen(2, "channel bob chat 3\nchannel bob chat 0\n");
    task = fake_run(channel_off, chat);
    fake_grant(&daemon_side, "channel.off");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(channel_off(chat), RATS_ERROR_NOT_FOUND);
    assert_int_equal(rats_channel_on(client, "ratsd.ctl", on_channel, NULL),
                     RATS_ERROR_NOT_PERMITTED);
    assert_int_equal(rats_channel_on(client, "x", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
}

static void a_refused_channel_is_forgotten(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(channel_on, chat);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "channel.on", NULL), "busy", -13,
              "ch117 has that number");
    assert_int_equal(fake_join(task), RATS_ERROR_BUSY);
    assert_int_equal(channel_off(chat), RATS_ERROR_NOT_FOUND);
}

static intptr_t clear_string(void *arg)
{
    rats_set_string_callback(arg, NULL, NULL);
    return 0;
}

static void an_untyped_channel_may_have_both_callbacks(void **state)
{
    (void)state;
    attach("");
    hear_untyped();
    assert_int_equal(channel_on(rats_string), RATS_SUCCESS); /* delivered already: no call */
    fake_start(&daemon_side, client);
    message("rats.string", "hi");
    expect_seen(2, "string bob 'hi'\nchannel bob rats.string 2\n");
    (void)clear_string(client); /* still wanted by name: no call */
    message("rats.string", "hi");
    expect_seen(1, "channel bob rats.string 2\n");
    struct fake_task *task = fake_run(channel_off, rats_string);
    fake_grant(&daemon_side, "channel.off");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_true(fake_is_silent(&daemon_side, 0));
}

static void channel_numbers_are_those_of_the_wire(void **state)
{
    (void)state;
    assert_int_equal(rats_channel_id("rats.string"), 0xaa69);
    assert_int_equal(rats_channel_id("rats.binary"), 0xd84f);
    assert_int_equal(rats_channel_id("rats.json"), 0x9ea3);
    assert_int_equal(rats_channel_id(""), 0x1cd9);
    assert_int_equal(rats_channel_id(NULL), 0x1cd9);
    assert_int_equal(rats_channel_id("ch117"), rats_channel_id("ch187"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)unsetenv("RATS_SOCKET");
    const struct CMUnitTest tests[] = {
        TEST(a_channel_is_registered_heard_and_given_up),
        TEST(a_refused_channel_is_forgotten),
        TEST(an_untyped_channel_may_have_both_callbacks),
        TEST(channel_numbers_are_those_of_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
