#include "crypto/library.h"

#include <stdlib.h>

#include <openssl/crypto.h>

#include "util/alloc.h"

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return xmalloc(size);
}

static void *reallocate(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size == 0) {
        free(old);
        return NULL;
    }
    return xrealloc(old, size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

void crypto_library_init(void)
{
    (void)CRYPTO_set_mem_functions(allocate, reallocate, release);
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL);
}
