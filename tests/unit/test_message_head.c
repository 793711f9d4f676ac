/* proto/message_head: round trips and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/message_head.h"

static uint8_t peer[32];
static uint8_t forwarder[32];

static int fill(void **state)
{
    (void)state;
    for (size_t i = 0; i < 32; i++) {
        peer[i] = (uint8_t)i;
        forwarder[i] = (uint8_t)(200 - i);
    }
    return 0;
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    const struct message_head heads[] = {
        {PLANE_CHANNEL, 0, peer, "rats.string", 11, NULL},
        {PLANE_CHANNEL, 0, peer, "", 0, NULL},
        {PLANE_TYPED, 0, peer, "a\0b", 3, NULL},
        {PLANE_TOPIC, MESSAGE_FLAG_LOCAL, peer, "news", 4, forwarder},
        {PLANE_TOPIC, MESSAGE_FLAG_ECHO, peer, "news", 4, NULL},
    };
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        const size_t size = message_head_size(&heads[i]);
        uint8_t *out = malloc(size);
        message_head_encode(&heads[i], out);
        struct message_head back;
        assert_int_equal(message_head_decode(out, size, &back), 0);
        assert_int_equal(back.plane, heads[i].plane);
        assert_int_equal(back.flags, heads[i].flags);
        assert_memory_equal(back.peer, peer, 32);
        assert_int_equal(back.name_size, heads[i].name_size);
        assert_memory_equal(back.name, heads[i].name, back.name_size);
        assert_int_equal(back.forwarder != NULL, heads[i].forwarder != NULL);
        if (back.forwarder != NULL) {
            assert_memory_equal(back.forwarder, forwarder, 32);
        }
        free(out);
    }
}

static void the_bytes_are_those_of_the_page(void **state)
{
    (void)state;
    const struct message_head head = {PLANE_CHANNEL, 0, peer, "ab", 2, NULL};
    uint8_t out[38];
    assert_int_equal(message_head_size(&head), sizeof out);
    message_head_encode(&head, out);
    const uint8_t expected[4] = {1, 0, 2, 0};
    assert_memory_equal(out, expected, 4);
    assert_memory_equal(out + 4, peer, 32);
    assert_memory_equal(out + 36, "ab", 2);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const struct message_head head = {PLANE_TOPIC, 0, peer, "news", 4, forwarder};
    uint8_t out[72];
    message_head_encode(&head, out);
    for (size_t size = 0; size < sizeof out; size++) {
        uint8_t *part = malloc(size == 0 ? 1 : size);
        memcpy(part, out, size);
        struct message_head back;
        /* Cut right after the name it is a topic message without a forwarder. */
        assert_int_equal(message_head_decode(part, size, &back), size == 40 ? 0 : -1);
        free(part);
    }
}

static void wrong_planes_long_names_and_trailing_bytes_are_refused(void **state)
{
    (void)state;
    uint8_t data[36 + 4097] = {1};
    struct message_head back;
    data[0] = 0;
    assert_int_equal(message_head_decode(data, 36, &back), -1);
    data[0] = 4;
    assert_int_equal(message_head_decode(data, 36, &back), -1);
    data[0] = PLANE_CHANNEL;
    assert_int_equal(message_head_decode(data, 36, &back), 0);
    assert_int_equal(message_head_decode(data, 37, &back), -1);
    assert_int_equal(message_head_decode(data, 68, &back), -1);
    data[2] = 0x00;
    data[3] = 0x10;
    assert_int_equal(message_head_decode(data, 36 + 4096, &back), 0);
    data[2] = 0x01;
    assert_int_equal(message_head_decode(data, 36 + 4097, &back), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(the_bytes_are_those_of_the_page),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(wrong_planes_long_names_and_trailing_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
