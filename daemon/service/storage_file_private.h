/* What the pieces of the store's file share: storage_file.c opens it and runs batches,
 * storage_change.c changes, storage_query.c reads. Private to these three. */
#ifndef RATSD_SERVICE_STORAGE_FILE_PRIVATE_H
#define RATSD_SERVICE_STORAGE_FILE_PRIVATE_H

#include <sqlite3.h>

#include "service/storage_file.h"

#define STORAGE_ERROR_SIZE 512

enum storage_statement {
    STATEMENT_FIND,
    STATEMENT_REPLACE,
    STATEMENT_READ,
    STATEMENT_LIST,
    STATEMENT_AFTER,
    STATEMENT_FORGET,
    STATEMENT_COUNT,
};

struct storage_file {
    char *directory;
    sqlite3 *db; /* NULL while it cannot be opened */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct lww_totals totals;
    uint64_t head; /* number of the last change */
    bool in_transaction;
    char problem[STORAGE_ERROR_SIZE];
};

/* storage_file.c: statements. The bytes that are bound outlive the statement's run. */
void statement_bind_bytes(sqlite3_stmt *statement, int index, struct bytes value);
void statement_bind_number(sqlite3_stmt *statement, int index, uint64_t value);
struct bytes statement_bytes(sqlite3_stmt *statement, int index);
uint64_t statement_number(sqlite3_stmt *statement, int index);
/* What the disk said, never to be taken for the answer that there is no such key. */
int storage_disk_errno(int result);
/* 1: a row; 0: no more; else a negative errno. */
int statement_step(struct storage_file *file, sqlite3_stmt *statement);
void statement_done(sqlite3_stmt *statement);
/* An origin that outlives the row; at most ENTRY_ORIGIN_SIZE bytes. */
struct bytes statement_copy_origin(uint8_t to[ENTRY_ORIGIN_SIZE], struct bytes origin);

/* storage_change.c: an operation that writes. 0, -ENOENT, with a verdict -EMSGSIZE or -EDQUOT; else
 * what the disk said, and the batch is lost. */
int storage_change_run(struct storage_file *file, const struct storage_batch *batch,
                       struct storage_op *op);

/* storage_query.c: an operation that reads. 0, -ENOENT, -ENOMEM, or what the disk said. */
int storage_query_run(struct storage_file *file, struct storage_op *op);

#endif
