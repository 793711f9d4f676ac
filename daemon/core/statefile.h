/* Small files that must survive power cuts: written aside, synced, renamed, directory synced.
 *
 * A reader sees the old content or the new, never a mixture. Directories are created 0700, files
 * 0600 whatever the umask. Every function takes a directory descriptor and a plain name, so nothing
 * follows a path twice; a name with a slash is -EINVAL, a symbolic link -ELOOP. While it is being
 * written the content of NAME stands in NAME.tmp; what a crash leaves there is ignored by readers
 * and removed by the next write of NAME. Two threads must not write the same name at once. */
#ifndef RATSD_CORE_STATEFILE_H
#define RATSD_CORE_STATEFILE_H

#include "util/bytes.h"

/* Opens the state directory, creating it and missing parents. The directory must belong to us (or
 * root) and must not be writable by others: else -EPERM. */
int statefile_open_directory(const char *path, int *ret_fd);
/* Takes the exclusive lock of the directory (a file "lock" holding the owner's pid and socket).
 * 0; -EBUSY with the other owner's line in holder. The lock ends with the descriptor. */
int statefile_lock(int directory, const char *line, int *ret_fd, char *holder, size_t holder_size);
/* Reads a whole file of at most max bytes: 0 and *ret_size; -ENOENT; -EFBIG; -EPERM when it is not
 * a regular file of ours (or root's) or others may write it; other errno. */
int statefile_read(int directory, const char *name, uint8_t *out, size_t max, size_t *ret_size);
/* Replaces or creates. 0 or negative errno, the old content then intact (except that an error of
 * syncing the directory comes after the new content is in place). */
int statefile_write(int directory, const char *name, struct bytes content);
/* Creates; -EEXIST when the name is taken. Never replaces. */
int statefile_create(int directory, const char *name, struct bytes content);
/* Renames; what has the new name is replaced. -ENOENT when there is nothing to rename. */
int statefile_rename(int directory, const char *name, const char *new_name);
/* Removes what a crash may have left of writing NAME, for content that should not lie about. */
void statefile_tidy(int directory, const char *name);

#endif
