#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "crypto/x25519.h"
#include "util/hex.h"
#include "vectors.h"

static const char *directory;

static void identities_are_those_of_upstream(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "identity.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "identities"), i, entry)
    {
        uint8_t public[X25519_SIZE];
        uint8_t peer_id[SHA256_SIZE];
        assert_int_equal(
            x25519_public(vectors_hex_of(vectors, entry, "identity_key_file_hex", X25519_SIZE),
                          public),
            0);
        assert_memory_equal(public, vectors_hex_of(vectors, entry, "public_key_hex", X25519_SIZE),
                            X25519_SIZE);
        assert_int_equal(sha256(bytes_make(public, sizeof public), peer_id), 0);
        assert_memory_equal(peer_id, vectors_hex_of(vectors, entry, "peer_id_hex", SHA256_SIZE),
                            SHA256_SIZE);
    }
    vectors_close(vectors);
}

static void both_ends_find_the_same_secret(void **state)
{
    (void)state;
    uint8_t a[X25519_SIZE];
    uint8_t b[X25519_SIZE];
    uint8_t public_a[X25519_SIZE];
    uint8_t public_b[X25519_SIZE];
    uint8_t shared_a[X25519_SIZE];
    uint8_t shared_b[X25519_SIZE];
    for (uint8_t i = 0; i < X25519_SIZE; i++) {
        a[i] = (uint8_t)(i + 1);
        b[i] = (uint8_t)(0xf0 - i);
    }
    assert_int_equal(x25519_public(a, public_a), 0);
    assert_int_equal(x25519_public(b, public_b), 0);
    assert_int_equal(x25519_shared(a, public_b, shared_a), 0);
    assert_int_equal(x25519_shared(b, public_a, shared_b), 0);
    assert_memory_equal(shared_a, shared_b, X25519_SIZE);
}

/* Every encoding of a point of low order: 0, 1, the two of order 8, and p - 1, p, p + 1. */
static void low_order_points_are_refused(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
    };
    static const uint8_t secret[X25519_SIZE] = {1, 2, 3, 4, 5};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        uint8_t point[X25519_SIZE];
        uint8_t shared[X25519_SIZE] = {7};
        assert_int_equal(hex_parse(points[i], point, sizeof point), 0);
        assert_int_equal(x25519_shared(secret, point, shared), -EPROTO);
        assert_int_equal(shared[0], 7);
    }
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identities_are_those_of_upstream),
        cmocka_unit_test(both_ends_find_the_same_secret),
        cmocka_unit_test(low_order_points_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
