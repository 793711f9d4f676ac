#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vectors.h"
#include "wire/plaintext.h"
#include "wire/wire.h"

static const char *directory;

static void check_handshake(struct vectors *vectors, const char *id_field, const char *block_field)
{
    json_t *root = vectors_root(vectors);
    struct bytes block = vectors_hex(vectors, root, block_field);
    struct protocol_id id;
    struct peer_id self;
    struct peer_id peer;
    uint8_t out[PLAINTEXT_MAX_SIZE];
    assert_int_equal(protocol_id_init(&id, vectors_text_bytes(root, "protocol")), 0);
    assert_int_equal(peer_id_parse(vectors_text(root, id_field), &self), 0);
    assert_true(bytes_equal(bytes_make(out, plaintext_encode(&id, &self, out)), block));
    assert_int_equal(plaintext_decode(block, &id, &peer), 0);
    assert_true(peer_id_equal(&peer, &self));

    assert_true(vectors_bool(root, "trailing_byte_accepted"));
    uint8_t longer[PLAINTEXT_MAX_SIZE + 1] = {0};
    memcpy(longer, block.data, block.size);
    assert_int_equal(plaintext_decode(bytes_make(longer, block.size + 1), &id, &peer), 0);
    assert_true(peer_id_equal(&peer, &self));
}

static void both_blocks_are_those_of_upstream(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "plaintext_handshake.json");
    check_handshake(vectors, "initiator_peer_id", "message1");
    check_handshake(vectors, "responder_peer_id", "message2");
    vectors_close(vectors);
}

static void a_short_block_is_refused(void **state)
{
    (void)state;
    struct protocol_id id;
    struct peer_id self = {.bytes = {1}};
    struct peer_id peer = {.bytes = {2}};
    uint8_t out[PLAINTEXT_MAX_SIZE];
    assert_int_equal(protocol_id_init(&id, bytes_from_string("x")), 0);
    size_t size = plaintext_encode(&id, &self, out);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(plaintext_decode(bytes_make(out, i), &id, &peer), -EPROTO);
        assert_int_equal(peer.bytes[0], 2);
    }
}

static void another_protocol_is_refused(void **state)
{
    (void)state;
    static const char *const others[] = {"", "librats/1.", "librats/1.00", "librats/1.1"};
    struct protocol_id ours;
    struct peer_id self = {.bytes = {1}};
    struct peer_id peer;
    assert_int_equal(protocol_id_init(&ours, bytes_from_string("librats/1.0")), 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct protocol_id other;
        uint8_t out[PLAINTEXT_MAX_SIZE];
        assert_int_equal(protocol_id_init(&other, bytes_from_string(others[i])), 0);
        size_t size = plaintext_encode(&other, &self, out);
        assert_int_equal(plaintext_decode(bytes_make(out, size), &ours, &peer), -EPROTO);
    }
}

static void the_longest_name_fits_a_handshake_block(void **state)
{
    (void)state;
    uint8_t name[PROTOCOL_ID_MAX_NAME];
    memset(name, 'n', sizeof name);
    struct protocol_id id;
    struct peer_id self = {.bytes = {1}};
    struct peer_id peer;
    uint8_t out[PLAINTEXT_MAX_SIZE];
    assert_int_equal(protocol_id_init(&id, bytes_make(name, sizeof name)), 0);
    size_t size = plaintext_encode(&id, &self, out);
    assert_int_equal(size, PLAINTEXT_MAX_SIZE);
    assert_true(size <= BLOCK_MAX_HANDSHAKE);
    assert_int_equal(plaintext_decode(bytes_make(out, size), &id, &peer), 0);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_blocks_are_those_of_upstream),
        cmocka_unit_test(a_short_block_is_refused),
        cmocka_unit_test(another_protocol_is_refused),
        cmocka_unit_test(the_longest_name_fits_a_handshake_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
