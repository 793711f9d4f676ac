#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/channel_id.h"

static const char *directory;

static void names_hash_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "channels.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "channels"), i, entry)
    {
        struct bytes name = vectors_hex(vectors, entry, "name_hex");
        struct bytes big_endian = vectors_hex(vectors, entry, "channel_id_hex");
        uint64_t hash = vectors_uint(entry, "fnv1a32");
        uint16_t id = channel_id(name);
        assert_true(bytes_equal(name, vectors_text_bytes(entry, "name")));
        assert_int_equal(id, vectors_uint(entry, "channel_id"));
        assert_int_equal(id, (hash >> 16 ^ hash) & 0xffff);
        assert_int_equal(big_endian.size, 2);
        assert_int_equal(id, big_endian.data[0] << 8 | big_endian.data[1]);
    }
    vectors_close(vectors);
}

static void a_name_that_folds_to_zero_is_one(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "channels.json");
    json_t *entry = json_object_get(vectors_root(vectors), "fold_to_zero");
    assert_int_equal(vectors_uint(entry, "raw_fold"), 0);
    assert_int_equal(vectors_uint(entry, "channel_id"), 1);
    assert_int_equal(channel_id(vectors_text_bytes(entry, "name")), 1);
    vectors_close(vectors);
}

static void the_known_collision_collides(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "channels.json");
    json_t *entry = json_object_get(vectors_root(vectors), "collision_example");
    uint64_t expected = vectors_uint(entry, "channel_id");
    assert_int_equal(channel_id(vectors_text_bytes(entry, "a")), expected);
    assert_int_equal(channel_id(vectors_text_bytes(entry, "b")), expected);
    vectors_close(vectors);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_hash_as_upstream_does),
        cmocka_unit_test(a_name_that_folds_to_zero_is_one),
        cmocka_unit_test(the_known_collision_collides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
