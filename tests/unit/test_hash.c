#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "util/hex.h"

static void check_hex(const uint8_t *data, size_t size, const char *expected)
{
    char text[129];
    hex_format(bytes_make(data, size), text);
    assert_string_equal(text, expected);
}

/* FIPS 180-2, appendix B, and the empty string. */
static void sha256_agrees_with_the_standard(void **state)
{
    (void)state;
    uint8_t digest[SHA256_SIZE];
    assert_int_equal(sha256(bytes_from_string("abc"), digest), 0);
    check_hex(digest, sizeof digest,
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256(bytes_make(NULL, 0), digest), 0);
    check_hex(digest, sizeof digest,
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void two_pieces_hash_as_one(void **state)
{
    (void)state;
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    struct bytes whole = bytes_from_string(text);
    uint8_t expected[SHA256_SIZE];
    assert_int_equal(sha256(whole, expected), 0);
    check_hex(expected, sizeof expected,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    for (size_t cut = 0; cut <= whole.size; cut++) {
        uint8_t digest[SHA256_SIZE];
        assert_int_equal(sha256_two(bytes_make(whole.data, cut),
                                    bytes_make(whole.data + cut, whole.size - cut), digest),
                         0);
        assert_memory_equal(digest, expected, sizeof digest);
    }
}

/* RFC 5869, test case 3: an empty salt is a key of zeros, and with empty info the output blocks
 * are those of Noise. */
static void hkdf_agrees_with_its_rfc(void **state)
{
    (void)state;
    static const uint8_t salt[SHA256_SIZE];
    uint8_t input[22];
    uint8_t first[SHA256_SIZE];
    uint8_t second[SHA256_SIZE];
    memset(input, 0x0b, sizeof input);
    assert_int_equal(hkdf2(salt, bytes_make(input, sizeof input), first, second), 0);
    check_hex(first, sizeof first,
              "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    check_hex(second, 10, "9d201395faa4b61a96c8");
}

static void the_first_output_may_replace_the_chaining_key(void **state)
{
    (void)state;
    uint8_t key[SHA256_SIZE] = {1, 2, 3};
    uint8_t first[SHA256_SIZE];
    uint8_t second[SHA256_SIZE];
    uint8_t other[SHA256_SIZE];
    assert_int_equal(hkdf2(key, bytes_make(NULL, 0), first, second), 0);
    assert_int_equal(hkdf2(key, bytes_make(NULL, 0), key, other), 0);
    assert_memory_equal(key, first, sizeof key);
    assert_memory_equal(other, second, sizeof other);
}

static void bytes_that_come_one_after_another_hash_as_a_whole(void **state)
{
    (void)state;
    struct sha256_stream stream = {0};
    uint8_t whole[SHA256_SIZE];
    uint8_t parts[SHA256_SIZE];
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 7);
    }
    for (size_t cut = 0; cut <= sizeof data; cut += 125) {
        assert_int_equal(sha256(bytes_make(data, sizeof data), whole), 0);
        assert_int_equal(sha256_begin(&stream), 0);
        assert_int_equal(sha256_add(&stream, bytes_make(data, cut)), 0);
        assert_int_equal(sha256_add(&stream, bytes_make(data + cut, sizeof data - cut)), 0);
        assert_int_equal(sha256_end(&stream, parts), 0);
        assert_memory_equal(whole, parts, sizeof whole);
    }
    sha256_fini(&stream);
    sha256_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_agrees_with_the_standard),
        cmocka_unit_test(two_pieces_hash_as_one),
        cmocka_unit_test(hkdf_agrees_with_its_rfc),
        cmocka_unit_test(the_first_output_may_replace_the_chaining_key),
        cmocka_unit_test(bytes_that_come_one_after_another_hash_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
