#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/aead.h"
#include "vectors.h"

static const char *directory;

struct pair {
    struct aead seal;
    struct aead open;
};

static void open_pair(struct pair *pair)
{
    static const uint8_t key[AEAD_KEY_SIZE] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
    assert_int_equal(aead_init(&pair->seal, AEAD_SEAL, key), 0);
    assert_int_equal(aead_init(&pair->open, AEAD_OPEN, key), 0);
}

static void close_pair(struct pair *pair)
{
    aead_fini(&pair->seal);
    aead_fini(&pair->open);
}

static struct bytes none(void)
{
    return bytes_make(NULL, 0);
}

static void each_counter_gives_the_nonce_upstream_uses(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "aead.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "aead"), i, entry)
    {
        const uint8_t *key = vectors_hex_of(vectors, entry, "key", AEAD_KEY_SIZE);
        const uint8_t *nonce = vectors_hex_of(vectors, entry, "nonce_12_bytes", 12);
        struct bytes plain = vectors_hex(vectors, entry, "plaintext");
        struct bytes expected = vectors_hex(vectors, entry, "ciphertext");
        uint64_t counter = vectors_uint(entry, "nonce_counter");
        for (size_t j = 0; j < 12; j++) {
            assert_int_equal(nonce[j], j < 4 ? 0 : counter >> (8 * (j - 4)) & 0xff);
        }
        struct aead seal;
        struct aead open;
        uint8_t out[256];
        assert_int_equal(aead_init(&seal, AEAD_SEAL, key), 0);
        assert_int_equal(aead_init(&open, AEAD_OPEN, key), 0);
        seal.counter = counter;
        open.counter = counter;
        assert_int_equal(expected.size, plain.size + AEAD_TAG_SIZE);
        assert_int_equal(aead_seal(&seal, none(), plain, out), 0);
        assert_memory_equal(out, expected.data, expected.size);
        assert_int_equal(aead_open(&open, out, expected.size), 0);
        assert_memory_equal(out, plain.data, plain.size);
        assert_true(seal.counter == counter + 1);
        assert_true(open.counter == counter + 1);
        aead_fini(&seal);
        aead_fini(&open);
    }
    vectors_close(vectors);
}

static void head_and_body_seal_as_if_joined(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 60, 61, 2043, 8187, 8188, 8189, 9000, 100000};
    static const size_t heads[] = {0, 4, 64, 3000};
    enum { MOST = 103000 };
    uint8_t *plain = malloc(MOST);
    uint8_t *out = malloc(MOST + AEAD_TAG_SIZE);
    uint8_t *joined = malloc(MOST + AEAD_TAG_SIZE);
    assert_true(plain != NULL && out != NULL && joined != NULL);
    for (size_t i = 0; i < MOST; i++) {
        plain[i] = (uint8_t)(i * 7 + i / 256);
    }
    struct pair pair;
    struct pair again;
    open_pair(&pair);
    open_pair(&again);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t j = 0; j < sizeof heads / sizeof *heads; j++) {
            size_t size = heads[j] + sizes[i];
            struct bytes head = bytes_make(plain, heads[j]);
            struct bytes body = bytes_make(plain + heads[j], sizes[i]);
            assert_int_equal(aead_seal(&pair.seal, head, body, out), 0);
            assert_int_equal(aead_seal_with(&again.seal, none(), bytes_make(plain, size), joined),
                             0);
            assert_memory_equal(out, joined, size + AEAD_TAG_SIZE);
            assert_int_equal(aead_open(&pair.open, out, size + AEAD_TAG_SIZE), 0);
            assert_memory_equal(out, plain, size);
        }
    }
    close_pair(&pair);
    close_pair(&again);
    free(plain);
    free(out);
    free(joined);
}

static void any_changed_bit_is_noticed_and_the_counter_stays(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    uint8_t sealed[5 + AEAD_TAG_SIZE];
    assert_int_equal(aead_seal(&pair.seal, none(), bytes_from_string("hello"), sealed), 0);
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        uint8_t copy[sizeof sealed];
        memcpy(copy, sealed, sizeof copy);
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
        assert_int_equal(aead_open(&pair.open, copy, sizeof copy), -EBADMSG);
        assert_true(pair.open.counter == 0);
    }
    assert_int_equal(aead_open(&pair.open, sealed, sizeof sealed), 0);
    assert_memory_equal(sealed, "hello", 5);
    close_pair(&pair);
}

static void a_repeated_or_skipped_message_is_refused(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    uint8_t sealed[3][1 + AEAD_TAG_SIZE];
    uint8_t copy[1 + AEAD_TAG_SIZE];
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(aead_seal(&pair.seal, none(), bytes_from_string("x"), sealed[i]), 0);
    }
    memcpy(copy, sealed[0], sizeof copy);
    assert_int_equal(aead_open(&pair.open, copy, sizeof copy), 0);
    memcpy(copy, sealed[0], sizeof copy);
    assert_int_equal(aead_open(&pair.open, copy, sizeof copy), -EBADMSG);
    memcpy(copy, sealed[2], sizeof copy);
    assert_int_equal(aead_open(&pair.open, copy, sizeof copy), -EBADMSG);
    memcpy(copy, sealed[1], sizeof copy);
    assert_int_equal(aead_open(&pair.open, copy, sizeof copy), 0);
    close_pair(&pair);
}

static void a_message_shorter_than_its_tag_is_refused(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    uint8_t data[AEAD_TAG_SIZE] = {0};
    for (size_t size = 0; size < sizeof data; size++) {
        assert_int_equal(aead_open(&pair.open, data, size), -EBADMSG);
    }
    assert_int_equal(aead_open(&pair.open, NULL, 0), -EBADMSG);
    close_pair(&pair);
}

static void associated_data_must_match(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    uint8_t sealed[4 + AEAD_TAG_SIZE];
    uint8_t plain[4];
    struct bytes view = bytes_make(sealed, sizeof sealed);
    struct bytes right = bytes_from_string("transcript");
    assert_int_equal(aead_seal_with(&pair.seal, right, bytes_from_string("text"), sealed), 0);
    assert_int_equal(aead_open_with(&pair.open, none(), view, plain), -EBADMSG);
    assert_int_equal(aead_open_with(&pair.open, bytes_from_string("Transcript"), view, plain),
                     -EBADMSG);
    assert_int_equal(aead_open_with(&pair.open, right, view, plain), 0);
    assert_memory_equal(plain, "text", 4);
    close_pair(&pair);
}

static void the_last_counter_is_never_used(void **state)
{
    (void)state;
    struct pair pair;
    open_pair(&pair);
    uint8_t sealed[1 + AEAD_TAG_SIZE];
    pair.seal.counter = UINT64_MAX - 1;
    pair.open.counter = UINT64_MAX - 1;
    assert_int_equal(aead_seal(&pair.seal, none(), bytes_from_string("x"), sealed), 0);
    assert_int_equal(aead_open(&pair.open, sealed, sizeof sealed), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(aead_seal(&pair.seal, none(), bytes_from_string("x"), sealed), -EOVERFLOW);
        assert_int_equal(aead_open(&pair.open, sealed, sizeof sealed), -EOVERFLOW);
        assert_int_equal(aead_seal_with(&pair.seal, none(), none(), sealed), -EOVERFLOW);
        assert_int_equal(aead_open_with(&pair.open, none(), bytes_make(sealed, 17), sealed),
                         -EOVERFLOW);
        assert_true(pair.seal.counter == UINT64_MAX && pair.open.counter == UINT64_MAX);
    }
    close_pair(&pair);
}

static void finishing_what_was_never_begun_is_harmless(void **state)
{
    (void)state;
    struct aead aead = {0};
    aead_fini(&aead);
    aead_fini(&aead);
    aead_fini(NULL);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_counter_gives_the_nonce_upstream_uses),
        cmocka_unit_test(head_and_body_seal_as_if_joined),
        cmocka_unit_test(any_changed_bit_is_noticed_and_the_counter_stays),
        cmocka_unit_test(a_repeated_or_skipped_message_is_refused),
        cmocka_unit_test(a_message_shorter_than_its_tag_is_refused),
        cmocka_unit_test(associated_data_must_match),
        cmocka_unit_test(the_last_counter_is_never_used),
        cmocka_unit_test(finishing_what_was_never_begun_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
