#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/database.h"
#include "core/log.h"
#include "scratch.h"

#define FLIPS 1000u /* of random bits: reliability R8 */

static const char *const steps[] = {
    "CREATE TABLE fruit (name TEXT PRIMARY KEY, weight INTEGER) WITHOUT ROWID",
    "ALTER TABLE fruit ADD COLUMN colour TEXT DEFAULT 'green'",
};
static const struct database_schema cache = {
    .name = "fruit.db",
    .application_id = 0x66727574,
    .steps = steps,
    .step_count = 2,
    .sync = DATABASE_NORMAL,
    .is_cache = true,
};

struct fixture {
    char directory[SCRATCH_SIZE]; /* each case gets its own */
    char path[96];
    char error[512];
    struct database_schema schema;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    assert_true(scratch_make("ratsd-database", fixture->directory));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/fruit.db", fixture->directory);
    fixture->schema = cache;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[256];
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static sqlite3 *opened(struct fixture *fixture)
{
    sqlite3 *db = NULL;
    int result = database_open(fixture->directory, &fixture->schema, &db, fixture->error,
                               sizeof fixture->error);
    if (result != 0) {
        fail_msg("%s", fixture->error);
    }
    return db;
}

static int refused(struct fixture *fixture)
{
    sqlite3 *db = NULL;
    int result = database_open(fixture->directory, &fixture->schema, &db, fixture->error,
                               sizeof fixture->error);
    assert_null(db);
    assert_true(result < 0);
    assert_non_null(strstr(fixture->error, fixture->path));
    assert_non_null(strstr(fixture->error, "; ")); /* a remedy follows */
    return result;
}

static void run(sqlite3 *db, const char *sql)
{
    if (database_run(db, sql) != 0) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    return value;
}

static void assert_mode(const char *directory, const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static bool exists(const struct fixture *fixture, const char *suffix)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s%s", fixture->path, suffix);
    return access(path, F_OK) == 0;
}

static size_t get_plainly(const char *path, char *out, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, out, room);
    (void)close(fd);
    assert_in_range(size, 4096, room - 1);
    return (size_t)size;
}

static void put_plainly(const char *path, const void *content, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, size), size);
    assert_int_equal(close(fd), 0);
}

static void what_is_written_is_there_the_next_time(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db = opened(fixture);
    run(db, "INSERT INTO fruit (name, weight) VALUES ('pear', 180)");
    database_close(db);
    db = opened(fixture);
    assert_int_equal(number(db, "SELECT weight FROM fruit WHERE name = 'pear'"), 180);
    assert_int_equal(number(db, "PRAGMA user_version"), 2);
    assert_int_equal(number(db, "PRAGMA application_id"), 0x66727574);
    assert_int_equal(number(db, "PRAGMA foreign_keys"), 0);
    assert_int_equal(number(db, "PRAGMA synchronous"), 1);
    database_close(db);
    assert_false(exists(fixture, ".damaged"));
}

static void what_must_survive_a_power_cut_is_synced_fully(void **state)
{
    struct fixture *fixture = *state;
    fixture->schema.sync = DATABASE_FULL;
    sqlite3 *db = opened(fixture);
    assert_int_equal(number(db, "PRAGMA synchronous"), 2);
    database_close(db);
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    struct fixture *fixture = *state;
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        mode_t before = umask(masks[i]);
        sqlite3 *db = opened(fixture);
        int written = database_run(db, "INSERT OR REPLACE INTO fruit (name) VALUES ('fig')");
        (void)umask(before);
        assert_int_equal(written, 0);
        assert_mode(fixture->directory, "fruit.db");
        assert_mode(fixture->directory, "fruit.db-wal");
        assert_mode(fixture->directory, "fruit.db-shm");
        database_close(db);
        assert_int_equal(unlink(fixture->path), 0);
    }
    put_plainly(fixture->path, "", 0);
    assert_int_equal(chmod(fixture->path, 0644), 0); /* others could read it */
    database_close(opened(fixture));
    assert_mode(fixture->directory, "fruit.db");
}

static void an_older_layout_takes_the_steps_it_lacks(void **state)
{
    struct fixture *fixture = *state;
    fixture->schema.step_count = 1;
    sqlite3 *db = opened(fixture);
    run(db, "INSERT INTO fruit VALUES ('plum', 30)");
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    database_close(db);
    fixture->schema.step_count = 2;
    db = opened(fixture);
    assert_int_equal(number(db, "PRAGMA user_version"), 2);
    assert_int_equal(number(db, "SELECT weight FROM fruit WHERE colour = 'green'"), 30);
    database_close(db);
}

static void a_step_that_fails_leaves_the_layout_as_it_was(void **state)
{
    static const char *const broken[] = {
        "CREATE TABLE fruit (name TEXT)",
        "CREATE TABLE basket (name TEXT); CREATE TABLE fruit (name TEXT)",
    };
    struct fixture *fixture = *state;
    fixture->schema.steps = broken;
    assert_int_equal(refused(fixture), -EINVAL);
    fixture->schema.step_count = 1;
    sqlite3 *db = opened(fixture);
    assert_int_equal(number(db, "SELECT count(*) FROM sqlite_schema"), 1);
    database_close(db);
}

static void a_cache_that_is_damaged_is_set_aside_and_begun_anew(void **state)
{
    struct fixture *fixture = *state;
    char noise[8192];
    memset(noise, 'x', sizeof noise);
    for (int round = 0; round < 2; round++) { /* the second takes the place of the first */
        put_plainly(fixture->path, noise, sizeof noise);
        sqlite3 *db = opened(fixture);
        assert_int_equal(number(db, "SELECT count(*) FROM fruit"), 0);
        run(db, "INSERT INTO fruit (name) VALUES ('fig')");
        database_close(db);
        assert_true(exists(fixture, ".damaged"));
        assert_mode(fixture->directory, "fruit.db");
    }
}

static void the_log_of_what_is_set_aside_is_not_taken_for_the_new_ones(void **state)
{
    struct fixture *fixture = *state;
    char wal[128];
    (void)snprintf(wal, sizeof wal, "%s-wal", fixture->path);
    put_plainly(fixture->path, "not a database", 14);
    put_plainly(wal, "nor its log", 11);
    database_close(opened(fixture));
    assert_true(exists(fixture, ".damaged-wal"));
    put_plainly(fixture->path, "not a database", 14);
    database_close(opened(fixture));
    assert_false(exists(fixture, ".damaged-wal"));
}

static void what_cannot_be_had_again_stops_the_start_and_stays(void **state)
{
    struct fixture *fixture = *state;
    fixture->schema.is_cache = false;
    put_plainly(fixture->path, "precious but broken", 19);
    assert_int_equal(refused(fixture), -EUCLEAN);
    assert_non_null(strstr(fixture->error, "damaged"));
    char content[32] = "";
    int fd = open(fixture->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, content, sizeof content), 19);
    (void)close(fd);
    assert_string_equal(content, "precious but broken");
    assert_false(exists(fixture, ".damaged"));
}

static void what_cannot_be_had_again_is_made_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    char left[128];
    char log[65536];
    fixture->schema.is_cache = false;
    sqlite3 *db = opened(fixture);
    run(db, "INSERT INTO fruit (name) VALUES ('long gone')");
    (void)snprintf(left, sizeof left, "%s-wal", fixture->path);
    size_t size = get_plainly(left, log, sizeof log);
    database_close(db);
    assert_int_equal(unlink(fixture->path), 0);
    put_plainly(left, log, size); /* the log of a file that is gone */
    for (int i = 0; i < 2; i++) { /* and what a start that was cut short has left */
        (void)snprintf(left, sizeof left, "%s.new%s", fixture->path, i == 0 ? "" : "-journal");
        put_plainly(left, "half a database", 15);
    }
    db = opened(fixture);
    assert_int_equal(number(db, "SELECT count(*) FROM fruit"), 0);
    run(db, "INSERT INTO fruit (name) VALUES ('fig')");
    database_close(db);
    assert_false(exists(fixture, ".new"));
    assert_false(exists(fixture, ".new-journal"));
    assert_mode(fixture->directory, "fruit.db");
    db = opened(fixture);
    assert_int_equal(number(db, "SELECT count(*) FROM fruit"), 1);
    database_close(db);
}

/* Reliability R8. */
static void however_it_is_cut_or_flipped_it_is_never_begun_anew(void **state)
{
    struct fixture *fixture = *state;
    char good[32768];
    fixture->schema.is_cache = false;
    sqlite3 *db = opened(fixture);
    run(db, "INSERT INTO fruit (name, weight) VALUES ('pear', 180), ('plum', 30)");
    database_close(db);
    size_t size = get_plainly(fixture->path, good, sizeof good);
    for (size_t length = 0; length <= 256; length++) {
        put_plainly(fixture->path, good, length);
        assert_int_equal(refused(fixture), -EUCLEAN);
        assert_non_null(strstr(fixture->error, "damaged"));
    }
    log_set_level(LOG_LEVEL_ERROR);
    unsigned seed = 2;
    for (size_t i = 0; i < FLIPS; i++) {
        char bad[sizeof good];
        memcpy(bad, good, size);
        bad[(size_t)rand_r(&seed) % size] ^= (char)(1 << (rand_r(&seed) % 8));
        put_plainly(fixture->path, bad, size);
        if (database_open(fixture->directory, &fixture->schema, &db, fixture->error,
                          sizeof fixture->error) == 0) {
            assert_int_equal(number(db, "SELECT count(*) FROM fruit"), 2);
            database_close(db);
        }
        assert_false(exists(fixture, ".damaged"));
    }
    log_set_level(LOG_LEVEL_INFO);
}

static void another_programs_database_is_not_taken_for_ours(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db = NULL;
    fixture->schema.is_cache = false;
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    run(db, "CREATE TABLE mail (text TEXT)");
    database_close(db);
    assert_int_equal(refused(fixture), -EUCLEAN);
    assert_non_null(strstr(fixture->error, "is not a fruit.db of ratsd"));
}

static void a_newer_layout_is_not_touched(void **state)
{
    struct fixture *fixture = *state;
    fixture->schema.is_cache = false;
    sqlite3 *db = opened(fixture);
    run(db, "PRAGMA user_version = 9");
    database_close(db);
    assert_int_equal(refused(fixture), -EUCLEAN);
    assert_non_null(strstr(fixture->error, "newer ratsd (layout 9, this one knows 2)"));
}

static void links_directories_and_loose_files_are_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(symlink("/tmp/elsewhere.db", fixture->path), 0);
    assert_int_equal(refused(fixture), -ELOOP);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(refused(fixture), -EPERM);
    assert_int_equal(rmdir(fixture->path), 0);
    put_plainly(fixture->path, "", 0);
    assert_int_equal(chmod(fixture->path, 0622), 0);
    assert_int_equal(refused(fixture), -EPERM);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(rmdir(fixture->directory), 0);
    assert_int_equal(refused(fixture), -ENOENT);
}

static void two_handles_see_each_others_transactions(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *writer = opened(fixture);
    sqlite3 *reader = opened(fixture);
    run(writer, "INSERT INTO fruit (name) VALUES ('kiwi')");
    assert_int_equal(number(reader, "SELECT count(*) FROM fruit"), 1);
    database_close(writer);
    assert_int_equal(number(reader, "SELECT count(*) FROM fruit"), 1);
    database_close(reader);
}

static void result_codes_mean_errnos(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db = opened(fixture);
    assert_int_equal(database_errno(db, SQLITE_OK), 0);
    assert_int_equal(database_errno(db, SQLITE_ROW), 0);
    assert_int_equal(database_errno(db, SQLITE_DONE), 0);
    assert_int_equal(database_errno(db, SQLITE_FULL), -ENOSPC);
    assert_int_equal(database_errno(db, SQLITE_IOERR_SHMSIZE), -ENOSPC);
    assert_int_equal(database_errno(db, SQLITE_CORRUPT), -EUCLEAN);
    assert_int_equal(database_errno(db, SQLITE_NOMEM), -ENOMEM);
    run(db, "INSERT INTO fruit (name) VALUES ('lime')");
    assert_int_equal(database_run(db, "INSERT INTO fruit (name) VALUES ('lime')"), -EEXIST);
    assert_int_equal(database_run(db, "SELECT nonsense"), -EINVAL);
    database_close(db);
    database_close(NULL);
}

/* In a process of its own: the limit would hold for the whole program. */
static int write_without_room(struct fixture *fixture)
{
    const struct rlimit limit = {.rlim_cur = 64 * 1024, .rlim_max = 64 * 1024};
    sqlite3 *db = opened(fixture);
    if (database_run(db, "INSERT INTO fruit (name) VALUES ('first')") != 0) {
        return 1;
    }
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) {
        return 2;
    }
    int result = database_run(db, "INSERT INTO fruit (name) VALUES (hex(randomblob(100000)))");
    if (result != -EIO) { /* -ENOSPC is for the disk itself */
        return 3;
    }
    return database_run(db, "INSERT INTO fruit (name) VALUES ('second')") == 0 ? 0 : 4;
}

static void without_room_a_transaction_fails_whole_and_the_rest_stays(void **state)
{
    struct fixture *fixture = *state;
    pid_t child = fork();
    if (child == 0) {
        _exit(write_without_room(fixture)); /* without closing, as a crash would */
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    sqlite3 *db = opened(fixture);
    assert_int_equal(number(db, "SELECT count(*) FROM fruit"), 2);
    database_close(db);
    assert_false(exists(fixture, ".damaged"));
}

/* Reliability R8. */
static void wherever_it_is_cut_or_flipped_it_opens(void **state)
{
    struct fixture *fixture = *state;
    char good[32768];
    sqlite3 *db = opened(fixture);
    run(db, "INSERT INTO fruit (name, weight) VALUES ('pear', 180), ('plum', 30)");
    database_close(db);
    size_t size = get_plainly(fixture->path, good, sizeof good);
    log_set_level(LOG_LEVEL_ERROR); /* one warning each */
    unsigned seed = 1;
    for (size_t i = 0; i <= 256 + FLIPS; i++) {
        char bad[sizeof good];
        memcpy(bad, good, size);
        if (i > 256) {
            bad[(size_t)rand_r(&seed) % size] ^= (char)(1 << (rand_r(&seed) % 8));
        }
        put_plainly(fixture->path, bad, i <= 256 ? i : size);
        db = opened(fixture);
        assert_in_range(number(db, "SELECT count(*) FROM fruit"), 0, 2);
        run(db, "INSERT OR REPLACE INTO fruit (name) VALUES ('new')");
        database_close(db);
    }
    log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_there_the_next_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_must_survive_a_power_cut_is_synced_fully, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(modes_do_not_depend_on_the_umask, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_layout_takes_the_steps_it_lacks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_step_that_fails_leaves_the_layout_as_it_was, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_cache_that_is_damaged_is_set_aside_and_begun_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_log_of_what_is_set_aside_is_not_taken_for_the_new_ones,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_had_again_stops_the_start_and_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_had_again_is_made_whole_or_not_at_all, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(however_it_is_cut_or_flipped_it_is_never_begun_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(another_programs_database_is_not_taken_for_ours, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_newer_layout_is_not_touched, setup, teardown),
        cmocka_unit_test_setup_teardown(links_directories_and_loose_files_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(two_handles_see_each_others_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(result_codes_mean_errnos, setup, teardown),
        cmocka_unit_test_setup_teardown(without_room_a_transaction_fails_whole_and_the_rest_stays,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(wherever_it_is_cut_or_flipped_it_opens, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
