/* Values on their way to programs (storage.get): read from disk, and answered when the program has
 * room for them.
 *
 * A program may ask for many large values and read none. So a value for which it has no room is
 * dropped here and read again later: then one at a time for each session, the next when the program
 * has taken the last, or after a pause that grows. What a batch reads at once is bounded too
 * (STORAGE_READ_MOST). */
#ifndef RATSD_SERVICE_STORAGE_READER_H
#define RATSD_SERVICE_STORAGE_READER_H

#include "service/storage_queue.h"

struct storage_reader;

/* Fails op->request; called for operations that have one. */
typedef void (*storage_fail_fn)(void *arg, struct storage_op *op);

/* queue is borrowed. */
struct storage_reader *storage_reader_new(struct loop *loop, struct storage_queue *queue,
                                          storage_fail_fn fail, void *arg);
void storage_reader_free(struct storage_reader *reader);
/* The on_done of a STORAGE_GET; arg is the reader. */
void storage_reader_on_got(void *arg, struct storage_op *op);

#endif
