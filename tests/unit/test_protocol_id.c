#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/protocol_id.h"

static const char *directory;

static void blobs_are_those_of_upstream(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "protocol_id.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "protocol_ids"), i, entry)
    {
        struct protocol_id id;
        assert_int_equal(protocol_id_init(&id, vectors_text_bytes(entry, "protocol")), 0);
        assert_true(bytes_equal(protocol_id_view(&id), vectors_hex(vectors, entry, "blob_hex")));
        assert_int_equal(id.size, vectors_uint(entry, "blob_len"));
    }
    vectors_close(vectors);
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static const uint8_t name[PROTOCOL_ID_MAX_NAME + 1];
    struct protocol_id id = {.size = 5};
    assert_int_equal(protocol_id_init(&id, bytes_make(name, sizeof name)), -EINVAL);
    assert_int_equal(id.size, 5);
    assert_int_equal(protocol_id_init(&id, bytes_make(name, sizeof name - 1)), 0);
    assert_int_equal(id.size, PROTOCOL_ID_MAX_BLOB);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blobs_are_those_of_upstream),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
