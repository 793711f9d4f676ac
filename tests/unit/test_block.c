#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/block.h"

static const char *directory;

static void blocks_are_those_of_upstream(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "frames.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "blocks"), i, entry)
    {
        struct bytes expected = vectors_hex(vectors, entry, "body");
        struct bytes wire = vectors_hex(vectors, entry, "wire");
        struct bytes body;
        size_t needed = 0;
        uint8_t prefix[BLOCK_PREFIX_SIZE];
        block_encode_prefix(expected.size, prefix);
        assert_memory_equal(prefix, wire.data, sizeof prefix);
        assert_int_equal(block_take(wire, BLOCK_MAX_BODY, &body, &needed), 1);
        assert_true(bytes_equal(body, expected));
        assert_int_equal(wire.size, BLOCK_PREFIX_SIZE + body.size);
    }
    vectors_close(vectors);
}

static void lengths_are_limited_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "frames.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "length_limits"), i, entry)
    {
        struct bytes prefix = vectors_hex(vectors, entry, "prefix");
        uint64_t length = vectors_uint(entry, "length");
        struct bytes body = {0};
        size_t needed = 0;
        uint8_t encoded[BLOCK_PREFIX_SIZE];
        block_encode_prefix((size_t)length, encoded);
        assert_true(bytes_equal(prefix, bytes_make(encoded, sizeof encoded)));
        int rc = block_take(prefix, BLOCK_MAX_BODY, &body, &needed);
        if (strcmp(vectors_text(entry, "status"), "incomplete") == 0) {
            assert_int_equal(rc, 0);
            assert_int_equal(needed, BLOCK_PREFIX_SIZE + length);
        } else {
            assert_int_equal(rc, -EMSGSIZE);
        }
    }
    vectors_close(vectors);
}

static void an_incomplete_block_says_what_it_needs(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0, 0, 0, 3, 'a', 'b', 'c', 'd'};
    for (size_t size = 0; size <= sizeof wire; size++) {
        struct bytes body = {0};
        size_t needed = 99;
        int rc = block_take(bytes_make(wire, size), 3, &body, &needed);
        if (size < 7) {
            assert_int_equal(rc, 0);
            assert_int_equal(needed, size < 4 ? 0 : 7);
        } else {
            assert_int_equal(rc, 1);
            assert_ptr_equal(body.data, wire + 4);
            assert_int_equal(body.size, 3);
        }
    }
}

static void a_block_above_the_callers_limit_is_refused_at_its_prefix(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0, 0, 4, 1};
    struct bytes body = {0};
    size_t needed = 0;
    struct bytes from = bytes_make(wire, sizeof wire);
    assert_int_equal(block_take(from, BLOCK_MAX_HANDSHAKE, &body, &needed), -EMSGSIZE);
    assert_int_equal(block_take(from, BLOCK_MAX_HANDSHAKE + 1, &body, &needed), 0);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_those_of_upstream),
        cmocka_unit_test(lengths_are_limited_as_upstream_does),
        cmocka_unit_test(an_incomplete_block_says_what_it_needs),
        cmocka_unit_test(a_block_above_the_callers_limit_is_refused_at_its_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
