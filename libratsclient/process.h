/* What concerns the process and not one handle: forks, all handles together, and the end. */
#ifndef LIBRATS_PROCESS_H
#define LIBRATS_PROCESS_H

struct client;

/* Must have been called before the first handle is made; later calls do nothing. */
void process_init(void);
/* Counts the forks between the first process and this one. A handle of another generation belongs
 * to a parent: its threads do not exist here and its lock may be held for ever. */
unsigned process_generation(void);
/* Between these two the handle's outbox is flushed should the program end. */
void process_enlist(struct client *client);
void process_delist(struct client *client);

#endif
