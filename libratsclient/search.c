#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Somebody else's directory could hold a false daemon; one that is not there holds none. A link is
 * not followed: in a place where everybody may write it could lead anywhere. */
static bool is_ours(const char *directory)
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
    const int size = snprintf(place->path, sizeof place->path, "%s/default.sock", directory);
    place->safe = safe;
    return size > 0 && (size_t)size < sizeof place->path ? 1 : 0;
}

size_t search_places_in(const char *system_directory, struct search_place places[SEARCH_PLACES])
{
    char directory[SOCKET_PATH_SIZE];
    /* A program with more rights than its caller does not let the caller choose the daemon. */
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int size;
    if (runtime != NULL && runtime[0] == '/') {
        size = snprintf(directory, sizeof directory, "%s/ratsd", runtime);
    } else {
        size = snprintf(directory, sizeof directory, "/tmp/ratsd-%lu", (unsigned long)geteuid());
    }
    size_t count = 0;
    if (size > 0 && (size_t)size < sizeof directory) {
        count += add(&places[count], directory, is_ours(directory));
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
