/* The store on disk: one SQLite file, worked on by batches of operations.
 *
 * Whoever calls runs on a worker's thread, one batch at a time; nothing here knows of loops. A
 * batch is one transaction: what it changed is on disk (WAL, synchronous=FULL) when
 * storage_file_run() returns, or none of it is and every change of it says why not. That is the
 * group commit: however many changes came while one batch ran, the next makes them durable with one
 * sync.
 *
 * Nothing of the content is kept in memory, neither values nor keys: a look at an index of SQLite
 * costs microseconds, a mistake between a copy and the disk costs data, and a store of a gigabyte
 * must not cost a daemon as much memory. So a failed transaction leaves nothing to put right but
 * the totals. What a batch may need is bounded by its operations: those are its caller's, and
 * pages, keys and values that it reads are bounded here.
 *
 * Every change gets the next number of a sequence that counts from 1; an entry that is replaced
 * leaves a hole. "Everything after number n" is what a peer that has seen everything up to n still
 * lacks: a snapshot is the case n = 0. */
#ifndef RATSD_SERVICE_STORAGE_FILE_H
#define RATSD_SERVICE_STORAGE_FILE_H

#include "service/storage_op.h"
#include "util/list.h"

#define STORAGE_FILE_NAME "storage.db"

struct storage_file;

/* Neither touches the disk. directory and origin (64 digits) are copied. */
struct storage_file *storage_file_new(const char *directory, const char *origin);
/* Closes the file. */
void storage_file_free(struct storage_file *file);

/* Opens the file when it is not open, and does all operations of the list (struct storage_op), as
 * far as result, changes and value say. Sets *ret_totals and the number of the last change. */
void storage_file_run(struct storage_file *file, const struct lww_limits *limits,
                      struct list *operations, uint64_t now_ms, struct lww_totals *ret_totals,
                      uint64_t *ret_head);
/* Why the file cannot be opened, a sentence; "" when it is. Not while a batch runs. */
const char *storage_file_problem(const struct storage_file *file);

#endif
