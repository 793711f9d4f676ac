#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/noise.h"
#include "vectors.h"
#include "wire/identify.h"
#include "wire/message.h"
#include "wire/protocol_id.h"

static const char *directory;

#define TO_RESPONDER "initiator->responder"

struct session {
    struct vectors *vectors;
    struct noise *noise;
    struct aead send;
    struct aead receive;
};

static bool is_ours(json_t *block)
{
    return strcmp(vectors_text(block, "direction"), TO_RESPONDER) == 0;
}

static void open_session(struct session *session)
{
    *session = (struct session){.vectors = vectors_open(directory, "transcript_tcp.json")};
    json_t *root = vectors_root(session->vectors);
    struct protocol_id id;
    assert_int_equal(protocol_id_init(&id, vectors_text_bytes(root, "protocol")), 0);
    assert_int_equal(
        noise_new(
            NOISE_INITIATOR,
            vectors_hex_of(session->vectors, root, "initiator_static_private", X25519_SIZE),
            vectors_hex_of(session->vectors, root, "initiator_ephemeral_private", X25519_SIZE),
            protocol_id_view(&id), &session->noise),
        0);
}

static void close_session(struct session *session)
{
    noise_free(session->noise);
    aead_fini(&session->send);
    aead_fini(&session->receive);
    vectors_close(session->vectors);
}

static void replay_handshake_block(struct session *session, json_t *block)
{
    struct bytes body = vectors_hex(session->vectors, block, "block_body");
    if (is_ours(block)) {
        uint8_t out[NOISE_MAX_MESSAGE];
        size_t size = 0;
        assert_int_equal(noise_write(session->noise, out, &size), 0);
        assert_true(bytes_equal(bytes_make(out, size), body));
    } else {
        assert_int_equal(noise_read(session->noise, body), 0);
    }
}

/* Ours are sealed to the same bytes; theirs open to the plaintext noted down. */
static void replay_transport_block(struct session *session, json_t *block)
{
    struct bytes body = vectors_hex(session->vectors, block, "block_body");
    struct bytes plain = vectors_hex(session->vectors, block, "plaintext");
    struct message message;
    assert_int_equal(body.size, plain.size + AEAD_TAG_SIZE);
    assert_int_equal(message_decode(plain, &message), 0);
    uint8_t *data = vectors_copy(session->vectors, body);
    if (is_ours(block)) {
        uint8_t header[MESSAGE_HEADER_SIZE];
        message_encode_header(message.type, message.channel, header);
        assert_int_equal(
            aead_seal(&session->send, bytes_make(header, sizeof header), message.payload, data), 0);
        assert_memory_equal(data, body.data, body.size);
    } else {
        assert_int_equal(aead_open(&session->receive, data, body.size), 0);
        assert_memory_equal(data, plain.data, plain.size);
    }
}

static void start_transport(struct session *session)
{
    uint8_t public[X25519_SIZE];
    uint8_t id[SHA256_SIZE];
    json_t *root = vectors_root(session->vectors);
    assert_true(noise_is_done(session->noise));
    noise_remote_public(session->noise, public);
    assert_int_equal(sha256(bytes_make(public, sizeof public), id), 0);
    assert_memory_equal(
        id, vectors_hex_of(session->vectors, root, "responder_peer_id", SHA256_SIZE), SHA256_SIZE);
    uint8_t expected[X25519_SIZE];
    assert_int_equal(x25519_public(vectors_hex_of(session->vectors, root,
                                                  "responder_identity_key_file", X25519_SIZE),
                                   expected),
                     0);
    assert_memory_equal(public, expected, sizeof public);
    assert_int_equal(noise_split(session->noise, &session->send, &session->receive), 0);
}

static void a_live_connection_is_reproduced_byte_for_byte(void **state)
{
    (void)state;
    struct session session;
    open_session(&session);
    size_t i;
    json_t *block;
    json_array_foreach(vectors_array(vectors_root(session.vectors), "blocks"), i, block)
    {
        if (strcmp(vectors_text(block, "kind"), "handshake") == 0) {
            replay_handshake_block(&session, block);
            continue;
        }
        if (session.send.context == NULL) {
            start_transport(&session);
        }
        replay_transport_block(&session, block);
    }
    assert_true(session.send.counter > 0 && session.receive.counter > 0);
    close_session(&session);
}

/* wire-core 6: nothing may wait for identify before it accepts other messages. */
static void identify_is_not_the_first_message(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "transcript_tcp.json");
    size_t i;
    size_t before = 0;
    size_t found = 0;
    json_t *block;
    json_array_foreach(vectors_array(vectors_root(vectors), "blocks"), i, block)
    {
        if (strcmp(vectors_text(block, "kind"), "handshake") == 0 || is_ours(block)) {
            continue;
        }
        struct message message;
        struct bytes plain = vectors_hex(vectors, block, "plaintext");
        assert_int_equal(message_decode(plain, &message), 0);
        if (message.type == WIRE_CONTROL) {
            struct identify identify;
            assert_int_equal(identify_decode(message.payload, &identify), 0);
            assert_int_equal(identify.transports, WIRE_TRANSPORT_TCP);
            assert_int_equal(identify.observed.port, 0);
            assert_string_equal(endpoint_format_ip(&identify.observed).text, "127.0.0.1");
            found++;
        } else if (found == 0) {
            before++;
        }
    }
    assert_int_equal(found, 1);
    assert_true(before > 0);
    vectors_close(vectors);
}

int main(int argc, char **argv)
{
    directory = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_live_connection_is_reproduced_byte_for_byte),
        cmocka_unit_test(identify_is_not_the_first_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
