/* noise_read() over arbitrary bytes, as each of the three messages of a handshake with fixed keys.
 * The first byte chooses which, so that a corpus may hold the message that is accepted. */
#include <stdlib.h>

#include "crypto/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct noise *new_noise(enum noise_role role)
{
    uint8_t own[X25519_SIZE];
    uint8_t ephemeral[X25519_SIZE];
    struct noise *noise = NULL;
    for (uint8_t i = 0; i < X25519_SIZE; i++) {
        own[i] = (uint8_t)((role == NOISE_INITIATOR ? 0x01 : 0x41) + i);
        ephemeral[i] = (uint8_t)(own[i] + 0x20);
    }
    require(noise_new(role, own, ephemeral, bytes_from_string("fuzz"), &noise) == 0);
    return noise;
}

static void pass(struct noise *from, struct noise *to)
{
    uint8_t message[NOISE_MAX_MESSAGE];
    size_t size = 0;
    require(noise_write(from, message, &size) == 0);
    require(noise_read(to, bytes_make(message, size)) == 0);
}

/* The message before it decides nothing: a refused one leaves no way on. */
static void read_at(unsigned turn, struct bytes message)
{
    struct noise *initiator = new_noise(NOISE_INITIATOR);
    struct noise *responder = new_noise(NOISE_RESPONDER);
    struct noise *reader = turn == 1 ? initiator : responder;
    struct noise *writer = turn == 1 ? responder : initiator;
    uint8_t out[NOISE_MAX_MESSAGE];
    size_t size = 0;
    if (turn >= 1) {
        pass(initiator, responder);
    }
    if (turn >= 2) {
        pass(responder, initiator);
    }
    require(noise_write(writer, out, &size) == 0);
    int rc = noise_read(reader, message);
    require(rc == 0 || !(noise_wants_write(reader) || noise_is_done(reader)));
    require(rc != 0 || noise_is_done(reader) == (turn == 2));
    require(rc != 0 || message.size >= size);
    if (noise_wants_write(reader)) {
        (void)noise_write(reader, out, &size);
    }
    require(noise_read(reader, message) != 0);
    noise_free(initiator);
    noise_free(responder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        read_at(data[0] % 3, bytes_make(data + 1, size - 1));
    }
    return 0;
}
