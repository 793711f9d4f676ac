#include <errno.h>

#include "core/random.h"
#include "crypto/hash.h"
#include "peer/conn_private.h"
#include "wire/plaintext.h"

static int start_noise(struct conn *conn)
{
    const struct conn_context *context = conn->context;
    uint8_t ephemeral[X25519_SIZE];
    random_bytes(ephemeral, sizeof ephemeral);
    int rc = noise_new(conn->link->outgoing ? NOISE_INITIATOR : NOISE_RESPONDER,
                       context->identity->secret, ephemeral, protocol_id_view(&context->protocol),
                       &conn->noise);
    explicit_bzero(ephemeral, sizeof ephemeral);
    return rc;
}

static int write_noise(struct conn *conn)
{
    uint8_t message[NOISE_MAX_MESSAGE];
    size_t size = 0;
    int rc = noise_write(conn->noise, message, &size);
    return rc != 0 ? rc : conn_queue_block(conn, bytes_make(message, size));
}

static int finish_noise(struct conn *conn)
{
    noise_remote_public(conn->noise, conn->public_key);
    int rc = sha256(bytes_make(conn->public_key, X25519_SIZE), conn->peer_id.bytes);
    if (rc == 0) {
        rc = noise_split(conn->noise, &conn->send, &conn->receive);
    }
    conn_handshake_fini(conn);
    return rc != 0 ? rc : 1;
}

static int read_noise(struct conn *conn, struct bytes block)
{
    int rc = conn->noise == NULL ? start_noise(conn) : 0;
    if (rc == 0) {
        rc = noise_read(conn->noise, block);
    }
    if (rc == 0 && noise_wants_write(conn->noise)) {
        rc = write_noise(conn);
    }
    if (rc == 0 && noise_is_done(conn->noise)) {
        rc = finish_noise(conn);
    }
    return rc;
}

static int write_plaintext(struct conn *conn)
{
    uint8_t hello[PLAINTEXT_MAX_SIZE];
    size_t size = plaintext_encode(&conn->context->protocol, &conn->context->identity->id, hello);
    return conn_queue_block(conn, bytes_make(hello, size));
}

static int read_plaintext(struct conn *conn, struct bytes block)
{
    int rc = plaintext_decode(block, &conn->context->protocol, &conn->peer_id);
    if (rc == 0 && !conn->link->outgoing) {
        rc = write_plaintext(conn);
    }
    return rc != 0 ? rc : 1;
}

int conn_handshake_begin(struct conn *conn)
{
    if (!conn->link->outgoing) {
        return 0; /* keys are made when the first block is there */
    }
    if (conn->security == SECURITY_PLAINTEXT) {
        return write_plaintext(conn);
    }
    int rc = start_noise(conn);
    return rc != 0 ? rc : write_noise(conn);
}

int conn_handshake_block(struct conn *conn, struct bytes block)
{
    return conn->security == SECURITY_PLAINTEXT ? read_plaintext(conn, block)
                                                : read_noise(conn, block);
}

void conn_handshake_fini(struct conn *conn)
{
    noise_free(conn->noise);
    conn->noise = NULL;
}
