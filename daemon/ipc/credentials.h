/* Who a client is, by the kernel's word (SO_PEERCRED), and what it may therefore do. */
#ifndef RATSD_IPC_CREDENTIALS_H
#define RATSD_IPC_CREDENTIALS_H

#include <stdbool.h>
#include <sys/types.h>

struct credentials {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    bool control; /* root, our own uid, or a member of the control group */
};

#define NO_GROUP ((gid_t)-1)

/* control_group may be NO_GROUP. 0 or a negative errno. */
int credentials_read(int fd, gid_t control_group, struct credentials *ret_credentials);
/* The name of the program at the other end, from the kernel; "" when it has ended or cannot be
 * told. Where the kernel gives a pidfd (SO_PEERPIDFD, Linux 6.5) the process is pinned by it, so
 * that a recycled pid never lends its name. */
#define PROGRAM_NAME_SIZE 17 /* TASK_COMM_LEN and a NUL */
void credentials_program_name(int fd, pid_t pid, char ret_name[PROGRAM_NAME_SIZE]);
/* Text of a group name or number. 0 or -ENOENT; "" gives NO_GROUP. */
int credentials_find_group(const char *name, gid_t *ret_group);

#endif
