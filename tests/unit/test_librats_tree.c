/* libratsclient/tree: a directory as a list of files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "old_kernel.h"
#include "tree.h"

static int root;
static struct tree tree;
static char problem[TREE_PROBLEM_SIZE];

static int set_up(void **state)
{
    (void)state;
    root = open(scratch_make(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(root >= 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)close(root);
    scratch_remove();
    return 0;
}

/* "size path" lines. */
static void expect_list(bool recursive, const char *lines)
{
    char text[4096] = "";
    size_t used = 0;
    assert_int_equal(tree_list(root, recursive, &tree, problem), 0);
    const struct bytes list = buf_view(&tree.list);
    uint64_t total = 0;
    uint32_t count = 0;
    for (size_t at = 0; at < list.size;) {
        uint64_t size = 0;
        for (size_t i = 0; i < 8; i++) {
            size |= (uint64_t)list.data[at + i] << 8 * i;
        }
        const size_t path_size = (size_t)(list.data[at + 8] | list.data[at + 9] << 8);
        used += (size_t)snprintf(text + used, sizeof text - used, "%llu %.*s\n",
                                 (unsigned long long)size, (int)path_size,
                                 (const char *)list.data + at + 10);
        at += 10 + path_size;
        total += size;
        count++;
    }
    assert_string_equal(text, lines);
    assert_int_equal(tree.total_bytes, total);
    assert_int_equal(tree.total_files, count);
    tree_fini(&tree);
}

static void expect_problem(int rc, const char *sentence)
{
    assert_int_equal(tree_list(root, true, &tree, problem), rc);
    assert_string_equal(problem, sentence);
}

static void an_empty_directory_is_an_empty_list(void **state)
{
    (void)state;
    expect_list(true, "");
    assert_int_equal(mkdir(scratch_path("void"), 0755), 0);
    expect_list(true, "");
}

static void files_come_in_order_and_before_what_is_below(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("b"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("b/sub"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("a"), 0755), 0);
    scratch_write("z", "12");
    scratch_write("c", "");
    scratch_write("b/2", "1");
    scratch_write("b/1", "333");
    scratch_write("b/sub/x", "4444");
    scratch_write("a/y", "5");
    expect_list(true, "0 c\n2 z\n1 a/y\n3 b/1\n1 b/2\n4 b/sub/x\n");
    expect_list(false, "0 c\n2 z\n");
}

static void only_files_are_listed(void **state)
{
    (void)state;
    scratch_write("file", "1");
    assert_int_equal(symlink("file", scratch_path("link")), 0);
    assert_int_equal(symlink("/", scratch_path("slash")), 0);
    assert_int_equal(symlink(".", scratch_path("loop")), 0);
    assert_int_equal(mkfifo(scratch_path("pipe"), 0644), 0);
    expect_list(true, "1 file\n");
}

static void a_name_no_receiver_takes_is_named(void **state)
{
    (void)state;
    scratch_write("c:\nname", "1");
    assert_int_equal(tree_list(root, true, &tree, problem), -EINVAL);
    assert_non_null(strstr(problem, "'c:\\x0aname' "));
    assert_int_equal(unlink(scratch_path("c:\nname")), 0);
    scratch_write("not\xffutf8", "1");
    assert_int_equal(tree_list(root, true, &tree, problem), -EINVAL);
    assert_non_null(strstr(problem, "'not\\xffutf8' "));
}

static void a_name_that_some_receivers_take_is_listed(void **state)
{
    (void)state;
    scratch_write("12:30", "1");
    scratch_write("con", "1");
    scratch_write("two\nlines", "1");
    expect_list(true, "1 12:30\n1 con\n1 two\nlines\n");
}

static void a_directory_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        (void)close(root);
        root = -1; /* root reads everything that is there */
        expect_problem(-EBADF, "'.' cannot be read: Bad file descriptor");
        return;
    }
    assert_int_equal(mkdir(scratch_path("closed"), 0), 0);
    expect_problem(-EACCES, "'closed' cannot be read: Permission denied");
    assert_int_equal(chmod(scratch_path("closed"), 0755), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_directory_is_an_empty_list),
        TEST(files_come_in_order_and_before_what_is_below),
        TEST(only_files_are_listed),
        TEST(a_name_no_receiver_takes_is_named),
        TEST(a_name_that_some_receivers_take_is_listed),
        TEST(a_directory_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
