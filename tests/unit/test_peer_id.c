#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/peer_id.h"
#include "vectors.h"

static const char *directory;

static void texts_are_accepted_and_refused_as_upstream_does(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "identity.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "hex_parsing"), i, entry)
    {
        struct peer_id id;
        int rc = peer_id_parse(vectors_text(entry, "input"), &id);
        if (vectors_bool(entry, "accepted")) {
            assert_int_equal(rc, 0);
            assert_string_equal(peer_id_format(&id).text, vectors_text(entry, "canonical"));
        } else {
            assert_int_equal(rc, -EINVAL);
        }
    }
    vectors_close(vectors);
}

static void the_short_form_is_the_first_eight_digits(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "identity.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "identities"), i, entry)
    {
        struct peer_id id;
        assert_int_equal(peer_id_parse(vectors_text(entry, "peer_id_hex"), &id), 0);
        assert_string_equal(peer_id_format_short(&id).text, vectors_text(entry, "short_hex"));
    }
    vectors_close(vectors);
}

static void ids_compare_as_big_endian_numbers(void **state)
{
    (void)state;
    struct peer_id low = {.bytes = {[0] = 1, [31] = 0xff}};
    struct peer_id high = {.bytes = {[0] = 2}};
    struct peer_id zero = {0};
    assert_true(peer_id_compare(&low, &high) < 0);
    assert_true(peer_id_compare(&high, &low) > 0);
    assert_true(peer_id_equal(&low, &low));
    assert_false(peer_id_equal(&low, &high));
    assert_true(peer_id_is_zero(&zero));
    assert_false(peer_id_is_zero(&low));
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted_and_refused_as_upstream_does),
        cmocka_unit_test(the_short_form_is_the_first_eight_digits),
        cmocka_unit_test(ids_compare_as_big_endian_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
