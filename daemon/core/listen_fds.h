/* Listening sockets handed over by whoever started us: the environment of sd_listen_fds(3), which
 * any supervisor can set. LISTEN_PID names us, LISTEN_FDS counts the descriptors from 3 on,
 * LISTEN_FDNAMES names them. Since the giver keeps its own copies, connect() never fails while one
 * daemon takes another's place.
 *
 * The name "control" is for the Unix socket of local clients, "peer" for TCP sockets of peers;
 * under any other name the kind of socket decides. What is taken here is closed here or handed on.
 */
#ifndef RATSD_CORE_LISTEN_FDS_H
#define RATSD_CORE_LISTEN_FDS_H

#include <stddef.h>
#include <sys/un.h>

#define LISTEN_FDS_PEERS 8

struct listen_fds {
    int control;                                                           /* -1 = none */
    char control_path[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1]; /* "" = it has no file */
    int peers[LISTEN_FDS_PEERS];
    size_t peer_count;
};

/* What we were given, non-blocking and close-on-exec; the environment loses its variables, so that
 * no child believes them. 0, also when there is nothing; or a negative errno and a sentence. */
int listen_fds_take(struct listen_fds *ret_fds, char *error, size_t error_size);
void listen_fds_close(struct listen_fds *fds);

#endif
