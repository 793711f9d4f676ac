#include "shares.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "client.h"
#include "holding.h"
#include "util/text.h"

#define KIND_FILE      1u
#define KIND_DIRECTORY 2u

struct share_root {
    struct list link;
    uint64_t serial;
    int fd;
    char *given; /* absolute */
    char *real;
};

static void free_root(struct share_root *root)
{
    list_remove(&root->link);
    if (root->fd >= 0) {
        (void)close(root->fd);
    }
    free(root->given);
    free(root->real);
    free(root);
}

void shares_fini(struct files *files)
{
    LIST_EACH(&files->roots, node)
    {
        free_root(CONTAINER_OF(node, struct share_root, link));
    }
}

/* What the daemon shows --------------------------------------------------------------------- */

/* (locked) */
static unsigned wanted_kinds(const struct client *client)
{
    const bool shares = !list_is_empty(&client->files.roots);
    return (shares || client->callbacks.file_request != NULL ? KIND_FILE : 0) |
           (shares || client->callbacks.directory_request != NULL ? KIND_DIRECTORY : 0);
}

static json_t *watch_params(unsigned kinds)
{
    json_t *words = json_array();
    int rc = words == NULL ? -1 : 0;
    if (rc == 0 && (kinds & KIND_FILE) != 0) {
        rc = json_array_append_new(words, json_string("file"));
    }
    if (rc == 0 && (kinds & KIND_DIRECTORY) != 0) {
        rc = json_array_append_new(words, json_string("directory"));
    }
    if (rc < 0) {
        json_decref(words);
        return NULL;
    }
    return json_pack("{s:o}", "kinds", words);
}

int shares_tell(struct client *client)
{
    const unsigned kinds = wanted_kinds(client);
    int code = kinds == 0 ? RATS_SUCCESS : files_start(client);
    if (code == RATS_SUCCESS && kinds != client->files.watched) {
        client->files.watched = kinds;
        code = request_tell(client, M_TRANSFER_WATCH, watch_params(kinds), CALL_PLAIN);
        if (code != RATS_SUCCESS) {
            client->files.watched = 0; /* said again with the next change */
        }
    }
    return code;
}

void shares_replay(struct client *client)
{
    client->files.watched = wanted_kinds(client);
    if (client->files.watched != 0) {
        request_post(client, M_TRANSFER_WATCH, watch_params(client->files.watched), CALL_PLAIN);
    }
}

/* Roots ------------------------------------------------------------------------------------- */

/* (locked) By the path it was given by, or its real one; NULL. */
static struct share_root *find_root(const struct client *client, const char *path)
{
    LIST_EACH(&client->files.roots, node)
    {
        struct share_root *root = CONTAINER_OF(node, struct share_root, link);
        if (strcmp(root->given, path) == 0 || strcmp(root->real, path) == 0) {
            return root;
        }
    }
    return NULL;
}

/* (locked) Undoes an addition that the daemon refused, unless it was undone meanwhile. */
static void drop_root(struct client *client, uint64_t serial)
{
    LIST_EACH(&client->files.roots, node)
    {
        struct share_root *root = CONTAINER_OF(node, struct share_root, link);
        if (root->serial == serial) {
            free_root(root);
        }
    }
}

static int explain(const char *directory, int rc)
{
    char shown[256];
    (void)text_escape(bytes_from_string(directory), shown, sizeof shown);
    switch (rc) {
    case -ENOMEM:
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    case -ENOENT:
        return error_set(RATS_ERROR_NOT_FOUND, "there is no directory '%s'", shown);
    case -ENOTDIR:
        return error_set(RATS_ERROR_INVALID_PARAMETER, "'%s' is not a directory", shown);
    default:
        return error_set(RATS_ERROR_OPERATION_FAILED, "'%s': %s", shown, strerror(-rc));
    }
}

static int open_root(const char *directory, struct share_root **ret_root)
{
    struct share_root *root = calloc(1, sizeof *root);
    if (root == NULL) {
        return -ENOMEM;
    }
    list_init(&root->link);
    root->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = root->fd < 0 ? -errno : 0;
    if (rc == 0) {
        root->given = path_absolute(directory);
        root->real = root->given == NULL ? NULL : realpath(directory, NULL);
        rc = root->given == NULL ? -ENOMEM : root->real == NULL ? -errno : 0;
    }
    if (rc < 0) {
        free_root(root);
        return rc;
    }
    *ret_root = root;
    return 0;
}

rats_error_t rats_add_share_root(rats_client_t handle, const char *directory)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (directory == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the directory is NULL");
    }
    struct share_root *root = NULL;
    const int rc = open_root(directory, &root);
    if (rc < 0) {
        return (rats_error_t)explain(directory, rc);
    }
    client_lock(client);
    if (find_root(client, root->real) != NULL) {
        client_unlock(client);
        free_root(root);
        return RATS_SUCCESS;
    }
    const uint64_t serial = root->serial = ++client->files.root_serial;
    list_append(&client->files.roots, &root->link);
    const int code = shares_tell(client);
    if (code != RATS_SUCCESS) {
        drop_root(client, serial);
    }
    client_unlock(client);
    return (rats_error_t)code;
}

rats_error_t rats_remove_share_root(rats_client_t handle, const char *directory)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (directory == NULL) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER, "the directory is NULL");
    }
    char *path = path_absolute(directory);
    char *real = realpath(directory, NULL); /* NULL when it is gone: then as it was given */
    client_lock(client);
    struct share_root *root = real == NULL ? NULL : find_root(client, real);
    if (root == NULL && path != NULL) {
        root = find_root(client, path);
    }
    if (root != NULL) {
        list_remove(&root->link);
    }
    const int code = root == NULL ? error_set(RATS_ERROR_NOT_FOUND, "that directory is not shared")
                                  : shares_tell(client);
    client_unlock(client);
    if (root != NULL) {
        free_root(root);
    }
    free(path);
    free(real);
    return (rats_error_t)code;
}

/* Requests ---------------------------------------------------------------------------------- */

/* What `wanted` is called below that root; NULL when it is not. A path below stands for itself. */
static const char *name_below(const struct share_root *root, const char *wanted)
{
    if (wanted[0] != '/') {
        return wanted;
    }
    const size_t size = strcmp(root->real, "/") == 0 ? 0 : strlen(root->real);
    if (strncmp(wanted, root->real, size) != 0 || (wanted[size] != '/' && wanted[size] != '\0')) {
        return NULL;
    }
    return wanted[size] == '\0' || wanted[size + 1] == '\0' ? "." : wanted + size + 1;
}

/* One root, on its own: it may be removed while a disk is waited for. */
struct chosen {
    int fd;
    const char *name; /* below it, part of what was wanted */
    char *path;       /* with the root's */
};

/* (locked) The root with that index, if there is one and `wanted` may be below it. False: there are
 * no more. */
static bool choose(const struct client *client, size_t index, const char *wanted,
                   struct chosen *ret_chosen)
{
    *ret_chosen = (struct chosen){.fd = -1};
    LIST_EACH(&client->files.roots, node)
    {
        const struct share_root *root = CONTAINER_OF(node, struct share_root, link);
        if (index-- > 0) {
            continue;
        }
        const char *name = name_below(root, wanted);
        const size_t size = name == NULL ? 0 : strlen(root->real) + strlen(name) + 2;
        char *path = name == NULL ? NULL : malloc(size);
        if (path != NULL) {
            const bool is_root = strcmp(name, ".") == 0;
            (void)snprintf(path, size, "%s%s%s", root->real, is_root ? "" : "/",
                           is_root ? "" : name);
            *ret_chosen = (struct chosen){
                .fd = fcntl(root->fd, F_DUPFD_CLOEXEC, 3), .name = name, .path = path};
        }
        return true;
    }
    return false;
}

/* A copy without slashes at its end; NULL without memory. */
static char *trim(const char *wanted)
{
    size_t size = strlen(wanted);
    while (size > 1 && wanted[size - 1] == '/') {
        size--;
    }
    return strndup(wanted, size);
}

int shares_open(struct client *client, const char *wanted, bool directory, char **ret_path)
{
    const int flags = directory ? O_RDONLY | O_DIRECTORY : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    char *name = trim(wanted);
    int fd = name == NULL ? -ENOMEM : -ENOENT;
    for (size_t i = 0; fd < 0 && fd != -ENOMEM; i++) {
        struct chosen chosen;
        client_lock(client);
        const bool more = choose(client, i, name, &chosen);
        client_unlock(client);
        if (!more) {
            break;
        }
        if (chosen.fd >= 0) {
            fd = beneath_open_linked(chosen.fd, chosen.name, flags);
            (void)close(chosen.fd);
        }
        if (fd >= 0) {
            *ret_path = chosen.path;
        } else {
            free(chosen.path);
        }
    }
    free(name);
    return fd;
}
