/* Where an instance's socket may be: the option, RATS_SOCKET, else the user's runtime directory
 * and then the system's (design.md, Instances). */
#ifndef RATSCTL_SEARCH_H
#define RATSCTL_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#define SEARCH_PLACES    2
#define SEARCH_PATH_SIZE 512

struct search {
    char paths[SEARCH_PLACES][SEARCH_PATH_SIZE];
    size_t count;
    bool given; /* one socket was named; there is no other place to look */
};

/* socket_path and instance may be NULL (not given). 0, or -EINVAL when the instance's name cannot
 * be one, or a path is too long. */
int search_sockets(const char *socket_path, const char *instance, struct search *ret_search);

/* What is wrong with a socket that could not be attached to, in a few words. ret_denied: it is a
 * matter of permission, and ret_group, when not empty, the group whose members may open it. */
const char *search_diagnose(const char *path, bool *ret_denied, char *ret_group, size_t group_size);

#endif
