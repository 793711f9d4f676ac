#include "crypto/x25519.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

int x25519_public(const uint8_t secret[X25519_SIZE], uint8_t ret_public[X25519_SIZE])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, X25519_SIZE);
    size_t size = X25519_SIZE;
    int rc = key != NULL && EVP_PKEY_get_raw_public_key(key, ret_public, &size) == 1 ? 0 : -EIO;
    EVP_PKEY_free(key);
    return rc;
}

int x25519_shared(const uint8_t secret[X25519_SIZE], const uint8_t peer_public[X25519_SIZE],
                  uint8_t ret_shared[X25519_SIZE])
{
    int rc = -EIO;
    static const uint8_t zero[X25519_SIZE];
    uint8_t shared[X25519_SIZE];
    size_t size = sizeof shared;
    EVP_PKEY_CTX *context = NULL;
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, X25519_SIZE);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer_public, X25519_SIZE);
    if (own == NULL || peer == NULL) {
        goto out;
    }
    context = EVP_PKEY_CTX_new(own, NULL);
    if (context == NULL || EVP_PKEY_derive_init(context) != 1 ||
        EVP_PKEY_derive_set_peer(context, peer) != 1) {
        goto out;
    }
    /* libcrypto refuses an all-zero result by itself; the comparison does not rely on that. */
    if (EVP_PKEY_derive(context, shared, &size) != 1 || size != X25519_SIZE ||
        CRYPTO_memcmp(shared, zero, sizeof zero) == 0) {
        ERR_clear_error(); /* a stranger's doing, nobody's to read later */
        rc = -EPROTO;
        goto out;
    }
    memcpy(ret_shared, shared, sizeof shared);
    rc = 0;

out:
    OPENSSL_cleanse(shared, sizeof shared);
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    return rc;
}
