#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/message.h"

static const char *directory;

static void messages_are_those_of_upstream(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "frames.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "messages"), i, entry)
    {
        struct bytes inner = vectors_hex(vectors, entry, "inner");
        struct message message;
        assert_int_equal(message_decode(inner, &message), 0);
        assert_int_equal(message.type, vectors_uint(entry, "type"));
        assert_int_equal(message.flags, vectors_uint(entry, "flags"));
        assert_int_equal(message.channel, vectors_uint(entry, "channel"));
        assert_true(bytes_equal(message.payload, vectors_hex(vectors, entry, "payload")));
        uint8_t header[MESSAGE_HEADER_SIZE];
        message_encode_header(message.type, message.channel, header);
        assert_int_equal(header[0], inner.data[0]);
        assert_int_equal(header[1], 0);
        assert_memory_equal(header + 2, inner.data + 2, 2);
    }
    vectors_close(vectors);
}

static void fewer_bytes_than_a_header_are_refused(void **state)
{
    (void)state;
    static const uint8_t data[MESSAGE_HEADER_SIZE];
    struct message message = {.type = 9};
    for (size_t size = 0; size < sizeof data; size++) {
        assert_int_equal(message_decode(bytes_make(data, size), &message), -EPROTO);
        assert_int_equal(message.type, 9);
    }
    assert_int_equal(message_decode(bytes_make(data, sizeof data), &message), 0);
    assert_int_equal(message.payload.size, 0);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_those_of_upstream),
        cmocka_unit_test(fewer_bytes_than_a_header_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
