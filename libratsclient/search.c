#include "search.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/runtime_dir.h"

static size_t add(struct search_place *place, const char *directory, bool safe)
{
    snprintf(place->directory, sizeof place->directory, "%s", directory);
    const int size = snprintf(place->path, sizeof place->path, "%s/default.sock", directory);
    place->safe = safe;
    return size > 0 && (size_t)size < sizeof place->path ? 1 : 0;
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
    if (runtime_dir_of_user(directory, sizeof directory) == 0) {
        count += add(&places[count], directory, runtime_dir_is_safe(directory));
    }
    /* Only root can make an entry in /run, and the service manager gives this one to the daemon's
     * own user: whose it is says nothing. */
    count += add(&places[count], system_directory, true);
    return count;
}

size_t search_places(struct search_place places[SEARCH_PLACES])
{
    return search_places_in(RUNTIME_DIR_SYSTEM, places);
}
