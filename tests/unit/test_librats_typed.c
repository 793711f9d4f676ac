/* Typed JSON messages: who hears which, what counts as JSON, and what goes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"
#include "proto/message_head.h"
#include "vectors.h"

#define NOBODY "0000000000000000000000000000000000000000000000000000000000000000"

static const char *directory;
static char first[] = "first";
static char second[] = "second";

static void on_typed(void *user_data, const char *peer_id, const char *json)
{
    note("%s %s %s\n", (const char *)user_data, who(peer_id), json);
}

static intptr_t hear_first(void *type)
{
    return rats_on_message(client, type, on_typed, first);
}

static intptr_t hear_second(void *type)
{
    return rats_on_message(client, type, on_typed, second);
}

static intptr_t hear_once(void *type)
{
    return rats_once_message(client, type, on_typed, first);
}

static intptr_t off(void *type)
{
    return rats_off_message(client, type);
}

/* Runs what tells the daemon something, with that granted. */
static intptr_t granted(intptr_t (*function)(void *arg), char *type, const char *method)
{
    struct fake_task *task = fake_run(function, type);
    fake_grant(&daemon_side, method);
    return fake_join(task);
}

/* Everything before has been delivered, or has found nobody. */
static void wait_until_delivered(void)
{
    fake_event(&daemon_side, "peer.connected", fake_peer(FAKE_EVE, "192.0.2.8", 98));
    expect_seen(1, "+eve\n");
}

static void handlers_add_up_and_identical_ones_do_not(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(hear_first, chat);
    json_t *params = NULL;
    const uint64_t id = fake_expect_call(&daemon_side, "typed.on", &params);
    assert_string_equal(json_string_value(json_object_get(params, "type")), "chat");
    json_decref(params);
    fake_reply(&daemon_side, id, "{}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(hear_second(chat), RATS_SUCCESS);
    assert_int_equal(hear_first(chat), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    typed_message("chat", "{\"a\":1}");
    typed_message("other", "1");
    typed_message("chat", "2");
    expect_seen(4, "first bob {\"a\":1}\nsecond bob {\"a\":1}\nfirst bob 2\nsecond bob 2\n");
    assert_int_equal(granted(off, chat, "typed.off"), RATS_SUCCESS);
    assert_int_equal(off(chat), RATS_ERROR_NOT_FOUND);
    typed_message("chat", "3");
    message("chat", "3");
    wait_until_delivered();
    assert_int_equal(granted(hear_second, chat, "typed.on"), RATS_SUCCESS);
    typed_message("chat", "4");
    expect_seen(1, "second bob 4\n");
}

static void once_is_for_one_message(void **state)
{
    (void)state;
    attach("");
    assert_int_equal(granted(hear_once, chat, "typed.on"), RATS_SUCCESS);
    assert_int_equal(hear_once(chat), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    typed_message("chat", "not JSON"); /* is no message */
    typed_message("chat", "1");
    typed_message("chat", "2");
    expect_seen(1, "first bob 1\n");
    fake_grant(&daemon_side, "typed.off"); /* nobody is left */
    wait_until_delivered();
    assert_int_equal(granted(hear_once, chat, "typed.on"), RATS_SUCCESS);
    assert_int_equal(hear_second(chat), RATS_SUCCESS);
    typed_message("chat", "3");
    typed_message("chat", "4");
    expect_seen(3, "first bob 3\nsecond bob 3\nsecond bob 4\n");
    assert_int_equal(hear_once(chat), RATS_SUCCESS);
    assert_int_equal(hear_first(chat), RATS_SUCCESS); /* now for good */
    assert_int_equal(hear_once(chat), RATS_SUCCESS);  /* and stays so */
    typed_message("chat", "5");
    typed_message("chat", "6");
    expect_seen(4, "second bob 5\nfirst bob 5\nsecond bob 6\nfirst bob 6\n");
    assert_true(fake_is_silent(&daemon_side, 0));
}

static void on_typed_and_change(void *user_data, const char *peer_id, const char *json)
{
    on_typed(user_data, peer_id, json);
    (void)rats_on_message(client, "chat", on_typed, second); /* from the next message on */
}

static void on_typed_and_end(void *user_data, const char *peer_id, const char *json)
{
    on_typed(user_data, peer_id, json);
    note("off %d\n", (int)rats_off_message(client, "chat"));
}

static intptr_t hear_and_change(void *type)
{
    return rats_on_message(client, type, on_typed_and_change, first);
}

static intptr_t hear_and_end(void *type)
{
    return rats_on_message(client, type, on_typed_and_end, first);
}

static void handlers_may_come_and_go_in_a_handler(void **state)
{
    (void)state;
    attach("");
    assert_int_equal(granted(hear_and_change, chat, "typed.on"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    typed_message("chat", "1");
    typed_message("chat", "2");
    expect_seen(3, "first bob 1\nfirst bob 2\nsecond bob 2\n");
    assert_int_equal(granted(off, chat, "typed.off"), RATS_SUCCESS);
    assert_int_equal(granted(hear_and_end, chat, "typed.on"), RATS_SUCCESS);
    assert_int_equal(hear_second(chat), RATS_SUCCESS);
    typed_message("chat", "3");
    fake_grant(&daemon_side, "typed.off");
    expect_seen(2, "first bob 3\noff 0\n");
}

static void a_refused_type_is_forgotten(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(hear_first, chat);
    fake_fail(&daemon_side, fake_expect_call(&daemon_side, "typed.on", NULL), "limit", -13,
              "512 types");
    assert_int_equal(fake_join(task), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_off_message(client, "chat"), RATS_ERROR_NOT_FOUND);
}

/* Members of the vectors are compared as values: the text passes through as it came. */
static void expect_same_value(const char *text, struct bytes value_text)
{
    json_t *got = json_loads(text, JSON_DECODE_ANY, NULL);
    json_t *expected =
        json_loadb((const char *)value_text.data, value_text.size, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    assert_true(json_equal(got, expected));
    json_decref(got);
    json_decref(expected);
}

static char last_text[128];

static void on_vector(void *user_data, const char *peer_id, const char *json)
{
    (void)user_data;
    (void)peer_id;
    (void)snprintf(last_text, sizeof last_text, "%s", json);
    note("called\n");
}

static intptr_t hear_vector(void *type)
{
    return rats_on_message(client, type, on_vector, NULL);
}

static void what_upstream_takes_for_json_is_heard(void **state)
{
    (void)state;
    char type[] = "t";
    char end[] = "end";
    struct vectors *vectors = vectors_open(directory, "typed_json.json");
    attach("");
    assert_int_equal(granted(hear_vector, type, "typed.on"), RATS_SUCCESS);
    assert_int_equal(granted(hear_first, end, "typed.on"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "decode"), i, entry)
    {
        struct bytes payload = vectors_hex(vectors, entry, "payload");
        const char *what = vectors_text(entry, "note");
        if (payload.size < 3 || payload.data[1] != 1 || payload.data[2] != 't') {
            continue; /* the daemon's to judge */
        }
        fake_message_on(&daemon_side, PLANE_TYPED, 0, FAKE_BOB, NULL, type, payload.data + 3,
                        payload.size - 3);
        typed_message("end", "0");
        /* Upstream lets bytes through that are not UTF-8; we do not (wire-services 2). */
        const bool called = vectors_uint(entry, "handler_called") != 0 &&
                            strcmp(what, "invalid UTF-8 in string") != 0;
        expect_seen(called ? 2 : 1, called ? "called\nfirst bob 0\n" : "first bob 0\n");
        if (called) {
            expect_same_value(last_text, vectors_hex(vectors, entry, "value_text_hex"));
        }
    }
    vectors_close(vectors);
}

static void edges_of_json_are_those_of_other_nodes(void **state)
{
    (void)state;
    char deep[2100];
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    assert_int_equal(granted(hear_first, chat, "typed.on"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    typed_message("chat", "18446744073709551615");
    typed_message("chat", "\"\\u0000\"");
    fake_message_on(&daemon_side, PLANE_TYPED, 0, FAKE_BOB, NULL, "chat", "\"a\0b\"", 5);
    expect_seen(3, "+bob\nfirst bob 18446744073709551615\nfirst bob \"\\u0000\"\n");
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    deep[2000] = '\0';
    typed_message("chat", deep);
    char expected[2200];
    (void)snprintf(expected, sizeof expected, "first bob %s\n", deep);
    expect_seen(1, expected);
    assert_int_equal(rats_send_message(client, FAKE_BOB, "chat", deep), RATS_SUCCESS);
    expect_on_plane(PLANE_TYPED, 0, FAKE_BOB, "chat", deep);
    memset(deep, '[', 1001);
    memset(deep + 1001, ']', 1001);
    deep[2002] = '\0';
    typed_message("chat", deep);
    typed_message("chat", "0");
    expect_seen(1, "first bob 0\n");
    assert_int_equal(rats_send_message(client, FAKE_BOB, "chat", deep), RATS_ERROR_JSON_PARSE);
    assert_int_equal(rats_send_message(client, FAKE_BOB, "chat", "\"\xff\""),
                     RATS_ERROR_JSON_PARSE);
    assert_true(fake_is_silent(&daemon_side, 0));
}

static void expect_typed(const char *peer, const char *text)
{
    expect_on_plane(PLANE_TYPED, 0, peer, "chat", text);
}

static void json_goes_out_as_it_is_and_other_text_as_a_string(void **state)
{
    (void)state;
    attach(fake_peer(FAKE_BOB, "192.0.2.7", 99));
    assert_int_equal(rats_send_message(client, FAKE_BOB, "chat", "1"), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_broadcast_message(client, "chat", "1"), RATS_ERROR_NOT_RUNNING);
    fake_start(&daemon_side, client);
    static const char *const texts[][2] = {
        {"{\"b\":2, \"a\":1}", "{\"b\":2, \"a\":1}"},
        {" 1e400 ", " 1e400 "},
        {"\xef\xbb\xbf[]", "[]"},
        {"", "\"\""},
        {"hello", "\"hello\""},
        {"caf\xc3\xa9 \"q\" \\ / \n\x01\x7f", "\"caf\xc3\xa9 \\\"q\\\" \\\\ / \\n\\u0001\x7f\""},
        {"{\"a\":", "\"{\\\"a\\\":\""},
        {"NaN", "\"NaN\""},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(rats_send_message(client, FAKE_BOB, "chat", texts[i][0]), RATS_SUCCESS);
        expect_typed(FAKE_BOB, texts[i][1]);
    }
    assert_int_equal(rats_broadcast_message(client, "chat", "hello"), RATS_SUCCESS);
    expect_typed(NOBODY, "\"hello\"");
    assert_int_equal(rats_send_message(client, FAKE_BOB, "", "1"), RATS_SUCCESS);
    expect_on_plane(PLANE_TYPED, 0, FAKE_BOB, "", "1");
}

static void sends_that_cannot_work_are_refused_at_once(void **state)
{
    (void)state;
    attach("");
    fake_start(&daemon_side, client);
    assert_int_equal(rats_send_message(client, FAKE_EVE, "chat", "1"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_send_message(client, "bob", "chat", "1"), RATS_ERROR_PEER_NOT_FOUND);
    assert_int_equal(rats_broadcast_message(client, "chat", "1"), RATS_SUCCESS); /* to nobody */
    char name[4098];
    memset(name, 'n', sizeof name);
    name[4097] = '\0';
    assert_int_equal(rats_broadcast_message(client, name, "1"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_on_message(client, name, on_typed, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_on_message(client, "\xff", on_typed, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_on_message(client, "chat", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_once_message(client, "chat", NULL, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_true(fake_is_silent(&daemon_side, 0));
}

static void types_are_said_again_after_reattaching(void **state)
{
    (void)state;
    attach("");
    assert_int_equal(granted(hear_first, chat, "typed.on"), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    fake_hang_up(&daemon_side);
    expect_seen(1, "daemon 0\n");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    fake_grant(&daemon_side, "typed.on");
    fake_grant(&daemon_side, "session.start");
    expect_seen(1, "daemon 1\n");
    typed_message("chat", "1");
    expect_seen(1, "first bob 1\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    (void)unsetenv("RATS_SOCKET");
    directory = argc > 1 ? argv[1] : "tests/vectors";
    const struct CMUnitTest tests[] = {
        TEST(handlers_add_up_and_identical_ones_do_not),
        TEST(once_is_for_one_message),
        TEST(handlers_may_come_and_go_in_a_handler),
        TEST(a_refused_type_is_forgotten),
        TEST(what_upstream_takes_for_json_is_heard),
        TEST(edges_of_json_are_those_of_other_nodes),
        TEST(json_goes_out_as_it_is_and_other_text_as_a_string),
        TEST(sends_that_cannot_work_are_refused_at_once),
        TEST(types_are_said_again_after_reattaching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
