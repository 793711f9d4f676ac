#include "ipc/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/alloc.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

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

static void read_program_name(pid_t pid, char name[PROGRAM_NAME_SIZE])
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%ld/comm", (long)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, name, PROGRAM_NAME_SIZE - 1);
    name[size > 0 ? size : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (file >= 0) {
        (void)close(file);
    }
}

void credentials_program_name(int fd, pid_t pid, char ret_name[PROGRAM_NAME_SIZE])
{
    int process = -1;
    socklen_t size = sizeof(process);
    bool pinned = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &process, &size) == 0;
    read_program_name(pid, ret_name);
    if (pinned && syscall(SYS_pidfd_send_signal, process, 0, NULL, 0) < 0 && errno == ESRCH) {
        ret_name[0] = '\0'; /* it had ended: the name may be another's */
    }
    if (pinned) {
        (void)close(process);
    }
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
