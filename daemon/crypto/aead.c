#include "crypto/aead.h"

#include <errno.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#define NONCE_SIZE 12

/* Up to here it is cheaper to put head and body together in out and encrypt them there than to
 * make libcrypto continue in the middle of a cipher block (measured: a tenth at 2 KiB, nothing at
 * 16 KiB). */
#define JOIN_MAX 8192

int aead_init(struct aead *aead, enum aead_direction direction, const uint8_t key[AEAD_KEY_SIZE])
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int seal = direction == AEAD_SEAL ? 1 : 0;
    if (context == NULL ||
        EVP_CipherInit_ex(context, EVP_chacha20_poly1305(), NULL, key, NULL, seal) != 1) {
        EVP_CIPHER_CTX_free(context);
        return -ENOMEM;
    }
    *aead = (struct aead){.context = context};
    return 0;
}

void aead_fini(struct aead *aead)
{
    if (aead != NULL) {
        EVP_CIPHER_CTX_free(aead->context); /* wipes the key */
        *aead = (struct aead){0};
    }
}

static int set_nonce(struct aead *aead)
{
    if (aead->counter == UINT64_MAX) {
        return -EOVERFLOW;
    }
    uint8_t nonce[NONCE_SIZE] = {0};
    for (size_t i = 0; i < 8; i++) {
        nonce[4 + i] = (uint8_t)(aead->counter >> (8 * i));
    }
    return EVP_CipherInit_ex(aead->context, NULL, NULL, NULL, nonce, -1) == 1 ? 0 : -EIO;
}

/* out NULL: associated data. Sizes are at most a block's (64 MiB), so they fit an int. */
static bool update(struct aead *aead, const uint8_t *from, size_t size, uint8_t *out)
{
    int written = 0;
    return size == 0 || EVP_CipherUpdate(aead->context, out, &written, from, (int)size) == 1;
}

/* The end of a message: makes the tag, or compares it. */
static bool finish(struct aead *aead)
{
    uint8_t nothing[1];
    int written = 0;
    return EVP_CipherFinal_ex(aead->context, nothing, &written) == 1;
}

/* The tag as a parameter of the context: to be got after a seal, to be set before an open. The
 * control codes for the same end in it too, by a look-up that costs a quarter of a small message
 * (measured at 64 B: 560 ns and 430 ns). */
static void tag_parameter(uint8_t *tag, OSSL_PARAM ret_params[2])
{
    ret_params[0] =
        OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, AEAD_TAG_SIZE);
    ret_params[1] = OSSL_PARAM_construct_end();
}

/* Ends a seal: the tag goes to tag and the counter moves on. */
static int seal_finish(struct aead *aead, uint8_t *tag)
{
    OSSL_PARAM params[2];
    tag_parameter(tag, params);
    if (!finish(aead) || EVP_CIPHER_CTX_get_params(aead->context, params) != 1) {
        return -EIO;
    }
    aead->counter++;
    return 0;
}

int aead_seal(struct aead *aead, struct bytes head, struct bytes body, uint8_t *out)
{
    size_t size = head.size + body.size;
    int rc = set_nonce(aead);
    if (rc != 0) {
        return rc;
    }
    bool done;
    if (size <= JOIN_MAX) {
        if (head.size > 0) {
            memcpy(out, head.data, head.size);
        }
        if (body.size > 0) {
            memcpy(out + head.size, body.data, body.size);
        }
        done = update(aead, out, size, out);
    } else {
        done = update(aead, head.data, head.size, out) &&
               update(aead, body.data, body.size, out + head.size);
    }
    return done ? seal_finish(aead, out + size) : -EIO;
}

int aead_seal_with(struct aead *aead, struct bytes associated, struct bytes plain, uint8_t *out)
{
    int rc = set_nonce(aead);
    if (rc != 0) {
        return rc;
    }
    if (!update(aead, associated.data, associated.size, NULL) ||
        !update(aead, plain.data, plain.size, out)) {
        return -EIO;
    }
    return seal_finish(aead, out + plain.size);
}

int aead_open_with(struct aead *aead, struct bytes associated, struct bytes sealed, uint8_t *out)
{
    if (sealed.size < AEAD_TAG_SIZE) {
        return -EBADMSG;
    }
    int rc = set_nonce(aead);
    if (rc != 0) {
        return rc;
    }
    size_t size = sealed.size - AEAD_TAG_SIZE;
    uint8_t tag[AEAD_TAG_SIZE];
    OSSL_PARAM params[2];
    memcpy(tag, sealed.data + size, sizeof tag);
    tag_parameter(tag, params);
    if (EVP_CIPHER_CTX_set_params(aead->context, params) != 1 ||
        !update(aead, associated.data, associated.size, NULL) ||
        !update(aead, sealed.data, size, out)) {
        return -EIO;
    }
    if (!finish(aead)) {
        return -EBADMSG;
    }
    aead->counter++;
    return 0;
}

int aead_open(struct aead *aead, uint8_t *data, size_t size)
{
    return aead_open_with(aead, bytes_make(NULL, 0), bytes_make(data, size), data);
}
