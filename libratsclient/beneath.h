/* Names below a directory that a stranger chose, opened so that they cannot lead out of it.
 *
 * By openat2(2) where the kernel has it, else component by component. Names are relative, of
 * components that are neither empty nor "..": whatever else comes is refused before the kernel
 * sees it. Links are never followed, except by beneath_open_linked(). Nothing here holds state or a
 * lock; results are descriptors of the caller, close-on-exec, or a negative errno (-EXDEV: the name
 * would lead out; -ELOOP or -ENOTDIR: a link stands in the way). */
#ifndef LIBRATS_BENEATH_H
#define LIBRATS_BENEATH_H

#include <limits.h>
#include <stddef.h>

/* Opens an existing name with flags of open(2); "." is the directory itself. */
int beneath_open(int dir_fd, const char *path, int flags);
/* The same, but links are followed as long as they stay below the directory. Without openat2(2)
 * they are not followed either. */
int beneath_open_linked(int dir_fd, const char *path, int flags);
/* Opens the directory that holds path, making what is missing of it (mode 0777 less the umask).
 * *ret_made is the size of path up to the first directory that was made, 0 when none was, also when
 * it fails. */
int beneath_make_parent(int dir_fd, const char *path, size_t *ret_made);
/* Removes the directories that were made for path, as far as they are empty. */
void beneath_prune(int dir_fd, const char *path, size_t made);
/* The last component of a path. */
const char *beneath_base(const char *path);

#endif
