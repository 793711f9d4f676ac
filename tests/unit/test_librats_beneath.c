/* libratsclient/beneath with and without openat2(2): nothing leads out of a directory. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "beneath.h"
#include "old_kernel.h"

static int root;
static size_t made;

static int set_up(void **state)
{
    (void)state;
    (void)scratch_make();
    assert_int_equal(mkdir(scratch_path("in"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("in/a"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("in/a/b"), 0755), 0);
    scratch_write("in/a/b/file", "inside");
    scratch_write("outside", "outside");
    assert_int_equal(symlink("../outside", scratch_path("in/out")), 0);
    assert_int_equal(symlink("..", scratch_path("in/up")), 0);
    assert_int_equal(symlink("/", scratch_path("in/slash")), 0);
    assert_int_equal(symlink("a/b", scratch_path("in/down")), 0);
    assert_int_equal(symlink("b/file", scratch_path("in/a/file")), 0);
    root = open(scratch_path("in"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(root >= 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(root);
    scratch_remove();
    without_openat2 = false;
    return 0;
}

static int set_up_old(void **state)
{
    without_openat2 = true;
    return set_up(state);
}

static void expect_text(int fd, const char *text)
{
    char got[32] = "";
    assert_true(fd >= 0);
    assert_true(read(fd, got, sizeof got - 1) >= 0);
    assert_string_equal(got, text);
    (void)close(fd);
}

static void what_is_below_is_opened(void **state)
{
    (void)state;
    expect_text(beneath_open(root, "a/b/file", O_RDONLY), "inside");
    expect_text(beneath_open(root, "a/./b/./file", O_RDONLY), "inside");
    const int fd = beneath_open(root, ".", O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    (void)close(fd);
    assert_int_equal(beneath_open(root, "a/none", O_RDONLY), -ENOENT);
    assert_int_equal(beneath_open(root, "a/b/file/x", O_RDONLY), -ENOTDIR);
}

static void nothing_leads_out(void **state)
{
    (void)state;
    /* Of the last three only the name itself is a link: where it would stand is no secret. */
    static const char *const hostile[] = {
        "",          "/",         "..",        "../outside",  "a/../../outside",
        "a/..",      "a//b/file", "a/",        "/etc/passwd", "/a/b/file",
        "a/b/../..", "./../x",    "down/file", "up/outside",  "slash/etc/passwd",
        "out",       "up",        "a/file",
    };
    const size_t count = sizeof hostile / sizeof hostile[0];
    for (size_t i = 0; i < count; i++) {
        if (beneath_open(root, hostile[i], O_RDONLY) >= 0) {
            fail_msg("'%s' was opened", hostile[i]);
        }
        const int parent = beneath_make_parent(root, hostile[i], &made);
        assert_int_equal(parent >= 0, i >= count - 3);
        if (parent >= 0) {
            (void)close(parent);
        }
    }
    assert_int_equal(scratch_count("."), 2);
}

static void links_are_followed_where_that_is_asked_for(void **state)
{
    (void)state;
    expect_text(beneath_open_linked(root, "a/b/file", O_RDONLY), "inside");
    assert_true(beneath_open_linked(root, "out", O_RDONLY) < 0);
    assert_true(beneath_open_linked(root, "up/outside", O_RDONLY) < 0);
    assert_true(beneath_open_linked(root, "slash/etc/passwd", O_RDONLY) < 0);
    assert_true(beneath_open_linked(root, "../outside", O_RDONLY) < 0);
    const int fd = beneath_open_linked(root, "down/file", O_RDONLY);
    if (without_openat2) {
        assert_true(fd < 0);
    } else if (fd != -ENOTDIR && fd != -ELOOP) { /* the kernel of the test is old itself */
        expect_text(fd, "inside");
    }
}

static void parents_are_made_below_and_through_no_link(void **state)
{
    (void)state;
    int fd = beneath_make_parent(root, "x/y/z/file", &made);
    assert_true(fd >= 0);
    (void)close(fd);
    fd = beneath_make_parent(root, "x/y/z/file", &made); /* is there now */
    assert_true(fd >= 0);
    (void)close(fd);
    struct stat info;
    assert_int_equal(stat(scratch_path("in/x/y/z"), &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_true(beneath_make_parent(root, "up/made/file", &made) < 0);
    assert_true(beneath_make_parent(root, "down/made/file", &made) < 0);
    assert_int_equal(beneath_make_parent(root, "x/../../made/file", &made), -EXDEV);
    assert_int_equal(stat(scratch_path("made"), &info), -1);
    assert_int_equal(scratch_count("in/a/b"), 1);
}

static void directories_that_were_made_go_as_far_as_they_are_empty(void **state)
{
    (void)state;
    int fd = beneath_make_parent(root, "a/x/y/file", &made);
    assert_int_equal(made, strlen("a/x"));
    (void)close(fd);
    scratch_write("in/a/x/other", "1");
    beneath_prune(root, "a/x/y/file", made);
    assert_int_equal(scratch_count("in/a/x"), 1);
    assert_int_equal(unlink(scratch_path("in/a/x/other")), 0);
    beneath_prune(root, "a/x/file", 0); /* made by somebody else */
    assert_int_equal(scratch_count("in/a/x"), 0);
    beneath_prune(root, "a/x/file", made);
    assert_int_equal(access(scratch_path("in/a/x"), F_OK), -1);
    assert_int_equal(access(scratch_path("in/a"), F_OK), 0);
}

static void a_path_longer_than_the_kernel_takes_is_walked(void **state)
{
    (void)state;
    enum { LEVELS = 60, NAME = 100 };
    char path[LEVELS * (NAME + 1) + 2];
    size_t size = 0;
    for (int i = 0; i < LEVELS; i++) {
        memset(path + size, 'd', NAME);
        size += NAME;
        path[size++] = '/';
    }
    memcpy(path + size, "f", 2);
    const int parent = beneath_make_parent(root, path, &made);
    assert_true(parent >= 0);
    const int file = openat(parent, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_int_equal(write(file, "far", 3), 3);
    (void)close(file);
    (void)close(parent);
    expect_text(beneath_open(root, path, O_RDONLY), "far");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_OLD(name)                                                                             \
    {                                                                                              \
#name "_without_openat2", name, set_up_old, tear_down, NULL                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_below_is_opened),
        TEST_OLD(what_is_below_is_opened),
        TEST(nothing_leads_out),
        TEST_OLD(nothing_leads_out),
        TEST(links_are_followed_where_that_is_asked_for),
        TEST_OLD(links_are_followed_where_that_is_asked_for),
        TEST(parents_are_made_below_and_through_no_link),
        TEST_OLD(parents_are_made_below_and_through_no_link),
        TEST(directories_that_were_made_go_as_far_as_they_are_empty),
        TEST(a_path_longer_than_the_kernel_takes_is_walked),
        TEST_OLD(a_path_longer_than_the_kernel_takes_is_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
