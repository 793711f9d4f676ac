/* libratsclient/new_file, with files that have no name and with hidden ones. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "new_file.h"
#include "old_kernel.h"

static int dir;
static struct new_file file;

static int set_up(void **state)
{
    (void)state;
    dir = open(scratch_make(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    (void)umask(022);
    return 0;
}

static int set_up_old(void **state)
{
    without_tmpfile = true;
    return set_up(state);
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(dir);
    scratch_remove();
    without_tmpfile = false;
    return 0;
}

/* Opened, and written to. */
static void begin(const char *text, size_t size)
{
    assert_int_equal(new_file_open(&file, dir), 0);
    assert_int_equal(write(file.fd, text, size), size);
}

static void it_is_there_once_it_is_placed(void **state)
{
    (void)state;
    begin("text", 4);
    assert_string_equal(scratch_read("name"), "(none)");
    if (!without_tmpfile) {
        assert_int_equal(scratch_count("."), 0); /* there is nothing to be left behind */
    }
    assert_int_equal(new_file_place(&file, dir, "name"), 0);
    assert_string_equal(scratch_read("name"), "text");
    assert_int_equal(scratch_count("."), 1);
    assert_int_equal(file.fd, -1);
    struct stat info;
    assert_int_equal(stat(scratch_path("name"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0644);
}

static void it_takes_the_place_of_what_was_there(void **state)
{
    (void)state;
    scratch_write("name", "old");
    begin("new", 3);
    assert_string_equal(scratch_read("name"), "old");
    assert_int_equal(new_file_place(&file, dir, "name"), 0);
    assert_string_equal(scratch_read("name"), "new");
    assert_int_equal(scratch_count("."), 1);
}

static void a_link_there_is_replaced_and_not_followed(void **state)
{
    (void)state;
    scratch_write("target", "untouched");
    assert_int_equal(symlink("target", scratch_path("name")), 0);
    begin("new", 3);
    assert_int_equal(new_file_place(&file, dir, "name"), 0);
    assert_string_equal(scratch_read("name"), "new");
    assert_string_equal(scratch_read("target"), "untouched");
    assert_int_equal(scratch_count("."), 2);
}

static void where_a_directory_is_it_fails_and_is_gone(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("name"), 0755), 0);
    begin("new", 3);
    assert_int_equal(new_file_place(&file, dir, "name"), -EISDIR);
    assert_int_equal(scratch_count("."), 1);
    assert_int_equal(file.fd, -1);
}

static void what_is_discarded_leaves_nothing(void **state)
{
    (void)state;
    begin("text", 4);
    new_file_discard(&file, dir);
    new_file_discard(&file, dir);
    assert_int_equal(scratch_count("."), 0);
}

static void a_directory_that_cannot_be_written_says_so(void **state)
{
    (void)state;
    assert_int_equal(rmdir(scratch_path(".")), -1);
    const int proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(proc >= 0);
    assert_true(new_file_open(&file, proc) < 0);
    (void)close(proc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_OLD(name)                                                                             \
    {                                                                                              \
#name "_without_tmpfile", name, set_up_old, tear_down, NULL                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_there_once_it_is_placed),
        TEST_OLD(it_is_there_once_it_is_placed),
        TEST(it_takes_the_place_of_what_was_there),
        TEST_OLD(it_takes_the_place_of_what_was_there),
        TEST(a_link_there_is_replaced_and_not_followed),
        TEST_OLD(a_link_there_is_replaced_and_not_followed),
        TEST(where_a_directory_is_it_fails_and_is_gone),
        TEST_OLD(where_a_directory_is_it_fails_and_is_gone),
        TEST(what_is_discarded_leaves_nothing),
        TEST_OLD(what_is_discarded_leaves_nothing),
        TEST(a_directory_that_cannot_be_written_says_so),
        TEST_OLD(a_directory_that_cannot_be_written_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
