#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_request.h"
#include "service/client_message.h"

static char error[256];

static int send_payload(const struct peer_id *to, struct bytes payload, size_t *ret_peers)
{
    const struct client_message message = {.session = 1, .peer = *to};
    error[0] = '\0';
    return client_message_send(NULL, &message, WIRE_TYPED, 7, payload, ret_peers, error,
                               sizeof error);
}

static int set_up(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void a_peer_of_zeros_is_everybody(void **state)
{
    (void)state;
    const struct peer_id somebody = {{3}};
    const struct peer_id everybody = {{0}};
    size_t peers = 0;
    assert_int_equal(send_payload(&somebody, bytes_from_string("hi"), &peers), 0);
    assert_int_equal(peers, 1);
    assert_false(fake_sent.broadcast);
    assert_true(peer_id_equal(&fake_sent.to, &somebody));
    assert_int_equal(fake_sent.type, WIRE_TYPED);
    assert_int_equal(fake_sent.channel, 7);
    assert_memory_equal(fake_sent.payload, "hi", 2);
    assert_int_equal(send_payload(&everybody, bytes_make(NULL, 0), &peers), 0);
    assert_int_equal(peers, 3);
    assert_true(fake_sent.broadcast);
}

static void failures_come_with_a_sentence_and_waits_without(void **state)
{
    (void)state;
    const struct peer_id somebody = {{3}};
    size_t peers = 77;
    fake_sent.result = -ENOTCONN;
    assert_int_equal(send_payload(&somebody, bytes_from_string("hi"), &peers), -ENOTCONN);
    assert_non_null(strstr(error, "not connected"));
    fake_sent.result = -EAGAIN;
    assert_int_equal(send_payload(&somebody, bytes_from_string("hi"), &peers), -EAGAIN);
    assert_string_equal(error, "");
    assert_int_equal(peers, 77);
}

static void what_is_too_large_for_the_wire_is_not_sent(void **state)
{
    (void)state;
    const struct peer_id somebody = {{3}};
    size_t peers = 0;
    static const char nothing[1];
    assert_int_equal(
        send_payload(&somebody, bytes_make(nothing, (size_t)WIRE_MAX_PAYLOAD + 1), &peers),
        -EMSGSIZE);
    assert_non_null(strstr(error, "67108845 bytes"));
    assert_int_equal(fake_sent.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_peer_of_zeros_is_everybody, set_up),
        cmocka_unit_test_setup(failures_come_with_a_sentence_and_waits_without, set_up),
        cmocka_unit_test_setup(what_is_too_large_for_the_wire_is_not_sent, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
