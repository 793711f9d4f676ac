/* The connection to the daemon as a whole: lost and made again, left for another instance, ended.
 *
 * Only the reader thread calls these, without the lock, and while it is its turn to read. */
#ifndef LIBRATS_CONNECTION_H
#define LIBRATS_CONNECTION_H

struct client;
struct move;

/* (locked) What the handle is attached to from here on. 0 or a negative errno; nothing is taken
 * then. */
int connection_adopt(struct client *client, int fd);
/* The daemon has gone: tells whoever waits, and looks for it until it is there or the handle is
 * closing. */
void connection_regain(struct client *client);
/* Does what client_diverge() waits for. */
void connection_move(struct client *client, struct move *move);
/* The daemon gets everything and is seen to close. */
void connection_end(struct client *client);

#endif
