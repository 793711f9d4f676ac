#include "ipc/credentials.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/alloc.h"

#define MAX_GROUPS 65536 /* the kernel's own limit */

/* Supplementary groups count too: most people are in a group that way. */
static bool in_supplementary_groups(int fd, gid_t group)
{
    gid_t *groups = xalloc(MAX_GROUPS * sizeof(gid_t));
    socklen_t size = MAX_GROUPS * sizeof(gid_t);
    bool found = false;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
        for (size_t i = 0; i < size / sizeof(gid_t); i++) {
            found = found || groups[i] == group;
        }
    }
    free(groups);
    return found;
}

int credentials_read(int fd, gid_t control_group, struct credentials *ret_credentials)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        return -errno;
    }
    bool control = peer.uid == 0 || peer.uid == geteuid();
    if (!control && control_group != NO_GROUP) {
        control = peer.gid == control_group || in_supplementary_groups(fd, control_group);
    }
    *ret_credentials =
        (struct credentials){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid, .control = control};
    return 0;
}

int credentials_find_group(const char *name, gid_t *ret_group)
{
    if (name[0] == '\0') {
        *ret_group = NO_GROUP;
        return 0;
    }
    char *end = NULL;
    unsigned long number = strtoul(name, &end, 10);
    if (*end == '\0') {
        *ret_group = (gid_t)number;
        return 0;
    }
    const struct group *group = getgrnam(name);
    if (group == NULL) {
        return -ENOENT;
    }
    *ret_group = group->gr_gid;
    return 0;
}
