/* The receive path of a connection: whatever a stranger, or a peer that has proved who it is,
 * sends.
 *
 * The first byte chooses the stage, the second how the rest is cut into reads:
 *   0  a responder with Noise: raw blocks        3  the same, established: the rest is one sealed
 *   1  a responder in plaintext mode                block after the other (u8 size, bytes)
 *   2  the same, after a good first block        4  an initiator: raw blocks
 * Receivers also hold, release, answer and close in the middle, as the message's first byte says.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/noise.h"
#include "fake_link.h"
#include "peer/conn.h"
#include "util/reader.h"
#include "virtual_loop.h"
#include "wire/block.h"
#include "wire/plaintext.h"

enum stage { NOISE_RAW, PLAINTEXT_RAW, PLAINTEXT_GREETED, NOISE_ESTABLISHED, INITIATOR, STAGES };

static const uint8_t our_secret[X25519_SIZE] = {1};
static const uint8_t peer_secret[X25519_SIZE] = {2};

struct target {
    struct conn_context context;
    struct conn_arrivals arrivals;
    struct conn_departures departures;
    struct conn_turn turn;
    struct fake_link link;
    struct conn *conn;
    unsigned closed;
};

static void on_established(void *arg, struct conn *conn)
{
    (void)arg;
    (void)conn;
}

static void on_message(void *arg, struct conn *conn, const struct message *message)
{
    (void)arg;
    switch (message->payload.size > 0 ? message->payload.data[0] : 0) {
    case 'h':
        conn_hold(conn);
        break;
    case 'r':
        conn_hold(conn);
        conn_release(conn);
        break;
    case 's':
        (void)conn_send(conn, message->type, message->channel, message->payload);
        break;
    case 'c':
        conn_close(conn, CONN_CLOSED_LOCALLY, message->payload.size > 1);
        break;
    default:
        break;
    }
}

static void on_closed(void *arg, struct conn *conn, enum conn_close_reason reason)
{
    (void)conn;
    struct target *target = arg;
    target->closed++;
    if (target->closed != 1 || conn_close_reason_name(reason) == NULL) {
        abort();
    }
}

static void settle(struct target *target)
{
    virtual_world_settle(virtual_loop_world(target->context.loop));
}

/* Sends bytes, cut as the fuzzer likes. */
static void feed(struct target *target, struct bytes bytes, size_t cut)
{
    while (bytes.size > 0 && target->closed == 0) {
        size_t size = cut == 0 || cut > bytes.size ? bytes.size : cut;
        fake_link_feed(&target->link, bytes_make(bytes.data, size));
        settle(target);
        bytes = bytes_make(bytes.data + size, bytes.size - size);
    }
}

static void feed_block(struct target *target, struct bytes body)
{
    uint8_t prefix[BLOCK_PREFIX_SIZE];
    block_encode_prefix(body.size, prefix);
    feed(target, bytes_make(prefix, sizeof prefix), 0);
    feed(target, body, 0);
}

static void greet(struct target *target)
{
    uint8_t hello[PLAINTEXT_MAX_SIZE];
    struct peer_id peer = {{7}};
    feed_block(target,
               bytes_make(hello, plaintext_encode(&target->context.protocol, &peer, hello)));
}

static void feed_sealed(struct target *target, struct bytes rest)
{
    struct noise *noise = NULL;
    struct aead send = {0};
    struct aead receive = {0};
    uint8_t message[NOISE_MAX_MESSAGE];
    uint8_t sealed[256 + AEAD_TAG_SIZE];
    size_t size = 0;
    struct reader reader;
    if (noise_new(NOISE_INITIATOR, peer_secret, our_secret,
                  protocol_id_view(&target->context.protocol), &noise) != 0 ||
        noise_write(noise, message, &size) != 0) {
        abort();
    }
    feed_block(target, bytes_make(message, size));
    struct bytes reply = buf_view(&target->link.out);
    if (reply.size != 100 ||
        noise_read(noise, bytes_make(reply.data + BLOCK_PREFIX_SIZE, 96)) != 0 ||
        noise_write(noise, message, &size) != 0) {
        abort();
    }
    feed_block(target, bytes_make(message, size));
    if (noise_split(noise, &send, &receive) != 0 || !conn_is_established(target->conn)) {
        abort();
    }
    reader_init(&reader, rest);
    while (reader_left(&reader) > 0 && target->closed == 0) {
        size_t wanted = reader_u8(&reader);
        wanted = wanted < reader_left(&reader) ? wanted : reader_left(&reader);
        struct bytes plain = reader_bytes(&reader, wanted);
        if (aead_seal(&send, bytes_make(NULL, 0), plain, sealed) != 0) {
            abort();
        }
        feed_block(target, bytes_make(sealed, plain.size + AEAD_TAG_SIZE));
    }
    noise_free(noise);
    aead_fini(&send);
    aead_fini(&receive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct conn_callbacks callbacks = {
        .on_established = on_established,
        .on_message = on_message,
        .on_closed = on_closed,
    };
    if (size < 2) {
        return 0;
    }
    enum stage stage = (enum stage)(data[0] % STAGES);
    struct bytes rest = bytes_make(data + 2, size - 2);
    struct identity identity;
    struct target target = {0};
    bool plaintext = stage == PLAINTEXT_RAW || stage == PLAINTEXT_GREETED;
    if (loop_new(&target.context.loop) != 0 || identity_init(&identity, our_secret) != 0) {
        abort();
    }
    conn_arrivals_init(&target.arrivals, target.context.loop);
    conn_departures_init(&target.departures, target.context.loop);
    conn_turn_init(&target.turn, target.context.loop);
    target.context.arrivals = &target.arrivals;
    target.context.departures = &target.departures;
    target.context.turn = &target.turn;
    target.context.identity = &identity;
    target.context.security = plaintext ? SECURITY_PLAINTEXT : SECURITY_NOISE;
    target.context.queue_limit = 4096;
    (void)protocol_id_init(&target.context.protocol, bytes_from_string("librats/1.0"));
    fake_link_init(&target.link, stage == INITIATOR);
    target.link.read_limit = data[1];
    if (conn_new(&target.context, &target.link.link, &callbacks, &target, &target.conn) != 0) {
        abort();
    }
    if (stage == INITIATOR) {
        fake_link_connect(&target.link);
    } else if (stage == PLAINTEXT_GREETED) {
        greet(&target);
    }
    if (stage == NOISE_ESTABLISHED) {
        feed_sealed(&target, rest);
    } else {
        feed(&target, rest, data[1]);
    }
    if (target.closed == 0) {
        conn_close(target.conn, CONN_CLOSED_STOPPING, true);
    }
    conn_arrivals_fini(&target.arrivals);
    conn_departures_fini(&target.departures);
    conn_turn_fini(&target.turn);
    loop_free(target.context.loop);
    fake_link_fini(&target.link);
    return 0;
}
