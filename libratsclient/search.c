#include "search.h"

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
