#include "service/guard_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/database.h"
#include "util/alloc.h"

static const char *const schema_steps[] = {
    "CREATE TABLE bans (subject TEXT PRIMARY KEY, added_unix_s INTEGER NOT NULL,"
    " until_unix_s INTEGER NOT NULL, reason TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE limits (peer TEXT PRIMARY KEY, messages_per_s INTEGER NOT NULL,"
    " bytes_per_s INTEGER NOT NULL) STRICT, WITHOUT ROWID;",
};

static const struct database_schema schema = {
    .name = "guard.db",
    .application_id = 0x52475244, /* "RGRD" */
    .steps = schema_steps,
    .step_count = 1,
    .sync = DATABASE_FULL,
    .is_cache = false, /* who was kept out must not come in because a disk failed */
};

/* One change that waits for the disk. */
struct entry {
    struct list node;
    struct guard_write write;
    void (*on_saved)(void *arg, int result);
    void *arg;
};

/* One transaction: the job's while it runs. */
struct batch {
    sqlite3 *db; /* NULL: to be opened in there */
    char *directory;
    bool closes_db; /* the store is gone: whoever frees this closes the database */
    struct list entries;
    int64_t now_unix_s;
    int result;
};

struct guard_store {
    struct loop *loop;
    struct worker *worker;
    sqlite3 *db; /* NULL: there is none yet */
    char *directory;
    struct list queued;
    struct batch *running;
    struct job *job;
    struct deferred begin;
    struct deferred finish; /* of a batch that found no thread */
};

/* ---- one transaction ---- */

static int bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    return sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static int step_and_close(sqlite3 *db, sqlite3_stmt *statement, int code)
{
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    int result = database_errno(db, code);
    (void)sqlite3_finalize(statement);
    return result;
}

static int write_removal(sqlite3 *db, const struct guard_write *write)
{
    sqlite3_stmt *statement = NULL;
    const char *sql = write->kind == GUARD_BAN ? "DELETE FROM bans WHERE subject = ?1"
                                               : "DELETE FROM limits WHERE peer = ?1";
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = bind_text(statement, 1, write->subject);
    }
    return step_and_close(db, statement, code);
}

static int write_ban(sqlite3 *db, const struct guard_write *write)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO bans VALUES (?1, ?2, ?3, ?4)", -1,
                                  &statement, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 2, write->added_unix_s);
        (void)sqlite3_bind_int64(statement, 3, write->until_unix_s);
        code = bind_text(statement, 1, write->subject);
    }
    if (code == SQLITE_OK) {
        code = bind_text(statement, 4, write->reason);
    }
    return step_and_close(db, statement, code);
}

static int write_limit(sqlite3 *db, const struct guard_write *write)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO limits VALUES (?1, ?2, ?3)", -1,
                                  &statement, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_int64(statement, 2, (sqlite3_int64)write->messages_per_s);
        (void)sqlite3_bind_int64(statement, 3, (sqlite3_int64)write->bytes_per_s);
        code = bind_text(statement, 1, write->subject);
    }
    return step_and_close(db, statement, code);
}

static int write_entry(sqlite3 *db, const struct guard_write *write)
{
    if (write->remove) {
        return write_removal(db, write);
    }
    return write->kind == GUARD_BAN ? write_ban(db, write) : write_limit(db, write);
}

/* Bans that have ended go with the next change, so that the file is bounded as the list is. */
static int remove_ended(sqlite3 *db, int64_t now_unix_s)
{
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(db, "DELETE FROM bans WHERE until_unix_s <> 0 AND until_unix_s <= ?1",
                           -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(statement, 1, now_unix_s);
    }
    return step_and_close(db, statement, code);
}

/* On a worker's thread, or in the loop when there is none. */
static void run_batch(void *data)
{
    struct batch *batch = data;
    int result = 0;
    if (batch->db == NULL) {
        char error[512];
        result = database_open(batch->directory, &schema, &batch->db, error, sizeof(error));
    }
    if (result == 0) {
        result = database_run(batch->db, "BEGIN IMMEDIATE");
    }
    bool begun = result == 0;
    if (result == 0) {
        result = remove_ended(batch->db, batch->now_unix_s);
    }
    LIST_EACH(&batch->entries, node)
    {
        if (result == 0) {
            result = write_entry(batch->db, &CONTAINER_OF(node, struct entry, node)->write);
        }
    }
    if (result == 0) {
        result = database_run(batch->db, "COMMIT");
    }
    if (result != 0 && begun) {
        (void)database_run(batch->db, "ROLLBACK");
    }
    batch->result = result;
}

static void free_entries(struct list *entries)
{
    LIST_EACH(entries, node)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct entry, node));
    }
}

static void free_batch(void *data)
{
    struct batch *batch = data;
    free_entries(&batch->entries);
    if (batch->closes_db) {
        database_close(batch->db);
    }
    free(batch->directory);
    free(batch);
}

/* ---- the queue ---- */

static void settle(struct guard_store *store, struct batch *batch)
{
    store->running = NULL;
    store->job = NULL;
    store->db = batch->db;
    if (!list_is_empty(&store->queued)) {
        deferred_schedule(&store->begin);
    }
    LIST_EACH(&batch->entries, node)
    {
        struct entry *entry = CONTAINER_OF(node, struct entry, node);
        entry->on_saved(entry->arg, batch->result);
    }
}

static void on_job_done(void *arg, void *data)
{
    settle(arg, data);
}

static void on_finish(void *arg)
{
    struct guard_store *store = arg;
    struct batch *batch = store->running;
    settle(store, batch);
    free_batch(batch);
}

static void on_begin(void *arg)
{
    struct guard_store *store = arg;
    if (store->running != NULL || list_is_empty(&store->queued)) {
        return;
    }
    struct batch *batch = xalloc(sizeof(*batch));
    batch->db = store->db;
    batch->directory = xstrdup(store->directory);
    batch->now_unix_s = loop_unix_ms(store->loop) / 1000;
    list_init(&batch->entries);
    LIST_EACH(&store->queued, node)
    {
        list_remove(node);
        list_append(&batch->entries, node);
    }
    store->running = batch;
    store->job = store->worker == NULL ? NULL
                                       : worker_submit(store->worker, "guard", run_batch,
                                                       on_job_done, store, batch, free_batch);
    if (store->job == NULL) { /* no thread to be had: late is better than not at all */
        run_batch(batch);
        deferred_schedule(&store->finish);
    }
}

void guard_store_save(struct guard_store *store, const struct guard_write *write,
                      void (*on_saved)(void *arg, int result), void *arg)
{
    struct entry *entry = xalloc(sizeof(*entry));
    entry->write = *write;
    entry->on_saved = on_saved;
    entry->arg = arg;
    list_init(&entry->node);
    list_append(&store->queued, &entry->node);
    deferred_schedule(&store->begin);
}

/* ---- life ---- */

int guard_store_open(struct loop *loop, struct worker *worker, const char *directory,
                     struct guard_store **ret_store, char *error, size_t error_size)
{
    sqlite3 *db = NULL;
    int result = database_exists(directory, &schema)
                     ? database_open(directory, &schema, &db, error, error_size)
                     : 0;
    if (result != 0) {
        return result;
    }
    struct guard_store *store = xalloc(sizeof(*store));
    store->loop = loop;
    store->worker = worker;
    store->db = db;
    store->directory = xstrdup(directory);
    list_init(&store->queued);
    deferred_init(&store->begin, loop, on_begin, store);
    deferred_init(&store->finish, loop, on_finish, store);
    *ret_store = store;
    return 0;
}

void guard_store_close(struct guard_store *store)
{
    if (store == NULL) {
        return;
    }
    deferred_cancel(&store->begin);
    deferred_cancel(&store->finish);
    free_entries(&store->queued);
    if (store->job != NULL) { /* a thread may be writing: the job takes the database with it */
        store->running->closes_db = true;
        job_cancel(store->job);
    } else {
        if (store->running != NULL) {
            store->db = store->running->db;
            free_batch(store->running);
        }
        database_close(store->db);
    }
    free(store->directory);
    free(store);
}

static void take_text(sqlite3_stmt *statement, int column, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    (void)snprintf(out, size, "%s", text == NULL ? "" : (const char *)text);
}

static void read_ban(sqlite3_stmt *statement, struct guard_write *row)
{
    *row = (struct guard_write){.kind = GUARD_BAN};
    take_text(statement, 0, row->subject, sizeof(row->subject));
    row->added_unix_s = sqlite3_column_int64(statement, 1);
    row->until_unix_s = sqlite3_column_int64(statement, 2);
    take_text(statement, 3, row->reason, sizeof(row->reason));
}

static void read_limit(sqlite3_stmt *statement, struct guard_write *row)
{
    *row = (struct guard_write){.kind = GUARD_LIMIT};
    take_text(statement, 0, row->subject, sizeof(row->subject));
    row->messages_per_s = (uint64_t)sqlite3_column_int64(statement, 1);
    row->bytes_per_s = (uint64_t)sqlite3_column_int64(statement, 2);
}

static int load_rows(sqlite3 *db, const char *sql,
                     void (*read_row)(sqlite3_stmt *statement, struct guard_write *row),
                     void (*on_row)(void *arg, const struct guard_write *row), void *arg)
{
    sqlite3_stmt *statement = NULL;
    struct guard_write row;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            read_row(statement, &row);
            on_row(arg, &row);
        }
    }
    int result = database_errno(db, code);
    (void)sqlite3_finalize(statement);
    return result;
}

struct loading {
    int64_t now_unix_s;
    void (*on_row)(void *arg, const struct guard_write *row);
    void *arg;
};

static void on_ban_row(void *arg, const struct guard_write *row)
{
    const struct loading *loading = arg;
    if (row->until_unix_s == 0 || row->until_unix_s > loading->now_unix_s) {
        loading->on_row(loading->arg, row);
    }
}

int guard_store_load(struct guard_store *store, int64_t now_unix_s,
                     void (*on_row)(void *arg, const struct guard_write *row), void *arg)
{
    if (store->db == NULL) {
        return 0;
    }
    struct loading loading = {.now_unix_s = now_unix_s, .on_row = on_row, .arg = arg};
    int result = load_rows(store->db,
                           "SELECT subject, added_unix_s, until_unix_s, reason FROM bans"
                           " ORDER BY added_unix_s, subject",
                           read_ban, on_ban_row, &loading);
    if (result == 0) {
        result = load_rows(store->db,
                           "SELECT peer, messages_per_s, bytes_per_s FROM limits ORDER BY peer",
                           read_limit, on_row, arg);
    }
    return result;
}
