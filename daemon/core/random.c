#include "core/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/log.h"

void random_bytes(void *out, size_t size)
{
    uint8_t *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR) {
            log_error("random", "the kernel gives no random bytes: %s", strerror(errno));
            _exit(1);
        }
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}
