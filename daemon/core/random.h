/* Random bytes from the kernel. Cannot fail once the system is up; exits if it does. */
#ifndef RATSD_CORE_RANDOM_H
#define RATSD_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t size);
uint64_t random_u64(void);

#endif
