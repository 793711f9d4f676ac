#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage_fixture.h"

#define FLIPS 1000u /* of random bits: reliability R8 */

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", store.directory, name);
    return path;
}

static void what_was_stored_is_there_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(put("a", "1"), 0);
    assert_int_equal(put("b", "22"), 0);
    (void)op_remove("a");
    storage_run();
    storage_reopen();
    assert_string_equal(value_of("b"), "22");
    assert_string_equal(value_of("a"), "");
    assert_int_equal(store.totals.keys, 1);
    assert_int_equal(store.totals.tombstones, 1);
    assert_int_equal(store.totals.bytes, 4);
    assert_int_equal(store.head, 3);
    assert_int_equal(put("c", "3"), 0);
    assert_int_equal(store.head, 4);
}

static void the_file_is_nobody_elses_business(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(put("a", "1"), 0);
    assert_int_equal(stat(path_of(STORAGE_FILE_NAME), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* A limit on the size of files stands for a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_fails_the_batch_and_nothing_before_it(void **state)
{
    (void)state;
    static char large[200000];
    memset(large, 'x', sizeof large);
    assert_int_equal(put("before", "1"), 0);
    struct lww_totals totals = store.totals;
    limit_files(65536);
    struct storage_op *small = op_put("small", "2");
    struct storage_op *big = op_put_bytes("big", ENTRY_BINARY, large, sizeof large);
    struct storage_op *absent = op_remove("absent");
    struct storage_op *read = op_get("before");
    struct storage_op *gone = op_get("small");
    storage_run();
    limit_files(RLIM_INFINITY);
    assert_true(small->result < 0 && small->result != -ENOENT);
    assert_int_equal(big->result, small->result);
    assert_int_equal(small->change_count, 0);
    assert_int_equal(absent->result, -ENOENT);
    assert_int_equal(read->result, 0);
    assert_int_equal(gone->result, -ENOENT);
    assert_memory_equal(&store.totals, &totals, sizeof totals);
    assert_int_equal(store.head, 1);
    assert_int_equal(put("small", "2"), 0); /* and the service goes on */
    assert_int_equal(store.head, 2);
    storage_reopen();
    assert_string_equal(value_of("before"), "1");
    assert_string_equal(value_of("small"), "2");
}

static void a_directory_that_cannot_be_used_is_tried_again(void **state)
{
    (void)state;
    char away[128];
    (void)snprintf(away, sizeof away, "%s.away", store.directory);
    assert_int_equal(rename(store.directory, away), 0);
    assert_true(put("a", "1") < 0);
    assert_true(strlen(storage_file_problem(store.file)) > 0);
    struct storage_op *op = op_get("a");
    storage_run();
    assert_true(op->result < 0 && op->result != -ENOENT);
    assert_int_equal(rename(away, store.directory), 0);
    assert_int_equal(put("a", "1"), 0);
    assert_string_equal(storage_file_problem(store.file), "");
}

static void a_damaged_file_is_set_aside(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(put("a", "1"), 0);
    storage_file_free(store.file);
    store.file = NULL;
    int fd = open(path_of(STORAGE_FILE_NAME), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "not a database at all", 21, 0), 21);
    assert_int_equal(close(fd), 0);
    store.file = storage_file_new(store.directory);
    assert_int_equal(put("b", "2"), 0);
    assert_string_equal(value_of("a"), "");
    assert_string_equal(value_of("b"), "2");
    assert_int_equal(stat(path_of(STORAGE_FILE_NAME ".damaged"), &st), 0);
}

static size_t read_store(uint8_t *out, size_t room)
{
    int fd = open(path_of(STORAGE_FILE_NAME), O_RDONLY);
    ssize_t size = read(fd, out, room);
    assert_int_equal(close(fd), 0);
    assert_in_range(size, 8192, room - 1);
    return (size_t)size;
}

static void write_store(const uint8_t *content, size_t size)
{
    int fd = open(path_of(STORAGE_FILE_NAME), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, content, size), size);
    assert_int_equal(close(fd), 0);
}

/* Everything that reads rows, whatever they have become. */
static void ask_for_everything(void)
{
    (void)op_keys("", "", 1000);
    (void)op_page(0);
    (void)op_get("key 1");
    (void)op_remove("key 2");
    struct storage_op *merge = op_merge();
    add_entry(merge, "key 3", "theirs", NOW + 1, THEIRS);
    (void)op_collect();
    storage_run();
}

/* Reliability R8. */
static void wherever_it_is_cut_or_flipped_it_goes_on(void **state)
{
    (void)state;
    static uint8_t good[1 << 16];
    static uint8_t bad[sizeof good];
    unsigned seed = 8;
    for (unsigned i = 0; i < 50; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "key %u", i);
        (void)op_put(key, "a value");
    }
    storage_run();
    storage_file_free(store.file);
    size_t size = read_store(good, sizeof good);
    for (size_t i = 0; i <= 256 + FLIPS; i++) {
        memcpy(bad, good, size);
        if (i > 256) {
            bad[(size_t)rand_r(&seed) % size] ^= (uint8_t)(1u << (rand_r(&seed) % 8));
        }
        write_store(bad, i <= 256 ? i : size);
        store.file = storage_file_new(store.directory);
        ask_for_everything();
        if (put("new", "1") != 0) { /* found late: looked at when it is opened again */
            storage_reopen();
            assert_int_equal(put("new", "1"), 0);
        }
        assert_string_equal(value_of("new"), "1");
        storage_file_free(store.file);
    }
    store.file = storage_file_new(store.directory);
}

/* A copy of the files as they are while the store runs is what a kill leaves behind. */
static void what_a_batch_stored_survives_a_kill(void **state)
{
    (void)state;
    char command[512];
    for (unsigned i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(put(key, "value"), 0);
        (void)snprintf(command, sizeof command, "rm -rf %s.kill && cp -r %s %s.kill",
                       store.directory, store.directory, store.directory);
        assert_int_equal(system(command), 0);
        struct storage_fixture kept = store;
        char copy[80];
        (void)snprintf(copy, sizeof copy, "%s.kill", kept.directory);
        store.file = storage_file_new(copy);
        assert_string_equal(value_of(key), "value");
        assert_int_equal(store.totals.keys, i + 1);
        storage_file_free(store.file);
        store.file = kept.file;
    }
    (void)snprintf(command, sizeof command, "rm -rf %s.kill", store.directory);
    assert_int_equal(system(command), 0);
}

static void a_batch_without_changes_writes_nothing(void **state)
{
    (void)state;
    struct stat before;
    struct stat after;
    assert_int_equal(put("a", "1"), 0);
    assert_int_equal(stat(path_of(STORAGE_FILE_NAME "-wal"), &before), 0);
    (void)op_get("a");
    (void)op_keys("", "", 10);
    (void)op_page(0);
    (void)op_remove("nothing");
    storage_run();
    assert_int_equal(merge_one("a", "0", NOW - 1, THEIRS), 0);
    assert_int_equal(stat(path_of(STORAGE_FILE_NAME "-wal"), &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(store.head, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_stored_is_there_after_a_restart),
        CASE(the_file_is_nobody_elses_business),
        CASE(a_full_disk_fails_the_batch_and_nothing_before_it),
        CASE(a_directory_that_cannot_be_used_is_tried_again),
        CASE(a_damaged_file_is_set_aside),
        CASE(wherever_it_is_cut_or_flipped_it_goes_on),
        CASE(what_a_batch_stored_survives_a_kill),
        CASE(a_batch_without_changes_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
