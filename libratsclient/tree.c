#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "proto/frame.h"
#include "util/list.h"
#include "util/path_rule.h"
#include "util/text.h"

#define MOST_LIST ((size_t)FRAME_MAX_SIZE - FRAME_MAX_HEAD)

/* A directory that has been seen and not been read. */
struct folder {
    struct list link;
    char path[]; /* below the root; "" for the root itself */
};

/* The names of one directory. */
struct names {
    char **names;
    size_t count;
    size_t capacity;
};

struct lister {
    struct tree *tree;
    int root_fd;
    bool recursive;
    struct list folders; /* what is read next stands first */
    char *problem;
};

static int fail(struct lister *lister, int rc, const char *path, const char *why)
{
    char shown[200];
    (void)snprintf(lister->problem, TREE_PROBLEM_SIZE, "'%s' %s",
                   text_escape(bytes_from_string(path), shown, sizeof shown), why);
    return rc;
}

static int out_of_memory(struct lister *lister)
{
    (void)snprintf(lister->problem, TREE_PROBLEM_SIZE, "out of memory");
    return -ENOMEM;
}

static int fail_errno(struct lister *lister, int rc, const char *path)
{
    char why[100];
    (void)snprintf(why, sizeof why, "cannot be read: %s", strerror(-rc));
    return rc == -ENOMEM ? out_of_memory(lister)
                         : fail(lister, rc, *path == '\0' ? "." : path, why);
}

/* folder/name; NULL without memory. */
static char *join(const char *folder, const char *name)
{
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL) {
        (void)snprintf(path, size, "%s%s%s", folder, *folder == '\0' ? "" : "/", name);
    }
    return path;
}

/* Names ------------------------------------------------------------------------------------- */

static int add_name(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        const size_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
        char **larger = realloc(names->names, capacity * sizeof *larger);
        if (larger == NULL) {
            return -ENOMEM;
        }
        names->names = larger;
        names->capacity = capacity;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return -ENOMEM;
    }
    names->names[names->count++] = copy;
    return 0;
}

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i]);
    }
    free(names->names);
}

static int compare(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The names in a directory, in order. dir is an open descriptor. */
static int read_names(DIR *dir, struct names *names)
{
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            rc = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            rc = add_name(names, entry->d_name);
        }
    }
    if (rc == 0 && names->count > 0) {
        qsort(names->names, names->count, sizeof *names->names, compare);
    }
    return rc;
}

/* Entries ----------------------------------------------------------------------------------- */

static void put_le(uint8_t *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(number >> 8 * i);
    }
}

static int add_file(struct lister *lister, const char *path, uint64_t size)
{
    struct tree *tree = lister->tree;
    const size_t path_size = strlen(path);
    const char *fault = path_rule_check_offered(bytes_make(path, path_size));
    if (fault != NULL) {
        char why[160];
        (void)snprintf(why, sizeof why, "%s: no receiver would take that name; rename it", fault);
        return fail(lister, -EINVAL, path, why);
    }
    const size_t needed = 10 + path_size;
    if (buf_size(&tree->list) + needed > MOST_LIST || tree->total_files == UINT32_MAX) {
        return fail(lister, -EFBIG, path,
                    "is one file too many: the list of files would be larger than 64 MiB");
    }
    uint8_t *room = NULL;
    if (buf_reserve(&tree->list, needed, &room) < 0) {
        return out_of_memory(lister);
    }
    put_le(room, size, 8);
    put_le(room + 8, path_size, 2);
    memcpy(room + 10, path, path_size);
    buf_commit(&tree->list, needed);
    tree->total_bytes += size;
    tree->total_files++;
    return 0;
}

static int add_folder(struct lister *lister, struct list *behind, const char *path)
{
    const size_t size = strlen(path) + 1;
    struct folder *folder = malloc(sizeof *folder + size);
    if (folder == NULL) {
        return out_of_memory(lister);
    }
    memcpy(folder->path, path, size);
    list_init(&folder->link);
    list_append(behind, &folder->link); /* that is before it, in a ring */
    return 0;
}

/* One entry of a folder; `next` is the folder that is read after those found here. */
static int add_entry(struct lister *lister, int fd, const char *folder, const char *name,
                     struct list *next)
{
    struct stat info;
    if (fstatat(fd, name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? 0 : fail_errno(lister, -errno, name); /* removed meanwhile */
    }
    const bool wanted = S_ISREG(info.st_mode) || (S_ISDIR(info.st_mode) && lister->recursive);
    char *path = wanted ? join(folder, name) : NULL;
    if (wanted && path == NULL) {
        return out_of_memory(lister);
    }
    int rc = 0;
    if (S_ISREG(info.st_mode)) {
        rc = add_file(lister, path, (uint64_t)info.st_size);
    } else if (wanted) {
        rc = add_folder(lister, next, path);
    }
    free(path);
    return rc;
}

static int read_folder(struct lister *lister, const char *path)
{
    const int fd = beneath_open(lister->root_fd, *path == '\0' ? "." : path,
                                O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        const int rc = fd < 0 ? fd : -errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return fail_errno(lister, rc, path);
    }
    struct names names = {0};
    struct list *next = lister->folders.next;
    int rc = read_names(dir, &names);
    if (rc < 0) {
        rc = fail_errno(lister, rc, path);
    }
    for (size_t i = 0; rc == 0 && i < names.count; i++) {
        rc = add_entry(lister, dirfd(dir), path, names.names[i], next);
    }
    names_fini(&names);
    (void)closedir(dir);
    return rc;
}

int tree_list(int dir_fd, bool recursive, struct tree *ret_tree, char problem[TREE_PROBLEM_SIZE])
{
    struct tree tree = {0};
    struct lister lister = {
        .tree = &tree, .root_fd = dir_fd, .recursive = recursive, .problem = problem};
    buf_init(&tree.list);
    list_init(&lister.folders);
    int rc = add_folder(&lister, &lister.folders, "");
    while (rc == 0 && !list_is_empty(&lister.folders)) {
        struct folder *folder = CONTAINER_OF(lister.folders.next, struct folder, link);
        list_remove(&folder->link);
        rc = read_folder(&lister, folder->path);
        free(folder);
    }
    LIST_EACH(&lister.folders, node)
    {
        free(CONTAINER_OF(node, struct folder, link));
    }
    if (rc < 0) {
        tree_fini(&tree);
        return rc;
    }
    *ret_tree = tree;
    return 0;
}

void tree_fini(struct tree *tree)
{
    buf_fini(&tree->list);
}
