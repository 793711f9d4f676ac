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

#include "core/statefile.h"
#include "skip.h"

struct fixture {
    char path[64]; /* of the directory each case gets */
    int directory;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->path, "/tmp/ratsd-statefile-XXXXXX");
    assert_non_null(mkdtemp(fixture->path));
    assert_int_equal(statefile_open_directory(fixture->path, &fixture->directory), 0);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[256];
    (void)close(fixture->directory);
    (void)snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", fixture->path,
                   fixture->path);
    assert_int_equal(system(command), 0);
    free(fixture);
    return 0;
}

static struct bytes text(const char *content)
{
    return bytes_from_string(content);
}

static void assert_content(const struct fixture *fixture, const char *name, const char *expected)
{
    uint8_t content[256];
    size_t size = 0;
    assert_int_equal(statefile_read(fixture->directory, name, content, sizeof content, &size), 0);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(content, expected, size);
}

static void assert_absent(const struct fixture *fixture, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(fixture->directory, name, &st, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(errno, ENOENT);
}

static void assert_mode(const struct fixture *fixture, const char *name, mode_t mode)
{
    struct stat st;
    assert_int_equal(fstatat(fixture->directory, name, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* Writes past statefile.c, as somebody else would. */
static void put_plainly(const struct fixture *fixture, const char *name, const char *content,
                        mode_t mode)
{
    int fd = openat(fixture->directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void what_is_written_is_read_back(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(statefile_write(fixture->directory, "book", text("old")), 0);
    assert_content(fixture, "book", "old");
    assert_int_equal(statefile_write(fixture->directory, "book", text("new and longer")), 0);
    assert_content(fixture, "book", "new and longer");
    assert_int_equal(statefile_write(fixture->directory, "book", text("")), 0);
    assert_content(fixture, "book", "");
    assert_absent(fixture, "book.tmp");
}

static void creating_never_replaces(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(statefile_create(fixture->directory, "key", text("first")), 0);
    assert_int_equal(statefile_create(fixture->directory, "key", text("second")), -EEXIST);
    assert_content(fixture, "key", "first");
    assert_absent(fixture, "key.tmp");
    assert_int_equal(symlinkat("nowhere", fixture->directory, "dangling"), 0);
    assert_int_equal(statefile_create(fixture->directory, "dangling", text("x")), -EEXIST);
    assert_absent(fixture, "nowhere");
}

static void modes_do_not_depend_on_the_umask(void **state)
{
    struct fixture *fixture = *state;
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        char path[128];
        int fd = -1;
        (void)snprintf(path, sizeof path, "%s/d%zu/e/", fixture->path, i);
        mode_t before = umask(masks[i]);
        int made = statefile_open_directory(path, &fd);
        int locked = -1;
        int lock = statefile_lock(fd, "line", &locked, NULL, 0);
        int written = statefile_write(fd, "written", text("x"));
        int created = statefile_create(fd, "created", text("x"));
        (void)umask(before);
        assert_int_equal(made | lock | written | created, 0);
        struct fixture inner = {.directory = fd};
        assert_mode(&inner, ".", 0700);
        assert_mode(&inner, "..", 0700);
        assert_mode(&inner, "written", 0600);
        assert_mode(&inner, "created", 0600);
        assert_mode(&inner, "lock", 0600);
        (void)close(locked);
        (void)close(fd);
    }
}

static void a_loose_mode_is_tightened_by_the_next_write(void **state)
{
    struct fixture *fixture = *state;
    put_plainly(fixture, "key", "old", 0644);
    assert_int_equal(statefile_write(fixture->directory, "key", text("new")), 0);
    assert_mode(fixture, "key", 0600);
}

static void a_directory_others_may_write_is_refused(void **state)
{
    struct fixture *fixture = *state;
    int fd = -1;
    assert_int_equal(chmod(fixture->path, 0770), 0);
    assert_int_equal(statefile_open_directory(fixture->path, &fd), -EPERM);
    assert_int_equal(chmod(fixture->path, 0702), 0);
    assert_int_equal(statefile_open_directory(fixture->path, &fd), -EPERM);
    assert_int_equal(chmod(fixture->path, 0755), 0);
    assert_int_equal(statefile_open_directory(fixture->path, &fd), 0);
    (void)close(fd);
}

static void a_directory_of_somebody_else_is_refused(void **state)
{
    struct fixture *fixture = *state;
    if (geteuid() != 0) {
        SKIP_BECAUSE("only root can make what belongs to somebody else");
    }
    int fd = -1;
    put_plainly(fixture, "theirs", "x", 0600);
    assert_int_equal(fchownat(fixture->directory, "theirs", 12345, 12345, 0), 0);
    uint8_t content[8];
    size_t size;
    assert_int_equal(statefile_read(fixture->directory, "theirs", content, 8, &size), -EPERM);
    assert_int_equal(chown(fixture->path, 12345, 12345), 0);
    assert_int_equal(statefile_open_directory(fixture->path, &fd), -EPERM);
    assert_int_equal(chown(fixture->path, 0, 0), 0);
}

static void a_path_that_is_no_directory_says_so(void **state)
{
    struct fixture *fixture = *state;
    char path[512];
    int fd = -1;
    put_plainly(fixture, "file", "x", 0600);
    (void)snprintf(path, sizeof path, "%s/file", fixture->path);
    assert_int_equal(statefile_open_directory(path, &fd), -ENOTDIR);
    (void)snprintf(path, sizeof path, "%s/file/below", fixture->path);
    assert_int_equal(statefile_open_directory(path, &fd), -ENOTDIR);
    (void)snprintf(path, sizeof path, "%s/%0300d", fixture->path, 0);
    assert_int_equal(statefile_open_directory(path, &fd), -ENAMETOOLONG);
    assert_int_equal(statefile_open_directory("", &fd), -EINVAL);
    assert_int_equal(statefile_open_directory("/", &fd), -EINVAL);
    assert_int_equal(statefile_open_directory("/proc/ratsd/state", &fd), -ENOENT);
}

static void a_second_owner_is_refused_and_told_who_is_first(void **state)
{
    struct fixture *fixture = *state;
    int first = -1;
    int second = -1;
    char holder[64] = "unchanged";
    put_plainly(fixture, "lock", "a much longer line that somebody left behind\n", 0644);
    assert_int_equal(statefile_lock(fixture->directory, "pid 7 /run/a.sock", &first, holder, 64),
                     0);
    assert_string_equal(holder, "unchanged");
    assert_int_equal(statefile_lock(fixture->directory, "pid 8", &second, holder, 64), -EBUSY);
    assert_string_equal(holder, "pid 7 /run/a.sock");
    assert_int_equal(statefile_lock(fixture->directory, "pid 8", &second, holder, 6), -EBUSY);
    assert_string_equal(holder, "pid 7");
    (void)close(first);
    assert_int_equal(statefile_lock(fixture->directory, "pid 8", &second, holder, 64), 0);
    assert_content(fixture, "lock", "pid 8\n");
    (void)close(second);
}

static void the_lock_ends_with_its_process(void **state)
{
    struct fixture *fixture = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    int fd = -1;
    if (child == 0) {
        _exit(statefile_lock(fixture->directory, "child", &fd, NULL, 0) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(statefile_lock(fixture->directory, "parent", &fd, NULL, 0), 0);
    (void)close(fd);
}

static void reading_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    uint8_t content[4];
    size_t size = 99;
    assert_int_equal(statefile_read(fixture->directory, "none", content, 4, &size), -ENOENT);
    put_plainly(fixture, "five", "12345", 0600);
    assert_int_equal(statefile_read(fixture->directory, "five", content, 4, &size), -EFBIG);
    assert_int_equal(size, 99);
    put_plainly(fixture, "four", "1234", 0600);
    assert_int_equal(statefile_read(fixture->directory, "four", content, 4, &size), 0);
    assert_int_equal(size, 4);
}

static void only_regular_files_of_ours_are_read(void **state)
{
    struct fixture *fixture = *state;
    uint8_t content[8];
    size_t size;
    put_plainly(fixture, "real", "x", 0600);
    assert_int_equal(symlinkat("real", fixture->directory, "link"), 0);
    assert_int_equal(statefile_read(fixture->directory, "link", content, 8, &size), -ELOOP);
    assert_int_equal(mkfifoat(fixture->directory, "fifo", 0600), 0);
    assert_int_equal(statefile_read(fixture->directory, "fifo", content, 8, &size), -EPERM);
    assert_int_equal(statefile_read(fixture->directory, "real/x", content, 8, &size), -EINVAL);
    put_plainly(fixture, "loose", "x", 0620);
    assert_int_equal(statefile_read(fixture->directory, "loose", content, 8, &size), -EPERM);
    assert_int_equal(symlinkat("real", fixture->directory, "lock"), 0);
    int fd = -1;
    assert_int_equal(statefile_lock(fixture->directory, "x", &fd, NULL, 0), -ELOOP);
}

static void writing_through_a_symbolic_link_replaces_the_link(void **state)
{
    struct fixture *fixture = *state;
    put_plainly(fixture, "target", "untouched", 0600);
    assert_int_equal(symlinkat("target", fixture->directory, "name"), 0);
    assert_int_equal(symlinkat("target", fixture->directory, "name.tmp"), 0);
    assert_int_equal(statefile_write(fixture->directory, "name", text("new")), 0);
    assert_content(fixture, "name", "new");
    assert_content(fixture, "target", "untouched");
}

static void names_are_plain(void **state)
{
    struct fixture *fixture = *state;
    char longest[300];
    memset(longest, 'n', sizeof longest);
    longest[251] = '\0';
    assert_int_equal(statefile_write(fixture->directory, longest, text("x")), 0);
    longest[251] = 'n';
    longest[252] = '\0';
    assert_int_equal(statefile_write(fixture->directory, longest, text("x")), -EINVAL);
    static const char *const bad[] = {"", ".", "..", "a/b", "/a", "../a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(statefile_write(fixture->directory, bad[i], text("x")), -EINVAL);
        assert_int_equal(statefile_create(fixture->directory, bad[i], text("x")), -EINVAL);
    }
}

static void what_a_crash_left_is_ignored_and_removed(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(statefile_write(fixture->directory, "book", text("good")), 0);
    put_plainly(fixture, "book.tmp", "hal", 0400);
    assert_content(fixture, "book", "good");
    assert_int_equal(statefile_write(fixture->directory, "book", text("better")), 0);
    assert_content(fixture, "book", "better");
    assert_absent(fixture, "book.tmp");
    /* A crash between link() and unlink() of create: both names, one file. */
    assert_int_equal(linkat(fixture->directory, "book", fixture->directory, "book.tmp", 0), 0);
    assert_int_equal(statefile_write(fixture->directory, "book", text("best")), 0);
    assert_content(fixture, "book", "best");
    assert_absent(fixture, "book.tmp");
}

static void a_full_disk_leaves_the_old_content(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t large[64 * 1024];
    assert_int_equal(statefile_write(fixture->directory, "book", text("good")), 0);
    /* A limit on file size fails in the same place as a full disk, without needing one. */
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int written = statefile_write(fixture->directory, "book", bytes_make(large, sizeof large));
    int created = statefile_create(fixture->directory, "key", bytes_make(large, sizeof large));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, old_handler);
    assert_int_equal(written, -EFBIG);
    assert_int_equal(created, -EFBIG);
    assert_content(fixture, "book", "good");
    assert_absent(fixture, "book.tmp");
    assert_absent(fixture, "key");
    assert_absent(fixture, "key.tmp");
}

/* In a child that is not root, since root writes anywhere. */
static int try_read_only(const struct fixture *fixture)
{
    int fd = -1;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/below", fixture->path);
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
        return 1;
    }
    if (statefile_write(fixture->directory, "book", text("x")) != -EACCES) {
        return 2;
    }
    if (statefile_create(fixture->directory, "key", text("x")) != -EACCES) {
        return 3;
    }
    if (statefile_lock(fixture->directory, "x", &fd, NULL, 0) != -EACCES) {
        return 4;
    }
    return statefile_open_directory(path, &fd) == -EACCES ? 0 : 5;
}

static void a_read_only_directory_gives_the_reason(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(statefile_write(fixture->directory, "book", text("good")), 0);
    assert_int_equal(chmod(fixture->path, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(try_read_only(fixture));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_content(fixture, "book", "good");
}

static _Noreturn void write_for_ever(const struct fixture *fixture, int told)
{
    static uint8_t content[20000];
    for (uint8_t fill = 0;; fill++) {
        memset(content, fill, sizeof content);
        (void)statefile_write(fixture->directory, "book", bytes_make(content, sizeof content));
        (void)!write(told, "w", 1);
    }
}

/* A child writes without pause and is killed at some moment; whole contents only, ever. */
static void being_killed_while_writing_leaves_old_or_new(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t content[20000];
    static uint8_t found[sizeof content];
    unsigned seed = 7;
    assert_int_equal(statefile_write(fixture->directory, "book", bytes_make(content, 20000)), 0);
    for (int round = 0; round < 40; round++) {
        int pipe_fds[2];
        assert_int_equal(pipe(pipe_fds), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            write_for_ever(fixture, pipe_fds[1]);
        }
        char writes[8];
        (void)!read(pipe_fds[0], writes, 1 + (size_t)rand_r(&seed) % sizeof writes);
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        (void)close(pipe_fds[0]);
        (void)close(pipe_fds[1]);
        size_t size = 0;
        assert_int_equal(statefile_read(fixture->directory, "book", found, sizeof found, &size), 0);
        assert_int_equal(size, sizeof found);
        for (size_t i = 1; i < size; i++) {
            assert_int_equal(found[i], found[0]);
        }
    }
}

static void renaming_replaces(void **state)
{
    const struct fixture *fixture = *state;
    assert_int_equal(statefile_write(fixture->directory, "book", text("new")), 0);
    assert_int_equal(statefile_write(fixture->directory, "book.old", text("older")), 0);
    assert_int_equal(statefile_rename(fixture->directory, "book", "book.old"), 0);
    assert_content(fixture, "book.old", "new");
    assert_absent(fixture, "book");
    assert_int_equal(statefile_rename(fixture->directory, "book", "book.old"), -ENOENT);
    assert_int_equal(statefile_rename(fixture->directory, "book.old", "../book"), -EINVAL);
    assert_int_equal(statefile_rename(fixture->directory, "..", "book"), -EINVAL);
}

static void what_a_crash_left_can_be_removed(void **state)
{
    const struct fixture *fixture = *state;
    assert_int_equal(statefile_write(fixture->directory, "book", text("whole")), 0);
    assert_int_equal(statefile_write(fixture->directory, "book.tmp", text("ha")), 0);
    statefile_tidy(fixture->directory, "book");
    assert_absent(fixture, "book.tmp");
    assert_content(fixture, "book", "whole");
    statefile_tidy(fixture->directory, "book"); /* nothing left to do */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_written_is_read_back),
        CASE(creating_never_replaces),
        CASE(modes_do_not_depend_on_the_umask),
        CASE(a_loose_mode_is_tightened_by_the_next_write),
        CASE(a_directory_others_may_write_is_refused),
        CASE(a_directory_of_somebody_else_is_refused),
        CASE(a_path_that_is_no_directory_says_so),
        CASE(a_second_owner_is_refused_and_told_who_is_first),
        CASE(the_lock_ends_with_its_process),
        CASE(reading_is_bounded),
        CASE(only_regular_files_of_ours_are_read),
        CASE(writing_through_a_symbolic_link_replaces_the_link),
        CASE(names_are_plain),
        CASE(what_a_crash_left_is_ignored_and_removed),
        CASE(a_full_disk_leaves_the_old_content),
        CASE(a_read_only_directory_gives_the_reason),
        CASE(renaming_replaces),
        CASE(what_a_crash_left_can_be_removed),
        CASE(being_killed_while_writing_leaves_old_or_new),
    };
    return cmocka_run_group_tests_name("statefile", tests, NULL, NULL);
}
