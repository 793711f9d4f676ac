/* Where daemons' sockets are: the runtime directories of the user and of the system. */
#ifndef LIBRATS_SEARCH_H
#define LIBRATS_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#define SOCKET_PATH_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define SEARCH_PLACES    2

#define SEARCH_MOST_SOCKETS 32

struct search_place {
    char directory[SOCKET_PATH_SIZE];
    char path[SOCKET_PATH_SIZE]; /* of the default instance's socket */
    bool safe; /* nobody but root, the caller or the service manager made its directory */
};

/* User first, then system. Returns how many were filled in. */
size_t search_places(struct search_place places[SEARCH_PLACES]);
/* The same with the system's directory given, for tests. */
size_t search_places_in(const char *system_directory, struct search_place places[SEARCH_PLACES]);

/* What by-port/<port> there leads to. 0, or a negative errno when there is no such link. */
int search_by_port(const struct search_place *place, int port, char path[SOCKET_PATH_SIZE]);
/* Sockets of all instances there: those in the directory itself and what by-port/ leads to, each
 * once. Returns how many were filled in; there are places beyond SEARCH_MOST_SOCKETS for nobody. */
size_t search_sockets(const struct search_place *place,
                      char paths[SEARCH_MOST_SOCKETS][SOCKET_PATH_SIZE]);

#endif
