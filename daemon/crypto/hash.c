#include "crypto/hash.h"

#include <errno.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

int sha256(struct bytes data, uint8_t ret_digest[SHA256_SIZE])
{
    unsigned size = SHA256_SIZE;
    return EVP_Digest(data.data, data.size, ret_digest, &size, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

int sha256_two(struct bytes a, struct bytes b, uint8_t ret_digest[SHA256_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, a.data, a.size) == 1 &&
                EVP_DigestUpdate(context, b.data, b.size) == 1 &&
                EVP_DigestFinal_ex(context, ret_digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return done ? 0 : -EIO;
}

int sha256_begin(struct sha256_stream *stream)
{
    if (stream->context == NULL) {
        stream->context = EVP_MD_CTX_new();
    }
    return stream->context != NULL && EVP_DigestInit_ex(stream->context, EVP_sha256(), NULL) == 1
               ? 0
               : -EIO;
}

int sha256_add(struct sha256_stream *stream, struct bytes data)
{
    return EVP_DigestUpdate(stream->context, data.data, data.size) == 1 ? 0 : -EIO;
}

int sha256_end(struct sha256_stream *stream, uint8_t ret_digest[SHA256_SIZE])
{
    return EVP_DigestFinal_ex(stream->context, ret_digest, NULL) == 1 ? 0 : -EIO;
}

void sha256_fini(struct sha256_stream *stream)
{
    EVP_MD_CTX_free(stream->context);
    stream->context = NULL;
}

static bool hmac(const uint8_t key[SHA256_SIZE], struct bytes data, uint8_t out[SHA256_SIZE])
{
    static const uint8_t nothing[1];
    const uint8_t *from = data.size == 0 ? nothing : data.data; /* HMAC() takes NULL for an error */
    return HMAC(EVP_sha256(), key, SHA256_SIZE, from, data.size, out, NULL) != NULL;
}

int hkdf2(const uint8_t chaining_key[SHA256_SIZE], struct bytes input,
          uint8_t ret_first[SHA256_SIZE], uint8_t ret_second[SHA256_SIZE])
{
    int rc = -EIO;
    static const uint8_t one[1] = {1};
    uint8_t temporary[SHA256_SIZE];
    uint8_t first[SHA256_SIZE + 1]; /* with the 0x02 that follows it in the second output's input */
    uint8_t second[SHA256_SIZE];
    if (hmac(chaining_key, input, temporary) && hmac(temporary, bytes_make(one, 1), first)) {
        first[SHA256_SIZE] = 2;
        if (hmac(temporary, bytes_make(first, sizeof first), second)) {
            memcpy(ret_first, first, SHA256_SIZE);
            memcpy(ret_second, second, SHA256_SIZE);
            rc = 0;
        }
    }
    OPENSSL_cleanse(temporary, sizeof temporary);
    OPENSSL_cleanse(first, sizeof first);
    OPENSSL_cleanse(second, sizeof second);
    return rc;
}
