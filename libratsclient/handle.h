/* What a rats_client_t is: not a pointer but the number of a slot and how often that slot has been
 * used, so that a handle that was destroyed is known as such whoever still has it, however late.
 *
 * A slot counts the holds on its client: one is the owner's, one each thread has that is inside a
 * public function, one each batch that is out. A retired handle finds nothing any more, and with
 * its last hold the client is freed. Slots are never given back to the system.
 *
 * The state of a slot, one word that is only changed atomically: the upper half counts its uses
 * (odd: in use or ready to be; even: retired and not freed yet), the lower half the holds. */
#ifndef LIBRATS_HANDLE_H
#define LIBRATS_HANDLE_H

#include <stdbool.h>

#include "librats.h"

struct client;

/* A handle for the client, with the owner's hold. NULL when memory or slots are out. */
rats_client_t handle_new(struct client *client);
/* The client of a handle that is not retired, held; NULL for any other value. */
struct client *handle_hold(rats_client_t handle);
/* The same also after it was retired, for as long as somebody else has a hold. */
struct client *handle_hold_retired(rats_client_t handle);
/* One hold more; the caller has one. */
void handle_hold_again(rats_client_t handle);
/* True for one caller: who must give up the owner's hold. The caller has a hold of its own. */
bool handle_retire(rats_client_t handle);
/* One hold less; frees the client with the last one of a retired handle. */
void handle_release(rats_client_t handle);
/* Around fork(), so that a child can make handles of its own. */
void handle_before_fork(void);
void handle_after_fork(void);

#endif
