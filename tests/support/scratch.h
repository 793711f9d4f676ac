/* A new directory for one test, in memory where there is such a place: thousands of syncs are made
 * there, and what a sync costs is not looked at. */
#ifndef RATSD_TESTS_SCRATCH_H
#define RATSD_TESTS_SCRATCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCRATCH_SIZE 64u

/* False when it cannot be made. */
static inline bool scratch_make(const char *name, char ret_directory[SCRATCH_SIZE])
{
    const char *memory = "/dev/shm";
    (void)snprintf(ret_directory, SCRATCH_SIZE, "%s/%s-XXXXXX",
                   access(memory, W_OK | X_OK) == 0 ? memory : P_tmpdir, name);
    return mkdtemp(ret_directory) != NULL;
}

#endif
