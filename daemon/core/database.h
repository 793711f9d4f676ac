/* The one way this daemon opens a SQLite file.
 *
 * A database is one file in the data directory, of mode 0600 whatever the umask, with a write-ahead
 * log: at any instant it holds what the last transaction left, never half of one. Whose it is says
 * its application_id, which layout it has its user_version. It is checked when it is opened. What
 * is no longer a database of ours is set aside as NAME.damaged, which takes the place of an earlier
 * one, and begun anew; unless its content cannot be had again, then the caller must not start. Such
 * a database is made whole before it gets its name: without content it is damaged.
 *
 * Services prepare and step their statements with SQLite's own functions. A handle may be used from
 * any thread, one at a time: the loop does not touch one that a worker's job is using. Two handles
 * of one file may be used at once (one writes, both read). Source: sqlite.org, "File Format",
 * "Write-Ahead Logging", "Defense Against The Dark Arts". */
#ifndef RATSD_CORE_DATABASE_H
#define RATSD_CORE_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum database_sync {
    DATABASE_FULL,   /* what is committed survives a power cut */
    DATABASE_NORMAL, /* the last transactions may be missing after a power cut, none is halved */
};

/* Everything borrowed while database_open() runs. */
struct database_schema {
    const char *name;        /* of the file, without a slash */
    uint32_t application_id; /* four letters that only this database has; not 0 */
    /* steps[n] is SQL that leads from version n to n + 1; only ever added to. */
    const char *const *steps;
    int step_count;
    enum database_sync sync;
    bool is_cache; /* its content can be had again: begun anew when it is damaged */
};

/* Before anything else here. A handle is to cost little while nobody uses it: SQLite would keep
 * 120 KiB for each, and touch all of it. */
void database_library_init(void);
/* False when there is none yet, so that a reader has nothing to read: SQLite is a megabyte and a
 * half that a daemon can do without until then. */
bool database_exists(const char *directory, const struct database_schema *schema);
/* Opens, and makes when missing. 0; or a negative errno and a sentence with a remedy: -EUCLEAN
 * damaged, -EPERM others may write it, -ELOOP a symbolic link, -ENOSPC, -EROFS, -EACCES, -EIO,
 * -ENOMEM. Blocks: it reads the whole file once. */
int database_open(const char *directory, const struct database_schema *schema, sqlite3 **ret_db,
                  char *error, size_t error_size);
/* Every statement must have been finalised. NULL is nothing. */
void database_close(sqlite3 *db);
/* SQL without parameters and without rows of interest. 0 or a negative errno. */
int database_run(sqlite3 *db, const char *sql);
/* What a result code that db has just returned means as a negative errno; 0 for SQLITE_OK,
 * SQLITE_ROW and SQLITE_DONE. -EUCLEAN: the file is damaged. */
int database_errno(sqlite3 *db, int code);

#endif
