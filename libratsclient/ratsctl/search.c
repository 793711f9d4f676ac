#include "ratsctl/search.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/runtime_dir.h"

#define DEFAULT_INSTANCE "default"
#define NAME_MAX_SIZE    64
#define NAME_CHARACTERS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

static int add(struct search *search, const char *directory, const char *instance)
{
    char *path = search->paths[search->count];
    int size = snprintf(path, SEARCH_PATH_SIZE, "%s/%s.sock", directory, instance);
    if (size < 0 || size >= SEARCH_PATH_SIZE) {
        return -EINVAL;
    }
    search->count++;
    return 0;
}

static int add_given(struct search *search, const char *path)
{
    const size_t size = strlen(path);
    if (size == 0 || size >= SEARCH_PATH_SIZE) {
        return -EINVAL;
    }
    memcpy(search->paths[0], path, size + 1);
    search->count = 1;
    search->given = true;
    return 0;
}

static int add_user_socket(struct search *search, const char *instance)
{
    char directory[SEARCH_PATH_SIZE];
    if (runtime_dir_of_user(directory, sizeof directory) < 0) {
        return -EINVAL;
    }
    return runtime_dir_is_safe(directory) ? add(search, directory, instance) : 0;
}

int search_sockets(const char *socket_path, const char *instance, struct search *ret_search)
{
    struct search search = {.count = 0};
    const char *environment = getenv("RATS_SOCKET");
    if (socket_path == NULL && instance == NULL && environment != NULL && *environment != '\0') {
        socket_path = environment;
    }
    int result = 0;
    if (socket_path != NULL) {
        result = add_given(&search, socket_path);
    } else {
        const char *name = instance == NULL ? DEFAULT_INSTANCE : instance;
        const size_t size = strlen(name);
        if (size == 0 || size > NAME_MAX_SIZE || *name == '.' ||
            strspn(name, NAME_CHARACTERS) != size) {
            return -EINVAL;
        }
        result = add_user_socket(&search, name);
        if (result == 0) {
            result = add(&search, RUNTIME_DIR_SYSTEM, name);
        }
    }
    if (result == 0) {
        *ret_search = search;
    }
    return result;
}

/* The group of path, or of the directory it stands in when that is what keeps us out. */
static void name_group(const char *path, char *ret_group, size_t group_size)
{
    char copy[SEARCH_PATH_SIZE];
    struct stat status;
    (void)snprintf(copy, sizeof copy, "%s", path);
    char *slash = strrchr(copy, '/');
    if (slash != NULL && slash != copy) {
        *slash = '\0';
    }
    if (stat(path, &status) != 0 && stat(copy, &status) != 0) {
        return;
    }
    const struct group *group = getgrgid(status.st_gid);
    if (group != NULL && status.st_gid != 0) {
        (void)snprintf(ret_group, group_size, "%s", group->gr_name);
    }
}

const char *search_diagnose(const char *path, bool *ret_denied, char *ret_group, size_t group_size)
{
    *ret_denied = false;
    ret_group[0] = '\0';
    if (access(path, R_OK | W_OK) == 0) {
        struct stat status;
        return stat(path, &status) == 0 && S_ISSOCK(status.st_mode) ? "nobody listens there"
                                                                    : "not a socket";
    }
    if (errno == EACCES || errno == EPERM) {
        *ret_denied = true;
        name_group(path, ret_group, group_size);
        return "permission denied";
    }
    return errno == ENOENT || errno == ENOTDIR ? "no such socket" : "cannot be opened";
}
