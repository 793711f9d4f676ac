/* A directory tree as the list of files that a transfer sends: regular files with their sizes, by
 * their paths below the directory, in the order of the names, a directory's own files before those
 * below it.
 *
 * Links are not followed; what is neither a file nor a directory is left out. The list is the body
 * of transfer.send (rats-ipc(7)). What it says is a claim: files change until they are opened. */
#ifndef LIBRATS_TREE_H
#define LIBRATS_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

struct tree {
    struct buf list; /* for each file u64 size, u16 size of the path, little-endian; the path */
    uint64_t total_bytes;
    uint32_t total_files;
};

#define TREE_PROBLEM_SIZE 400

/* Lists what is below the directory, or only its own files. 0; or a negative errno with a sentence
 * in problem: -EINVAL when receivers would refuse a path, -EFBIG when the list does not fit a
 * frame, -ENOMEM, or why a directory could not be read. */
int tree_list(int dir_fd, bool recursive, struct tree *ret_tree, char problem[TREE_PROBLEM_SIZE]);
void tree_fini(struct tree *tree);

#endif
