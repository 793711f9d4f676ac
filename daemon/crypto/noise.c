#include "crypto/noise.h"

#include <assert.h>
#include <errno.h>

#include <openssl/crypto.h>

#include "util/reader.h"
#include "util/writer.h"

/* Exactly as long as a hash, so it is the first h as it stands (Noise 5.2, InitializeSymmetric). */
static const char protocol_name[] = "Noise_XX_25519_ChaChaPoly_SHA256";

#define SEALED_KEY_SIZE (X25519_SIZE + AEAD_TAG_SIZE)
#define MESSAGE_COUNT   3

enum token { END, E, S, EE, ES, SE };

/* The XX pattern (Noise 7.5) and how large its messages are with an empty payload. */
static const struct {
    enum token tokens[5];
    size_t size;
} pattern[MESSAGE_COUNT] = {
    {{E, END}, X25519_SIZE},
    {{E, EE, S, ES, END}, X25519_SIZE + SEALED_KEY_SIZE + AEAD_TAG_SIZE},
    {{S, SE, END}, SEALED_KEY_SIZE + AEAD_TAG_SIZE},
};

struct key_pair {
    uint8_t secret[X25519_SIZE];
    uint8_t public[X25519_SIZE];
};

struct noise {
    enum noise_role role;
    unsigned done; /* messages written and read */
    bool failed;
    bool split;
    bool has_key;
    uint64_t counter; /* of key */
    uint8_t key[AEAD_KEY_SIZE];
    uint8_t chaining_key[SHA256_SIZE];
    uint8_t hash[SHA256_SIZE];
    struct key_pair own_static;
    struct key_pair own_ephemeral;
    uint8_t peer_static[X25519_SIZE];
    uint8_t peer_ephemeral[X25519_SIZE];
};

static struct bytes hash_view(const struct noise *noise)
{
    return bytes_make(noise->hash, sizeof noise->hash);
}

static int mix_hash(struct noise *noise, struct bytes data)
{
    return sha256_two(hash_view(noise), data, noise->hash);
}

/* MixKey(DH(own, peer)). */
static int mix_shared(struct noise *noise, const struct key_pair *own,
                      const uint8_t peer[X25519_SIZE])
{
    uint8_t shared[X25519_SIZE];
    int rc = x25519_shared(own->secret, peer, shared);
    if (rc == 0) {
        rc = hkdf2(noise->chaining_key, bytes_make(shared, sizeof shared), noise->chaining_key,
                   noise->key);
        noise->has_key = true;
        noise->counter = 0;
    }
    OPENSSL_cleanse(shared, sizeof shared);
    return rc;
}

/* ES and SE name the initiator's key first (Noise 7.1). */
static int mix_token(struct noise *noise, enum token token)
{
    bool own_is_first = noise->role == NOISE_INITIATOR;
    if (token == EE) {
        return mix_shared(noise, &noise->own_ephemeral, noise->peer_ephemeral);
    }
    if ((token == ES) == own_is_first) {
        return mix_shared(noise, &noise->own_ephemeral, noise->peer_static);
    }
    return mix_shared(noise, &noise->own_static, noise->peer_ephemeral);
}

/* EncryptAndHash (Noise 5.2): without a key the plaintext itself is sent. */
static int write_sealed(struct noise *noise, struct bytes plain, struct writer *writer)
{
    assert(plain.size <= X25519_SIZE);
    uint8_t sealed[SEALED_KEY_SIZE];
    struct bytes text = plain;
    if (noise->has_key) {
        struct aead aead = {0};
        int rc = aead_init(&aead, AEAD_SEAL, noise->key);
        if (rc == 0) {
            aead.counter = noise->counter++;
            rc = aead_seal_with(&aead, hash_view(noise), plain, sealed);
        }
        aead_fini(&aead);
        if (rc != 0) {
            return -EIO;
        }
        text = bytes_make(sealed, plain.size + AEAD_TAG_SIZE);
    }
    writer_bytes(writer, text);
    return mix_hash(noise, text);
}

/* DecryptAndHash. plain has room for the text without its tag. */
static int read_sealed(struct noise *noise, struct bytes text, uint8_t *plain)
{
    if (noise->has_key) {
        struct aead aead = {0};
        int rc = aead_init(&aead, AEAD_OPEN, noise->key);
        if (rc == 0) {
            aead.counter = noise->counter++;
            rc = aead_open_with(&aead, hash_view(noise), text, plain);
        }
        aead_fini(&aead);
        if (rc != 0) {
            return rc == -EBADMSG ? rc : -EIO;
        }
    }
    return mix_hash(noise, text);
}

static int write_token(struct noise *noise, enum token token, struct writer *writer)
{
    if (token == E) {
        struct bytes own = bytes_make(noise->own_ephemeral.public, X25519_SIZE);
        writer_bytes(writer, own);
        return mix_hash(noise, own);
    }
    if (token == S) {
        return write_sealed(noise, bytes_make(noise->own_static.public, X25519_SIZE), writer);
    }
    return mix_token(noise, token);
}

static int read_token(struct noise *noise, enum token token, struct reader *reader)
{
    if (token == E) {
        struct bytes peer = reader_bytes(reader, X25519_SIZE);
        if (!reader_ok(reader)) {
            return -EPROTO;
        }
        memcpy(noise->peer_ephemeral, peer.data, X25519_SIZE);
        return mix_hash(noise, peer);
    }
    if (token == S) {
        struct bytes sealed = reader_bytes(reader, SEALED_KEY_SIZE);
        return reader_ok(reader) ? read_sealed(noise, sealed, noise->peer_static) : -EPROTO;
    }
    return mix_token(noise, token);
}

/* After the last message only the chaining key is still needed, for the split. */
static void finish_message(struct noise *noise)
{
    noise->done++;
    if (noise->done == MESSAGE_COUNT) {
        OPENSSL_cleanse(noise->own_static.secret, X25519_SIZE);
        OPENSSL_cleanse(noise->own_ephemeral.secret, X25519_SIZE);
        OPENSSL_cleanse(noise->key, sizeof noise->key);
    }
}

int noise_new(enum noise_role role, const uint8_t static_secret[X25519_SIZE],
              const uint8_t ephemeral_secret[X25519_SIZE], struct bytes prologue,
              struct noise **ret_noise)
{
    struct noise *noise = OPENSSL_zalloc(sizeof *noise);
    if (noise == NULL) {
        return -ENOMEM;
    }
    noise->role = role;
    memcpy(noise->hash, protocol_name, sizeof noise->hash);
    memcpy(noise->chaining_key, noise->hash, sizeof noise->hash);
    memcpy(noise->own_static.secret, static_secret, X25519_SIZE);
    memcpy(noise->own_ephemeral.secret, ephemeral_secret, X25519_SIZE);
    int rc = mix_hash(noise, prologue);
    if (rc == 0) {
        rc = x25519_public(noise->own_static.secret, noise->own_static.public);
    }
    if (rc == 0) {
        rc = x25519_public(noise->own_ephemeral.secret, noise->own_ephemeral.public);
    }
    if (rc != 0) {
        noise_free(noise);
        return rc;
    }
    *ret_noise = noise;
    return 0;
}

void noise_free(struct noise *noise)
{
    OPENSSL_clear_free(noise, sizeof *noise);
}

bool noise_wants_write(const struct noise *noise)
{
    bool initiators_turn = noise->done % 2 == 0;
    return !noise->failed && noise->done < MESSAGE_COUNT &&
           initiators_turn == (noise->role == NOISE_INITIATOR);
}

bool noise_is_done(const struct noise *noise)
{
    return !noise->failed && noise->done == MESSAGE_COUNT;
}

int noise_write(struct noise *noise, uint8_t *out, size_t *ret_size)
{
    int rc = noise_wants_write(noise) ? 0 : -EPROTO;
    struct writer writer;
    writer_init(&writer, out, NOISE_MAX_MESSAGE);
    if (rc == 0) {
        const enum token *token = pattern[noise->done].tokens;
        for (; rc == 0 && *token != END; token++) {
            rc = write_token(noise, *token, &writer);
        }
    }
    if (rc == 0) {
        rc = write_sealed(noise, bytes_make(NULL, 0), &writer);
    }
    if (rc != 0) {
        noise->failed = true;
        return rc;
    }
    assert(writer_ok(&writer));
    finish_message(noise);
    *ret_size = writer.size;
    return 0;
}

/* Everything that can be told from the outside, before any key is touched (wire-core 17.2). */
static bool may_read(const struct noise *noise, struct bytes message)
{
    return !noise->failed && noise->done < MESSAGE_COUNT && !noise_wants_write(noise) &&
           message.size >= pattern[noise->done].size &&
           message.size - pattern[noise->done].size <= NOISE_MAX_PAYLOAD;
}

int noise_read(struct noise *noise, struct bytes message)
{
    int rc = may_read(noise, message) ? 0 : -EPROTO;
    struct reader reader;
    reader_init(&reader, message);
    if (rc == 0) {
        const enum token *token = pattern[noise->done].tokens;
        for (; rc == 0 && *token != END; token++) {
            rc = read_token(noise, *token, &reader);
        }
    }
    if (rc == 0) {
        uint8_t ignored[NOISE_MAX_PAYLOAD];
        rc = read_sealed(noise, reader_rest(&reader), ignored);
    }
    if (rc != 0) {
        noise->failed = true;
        return rc;
    }
    finish_message(noise);
    return 0;
}

void noise_remote_public(const struct noise *noise, uint8_t ret_public[X25519_SIZE])
{
    assert(noise_is_done(noise));
    memcpy(ret_public, noise->peer_static, X25519_SIZE);
}

void noise_handshake_hash(const struct noise *noise, uint8_t ret_hash[SHA256_SIZE])
{
    assert(noise_is_done(noise));
    memcpy(ret_hash, noise->hash, SHA256_SIZE);
}

int noise_split(struct noise *noise, struct aead *ret_send, struct aead *ret_receive)
{
    assert(noise_is_done(noise) && !noise->split);
    bool initiator = noise->role == NOISE_INITIATOR;
    uint8_t first[AEAD_KEY_SIZE];
    uint8_t second[AEAD_KEY_SIZE];
    struct aead send = {0};
    struct aead receive = {0};
    int rc = hkdf2(noise->chaining_key, bytes_make(NULL, 0), first, second);
    if (rc == 0) {
        rc = aead_init(&send, AEAD_SEAL, initiator ? first : second);
    }
    if (rc == 0) {
        rc = aead_init(&receive, AEAD_OPEN, initiator ? second : first);
    }
    if (rc == 0) {
        *ret_send = send;
        *ret_receive = receive;
        noise->split = true;
        OPENSSL_cleanse(noise->chaining_key, sizeof noise->chaining_key);
    } else {
        aead_fini(&send);
        aead_fini(&receive);
    }
    OPENSSL_cleanse(first, sizeof first);
    OPENSSL_cleanse(second, sizeof second);
    return rc;
}
