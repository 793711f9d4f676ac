#include "holding.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "error.h"
#include "util/text.h"

/* Without O_NONBLOCK a pipe would hold us until somebody writes to it. */
#define OPEN_SOURCE (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_TREE   (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* A path as an error shows it. */
struct shown {
    char text[256];
};

static struct shown show(const char *path)
{
    struct shown shown;
    (void)text_escape(bytes_from_string(path), shown.text, sizeof shown.text);
    return shown;
}

static int out_of_memory(void)
{
    return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
}

static int explain(int rc, const char *path)
{
    if (rc == -ENOMEM) {
        return out_of_memory();
    }
    return error_set(rc == -ENOENT ? RATS_ERROR_NOT_FOUND : RATS_ERROR_OPERATION_FAILED, "'%s': %s",
                     show(path).text, strerror(-rc));
}

char *path_absolute(const char *path)
{
    if (path[0] == '/') {
        return strdup(path);
    }
    char *here = getcwd(NULL, 0);
    if (here == NULL) {
        return errno == ENOMEM ? NULL : strdup(path); /* the working directory was removed */
    }
    const size_t size = strlen(here) + strlen(path) + 2;
    char *whole = malloc(size);
    if (whole != NULL) {
        (void)snprintf(whole, size, "%s/%s", strcmp(here, "/") == 0 ? "" : here, path);
    }
    free(here);
    return whole;
}

/* Nothing in it is open yet; NULL without memory. */
static struct holding *holding_new(enum role role, const char *path)
{
    struct holding *holding = calloc(1, sizeof *holding);
    char *absolute = path_absolute(path);
    if (holding == NULL || absolute == NULL) {
        free(holding);
        free(absolute);
        return NULL;
    }
    holding->role = role;
    holding->path = absolute;
    holding->dir_fd = -1;
    holding->file.fd = -1;
    holding->parent_fd = -1;
    list_init(&holding->wanted);
    list_init(&holding->files);
    return holding;
}

static void close_parent(struct holding *holding)
{
    if (holding->parent_fd >= 0) {
        (void)close(holding->parent_fd);
    }
    holding->parent_fd = -1;
    free(holding->parent);
    holding->parent = NULL;
}

/* Sources ----------------------------------------------------------------------------------- */

int holding_take_file(int fd, const char *path, struct holding **ret_holding, uint64_t *ret_size)
{
    struct stat info;
    int rc = fstat(fd, &info) < 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(info.st_mode)) {
        rc = S_ISDIR(info.st_mode) ? -EISDIR : -EINVAL;
    }
    struct holding *holding = rc < 0 ? NULL : holding_new(SOURCE_FILE, path);
    if (rc == 0 && holding == NULL) {
        rc = -ENOMEM;
    }
    if (rc < 0) {
        (void)close(fd);
        return rc;
    }
    *ret_holding = holding;
    *ret_size = (uint64_t)info.st_size;
    return 0;
}

int holding_open_file(const char *path, struct holding **ret_holding, int *ret_fd,
                      uint64_t *ret_size)
{
    const int fd = open(path, OPEN_SOURCE);
    if (fd < 0 && errno != ENXIO) {
        return explain(-errno, path);
    }
    /* ENXIO: a socket, or a device that is not there */
    const int rc = fd < 0 ? -EINVAL : holding_take_file(fd, path, ret_holding, ret_size);
    if (rc == -EISDIR || rc == -EINVAL) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "'%s' is %s", show(path).text,
                         rc == -EISDIR ? "a directory; there is another function for these"
                                       : "not a regular file");
    }
    if (rc < 0) {
        return explain(rc, path);
    }
    *ret_fd = fd;
    return RATS_SUCCESS;
}

int holding_take_tree(int fd, const char *path, bool recursive, struct holding **ret_holding,
                      struct tree *ret_tree, char problem[HOLDING_PROBLEM_SIZE])
{
    struct holding *holding = holding_new(SOURCE_TREE, path);
    if (holding == NULL) {
        (void)close(fd);
        (void)snprintf(problem, HOLDING_PROBLEM_SIZE, "out of memory");
        return -ENOMEM;
    }
    holding->dir_fd = fd;
    const int rc = tree_list(fd, recursive, ret_tree, problem);
    if (rc < 0) {
        holding_free(holding);
        return rc;
    }
    *ret_holding = holding;
    return 0;
}

int holding_open_tree(const char *path, bool recursive, struct holding **ret_holding,
                      struct tree *ret_tree)
{
    const int fd = open(path, OPEN_TREE);
    if (fd < 0 && errno == ENOTDIR) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "'%s' is not a directory", show(path).text);
    }
    if (fd < 0) {
        return explain(-errno, path);
    }
    char problem[HOLDING_PROBLEM_SIZE];
    const int rc = holding_take_tree(fd, path, recursive, ret_holding, ret_tree, problem);
    switch (rc) {
    case 0:
        return RATS_SUCCESS;
    case -ENOMEM:
        return out_of_memory();
    case -EINVAL:
        return error_set(RATS_ERROR_INVALID_PARAMETER, "%s", problem);
    case -EFBIG:
        return error_set(RATS_ERROR_TOO_LARGE, "%s", problem);
    default:
        return error_set(RATS_ERROR_OPERATION_FAILED, "%s", problem);
    }
}

/* Targets ----------------------------------------------------------------------------------- */

/* Makes the directories above the last component, which may be links: the path is the
 * application's own. 0 or a negative errno. */
static int make_above(char *path)
{
    int rc = 0;
    for (char *slash = strchr(path + 1, '/'); slash != NULL && rc == 0;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) < 0 && errno != EEXIST) {
            struct stat info;
            /* On a file system that is only read a directory that exists is as good. */
            rc = stat(path, &info) == 0 ? 0 : -errno;
        }
        *slash = '/';
    }
    return rc;
}

/* Opens the directory that is to hold an absolute path. */
static int open_above(char *path)
{
    char *slash = strrchr(path, '/');
    int fd = -1;
    if (slash == path) {
        fd = open("/", OPEN_TREE);
    } else {
        *slash = '\0';
        fd = open(path, OPEN_TREE);
        *slash = '/';
    }
    return fd < 0 ? -errno : fd;
}

/* Whether a file may go there. 0 or a negative errno. */
static int check_place(int dir_fd, const char *name)
{
    const bool names_directory = *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    return names_directory ? -EISDIR : new_file_may_replace(dir_fd, name);
}

int holding_make_file(const char *path, struct holding **ret_holding)
{
    struct holding *holding = holding_new(TARGET_FILE, path);
    if (holding == NULL) {
        return out_of_memory();
    }
    int rc = make_above(holding->path);
    if (rc == 0) {
        holding->dir_fd = open_above(holding->path);
        rc = holding->dir_fd < 0 ? holding->dir_fd : 0;
    }
    if (rc == 0) {
        rc = check_place(holding->dir_fd, beneath_base(holding->path));
    }
    if (rc == 0) {
        rc = new_file_open(&holding->file, holding->dir_fd);
    }
    if (rc < 0) {
        const int code = explain(rc, path);
        holding_free(holding);
        return code == RATS_ERROR_NOT_FOUND ? RATS_ERROR_OPERATION_FAILED : code;
    }
    *ret_holding = holding;
    return RATS_SUCCESS;
}

int holding_make_tree(const char *path, struct holding **ret_holding)
{
    struct holding *holding = holding_new(TARGET_TREE, path);
    if (holding == NULL) {
        return out_of_memory();
    }
    int rc = make_above(holding->path);
    holding->made = rc == 0 && mkdir(holding->path, 0777) == 0;
    if (rc == 0 && !holding->made && errno != EEXIST) {
        struct stat info;
        rc = stat(holding->path, &info) == 0 ? 0 : -errno;
    }
    if (rc == 0) {
        holding->dir_fd = open(holding->path, OPEN_TREE);
        rc = holding->dir_fd < 0 ? -errno : 0;
    }
    if (rc < 0) {
        const int code = explain(rc, path);
        holding_free(holding);
        return code;
    }
    *ret_holding = holding;
    return RATS_SUCCESS;
}

/* The end ----------------------------------------------------------------------------------- */

/* The directory of a file of the tree, kept for the next; a negative errno. Borrowed. */
static int parent_of(struct holding *holding, struct held_file *held)
{
    const char *path = held->path;
    const size_t size = (size_t)(beneath_base(path) - path);
    if (holding->parent != NULL && strlen(holding->parent) == size &&
        memcmp(holding->parent, path, size) == 0) {
        return holding->parent_fd;
    }
    close_parent(holding);
    char *parent = strndup(path, size);
    size_t made = 0;
    const int fd = parent == NULL ? -ENOMEM : beneath_make_parent(holding->dir_fd, path, &made);
    held->made = held->made == 0 ? made : held->made;
    if (fd < 0) {
        free(parent);
        return fd;
    }
    holding->parent = parent;
    holding->parent_fd = fd;
    return fd;
}

static void drop(struct holding *holding, struct held_file *held)
{
    const int parent = held->file.hidden[0] != '\0' ? parent_of(holding, held) : -1;
    new_file_discard(&held->file, parent < 0 ? -1 : parent);
    if (holding->made) { /* otherwise others may be about to put something there */
        beneath_prune(holding->dir_fd, held->path, held->made);
    }
    list_remove(&held->link);
    free(held);
}

void holding_want_nothing(struct holding *holding)
{
    LIST_EACH(&holding->wanted, node)
    {
        drop(holding, CONTAINER_OF(node, struct held_file, link));
    }
}

void holding_free(struct holding *holding)
{
    if (holding == NULL) {
        return;
    }
    holding_want_nothing(holding);
    while (!list_is_empty(&holding->files)) {
        /* The last first: the others' directories are empty then, if none is in place. */
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is dropped leaves the list */
        drop(holding, CONTAINER_OF(holding->files.prev, struct held_file, link));
    }
    new_file_discard(&holding->file, holding->dir_fd);
    close_parent(holding);
    if (holding->dir_fd >= 0) {
        (void)close(holding->dir_fd);
    }
    if (holding->made) {
        (void)rmdir(holding->path); /* what has something in it stays */
    }
    free(holding->path);
    free(holding);
}

/* Work -------------------------------------------------------------------------------------- */

static int tell(char problem[HOLDING_PROBLEM_SIZE], int rc, const char *path)
{
    (void)snprintf(problem, HOLDING_PROBLEM_SIZE, "'%s': %s", show(path).text, strerror(-rc));
    return rc;
}

int holding_share(const struct holding *holding)
{
    const int shared = holding->role == TARGET_FILE ? holding->file.fd : holding->dir_fd;
    const int fd = fcntl(shared, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

int holding_want(struct holding *holding, uint32_t number, const char *path)
{
    const size_t size = strlen(path) + 1;
    struct held_file *held = malloc(sizeof *held + size);
    if (held == NULL) {
        return -ENOMEM;
    }
    *held = (struct held_file){.number = number, .file.fd = -1};
    memcpy(held->path, path, size);
    list_init(&held->link);
    list_append(&holding->wanted, &held->link);
    return 0;
}

/* A descriptor for the daemon; a negative errno. */
static int open_source(const struct holding *holding, const struct held_file *held)
{
    const int fd = beneath_open(holding->dir_fd, held->path, OPEN_SOURCE | O_NOFOLLOW);
    struct stat info;
    int rc = fd;
    if (fd >= 0 && fstat(fd, &info) < 0) {
        rc = -errno;
    } else if (fd >= 0 && !S_ISREG(info.st_mode)) {
        rc = -EINVAL;
    }
    if (fd >= 0 && rc < 0) {
        (void)close(fd);
    }
    return rc;
}

static int open_target(struct holding *holding, struct held_file *held)
{
    const int parent = parent_of(holding, held);
    int rc = parent < 0 ? parent : new_file_open(&held->file, parent);
    if (rc < 0) {
        return rc;
    }
    const int fd = fcntl(held->file.fd, F_DUPFD_CLOEXEC, 3);
    rc = fd < 0 ? -errno : fd;
    if (rc < 0) {
        new_file_discard(&held->file, parent);
    }
    return rc;
}

int holding_open_wanted(struct holding *holding, size_t most, int *ret_fds, uint32_t *ret_first,
                        char problem[HOLDING_PROBLEM_SIZE])
{
    size_t count = 0;
    int rc = 0;
    LIST_EACH(&holding->wanted, node)
    {
        struct held_file *held = CONTAINER_OF(node, struct held_file, link);
        if (count == most || (count > 0 && held->number != *ret_first + count)) {
            break;
        }
        const int fd =
            holding->role == SOURCE_TREE ? open_source(holding, held) : open_target(holding, held);
        if (fd < 0) {
            rc = tell(problem, fd == -ENFILE ? -EMFILE : fd, held->path);
            break;
        }
        *ret_first = count == 0 ? held->number : *ret_first;
        ret_fds[count++] = fd;
        list_remove(&held->link);
        list_append(&holding->files, &held->link);
    }
    /* Of a failure the caller hears when it comes for the rest. */
    return count > 0 ? (int)count : rc;
}

int holding_place(struct holding *holding, uint32_t number, char problem[HOLDING_PROBLEM_SIZE])
{
    if (holding->role == TARGET_FILE) {
        const int rc =
            number != 0 || holding->file.fd < 0
                ? -EINVAL
                : new_file_place(&holding->file, holding->dir_fd, beneath_base(holding->path));
        return rc < 0 ? tell(problem, rc, holding->path) : 0;
    }
    struct held_file *held = holding_first(holding);
    if (held == NULL || held->number != number || held->file.fd < 0) {
        return tell(problem, -EINVAL, holding->path);
    }
    const int parent = parent_of(holding, held);
    const int rc =
        parent < 0 ? parent : new_file_place(&held->file, parent, beneath_base(held->path));
    held->made = rc < 0 ? held->made : 0;
    return rc < 0 ? tell(problem, rc, held->path) : 0;
}

bool holding_is_wanted(const struct holding *holding)
{
    return !list_is_empty(&holding->wanted);
}

struct held_file *holding_first(const struct holding *holding)
{
    struct list *node = list_first(&holding->files);
    return node == NULL ? NULL : CONTAINER_OF(node, struct held_file, link);
}

size_t holding_count(const struct holding *holding)
{
    size_t count = 0;
    LIST_EACH(&holding->files, node)
    {
        count++;
    }
    return count;
}

void holding_drop_first(struct holding *holding)
{
    struct held_file *held = holding_first(holding);
    if (held != NULL) {
        drop(holding, held);
    }
}
