#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_request.h"
#include "service/registry.h"
#include "service/typed.h"

static void *typed;

static int set_up(void **state)
{
    (void)state;
    fake_reset();
    return typed_service.open(NULL, &typed);
}

static int tear_down(void **state)
{
    (void)state;
    typed_service.close(typed);
    fake_reset();
    return 0;
}

static const struct fake_answer *call(enum method_id method, uint64_t session, const char *type)
{
    return fake_call(&typed_service, typed, method, session, json_pack("{s:s}", "type", type));
}

static void receive(const void *payload, size_t size)
{
    static const struct peer_id from = {{5}};
    struct message message = {.type = WIRE_TYPED, .payload = bytes_make(payload, size)};
    typed_service.on_message(typed, fake_peer(&from), &message);
}

static int send_to(const struct peer_id *peer, const char *type, struct bytes text,
                   size_t *ret_peers)
{
    char error[256] = "";
    struct client_message message = {.session = 1,
                                     .plane = PLANE_TYPED,
                                     .peer = *peer,
                                     .name = bytes_from_string(type),
                                     .payload = text};
    int result = typed_service.on_client_message(typed, &message, ret_peers, error, sizeof error);
    assert_true(result == 0 || result == -EAGAIN || error[0] != '\0');
    return result;
}

static void every_session_that_registered_the_type_gets_the_text(void **state)
{
    (void)state;
    assert_int_equal(call(M_TYPED_ON, 1, "chat")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_TYPED_ON, 2, "chat")->error, PROTO_ERROR_COUNT);
    assert_int_equal(call(M_TYPED_ON, 3, "cha")->error, PROTO_ERROR_COUNT);
    receive("\0\4chat{\"a\":1}", 13);
    assert_int_equal(fake_delivered.count, 1);
    assert_int_equal(fake_delivered.session_count, 2);
    assert_string_equal(fake_delivered.name, "chat");
    assert_int_equal(fake_delivered.payload_size, 7);
    assert_memory_equal(fake_delivered.payload, "{\"a\":1}", 7);
}

static void the_empty_type_is_a_type(void **state)
{
    (void)state;
    (void)call(M_TYPED_ON, 1, "");
    receive("\0\0001", 3);
    assert_int_equal(fake_delivered.session_count, 1);
    assert_memory_equal(fake_delivered.payload, "1", 1);
}

static void what_nobody_registered_or_is_malformed_is_dropped(void **state)
{
    (void)state;
    receive("\0\1z1", 4);
    (void)call(M_TYPED_ON, 1, "t");
    (void)call(M_TYPED_ON, 1, "");
    receive("", 0);
    receive("\0", 1);
    receive("\0\11t", 3);
    receive("\0\1z1", 4);
    receive("\0\1\0001", 4);
    receive("\0\1\xff"
            "1",
            4);
    assert_int_equal(fake_delivered.count, 0);
    (void)call(M_TYPED_OFF, 1, "t");
    receive("\0\1t1", 4);
    assert_int_equal(fake_delivered.count, 0);
}

static void only_who_registered_can_give_up(void **state)
{
    (void)state;
    assert_int_equal(call(M_TYPED_OFF, 1, "t")->error, E_NOT_FOUND);
    (void)call(M_TYPED_ON, 1, "t");
    assert_int_equal(call(M_TYPED_OFF, 2, "t")->error, E_NOT_FOUND);
    assert_int_equal(call(M_TYPED_OFF, 1, "t")->error, PROTO_ERROR_COUNT);
}

static json_int_t types_of(uint64_t session)
{
    json_t *row = json_object();
    typed_service.on_describe_session(typed, session, row);
    json_int_t count = json_integer_value(json_object_get(row, "types"));
    json_decref(row);
    return count;
}

static void a_session_has_a_limit_and_leaves_nothing_behind(void **state)
{
    (void)state;
    char name[16];
    for (unsigned i = 0; i < REGISTRY_MAX_NAMES; i++) {
        (void)snprintf(name, sizeof name, "n%u", i);
        assert_int_equal(call(M_TYPED_ON, 1, name)->error, PROTO_ERROR_COUNT);
    }
    const struct fake_answer *answer = call(M_TYPED_ON, 1, "one too many");
    assert_int_equal(answer->error, E_LIMIT);
    assert_non_null(strstr(answer->text, "512"));
    assert_int_equal(types_of(1), 512);
    typed_service.on_session_end(typed, 1);
    assert_int_equal(types_of(1), 0);
    receive("\0\2n71", 5);
    assert_int_equal(fake_delivered.count, 0);
}

static void the_type_stands_before_the_text_on_the_wire(void **state)
{
    (void)state;
    size_t peers = 0;
    struct peer_id to = {{7}};
    assert_int_equal(send_to(&to, "chat", bytes_from_string("[1]"), &peers), 0);
    assert_int_equal(peers, 1);
    assert_int_equal(fake_sent.type, WIRE_TYPED);
    assert_int_equal(fake_sent.channel, 0);
    assert_int_equal(fake_sent.payload_size, 9);
    assert_memory_equal(fake_sent.payload, "\0\4chat[1]", 9);
    assert_int_equal(send_to(&(struct peer_id){{0}}, "", bytes_make(NULL, 0), &peers), 0);
    assert_true(fake_sent.broadcast);
    assert_int_equal(peers, 3);
    assert_memory_equal(fake_sent.payload, "\0\0", fake_sent.payload_size);
}

static void type_and_text_together_must_fit_one_message(void **state)
{
    (void)state;
    size_t peers = 0;
    struct peer_id to = {{7}};
    char *text = calloc(1, WIRE_MAX_PAYLOAD);
    assert_int_equal(send_to(&to, "chat", bytes_make(text, WIRE_MAX_PAYLOAD - 6), &peers), 0);
    assert_int_equal(send_to(&to, "chat", bytes_make(text, WIRE_MAX_PAYLOAD - 5), &peers),
                     -EMSGSIZE);
    assert_int_equal(fake_sent.count, 1);
    free(text);
}

static void a_congested_link_passes_the_wait_on(void **state)
{
    (void)state;
    size_t peers = 0;
    struct peer_id to = {{7}};
    fake_sent.result = -EAGAIN;
    assert_int_equal(send_to(&to, "chat", bytes_from_string("1"), &peers), -EAGAIN);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(every_session_that_registered_the_type_gets_the_text),
        CASE(the_empty_type_is_a_type),
        CASE(what_nobody_registered_or_is_malformed_is_dropped),
        CASE(only_who_registered_can_give_up),
        CASE(a_session_has_a_limit_and_leaves_nothing_behind),
        CASE(the_type_stands_before_the_text_on_the_wire),
        CASE(type_and_text_together_must_fit_one_message),
        CASE(a_congested_link_passes_the_wait_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
