#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/noise.h"
#include "vectors.h"

static const char *directory;

static const uint8_t zero_key[X25519_SIZE];

static struct bytes none(void)
{
    return bytes_make(NULL, 0);
}

/* Deterministic secrets for the tests that need no vector. */
static const uint8_t *secret(uint8_t first)
{
    static uint8_t secrets[256][X25519_SIZE];
    for (size_t i = 0; i < X25519_SIZE; i++) {
        secrets[first][i] = (uint8_t)(first + i);
    }
    return secrets[first];
}

static struct noise *new_noise(enum noise_role role)
{
    struct noise *noise = NULL;
    uint8_t first = role == NOISE_INITIATOR ? 0x01 : 0x41;
    assert_int_equal(noise_new(role, secret(first), secret((uint8_t)(first + 0x20)),
                               bytes_from_string("prologue"), &noise),
                     0);
    return noise;
}

struct message {
    uint8_t data[NOISE_MAX_MESSAGE + NOISE_MAX_PAYLOAD + 1];
    size_t size;
};

static struct bytes view(const struct message *message)
{
    return bytes_make(message->data, message->size);
}

/* The next message from one to the other, both of which must be ready for it. */
static void pass(struct noise *from, struct noise *to)
{
    struct message message;
    assert_true(noise_wants_write(from));
    assert_false(noise_wants_write(to));
    assert_int_equal(noise_write(from, message.data, &message.size), 0);
    assert_int_equal(noise_read(to, view(&message)), 0);
}

/* Nothing more can be had from an object that has failed. */
static void check_dead(struct noise *noise)
{
    struct message message = {.size = 77};
    assert_false(noise_wants_write(noise));
    assert_false(noise_is_done(noise));
    assert_int_equal(noise_write(noise, message.data, &message.size), -EPROTO);
    assert_int_equal(message.size, 77);
    for (size_t size = 0; size <= 96; size += 32) {
        assert_int_equal(noise_read(noise, bytes_make(message.data, size)), -EPROTO);
    }
}

/* --- the vectors --- */

struct ends {
    struct noise *initiator;
    struct noise *responder;
};

static struct ends ends_of(struct vectors *vectors, json_t *entry)
{
    struct ends ends;
    struct bytes prologue = vectors_hex(vectors, entry, "prologue_hex");
    assert_int_equal(
        noise_new(NOISE_INITIATOR,
                  vectors_hex_of(vectors, entry, "initiator_static_private", X25519_SIZE),
                  vectors_hex_of(vectors, entry, "initiator_ephemeral_private", X25519_SIZE),
                  prologue, &ends.initiator),
        0);
    assert_int_equal(
        noise_new(NOISE_RESPONDER,
                  vectors_hex_of(vectors, entry, "responder_static_private", X25519_SIZE),
                  vectors_hex_of(vectors, entry, "responder_ephemeral_private", X25519_SIZE),
                  prologue, &ends.responder),
        0);
    return ends;
}

static void check_message(struct noise *from, struct noise *to, struct bytes expected)
{
    struct message message;
    assert_true(noise_wants_write(from));
    assert_int_equal(noise_write(from, message.data, &message.size), 0);
    assert_true(bytes_equal(view(&message), expected));
    assert_int_equal(noise_read(to, view(&message)), 0);
}

static void check_result(struct vectors *vectors, json_t *entry, const struct noise *noise,
                         const char *peer_key, const char *peer_id)
{
    uint8_t public[X25519_SIZE];
    uint8_t digest[SHA256_SIZE];
    assert_true(noise_is_done(noise));
    noise_remote_public(noise, public);
    assert_memory_equal(public, vectors_hex_of(vectors, entry, peer_key, X25519_SIZE), X25519_SIZE);
    assert_int_equal(sha256(bytes_make(public, sizeof public), digest), 0);
    assert_memory_equal(digest, vectors_hex_of(vectors, entry, peer_id, SHA256_SIZE), SHA256_SIZE);
    noise_handshake_hash(noise, digest);
    assert_memory_equal(digest, vectors_hex_of(vectors, entry, "handshake_hash", SHA256_SIZE),
                        SHA256_SIZE);
}

/* A split key never leaves its cipher; what it makes of one text tells whether it is the right
 * one. */
static void check_key(const uint8_t key[AEAD_KEY_SIZE], struct aead *seal)
{
    struct aead expected;
    uint8_t out[2][4 + AEAD_TAG_SIZE];
    assert_int_equal(aead_init(&expected, AEAD_SEAL, key), 0);
    assert_int_equal(aead_seal(&expected, none(), bytes_from_string("same"), out[0]), 0);
    assert_int_equal(aead_seal(seal, none(), bytes_from_string("same"), out[1]), 0);
    assert_memory_equal(out[0], out[1], sizeof out[0]);
    seal->counter = 0;
    aead_fini(&expected);
}

static void check_transport(struct vectors *vectors, json_t *entry, struct aead *seal,
                            struct aead *open)
{
    struct bytes plain = vectors_hex(vectors, entry, "plaintext");
    struct bytes expected = vectors_hex(vectors, entry, "ciphertext");
    uint8_t out[256];
    assert_true(seal->counter == vectors_uint(entry, "nonce"));
    assert_int_equal(aead_seal(seal, none(), plain, out), 0);
    assert_int_equal(expected.size, plain.size + AEAD_TAG_SIZE);
    assert_memory_equal(out, expected.data, expected.size);
    assert_int_equal(aead_open(open, out, expected.size), 0);
    if (plain.size > 0) {
        assert_memory_equal(out, plain.data, plain.size);
    }
    if (vectors_has(entry, "block_on_wire")) {
        struct bytes block = vectors_hex(vectors, entry, "block_on_wire");
        assert_int_equal(block.size, 4 + expected.size);
        assert_int_equal(block.data[0] << 24 | block.data[1] << 16 | block.data[2] << 8 |
                             block.data[3],
                         expected.size);
        assert_memory_equal(block.data + 4, expected.data, expected.size);
    } else {
        /* AEAD-valid, yet too short for the inner header: the caller's reason to close. */
        assert_true(plain.size < 4);
    }
}

static void check_split(struct vectors *vectors, json_t *entry, struct ends *ends)
{
    struct aead from_initiator;
    struct aead to_initiator;
    struct aead from_responder;
    struct aead to_responder;
    assert_int_equal(noise_split(ends->initiator, &from_initiator, &to_initiator), 0);
    assert_int_equal(noise_split(ends->responder, &from_responder, &to_responder), 0);
    check_key(vectors_hex_of(vectors, entry, "initiator_to_responder_key", AEAD_KEY_SIZE),
              &from_initiator);
    check_key(vectors_hex_of(vectors, entry, "responder_to_initiator_key", AEAD_KEY_SIZE),
              &from_responder);
    size_t i;
    json_t *item;
    json_array_foreach(vectors_array(entry, "transport"), i, item)
    {
        if (strcmp(vectors_text(item, "direction"), "initiator->responder") == 0) {
            check_transport(vectors, item, &from_initiator, &to_responder);
        } else {
            check_transport(vectors, item, &from_responder, &to_initiator);
        }
    }
    aead_fini(&from_initiator);
    aead_fini(&to_initiator);
    aead_fini(&from_responder);
    aead_fini(&to_responder);
}

static void handshakes_and_transport_are_those_of_upstream(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "noise_xx.json");
    size_t i;
    json_t *entry;
    json_array_foreach(vectors_array(vectors_root(vectors), "handshakes"), i, entry)
    {
        struct ends ends = ends_of(vectors, entry);
        struct bytes first = vectors_hex(vectors, entry, "message1");
        struct bytes second = vectors_hex(vectors, entry, "message2");
        assert_memory_equal(
            first.data, vectors_hex_of(vectors, entry, "initiator_ephemeral_public", X25519_SIZE),
            X25519_SIZE);
        assert_memory_equal(
            second.data, vectors_hex_of(vectors, entry, "responder_ephemeral_public", X25519_SIZE),
            X25519_SIZE);
        check_message(ends.initiator, ends.responder, first);
        check_message(ends.responder, ends.initiator, second);
        check_message(ends.initiator, ends.responder, vectors_hex(vectors, entry, "message3"));
        assert_true(vectors_bool(entry, "complete"));
        check_result(vectors, entry, ends.initiator, "responder_static_public",
                     "responder_peer_id");
        check_result(vectors, entry, ends.responder, "initiator_static_public",
                     "initiator_peer_id");
        check_split(vectors, entry, &ends);
        noise_free(ends.initiator);
        noise_free(ends.responder);
    }
    vectors_close(vectors);
}

/* --- a second, plainer Noise that can do what ours never does: send payloads, or keys of its
 * choice --- */

struct plain_noise {
    uint8_t hash[SHA256_SIZE];
    uint8_t chaining_key[SHA256_SIZE];
    uint8_t key[SHA256_SIZE];
    uint64_t counter;
    bool has_key;
};

static void plain_mix_hash(struct plain_noise *noise, struct bytes data)
{
    assert_int_equal(sha256_two(bytes_make(noise->hash, SHA256_SIZE), data, noise->hash), 0);
}

static void plain_init(struct plain_noise *noise)
{
    *noise = (struct plain_noise){0};
    memcpy(noise->hash, "Noise_XX_25519_ChaChaPoly_SHA256", SHA256_SIZE);
    memcpy(noise->chaining_key, noise->hash, SHA256_SIZE);
    plain_mix_hash(noise, bytes_from_string("prologue"));
}

static void plain_mix(struct plain_noise *noise, const uint8_t *own, const uint8_t *peer)
{
    uint8_t shared[X25519_SIZE];
    assert_int_equal(x25519_shared(own, peer, shared), 0);
    assert_int_equal(hkdf2(noise->chaining_key, bytes_make(shared, sizeof shared),
                           noise->chaining_key, noise->key),
                     0);
    noise->has_key = true;
    noise->counter = 0;
}

static void plain_put(struct plain_noise *noise, struct bytes text, struct message *message)
{
    uint8_t *out = message->data + message->size;
    size_t size = text.size;
    assert_true(sizeof message->data - message->size >= size + AEAD_TAG_SIZE);
    if (noise->has_key) {
        struct aead aead;
        assert_int_equal(aead_init(&aead, AEAD_SEAL, noise->key), 0);
        aead.counter = noise->counter++;
        assert_int_equal(aead_seal_with(&aead, bytes_make(noise->hash, SHA256_SIZE), text, out), 0);
        aead_fini(&aead);
        size += AEAD_TAG_SIZE;
    } else if (size > 0) {
        memcpy(out, text.data, size);
    }
    plain_mix_hash(noise, bytes_make(out, size));
    message->size += size;
}

static void plain_take(struct plain_noise *noise, struct bytes sealed, uint8_t *plain)
{
    struct aead aead;
    assert_int_equal(aead_init(&aead, AEAD_OPEN, noise->key), 0);
    aead.counter = noise->counter++;
    assert_int_equal(aead_open_with(&aead, bytes_make(noise->hash, SHA256_SIZE), sealed, plain), 0);
    aead_fini(&aead);
    plain_mix_hash(noise, sealed);
}

static const uint8_t payload[NOISE_MAX_PAYLOAD + 1] = "an extension that may be ignored";

static struct bytes public_of(const uint8_t *of)
{
    static uint8_t public[X25519_SIZE];
    assert_int_equal(x25519_public(of, public), 0);
    return bytes_make(public, sizeof public);
}

/* Our responder against the plain initiator, whose payloads have these sizes and whose static
 * public key may be forged. Returns what message 3 gave. */
static int meet_initiator(struct noise *responder, size_t first_payload, size_t third_payload,
                          const uint8_t *forged, uint8_t ret_hash[SHA256_SIZE])
{
    struct plain_noise plain;
    struct message message = {0};
    uint8_t peer_static[X25519_SIZE];
    plain_init(&plain);
    struct bytes ephemeral = public_of(secret(0x21));
    memcpy(message.data, ephemeral.data, X25519_SIZE);
    message.size = X25519_SIZE;
    plain_mix_hash(&plain, ephemeral);
    plain_put(&plain, bytes_make(payload, first_payload), &message);
    assert_int_equal(noise_read(responder, view(&message)), 0);

    assert_int_equal(noise_write(responder, message.data, &message.size), 0);
    assert_int_equal(message.size, 96);
    plain_mix_hash(&plain, bytes_make(message.data, X25519_SIZE));
    plain_mix(&plain, secret(0x21), message.data);
    plain_take(&plain, bytes_make(message.data + 32, 48), peer_static);
    plain_mix(&plain, secret(0x21), peer_static);
    plain_take(&plain, bytes_make(message.data + 80, 16), peer_static);

    uint8_t peer_ephemeral[X25519_SIZE];
    memcpy(peer_ephemeral, message.data, X25519_SIZE);
    message.size = 0;
    struct bytes own = forged != NULL ? bytes_make(forged, X25519_SIZE) : public_of(secret(0x01));
    plain_put(&plain, own, &message);
    plain_mix(&plain, secret(0x01), peer_ephemeral);
    plain_put(&plain, bytes_make(payload, third_payload), &message);
    memcpy(ret_hash, plain.hash, SHA256_SIZE);
    return noise_read(responder, view(&message));
}

/* Our initiator against the plain responder. */
static int meet_responder(struct noise *initiator, size_t payload_size, const uint8_t *forged,
                          struct plain_noise *plain)
{
    struct message message = {0};
    plain_init(plain);
    assert_int_equal(noise_write(initiator, message.data, &message.size), 0);
    uint8_t peer_ephemeral[X25519_SIZE];
    memcpy(peer_ephemeral, message.data, X25519_SIZE);
    plain_mix_hash(plain, bytes_make(peer_ephemeral, X25519_SIZE));
    plain_mix_hash(plain, none());

    struct bytes ephemeral = public_of(secret(0x61));
    memcpy(message.data, ephemeral.data, X25519_SIZE);
    message.size = X25519_SIZE;
    plain_mix_hash(plain, ephemeral);
    plain_mix(plain, secret(0x61), peer_ephemeral);
    plain_put(plain, forged != NULL ? bytes_make(forged, X25519_SIZE) : public_of(secret(0x41)),
              &message);
    plain_mix(plain, secret(0x41), peer_ephemeral);
    plain_put(plain, bytes_make(payload, payload_size), &message);
    return noise_read(initiator, view(&message));
}

static void payloads_of_up_to_256_bytes_are_hashed_and_ignored(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{0, 0}, {1, 0}, {0, 1}, {256, 0}, {0, 256}, {256, 256}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct noise *responder = new_noise(NOISE_RESPONDER);
        uint8_t hash[SHA256_SIZE];
        uint8_t expected[SHA256_SIZE];
        assert_int_equal(meet_initiator(responder, sizes[i][0], sizes[i][1], NULL, expected), 0);
        assert_true(noise_is_done(responder));
        noise_handshake_hash(responder, hash);
        assert_memory_equal(hash, expected, SHA256_SIZE);
        noise_remote_public(responder, hash);
        assert_memory_equal(hash, public_of(secret(0x01)).data, X25519_SIZE);
        noise_free(responder);
    }
    for (size_t size = 0; size <= 256; size += 128) {
        struct noise *initiator = new_noise(NOISE_INITIATOR);
        struct plain_noise plain;
        struct message message;
        assert_int_equal(meet_responder(initiator, size, NULL, &plain), 0);
        assert_int_equal(noise_write(initiator, message.data, &message.size), 0);
        assert_int_equal(message.size, 64);
        uint8_t peer_static[X25519_SIZE];
        plain_take(&plain, bytes_make(message.data, 48), peer_static);
        assert_memory_equal(peer_static, public_of(secret(0x01)).data, X25519_SIZE);
        plain_mix(&plain, secret(0x61), peer_static);
        plain_take(&plain, bytes_make(message.data + 48, 16), peer_static);
        uint8_t hash[SHA256_SIZE];
        noise_handshake_hash(initiator, hash);
        assert_memory_equal(hash, plain.hash, SHA256_SIZE);
        noise_free(initiator);
    }
}

static void a_payload_of_257_bytes_is_refused(void **state)
{
    (void)state;
    struct message message = {.size = X25519_SIZE + 257};
    uint8_t hash[SHA256_SIZE];
    struct plain_noise plain;
    memcpy(message.data, public_of(secret(0x21)).data, X25519_SIZE);
    struct noise *noise = new_noise(NOISE_RESPONDER);
    assert_int_equal(noise_read(noise, view(&message)), -EPROTO);
    check_dead(noise);
    noise_free(noise);
    noise = new_noise(NOISE_RESPONDER);
    assert_int_equal(meet_initiator(noise, 0, 257, NULL, hash), -EPROTO);
    check_dead(noise);
    noise_free(noise);
    noise = new_noise(NOISE_INITIATOR);
    assert_int_equal(meet_responder(noise, 257, NULL, &plain), -EPROTO);
    check_dead(noise);
    noise_free(noise);
}

/* --- what must not work --- */

static void a_message_of_the_wrong_size_is_refused_before_any_key_is_used(void **state)
{
    (void)state;
    static const size_t smallest[] = {32, 96, 64};
    for (unsigned turn = 0; turn < 3; turn++) {
        for (size_t size = 0; size < smallest[turn]; size++) {
            struct noise *initiator = new_noise(NOISE_INITIATOR);
            struct noise *responder = new_noise(NOISE_RESPONDER);
            struct noise *reader = turn == 1 ? initiator : responder;
            struct noise *writer = turn == 1 ? responder : initiator;
            struct message message;
            for (unsigned i = 0; i < turn; i++) {
                pass(i == 1 ? responder : initiator, i == 1 ? initiator : responder);
            }
            assert_int_equal(noise_write(writer, message.data, &message.size), 0);
            assert_int_equal(message.size, smallest[turn]);
            assert_int_equal(noise_read(reader, bytes_make(message.data, size)), -EPROTO);
            check_dead(reader);
            assert_int_equal(noise_read(reader, view(&message)), -EPROTO);
            noise_free(initiator);
            noise_free(responder);
        }
    }
}

/* wire-core 17.2: two empty blocks made upstream answer against an all-zero key. */
static void empty_blocks_draw_no_answer(void **state)
{
    (void)state;
    struct noise *responder = new_noise(NOISE_RESPONDER);
    assert_int_equal(noise_read(responder, none()), -EPROTO);
    assert_int_equal(noise_read(responder, none()), -EPROTO);
    check_dead(responder);
    noise_free(responder);
}

static void an_all_zero_ephemeral_key_is_refused(void **state)
{
    (void)state;
    struct message message = {.size = 5};
    struct noise *responder = new_noise(NOISE_RESPONDER);
    assert_int_equal(noise_read(responder, bytes_make(zero_key, X25519_SIZE)), 0);
    assert_int_equal(noise_write(responder, message.data, &message.size), -EPROTO);
    assert_int_equal(message.size, 5);
    check_dead(responder);
    noise_free(responder);

    struct noise *initiator = new_noise(NOISE_INITIATOR);
    assert_int_equal(noise_write(initiator, message.data, &message.size), 0);
    memset(message.data, 0, sizeof message.data);
    assert_int_equal(noise_read(initiator, bytes_make(message.data, 96)), -EPROTO);
    check_dead(initiator);
    noise_free(initiator);
}

/* wire-core 17.3: an identity anyone could assume. */
static void an_all_zero_static_key_is_refused(void **state)
{
    (void)state;
    uint8_t hash[SHA256_SIZE];
    struct plain_noise plain;
    struct noise *responder = new_noise(NOISE_RESPONDER);
    assert_int_equal(meet_initiator(responder, 0, 0, zero_key, hash), -EPROTO);
    check_dead(responder);
    noise_free(responder);
    struct noise *initiator = new_noise(NOISE_INITIATOR);
    assert_int_equal(meet_responder(initiator, 0, zero_key, &plain), -EPROTO);
    check_dead(initiator);
    noise_free(initiator);
}

static void a_static_key_without_its_secret_proves_nothing(void **state)
{
    (void)state;
    uint8_t hash[SHA256_SIZE];
    uint8_t stolen[X25519_SIZE];
    struct noise *responder = new_noise(NOISE_RESPONDER);
    memcpy(stolen, public_of(secret(0x99)).data, sizeof stolen);
    assert_int_equal(meet_initiator(responder, 0, 0, stolen, hash), -EBADMSG);
    check_dead(responder);
    noise_free(responder);
}

static void any_changed_byte_ends_the_handshake(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 3; turn++) {
        for (size_t at = 0; at < NOISE_MAX_MESSAGE; at += 5) {
            struct noise *initiator = new_noise(NOISE_INITIATOR);
            struct noise *responder = new_noise(NOISE_RESPONDER);
            struct message message;
            int rc = 0;
            for (unsigned i = 0; i < 3 && rc == 0; i++) {
                struct noise *writer = i == 1 ? responder : initiator;
                assert_int_equal(noise_write(writer, message.data, &message.size), 0);
                if (i == turn) {
                    message.data[at % message.size] ^= 0x10;
                }
                rc = noise_read(i == 1 ? initiator : responder, view(&message));
            }
            assert_true(rc == -EBADMSG || rc == -EPROTO);
            assert_false(noise_is_done(initiator) && noise_is_done(responder));
            noise_free(initiator);
            noise_free(responder);
        }
    }
}

static void another_prologue_is_noticed_by_the_initiator(void **state)
{
    (void)state;
    struct noise *initiator = new_noise(NOISE_INITIATOR);
    struct noise *responder = NULL;
    struct message message;
    assert_int_equal(noise_new(NOISE_RESPONDER, secret(0x41), secret(0x61),
                               bytes_from_string("Prologue"), &responder),
                     0);
    pass(initiator, responder);
    assert_int_equal(noise_write(responder, message.data, &message.size), 0);
    assert_int_equal(noise_read(initiator, view(&message)), -EBADMSG);
    check_dead(initiator);
    noise_free(initiator);
    noise_free(responder);
}

static void turns_are_kept(void **state)
{
    (void)state;
    struct message message = {.size = 32};
    struct noise *noise = new_noise(NOISE_INITIATOR);
    assert_int_equal(noise_read(noise, bytes_make(message.data, 32)), -EPROTO);
    check_dead(noise);
    noise_free(noise);
    noise = new_noise(NOISE_RESPONDER);
    assert_int_equal(noise_write(noise, message.data, &message.size), -EPROTO);
    check_dead(noise);
    noise_free(noise);
    noise_free(NULL);
}

static void nothing_more_is_read_or_written_when_done(void **state)
{
    (void)state;
    struct noise *initiator = new_noise(NOISE_INITIATOR);
    struct noise *responder = new_noise(NOISE_RESPONDER);
    struct message message = {.size = 64};
    pass(initiator, responder);
    pass(responder, initiator);
    assert_false(noise_is_done(initiator));
    pass(initiator, responder);
    assert_true(noise_is_done(initiator) && noise_is_done(responder));
    assert_false(noise_wants_write(initiator) || noise_wants_write(responder));
    assert_int_equal(noise_read(initiator, view(&message)), -EPROTO);
    assert_int_equal(noise_write(responder, message.data, &message.size), -EPROTO);
    noise_free(initiator);
    noise_free(responder);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_and_transport_are_those_of_upstream),
        cmocka_unit_test(payloads_of_up_to_256_bytes_are_hashed_and_ignored),
        cmocka_unit_test(a_payload_of_257_bytes_is_refused),
        cmocka_unit_test(a_message_of_the_wrong_size_is_refused_before_any_key_is_used),
        cmocka_unit_test(empty_blocks_draw_no_answer),
        cmocka_unit_test(an_all_zero_ephemeral_key_is_refused),
        cmocka_unit_test(an_all_zero_static_key_is_refused),
        cmocka_unit_test(a_static_key_without_its_secret_proves_nothing),
        cmocka_unit_test(any_changed_byte_ends_the_handshake),
        cmocka_unit_test(another_prologue_is_noticed_by_the_initiator),
        cmocka_unit_test(turns_are_kept),
        cmocka_unit_test(nothing_more_is_read_or_written_when_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
