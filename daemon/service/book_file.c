#include "service/book_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/database.h"
#include "core/log.h"
#include "core/statefile.h"
#include "util/alloc.h"

#define JOB_NAME      "address book"
#define IMPORT_MAX    ((size_t)2 * 1024 * 1024)
#define SENTENCE_SIZE 256

static const char *const steps[] = {
    "CREATE TABLE known (ip BLOB NOT NULL, port INTEGER NOT NULL, scope INTEGER NOT NULL,"
    " id BLOB, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " last_connected INTEGER NOT NULL, connect_count INTEGER NOT NULL,"
    " fail_streak INTEGER NOT NULL, PRIMARY KEY (ip, port)) WITHOUT ROWID;"
    "CREATE TABLE target (host TEXT NOT NULL, port INTEGER NOT NULL, id BLOB,"
    " PRIMARY KEY (host, port)) WITHOUT ROWID;"
    "CREATE TABLE done (what TEXT PRIMARY KEY) WITHOUT ROWID;",
};

static const struct database_schema schema = {
    .name = BOOK_FILE_NAME,
    .application_id = 0x52507262, /* "RPrb" */
    .steps = steps,
    .step_count = (int)(sizeof(steps) / sizeof(steps[0])),
    .sync = DATABASE_NORMAL,
    .is_cache = true,
};

/* One batch on its way: belongs to the thread until on_done. */
struct writing {
    sqlite3 *db;
    struct book_batch batch;
    int result;
    char error[SENTENCE_SIZE];
};

struct book_file {
    struct worker *worker;
    const char *directory;
    sqlite3 *db;
    struct job *job; /* NULL: not busy */
    void (*on_done)(void *arg, int result, const char *error);
    void *arg;
};

struct book_file *book_file_new(struct worker *worker, const char *directory)
{
    struct book_file *file = xalloc(sizeof(*file));
    file->worker = worker;
    file->directory = directory;
    return file;
}

static bool exists(const char *directory, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", directory, name);
    return length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0;
}

bool book_file_exists(const struct book_file *file)
{
    return exists(file->directory, BOOK_FILE_NAME) || exists(file->directory, BOOK_IMPORT_NAME);
}

bool book_file_is_open(const struct book_file *file)
{
    return file->db != NULL;
}

bool book_file_is_busy(const struct book_file *file)
{
    return file->job != NULL;
}

void book_batch_fini(struct book_batch *batch)
{
    book_changes_fini(&batch->changes);
    free(batch->targets);
    *batch = (struct book_batch){0};
}

/* ---- reading ---- */

static struct bytes column_bytes(sqlite3_stmt *row, int column)
{
    const void *data = sqlite3_column_blob(row, column);
    int size = sqlite3_column_bytes(row, column);
    return bytes_make(data, data == NULL || size < 0 ? 0 : (size_t)size);
}

static bool column_id(sqlite3_stmt *row, int column, struct peer_id *ret_id)
{
    struct bytes id = column_bytes(row, column);
    if (id.size != sizeof(ret_id->bytes)) {
        return false;
    }
    memcpy(ret_id->bytes, id.data, id.size);
    return true;
}

static uint32_t column_u32(sqlite3_stmt *row, int column)
{
    int64_t value = sqlite3_column_int64(row, column);
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static uint16_t column_port(sqlite3_stmt *row, int column)
{
    int64_t port = sqlite3_column_int64(row, column);
    return port < 0 || port > UINT16_MAX ? 0 : (uint16_t)port;
}

/* Rows that make no sense are passed over. */
static void take_known(sqlite3_stmt *row, struct book *book, int64_t now_s)
{
    struct book_record record = {
        .first_seen_s = sqlite3_column_int64(row, 4),
        .last_seen_s = sqlite3_column_int64(row, 5),
        .last_connected_s = sqlite3_column_int64(row, 6),
        .connect_count = column_u32(row, 7),
        .fail_streak = column_u32(row, 8),
    };
    if (endpoint_set_ip(&record.endpoint, column_bytes(row, 0)) == 0) {
        record.endpoint.port = column_port(row, 1);
        record.endpoint.scope = record.endpoint.ip_size == 16 ? column_u32(row, 2) : 0;
        record.has_id = column_id(row, 3, &record.id);
        if (book_find(book, &record.endpoint) == NULL) {
            (void)book_load(book, &record, now_s);
        }
    }
}

static void take_target(sqlite3_stmt *row, struct targets *targets, int64_t now_ms)
{
    struct target_spec spec = {
        .host = (const char *)sqlite3_column_text(row, 0),
        .port = column_port(row, 1),
        .origin = TARGET_ADDED,
    };
    struct target *target = NULL;
    spec.has_expected = column_id(row, 2, &spec.expected);
    if (spec.host != NULL) {
        (void)targets_add(targets, &spec, now_ms, &target);
    }
}

struct reading {
    sqlite3 *db;
    struct book *book;
    struct targets *targets;
    int64_t now_s;
    int64_t now_ms;
};

static int read_rows(const struct reading *reading, const char *sql, bool are_targets)
{
    sqlite3_stmt *rows = NULL;
    int code = sqlite3_prepare_v2(reading->db, sql, -1, &rows, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
        if (are_targets) {
            take_target(rows, reading->targets, reading->now_ms);
        } else {
            take_known(rows, reading->book, reading->now_s);
        }
        code = SQLITE_OK;
    }
    int result = database_errno(reading->db, code);
    (void)sqlite3_finalize(rows);
    return result;
}

/* Once in the life of a directory: what is cleared later must not come back. */
static int import_once(const struct reading *reading, const char *directory)
{
    int code = sqlite3_exec(reading->db, "INSERT INTO done VALUES ('import')", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        int result = database_errno(reading->db, code);
        return result == -EEXIST ? 0 : result;
    }
    int fd = -1;
    size_t size = 0;
    uint8_t *content = try_alloc(IMPORT_MAX);
    if (content != NULL && statefile_open_directory(directory, &fd) == 0) {
        if (statefile_read(fd, BOOK_IMPORT_NAME, content, IMPORT_MAX, &size) == 0) {
            size_t count = book_import(reading->book, bytes_make(content, size), reading->now_s);
            log_info("reconnect", "took %zu addresses over from %s/" BOOK_IMPORT_NAME, count,
                     directory);
        }
        (void)close(fd);
    }
    free(content);
    return 0;
}

int book_file_open(struct book_file *file, struct book *book, struct targets *targets,
                   int64_t now_s, int64_t now_ms, char *error, size_t error_size)
{
    sqlite3 *db = NULL;
    int result = database_open(file->directory, &schema, &db, error, error_size);
    if (result != 0) {
        return result;
    }
    const struct reading reading = {
        .db = db, .book = book, .targets = targets, .now_s = now_s, .now_ms = now_ms};
    result = database_run(db, "PRAGMA secure_delete = ON"); /* what is cleared is gone */
    if (result == 0) {
        result = read_rows(&reading, "SELECT * FROM known", false);
    }
    if (result == 0) {
        result = read_rows(&reading, "SELECT * FROM target ORDER BY host, port", true);
    }
    if (result == 0) {
        result = import_once(&reading, file->directory);
    }
    if (result != 0) {
        (void)snprintf(error, error_size, "cannot read %s/" BOOK_FILE_NAME ": %s", file->directory,
                       sqlite3_errmsg(db));
        database_close(db);
        return result;
    }
    file->db = db;
    return 0;
}

/* ---- writing, on a thread ---- */

static void bind_bytes(sqlite3_stmt *statement, int at, struct bytes bytes)
{
    (void)sqlite3_bind_blob64(statement, at, bytes.data, bytes.size, SQLITE_STATIC);
}

static void bind_id(sqlite3_stmt *statement, int at, bool has_id, const struct peer_id *id)
{
    if (has_id) {
        bind_bytes(statement, at, bytes_make(id->bytes, sizeof(id->bytes)));
    } else {
        (void)sqlite3_bind_null(statement, at);
    }
}

static void bind_endpoint(sqlite3_stmt *statement, const struct endpoint *endpoint)
{
    bind_bytes(statement, 1, bytes_make(endpoint->ip, endpoint->ip_size));
    (void)sqlite3_bind_int64(statement, 2, endpoint->port);
}

static void bind_record(sqlite3_stmt *statement, const void *items, size_t index)
{
    const struct book_record *record = &((const struct book_record *)items)[index];
    bind_endpoint(statement, &record->endpoint);
    (void)sqlite3_bind_int64(statement, 3, record->endpoint.scope);
    bind_id(statement, 4, record->has_id, &record->id);
    (void)sqlite3_bind_int64(statement, 5, record->first_seen_s);
    (void)sqlite3_bind_int64(statement, 6, record->last_seen_s);
    (void)sqlite3_bind_int64(statement, 7, record->last_connected_s);
    (void)sqlite3_bind_int64(statement, 8, record->connect_count);
    (void)sqlite3_bind_int64(statement, 9, record->fail_streak);
}

static void bind_removed(sqlite3_stmt *statement, const void *items, size_t index)
{
    bind_endpoint(statement, &((const struct endpoint *)items)[index]);
}

static void bind_target(sqlite3_stmt *statement, const void *items, size_t index)
{
    const struct book_file_target *target = &((const struct book_file_target *)items)[index];
    (void)sqlite3_bind_text(statement, 1, target->host, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, target->port);
    if (!target->removed) {
        bind_id(statement, 3, target->has_expected, &target->expected);
    }
}

static int write_rows(sqlite3 *db, const char *sql, const void *items, size_t count,
                      void (*bind)(sqlite3_stmt *statement, const void *items, size_t index))
{
    sqlite3_stmt *statement = NULL;
    if (count == 0) {
        return 0;
    }
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    for (size_t i = 0; i < count && (code == SQLITE_OK || code == SQLITE_DONE); i++) {
        bind(statement, items, i);
        code = sqlite3_step(statement);
        (void)sqlite3_reset(statement);
    }
    int result = database_errno(db, code);
    (void)sqlite3_finalize(statement);
    return result;
}

static int write_targets(sqlite3 *db, const struct book_batch *batch)
{
    int result = batch->all_targets ? database_run(db, "DELETE FROM target") : 0;
    for (size_t i = 0; i < batch->target_count && result == 0; i++) {
        const struct book_file_target *target = &batch->targets[i];
        result = write_rows(db,
                            target->removed ? "DELETE FROM target WHERE host = ? AND port = ?"
                                            : "INSERT OR REPLACE INTO target VALUES (?, ?, ?)",
                            target, 1, bind_target);
    }
    return result;
}

static int write_batch(sqlite3 *db, const struct book_batch *batch)
{
    const struct book_changes *changes = &batch->changes;
    int result = database_run(db, "BEGIN IMMEDIATE");
    if (result == 0 && changes->all) {
        result = database_run(db, "DELETE FROM known");
    }
    if (result == 0) {
        result = write_rows(db, "DELETE FROM known WHERE ip = ? AND port = ?", changes->removed,
                            changes->removed_count, bind_removed);
    }
    if (result == 0) {
        result = write_rows(db, "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                            changes->records, changes->record_count, bind_record);
    }
    if (result == 0) {
        result = write_targets(db, batch);
    }
    if (result == 0) {
        result = database_run(db, "COMMIT");
    }
    return result;
}

static void run(void *data)
{
    struct writing *writing = data;
    writing->result = write_batch(writing->db, &writing->batch);
    if (writing->result != 0) {
        (void)snprintf(writing->error, sizeof(writing->error), "%s", sqlite3_errmsg(writing->db));
        if (sqlite3_get_autocommit(writing->db) == 0) {
            (void)database_run(writing->db, "ROLLBACK");
        }
    } else if (writing->batch.changes.all && writing->batch.changes.record_count == 0) {
        /* What was cleared must not stay readable in the log; should a reader be in the way, it
         * goes with the next checkpoint. */
        (void)database_run(writing->db, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
}

static void writing_free(void *data)
{
    struct writing *writing = data;
    book_batch_fini(&writing->batch);
    free(writing);
}

/* A file that turns out to be damaged is looked at, and set aside, when it is opened again. */
static void close_damaged(struct book_file *file, int result)
{
    if (result == -EUCLEAN) {
        database_close(file->db);
        file->db = NULL;
    }
}

static void on_job_done(void *arg, void *data)
{
    struct book_file *file = arg;
    const struct writing *writing = data;
    file->job = NULL;
    close_damaged(file, writing->result);
    file->on_done(file->arg, writing->result, writing->error);
}

static struct writing *writing_new(struct book_file *file, struct book_batch *batch)
{
    struct writing *writing = xalloc(sizeof(*writing));
    writing->db = file->db;
    writing->batch = *batch;
    return writing;
}

int book_file_write(struct book_file *file, struct book_batch *batch,
                    void (*on_done)(void *arg, int result, const char *error), void *arg)
{
    struct writing *writing = writing_new(file, batch);
    file->job =
        worker_submit(file->worker, JOB_NAME, run, on_job_done, file, writing, writing_free);
    if (file->job == NULL) {
        free(writing);
        return -EAGAIN;
    }
    *batch = (struct book_batch){0};
    file->on_done = on_done;
    file->arg = arg;
    return 0;
}

static void finish_job(struct book_file *file)
{
    if (file->job != NULL) {
        job_finish(file->worker, file->job);
        file->job = NULL;
    }
}

int book_file_write_now(struct book_file *file, struct book_batch *batch, char *error,
                        size_t error_size)
{
    finish_job(file);
    struct writing *writing = writing_new(file, batch);
    *batch = (struct book_batch){0};
    run(writing);
    int result = writing->result;
    (void)snprintf(error, error_size, "%s", writing->error);
    writing_free(writing);
    close_damaged(file, result);
    return result;
}

void book_file_free(struct book_file *file)
{
    if (file == NULL) {
        return;
    }
    finish_job(file);
    database_close(file->db);
    free(file);
}
