#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/database.h"
#include "service/storage_file_private.h"
#include "util/alloc.h"

#define APPLICATION_ID UINT32_C(0x52545354) /* "RTST" */

static const char *const statement_text[STATEMENT_COUNT] = {
    [STATEMENT_FIND] =
        "SELECT deleted, stamp, origin, length(key) + length(data), type FROM entry WHERE key = ?1",
    [STATEMENT_REPLACE] = "REPLACE INTO entry (seq, key, type, deleted, stamp, origin, data) "
                          "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [STATEMENT_READ] = "SELECT type, stamp, origin, data FROM entry WHERE key = ?1 AND NOT deleted",
    [STATEMENT_LIST] =
        "SELECT key FROM entry WHERE key >= ?1 AND key > ?2 AND NOT deleted ORDER BY key",
    [STATEMENT_AFTER] =
        "SELECT seq, key, type, deleted, stamp, origin, data FROM entry WHERE seq > ?1 "
        "ORDER BY seq",
    [STATEMENT_FORGET] = "DELETE FROM entry WHERE seq IN (SELECT seq FROM entry WHERE deleted AND "
                         "stamp < ?1 LIMIT ?2) RETURNING length(key)",
};

/* A value may fill many pages: it stands last, so that nobody reads over it. */
static const char *const steps[] = {
    "CREATE TABLE entry (seq INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, type INTEGER NOT NULL,"
    " deleted INTEGER NOT NULL, stamp INTEGER NOT NULL, origin BLOB NOT NULL, data BLOB NOT NULL);"
    "CREATE INDEX tombstone ON entry (stamp) WHERE deleted",
};

static const struct database_schema schema = {
    .name = STORAGE_FILE_NAME,
    .application_id = APPLICATION_ID,
    .steps = steps,
    .step_count = sizeof(steps) / sizeof(steps[0]),
    .sync = DATABASE_FULL,
    .is_cache = true, /* the peers have it too; what was here is set aside, not deleted */
};

/* ---- the file ---- */

bool storage_file_exists(const char *directory)
{
    return database_exists(directory, &schema);
}

struct storage_file *storage_file_new(const char *directory)
{
    struct storage_file *file = xalloc(sizeof(*file));
    file->directory = xstrdup(directory);
    return file;
}

static void close_file(struct storage_file *file)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)sqlite3_finalize(file->statements[i]);
        file->statements[i] = NULL;
    }
    database_close(file->db);
    file->db = NULL;
}

void storage_file_free(struct storage_file *file)
{
    if (file == NULL) {
        return;
    }
    close_file(file);
    free(file->directory);
    free(file);
}

const char *storage_file_problem(const struct storage_file *file)
{
    return file->problem;
}

static int read_totals(struct storage_file *file)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->db,
                                  "SELECT count(*), total(deleted), "
                                  "total(length(key) + length(data)), max(seq) FROM entry",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        uint64_t head = (uint64_t)sqlite3_column_int64(statement, 3);
        file->totals.tombstones = (uint64_t)sqlite3_column_int64(statement, 1);
        file->totals.keys = (uint64_t)sqlite3_column_int64(statement, 0) - file->totals.tombstones;
        file->totals.bytes = (uint64_t)sqlite3_column_int64(statement, 2);
        /* Opened again, it must not use numbers a second time. */
        file->head = head > file->head ? head : file->head;
    }
    int result = database_errno(file->db, code);
    (void)sqlite3_finalize(statement);
    return result;
}

static int open_file(struct storage_file *file)
{
    int result =
        database_open(file->directory, &schema, &file->db, file->problem, sizeof(file->problem));
    if (result < 0) {
        return result;
    }
    file->problem[0] = '\0';
    for (size_t i = 0; i < STATEMENT_COUNT && result == 0; i++) {
        result = database_errno(file->db, sqlite3_prepare_v3(file->db, statement_text[i], -1,
                                                             SQLITE_PREPARE_PERSISTENT,
                                                             &file->statements[i], NULL));
    }
    if (result == 0) {
        result = read_totals(file);
    }
    if (result < 0) {
        close_file(file);
    }
    return result;
}

/* ---- statements ---- */

void statement_bind_bytes(sqlite3_stmt *statement, int index, struct bytes value)
{
    /* NULL would be bound as SQL's NULL. The bytes outlive the statement's run. */
    (void)sqlite3_bind_blob64(statement, index, value.size == 0 ? (const void *)"" : value.data,
                              value.size, SQLITE_STATIC);
}

void statement_bind_number(sqlite3_stmt *statement, int index, uint64_t value)
{
    (void)sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}

struct bytes statement_bytes(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_blob(statement, index); /* before its size, says SQLite */
    return bytes_make(data, data == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, index));
}

uint64_t statement_number(sqlite3_stmt *statement, int index)
{
    return (uint64_t)sqlite3_column_int64(statement, index);
}

int storage_disk_errno(int result)
{
    return result == -ENOENT ? -EIO : result;
}

int statement_step(struct storage_file *file, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    return code == SQLITE_ROW ? 1 : storage_disk_errno(database_errno(file->db, code));
}

void statement_done(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
}

struct bytes statement_copy_origin(uint8_t to[ENTRY_ORIGIN_SIZE], struct bytes origin)
{
    size_t size = origin.size > ENTRY_ORIGIN_SIZE ? ENTRY_ORIGIN_SIZE : origin.size;
    if (size > 0) {
        memcpy(to, origin.data, size);
    }
    return bytes_make(to, size);
}

/* ---- batches ---- */

/* Nothing of the batch has happened: whoever was told otherwise hears why. Failures of one
 * operation by itself (no such key, no room) stay what they are. */
static void undo(struct list *operations, int result)
{
    LIST_EACH(operations, node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        if (storage_op_writes(op) && op->result == 0) {
            op->result = result;
            op->change_count = 0;
        }
    }
}

/* A failure of the disk ends the transaction; one of the request is the operation's own. */
static bool is_fatal(const struct storage_op *op, int result)
{
    return result < 0 && result != -ENOENT && op->verdict == LWW_WINS;
}

static int make_changes(struct storage_file *file, struct storage_batch *batch)
{
    struct lww_totals totals = file->totals;
    uint64_t head = file->head;
    int result = 0;
    LIST_EACH(&batch->operations, node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        if (storage_op_writes(op) && result == 0) {
            op->result = storage_change_run(file, batch, op);
            result = is_fatal(op, op->result) ? op->result : 0;
        }
    }
    if (result == 0 && file->in_transaction) {
        result = storage_disk_errno(database_run(file->db, "COMMIT"));
    }
    if (result < 0) {
        if (sqlite3_get_autocommit(file->db) == 0) {
            (void)database_run(file->db, "ROLLBACK");
        }
        file->totals = totals;
        file->head = head;
        undo(&batch->operations, result);
    }
    file->in_transaction = false;
    return result;
}

static int answer_questions(struct storage_file *file, struct list *operations)
{
    int worst = 0;
    size_t read = 0;
    LIST_EACH(operations, node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        if (op->kind == STORAGE_GET && read >= STORAGE_READ_MOST) {
            op->result = -EAGAIN;
        } else if (!storage_op_writes(op)) {
            op->result = storage_query_run(file, op);
            read += buf_size(&op->value);
            worst = op->result == -EUCLEAN ? op->result : worst;
        }
    }
    return worst;
}

static void refuse_all(struct list *operations, int result)
{
    LIST_EACH(operations, node)
    {
        CONTAINER_OF(node, struct storage_op, node)->result = result;
    }
}

void storage_file_run(struct storage_file *file, struct storage_batch *batch)
{
    int result = file->db == NULL ? storage_disk_errno(open_file(file)) : 0;
    batch->head_before = file->head;
    if (result < 0) {
        refuse_all(&batch->operations, result);
    } else {
        result = make_changes(file, batch);
        int asked = answer_questions(file, &batch->operations);
        if (result == -EUCLEAN || asked == -EUCLEAN) {
            close_file(file); /* opened again it is found damaged and set aside */
        }
    }
    batch->totals = file->totals;
    batch->head = file->head;
}
