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

/* One batch: what is to be done and under which circumstances, and how the store is afterwards. */
struct storage_batch {
    struct list operations; /* struct storage_op */
    struct lww_limits limits;
    uint64_t now_ms;
    char origin[ENTRY_ORIGIN_SIZE + 1]; /* of changes made here */
    /* Set by storage_file_run(): */
    struct lww_totals totals;
    uint64_t head_before; /* the number of the last change before the batch */
    uint64_t head;        /* and after it */
};

/* Does not touch the disk. directory is copied. */
struct storage_file *storage_file_new(const char *directory);
/* False while nothing was ever stored there. */
bool storage_file_exists(const char *directory);
/* Closes the file. */
void storage_file_free(struct storage_file *file);

/* Opens the file when it is not open, and does all operations: result, changes, value and the rest
 * say what came of each. */
void storage_file_run(struct storage_file *file, struct storage_batch *batch);
/* Why the file cannot be opened, a sentence; "" when it is. Not while a batch runs. */
const char *storage_file_problem(const struct storage_file *file);

#endif
