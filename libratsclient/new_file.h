/* A file that is being written and is not there yet.
 *
 * It has no name (O_TMPFILE), or, where a file system or a system without /proc does not know such
 * files, a hidden one, ".rats-*.part", which only a killed program leaves behind. Placing it takes
 * one step that others see: the name is there with everything in it, or what was there before.
 *
 * Directories are descriptors of the caller, the same for one file throughout. */
#ifndef LIBRATS_NEW_FILE_H
#define LIBRATS_NEW_FILE_H

#define NEW_FILE_NAME_SIZE 32u

struct new_file {
    int fd;                          /* -1: there is none */
    char hidden[NEW_FILE_NAME_SIZE]; /* "" while it has no name */
};

/* An empty file for reading and writing, mode 0666 less the umask. 0 or a negative errno. */
int new_file_open(struct new_file *file, int dir_fd);
/* Puts it there, over what is there, and closes it. name is one component. 0 or a negative errno,
 * and then the file is gone: as new_file_may_replace(). */
int new_file_place(struct new_file *file, int dir_fd, const char *name);
/* 0 when nothing has that name, or a file or a link, which can be replaced; -EISDIR for a
 * directory, -EEXIST for what is neither: a device, a pipe or a socket has users who would not find
 * it again. */
int new_file_may_replace(int dir_fd, const char *name);
/* It is gone. Harmless when there is none. */
void new_file_discard(struct new_file *file, int dir_fd);

#endif
