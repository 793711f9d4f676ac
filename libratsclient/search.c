#include "search.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Somebody else's directory could hold a false daemon; one that is not there holds none. A link is
 * not followed: in a place where everybody may write it could lead anywhere. */
bool search_is_ours(const char *directory)
{
    struct stat info;
    if (lstat(directory, &info) != 0) {
        return true;
    }
    return S_ISDIR(info.st_mode) && (info.st_uid == 0 || info.st_uid == geteuid()) &&
           (info.st_mode & 022) == 0;
}

static size_t add(struct search_place *place, const char *directory, bool safe)
{
    snprintf(place->directory, sizeof place->directory, "%s", directory);
    const int size = snprintf(place->path, sizeof place->path, "%s/default.sock", directory);
    place->safe = safe;
    return size > 0 && (size_t)size < sizeof place->path ? 1 : 0;
}

int search_user_directory(char directory[SOCKET_PATH_SIZE])
{
    /* A program with more rights than its caller does not let the caller choose the daemon. */
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int size;
    if (runtime != NULL && runtime[0] == '/') {
        size = snprintf(directory, SOCKET_PATH_SIZE, "%s/ratsd", runtime);
    } else {
        size = snprintf(directory, SOCKET_PATH_SIZE, "/tmp/ratsd-%lu", (unsigned long)geteuid());
    }
    return size > 0 && (size_t)size < SOCKET_PATH_SIZE ? 0 : -ENAMETOOLONG;
}

int search_by_port(const struct search_place *place, int port, char path[SOCKET_PATH_SIZE])
{
    char link[PATH_MAX];
    char target[SOCKET_PATH_SIZE];
    snprintf(link, sizeof link, "%s/by-port/%d", place->directory, port);
    const ssize_t size = readlink(link, target, sizeof target);
    if (size < 0) {
        return -errno;
    }
    if ((size_t)size >= sizeof target || target[0] != '/') {
        return -ENAMETOOLONG;
    }
    memcpy(path, target, (size_t)size);
    path[size] = '\0';
    return 0;
}

struct sockets {
    char (*paths)[SOCKET_PATH_SIZE];
    size_t count;
};

static void add_socket(struct sockets *sockets, const char *path)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (strcmp(sockets->paths[i], path) == 0) {
            return;
        }
    }
    if (sockets->count < SEARCH_MOST_SOCKETS && strlen(path) < SOCKET_PATH_SIZE) {
        memcpy(sockets->paths[sockets->count++], path, strlen(path) + 1);
    }
}

static void add_link(struct sockets *sockets, const struct search_place *place, const char *name)
{
    char path[SOCKET_PATH_SIZE];
    char *end = NULL;
    const long port = strtol(name, &end, 10);
    if (*end == '\0' && port > 0 && port <= 65535 && search_by_port(place, (int)port, path) == 0) {
        add_socket(sockets, path);
    }
}

static void add_entry(struct sockets *sockets, const struct search_place *place, const char *name)
{
    static const char ending[] = ".sock";
    char path[PATH_MAX];
    const size_t size = strlen(name);
    if (size >= sizeof ending && strcmp(name + size - (sizeof ending - 1), ending) == 0) {
        snprintf(path, sizeof path, "%s/%s", place->directory, name);
        add_socket(sockets, path);
    }
}

typedef void (*add_fn)(struct sockets *sockets, const struct search_place *place, const char *name);

static void add_each(struct sockets *sockets, const struct search_place *place, const char *path,
                     add_fn add_one)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        add_one(sockets, place, entry->d_name);
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
}

size_t search_sockets(const struct search_place *place,
                      char paths[SEARCH_MOST_SOCKETS][SOCKET_PATH_SIZE])
{
    struct sockets sockets = {.paths = paths};
    char by_port[PATH_MAX];
    snprintf(by_port, sizeof by_port, "%s/by-port", place->directory);
    add_each(&sockets, place, place->directory, add_entry);
    add_each(&sockets, place, by_port, add_link);
    return sockets.count;
}

size_t search_places_in(const char *system_directory, struct search_place places[SEARCH_PLACES])
{
    char directory[SOCKET_PATH_SIZE];
    size_t count = 0;
    if (search_user_directory(directory) == 0) {
        count += add(&places[count], directory, search_is_ours(directory));
    }
    /* Only root can make an entry in /run, and the service manager gives this one to the daemon's
     * own user: whose it is says nothing. */
    count += add(&places[count], system_directory, true);
    return count;
}

size_t search_places(struct search_place places[SEARCH_PLACES])
{
    return search_places_in("/run/ratsd", places);
}
