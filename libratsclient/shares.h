/* Directories whose contents peers may have without anybody being asked (api.md D20), and what the
 * daemon is told of them: which offers and requests to show to this session.
 *
 * A root is opened once: what is shared is that directory, whatever its path means later. */
#ifndef LIBRATS_SHARES_H
#define LIBRATS_SHARES_H

#include <stdbool.h>

struct client;
struct files;

/* Opens what a peer asked for, for reading, or of a directory as one; a descriptor and the path it
 * has here (free()), or a negative errno: -ENOENT when it is not below a root. */
int shares_open(struct client *client, const char *wanted, bool directory, char **ret_path);
/* (locked) Tells the daemon which kinds this session wants to be shown, when these are others now,
 * and starts the files thread when there are any. RATS_SUCCESS, or a code with the last error set.
 */
int shares_tell(struct client *client);
/* (locked) Tells a new connection's daemon. */
void shares_replay(struct client *client);
void shares_fini(struct files *files);

#endif
