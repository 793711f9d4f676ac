/* A system without openat2(2), without files that have no name, or short of descriptors, for tests
 * that are linked with old_kernel_dep: they see these calls fail as they do there. */
#ifndef TESTS_SUPPORT_OLD_KERNEL_H
#define TESTS_SUPPORT_OLD_KERNEL_H

#include <stdatomic.h>
#include <stdbool.h>

extern bool without_openat2;
extern bool without_tmpfile;
extern atomic_int unnamed_left; /* files without a name that can still be opened; negative: any */

/* A directory of the test's own, with everything in it removed by scratch_remove(). */
const char *scratch_make(void);
void scratch_remove(void);
/* Its path with a name below. Static text, of the last four calls. */
const char *scratch_path(const char *name);
void scratch_write(const char *name, const char *text);
/* What is in a file; "(none)" when there is no such file. Static text. */
const char *scratch_read(const char *name);
/* How many entries a directory below has. */
int scratch_count(const char *name);

#endif
