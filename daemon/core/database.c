#include "core/database.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"

#define BUSY_MS        5000
#define MAX_STATEMENT  512
#define REASON_SIZE    256
#define DAMAGED_SUFFIX ".damaged"
#define NEW_SUFFIX     ".new"
#define HEADER_SIZE    100 /* of a database file; SQLite takes a shorter one for a new one */
#define OWNER_ONLY     (S_IRUSR | S_IWUSR)

/* One database_open(): where, what for, and why not. */
struct opening {
    const struct database_schema *schema;
    char path[PATH_MAX];
    sqlite3 *db;
    char reason[REASON_SIZE]; /* what is wrong with the file, after "it " */
};

void database_library_init(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int database_errno(sqlite3 *db, int code)
{
    if (code == SQLITE_IOERR_SHMSIZE) { /* the index of the log could not grow: no room */
        return -ENOSPC;
    }
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return -EUCLEAN;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_TOOBIG:
        return -EFBIG;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_CANTOPEN:
        return sqlite3_system_errno(db) > 0 ? -sqlite3_system_errno(db) : -EIO;
    case SQLITE_IOERR: /* what the system said is lost by the time SQLite has rolled back */
        return -EIO;
    default:
        return -EINVAL; /* SQLITE_ERROR, SQLITE_MISUSE, SQLITE_RANGE: our own statements */
    }
}

int database_run(sqlite3 *db, const char *sql)
{
    return database_errno(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

void database_close(sqlite3 *db)
{
    int code = sqlite3_close(db);
    assert(code == SQLITE_OK); /* else a statement was left */
    (void)code;
}

bool database_exists(const char *directory, const struct database_schema *schema)
{
    char path[PATH_MAX];
    struct stat st;
    int length = snprintf(path, sizeof(path), "%s/%s", directory, schema->name);
    /* Whatever else is wrong with it is for database_open() to say. */
    return length < 0 || (size_t)length >= sizeof(path) || lstat(path, &st) == 0 || errno != ENOENT;
}

/* SQLite would leave the mode to the umask. The log beside the file gets its mode from SQLite. */
static int make_file(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, OWNER_ONLY);
    if (fd < 0) {
        return -errno;
    }
    int result = fchmod(fd, OWNER_ONLY) == 0 ? 0 : -errno;
    (void)close(fd);
    return result;
}

/* Never opens a file that exists: closing it again would drop the locks of another handle. The
 * directory is ours alone, so nobody changes what the name means meanwhile. -ENOENT when there is
 * none. */
static int check_file(const char *path, off_t *ret_size)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        return -errno;
    }
    *ret_size = st.st_size;
    if (S_ISLNK(st.st_mode)) {
        return -ELOOP;
    }
    if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) ||
        (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return -EPERM;
    }
    return (st.st_mode & 07777) == OWNER_ONLY || chmod(path, OWNER_ONLY) == 0 ? 0 : -errno;
}

/* The one number or, up to size bytes, the one text that a statement yields. */
static int ask(sqlite3 *db, const char *sql, int64_t *ret_number, char *ret_text, size_t size)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW && ret_number != NULL) {
        *ret_number = sqlite3_column_int64(statement, 0);
    }
    if (code == SQLITE_ROW && ret_text != NULL) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        (void)snprintf(ret_text, size, "%s", text == NULL ? "" : (const char *)text);
    }
    int result = code == SQLITE_ROW ? 0 : database_errno(db, code);
    (void)sqlite3_finalize(statement);
    return result;
}

static int connect_file(struct opening *opening)
{
    int code = sqlite3_open_v2(opening->path, &opening->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_extended_result_codes(opening->db, 1);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_busy_timeout(opening->db, BUSY_MS);
    }
    if (code == SQLITE_OK) {
        /* No statement may turn the file into something it is not. */
        code = sqlite3_db_config(opening->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    if (code != SQLITE_OK) {
        return database_errno(opening->db, code);
    }
    return database_run(opening->db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                     "PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY");
}

/* 0 and the layout the file has, 0 for a new one; -EUCLEAN and a reason. */
static int examine(struct opening *opening, int *ret_version)
{
    const struct database_schema *schema = opening->schema;
    int64_t id = 0;
    int64_t version = 0;
    int64_t tables = 0;
    int result = ask(opening->db, "PRAGMA application_id", &id, NULL, 0);
    if (result == 0) {
        result = ask(opening->db, "PRAGMA user_version", &version, NULL, 0);
    }
    if (result == 0) {
        result = ask(opening->db, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0);
    }
    if (result != 0) {
        return result;
    }
    if (id == 0 && version == 0 && tables == 0) {
        *ret_version = 0;
        return 0;
    }
    if (id != (int64_t)(int32_t)schema->application_id || version <= 0) {
        (void)snprintf(opening->reason, sizeof(opening->reason), "is not a %s of ratsd",
                       schema->name);
        return -EUCLEAN;
    }
    if (version > schema->step_count) {
        (void)snprintf(opening->reason, sizeof(opening->reason),
                       "was written by a newer ratsd (layout %d, this one knows %d)", (int)version,
                       schema->step_count);
        return -EUCLEAN;
    }
    char found[REASON_SIZE] = "";
    result = ask(opening->db, "PRAGMA quick_check(1)", NULL, found, sizeof(found));
    if (result == 0 && strcmp(found, "ok") != 0) {
        (void)snprintf(opening->reason, sizeof(opening->reason), "is damaged (%.200s)", found);
        result = -EUCLEAN;
    }
    *ret_version = (int)version;
    return result;
}

/* All steps that are missing, and the marks that say so, in one transaction. */
static int take_steps(struct opening *opening, int version)
{
    const struct database_schema *schema = opening->schema;
    char marks[MAX_STATEMENT];
    if (version == schema->step_count) {
        return 0;
    }
    int result = database_run(opening->db, "BEGIN IMMEDIATE");
    for (int step = version; result == 0 && step < schema->step_count; step++) {
        result = database_run(opening->db, schema->steps[step]);
    }
    if (result == 0) {
        (void)snprintf(marks, sizeof(marks),
                       "PRAGMA application_id = %ld; PRAGMA user_version = %d; COMMIT",
                       (long)(int32_t)schema->application_id, schema->step_count);
        result = database_run(opening->db, marks);
    }
    if (result != 0 && sqlite3_get_autocommit(opening->db) == 0) {
        (void)database_run(opening->db, "ROLLBACK");
    }
    return result;
}

static int set_up(struct opening *opening)
{
    int version = 0;
    int result = examine(opening, &version);
    if (result == 0) {
        /* A file system that cannot do this keeps the older journal, which is as safe. */
        result = ask(opening->db, "PRAGMA journal_mode = WAL", NULL, NULL, 0);
    }
    if (result == 0) {
        result = database_run(opening->db, opening->schema->sync == DATABASE_FULL
                                               ? "PRAGMA synchronous = FULL"
                                               : "PRAGMA synchronous = NORMAL");
    }
    if (result == 0) {
        /* Else the log keeps the size it had when it was largest. */
        result = ask(opening->db, "PRAGMA journal_size_limit = 4194304", NULL, NULL, 0);
    }
    return result == 0 ? take_steps(opening, version) : result;
}

static int sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    /* EINVAL, EROFS: this file system has nothing to sync here. */
    int result = fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : -errno;
    (void)close(fd);
    return result;
}

/* What SQLite keeps beside a file that is gone: it would be taken for the next one's. */
static void remove_logs(const char *path)
{
    static const char *const parts[] = {"-journal", "-wal", "-shm"};
    char name[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, parts[i]);
        (void)unlink(name);
    }
}

static void remove_new(const char *path)
{
    (void)unlink(path);
    remove_logs(path);
}

/* Makes the file under another name, whole, and gives it its own at the end: so one of that name
 * that holds nothing was not left by a start that was cut short, but by a disk. */
static int make_whole(const struct opening *opening, const char *directory)
{
    struct opening made = {.schema = opening->schema};
    int length = snprintf(made.path, PATH_MAX, "%s" NEW_SUFFIX, opening->path);
    if (length < 0 || length >= PATH_MAX) {
        return -ENAMETOOLONG;
    }
    remove_new(made.path);
    int result = make_file(made.path);
    if (result == 0) {
        result = connect_file(&made);
    }
    if (result == 0) {
        result = take_steps(&made, 0);
    }
    database_close(made.db);
    remove_logs(opening->path);
    if (result == 0 && rename(made.path, opening->path) != 0) {
        result = -errno;
    }
    if (result != 0) {
        remove_new(made.path);
        return result;
    }
    return sync_directory(directory);
}

/* The file is there and may be opened. */
static int prepare_file(struct opening *opening, const char *directory)
{
    off_t size = 0;
    int result = check_file(opening->path, &size);
    if (result == -ENOENT) {
        return opening->schema->is_cache ? make_file(opening->path)
                                         : make_whole(opening, directory);
    }
    if (result == 0 && size < HEADER_SIZE && !opening->schema->is_cache) {
        (void)snprintf(opening->reason, sizeof(opening->reason), "is damaged (%s)",
                       size == 0 ? "it is empty" : "it is cut off");
        return -EUCLEAN;
    }
    return result;
}

static int try_open(struct opening *opening, const char *directory)
{
    opening->reason[0] = '\0';
    int result = prepare_file(opening, directory);
    if (result == 0) {
        result = connect_file(opening);
    }
    if (result == 0) {
        result = set_up(opening);
    }
    if (result == -EUCLEAN && opening->reason[0] == '\0') {
        (void)snprintf(opening->reason, sizeof(opening->reason), "is damaged (%s)",
                       sqlite3_errmsg(opening->db));
    }
    if (result != 0 && opening->db != NULL) {
        /* Nothing of it is changed: somebody may want to rescue what is in it. */
        (void)sqlite3_db_config(opening->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        database_close(opening->db);
        opening->db = NULL;
    }
    return result;
}

/* The log goes first: should it stay behind, it would be taken for the new file's. */
static int set_aside(const struct opening *opening)
{
    static const char *const parts[] = {"-wal", ""};
    char from[PATH_MAX + 8];
    char to[PATH_MAX + 32];
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void)snprintf(from, sizeof(from), "%s%s", opening->path, parts[i]);
        (void)snprintf(to, sizeof(to), "%s" DAMAGED_SUFFIX "%s", opening->path, parts[i]);
        if (rename(from, to) != 0) {
            if (errno != ENOENT) {
                return -errno;
            }
            (void)unlink(to); /* an earlier one's log must not be taken for this one's */
        }
    }
    (void)snprintf(from, sizeof(from), "%s-shm", opening->path);
    return unlink(from) == 0 || errno == ENOENT ? 0 : -errno;
}

static void explain(const struct opening *opening, int result, char *error, size_t error_size)
{
    const char *path = opening->path;
    if (result == -EUCLEAN) {
        (void)snprintf(error, error_size,
                       "%s %s; put a good copy in its place, or move it away to begin with an "
                       "empty one",
                       path, opening->reason);
        return;
    }
    const char *remedy = "check the permissions of the file and of its directory, and their owner";
    if (result == -ENOSPC || result == -EDQUOT || result == -EFBIG) {
        remedy = "there is no room: free some space, or give another directory with --state-dir";
    } else if (result == -EROFS) {
        remedy = "the file system is read-only: give another directory with --state-dir";
    } else if (result == -ELOOP) {
        remedy = "it is a symbolic link: put the file itself there";
    } else if (result == -EIO) {
        remedy = "the disk fails or is full: look at the kernel's log";
    } else if (result == -EBUSY) {
        remedy = "another program holds it locked: end that program";
    }
    (void)snprintf(error, error_size, "cannot open %s: %s; %s", path, strerror(-result), remedy);
}

int database_open(const char *directory, const struct database_schema *schema, sqlite3 **ret_db,
                  char *error, size_t error_size)
{
    struct opening opening = {.schema = schema};
    assert(schema->application_id != 0 && schema->step_count > 0 &&
           strchr(schema->name, '/') == NULL);
    int length = snprintf(opening.path, sizeof(opening.path), "%s/%s", directory, schema->name);
    if (length < 0 || (size_t)length >= sizeof(opening.path)) {
        (void)snprintf(error, error_size, "the path %s/%s is too long", directory, schema->name);
        return -ENAMETOOLONG;
    }
    int result = try_open(&opening, directory);
    if (result == -EUCLEAN && schema->is_cache) {
        log_warn("database",
                 "%s %s; it was set aside as %s" DAMAGED_SUFFIX " and an empty one begun",
                 opening.path, opening.reason, opening.path);
        result = set_aside(&opening);
        if (result == 0) {
            result = try_open(&opening, directory);
        }
    }
    if (result != 0) {
        explain(&opening, result, error, error_size);
        return result;
    }
    *ret_db = opening.db;
    return 0;
}
