/* The local side: the Unix socket, the sessions on it, and the way from calls to services.
 *
 * One struct ipc per daemon. It implements what service/host.h and service/request.h declare
 * for clients. Everything a client makes the daemon hold is charged to its session and its uid. */
#ifndef RATSD_IPC_IPC_H
#define RATSD_IPC_IPC_H

#include "core/config.h"
#include "core/loop.h"
#include "metrics/metrics.h"
#include "service/host.h"

struct ipc;

/* [clients] options: socket_mode, socket_group, control_group, max_sessions, max_sessions_per_uid,
 * queue, queue_per_uid. */
extern const struct config_item ipc_config_items[];

/* Everything borrowed for the life of the ipc. 0, or a negative errno and a sentence (an unknown
 * group in the configuration). */
int ipc_new(struct host *host, struct ipc **ret_ipc, char *error, size_t error_size);
void ipc_free(struct ipc *ipc); /* ends what sessions are left */

/* Binds the socket. A dead daemon's socket is replaced; a living one's is -EADDRINUSE. 0, or a
 * negative errno and a sentence with its remedy. */
int ipc_listen(struct ipc *ipc, const char *path, char *error, size_t error_size);
/* Serves a listening Unix socket that was handed over: taken. Its file, owner and mode belong to
 * whoever made it. */
void ipc_adopt(struct ipc *ipc, int fd);
/* No new sessions; a socket that ipc_listen() made is removed. Present sessions go on. */
void ipc_stop_listening(struct ipc *ipc);
size_t ipc_session_count(const struct ipc *ipc); /* clients attached, greeted or not */
/* True while bytes from or to a client are still under way. */
bool ipc_is_busy(const struct ipc *ipc);
void ipc_reload(struct ipc *ipc); /* limits, from the host's configuration */

#endif
