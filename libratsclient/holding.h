/* What this process holds open for one transfer: what is sent, or where it is received to.
 *
 * Made by the thread that calls librats, before the daemon is asked; from the moment the daemon
 * agrees it is the files thread's alone, and ends with the transfer. No lock guards it, and none
 * may be held while these functions run: all of them may wait for a disk.
 *
 * The files of a tree are asked for in order and become whole in that order: `wanted` and then
 * `files` hold those in between, so neither side ever needs the whole list. */
#ifndef LIBRATS_HOLDING_H
#define LIBRATS_HOLDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "new_file.h"
#include "tree.h"
#include "util/list.h"

#define HOLDING_PROBLEM_SIZE 400 /* for the `error` of transfer.fail, with room for paths */

enum role {
    SOURCE_FILE,
    SOURCE_TREE,
    TARGET_FILE,
    TARGET_TREE,
};

/* A file of a tree that was asked for and is not whole yet. */
struct held_file {
    struct list link;
    uint32_t number;
    size_t made;          /* of path, for beneath_prune(); 0 once it is in place */
    struct new_file file; /* of a target, once it is open */
    char path[];          /* below the directory */
};

struct holding {
    enum role role;
    char *path; /* as the application named it, absolute */
    bool made;  /* TARGET_TREE: the directory was not there, and goes when nothing is in place */
    int dir_fd; /* of the tree, or of the directory a file goes to; -1 */
    struct new_file file; /* TARGET_FILE */
    struct list wanted;   /* files of a tree that are not open yet */
    struct list files;    /* those whose descriptor the daemon has */
    uint32_t told;        /* SOURCE_TREE: files the application was told of */
    int parent_fd;        /* TARGET_TREE: the directory of the file placed or opened last, or -1, */
    char *parent;         /* and its path below dir_fd */
};

/* These return a code of rats_error_t with the last error set when it is not RATS_SUCCESS. */

/* A regular file; *ret_fd is the caller's, for reading, *ret_size what is in it now. */
int holding_open_file(const char *path, struct holding **ret_holding, int *ret_fd,
                      uint64_t *ret_size);
/* A directory with the list of its files. */
int holding_open_tree(const char *path, bool recursive, struct holding **ret_holding,
                      struct tree *ret_tree);
/* The same for what a peer asked for below a directory that is shared, opened by the caller: fd is
 * taken. Nothing to be sent is -ENOTDIR, -EISDIR and so on, and no last error. */
int holding_take_file(int fd, const char *path, struct holding **ret_holding, uint64_t *ret_size);
int holding_take_tree(int fd, const char *path, bool recursive, struct holding **ret_holding,
                      struct tree *ret_tree, char problem[HOLDING_PROBLEM_SIZE]);
/* Makes what is missing above path, and an empty file that is not there yet. */
int holding_make_file(const char *path, struct holding **ret_holding);
/* Makes the directory, and what is missing above it. */
int holding_make_tree(const char *path, struct holding **ret_holding);
/* What is not in place is gone. Accepts NULL. */
void holding_free(struct holding *holding);

/* For the daemon: one more descriptor of a target, a file's to be written to, or a directory's
 * whose disk is to be looked at; a negative errno. */
int holding_share(const struct holding *holding);
/* That file of a tree is wanted. 0 or -ENOMEM. */
int holding_want(struct holding *holding, uint32_t number, const char *path);
/* Opens wanted files, as many as `most`, beginning with number *ret_first. Their descriptors, in
 * ret_fds, are the caller's. How many, 0 when none is wanted; or a negative errno with a sentence:
 * -EMFILE says that none can be opened now. */
int holding_open_wanted(struct holding *holding, size_t most, int *ret_fds, uint32_t *ret_first,
                        char problem[HOLDING_PROBLEM_SIZE]);
/* Puts the target, or the tree's next file, in place. 0 or a negative errno with a sentence. */
int holding_place(struct holding *holding, uint32_t number, char problem[HOLDING_PROBLEM_SIZE]);
/* Whether files are wanted that were not opened. */
bool holding_is_wanted(const struct holding *holding);
void holding_want_nothing(struct holding *holding);
/* The file that is to become whole next; NULL. */
struct held_file *holding_first(const struct holding *holding);
/* How many there are. */
size_t holding_count(const struct holding *holding);
/* It is done with. */
void holding_drop_first(struct holding *holding);

/* path, made absolute with the working directory of this moment; NULL without memory. */
char *path_absolute(const char *path);

#endif
