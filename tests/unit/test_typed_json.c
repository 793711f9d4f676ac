#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/typed_json.h"

static const char *directory;

static void what_upstream_sends_is_taken_apart_and_written_alike(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "typed_json.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "encode"), i, entry)
    {
        struct bytes payload = vectors_hex(vectors, entry, "payload");
        struct typed_json typed;
        assert_int_equal(typed_json_decode(payload, &typed), 0);
        assert_true(bytes_equal(typed.type, vectors_text_bytes(entry, "type")));
        assert_true(bytes_equal(typed.text, vectors_text_bytes(entry, "json_text")));
        assert_int_equal(typed_json_size(&typed), payload.size);
        uint8_t *written = malloc(payload.size);
        typed_json_encode(&typed, written);
        assert_memory_equal(written, payload.data, payload.size);
        free(written);
    }
    assert_true(i > 0);
    vectors_close(vectors);
}

static void only_short_frames_are_refused_here(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "typed_json.json");
    size_t i;
    json_t *entry;
    size_t refused = 0;
    json_array_foreach(vectors_array(vectors_root(vectors), "decode"), i, entry)
    {
        struct bytes payload = vectors_hex(vectors, entry, "payload");
        struct typed_json typed;
        const int result = typed_json_decode(payload, &typed);
        assert_true(result == 0 || result == -EPROTO);
        assert_true(result == 0 || vectors_uint(entry, "handler_called") == 0);
        refused += result != 0;
    }
    assert_int_equal(refused, 2); /* no size; a type past the end */
    vectors_close(vectors);
}

static void the_longest_type_fits(void **state)
{
    (void)state;
    uint8_t *name = calloc(1, TYPED_MAX_TYPE);
    struct typed_json typed = {.type = bytes_make(name, TYPED_MAX_TYPE)};
    uint8_t *encoded = malloc(typed_json_size(&typed));
    typed_json_encode(&typed, encoded);
    struct typed_json decoded;
    assert_int_equal(typed_json_decode(bytes_make(encoded, typed_json_size(&typed)), &decoded), 0);
    assert_int_equal(decoded.type.size, TYPED_MAX_TYPE);
    assert_int_equal(decoded.text.size, 0);
    free(encoded);
    free(name);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : "tests/vectors";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_upstream_sends_is_taken_apart_and_written_alike),
        cmocka_unit_test(only_short_frames_are_refused_here),
        cmocka_unit_test(the_longest_type_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
