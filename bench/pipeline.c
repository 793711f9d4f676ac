/* What a file transfer must at least compute, on this machine, with the library the daemon uses.
 *
 *     pipeline CHUNK MIB    bytes per second of the whole, and of each half alone, as JSON
 *
 * Two daemons handle every byte of a file: the sender hashes it for the SHA-256 that ends the file
 * and seals it (ChaCha20-Poly1305), the receiver opens it and hashes it again. These are two passes
 * of each over every byte, spread over two cores that work at the same time. So one thread here
 * hashes and seals chunks, another opens and hashes as many, at once, and nothing is read, written,
 * copied or sent: no transfer between two daemons on two cores can be faster than the slower of
 * them. With h and a for the seconds that hashing and AEAD take for a byte it is 1 / (h + a). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#define TAG_SIZE 16

struct half {
    const EVP_CIPHER *cipher;
    const EVP_MD *hash;
    size_t chunk;
    size_t count;
    int sealing;
    int with_cipher;
    int with_hash;
    double seconds;
};

static double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void need(int done, const char *what)
{
    if (!done) {
        (void)fprintf(stderr, "libcrypto: %s failed\n", what);
        exit(1);
    }
}

/* One chunk through the cipher, with a nonce and a tag of its own like one message of a link. */
static void seal_or_open(EVP_CIPHER_CTX *context, const struct half *half, unsigned char *data,
                         size_t number, unsigned char *tag)
{
    unsigned char nonce[12] = {0};
    int size = 0;
    memcpy(nonce, &number, sizeof number);
    need(EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, half->sealing), "nonce");
    need(EVP_CipherUpdate(context, data, &size, data, (int)half->chunk), "cipher");
    if (half->sealing) {
        need(EVP_CipherFinal_ex(context, data, &size), "final");
        need(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag), "tag");
    } else {
        /* What is opened here was never sealed: the tag is computed all the same, and is wrong. */
        need(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag), "tag");
        (void)EVP_CipherFinal_ex(context, data, &size);
    }
}

static void *run(void *arg)
{
    struct half *half = arg;
    unsigned char key[32] = {1};
    unsigned char tag[TAG_SIZE] = {0};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char *data = calloc(1, half->chunk);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    need(data != NULL && context != NULL && hash != NULL, "allocation");
    need(EVP_CipherInit_ex(context, half->cipher, NULL, key, NULL, half->sealing), "key");
    need(EVP_DigestInit_ex(hash, half->hash, NULL), "hash");
    const double start = now();
    for (size_t i = 0; i < half->count; i++) {
        if (half->with_hash && half->sealing) {
            need(EVP_DigestUpdate(hash, data, half->chunk), "hash");
        }
        if (half->with_cipher) {
            seal_or_open(context, half, data, i, tag);
        }
        if (half->with_hash && !half->sealing) {
            need(EVP_DigestUpdate(hash, data, half->chunk), "hash");
        }
    }
    need(EVP_DigestFinal_ex(hash, digest, NULL), "hash");
    half->seconds = now() - start;
    EVP_MD_CTX_free(hash);
    EVP_CIPHER_CTX_free(context);
    free(data);
    return NULL;
}

/* Both halves at the same time; seconds of the slower. */
static double run_both(struct half half)
{
    struct half other = half;
    pthread_t thread;
    half.sealing = 1;
    other.sealing = 0;
    need(pthread_create(&thread, NULL, run, &other) == 0, "thread");
    (void)run(&half);
    (void)pthread_join(thread, NULL);
    return half.seconds > other.seconds ? half.seconds : other.seconds;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: pipeline CHUNK MIB\n");
        return 2;
    }
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    EVP_MD *hash = EVP_MD_fetch(NULL, "SHA256", NULL);
    need(cipher != NULL && hash != NULL, "fetch");
    struct half half = {.cipher = cipher,
                        .hash = hash,
                        .chunk = strtoul(argv[1], NULL, 10),
                        .with_cipher = 1,
                        .with_hash = 1};
    half.count = strtoul(argv[2], NULL, 10) * 1024 * 1024 / half.chunk;
    const double bytes = (double)half.count * (double)half.chunk;
    const double both = bytes / run_both(half);
    half.with_hash = 0;
    const double aead = bytes / run_both(half);
    half.with_hash = 1;
    half.with_cipher = 0;
    const double sha256 = bytes / run_both(half);
    (void)printf("{\"bytes_per_s\": %.0f, \"aead\": %.0f, \"sha256\": %.0f}\n", both, aead, sha256);
    EVP_CIPHER_free(cipher);
    EVP_MD_free(hash);
    return 0;
}
