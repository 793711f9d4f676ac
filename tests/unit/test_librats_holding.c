/* libratsclient/holding: what is opened for a transfer, provided in order, put in place. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "error.h"
#include "holding.h"
#include "old_kernel.h"
#include "vectors.h"

static const char *directory;
static struct holding *holding;
static char problem[HOLDING_PROBLEM_SIZE];

static int set_up(void **state)
{
    (void)state;
    (void)scratch_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    holding_free(holding);
    holding = NULL;
    scratch_remove();
    without_tmpfile = false;
    return 0;
}

static int set_up_old(void **state)
{
    without_tmpfile = true;
    return set_up(state);
}

static void a_file_to_send_must_be_one(void **state)
{
    (void)state;
    int fd = -1;
    uint64_t size = 0;
    scratch_write("file", "12345");
    assert_int_equal(symlink("file", scratch_path("link")), 0);
    assert_int_equal(mkfifo(scratch_path("pipe"), 0644), 0);
    assert_int_equal(holding_open_file(scratch_path("link"), &holding, &fd, &size), RATS_SUCCESS);
    assert_int_equal(size, 5);
    assert_string_equal(holding->path, scratch_path("link"));
    (void)close(fd);
    struct holding *none = NULL;
    assert_int_equal(holding_open_file(scratch_path("none"), &none, &fd, &size),
                     RATS_ERROR_NOT_FOUND);
    assert_int_equal(holding_open_file(scratch_path("."), &none, &fd, &size),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(holding_open_file(scratch_path("pipe"), &none, &fd, &size),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(holding_open_file("/dev/null", &none, &fd, &size),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(mknod(scratch_path("socket"), S_IFSOCK | 0644, 0), 0);
    assert_int_equal(holding_open_file(scratch_path("socket"), &none, &fd, &size),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_non_null(strstr(rats_last_error_message(NULL), "not a regular file"));
    assert_null(none);
}

static void a_tree_to_send_must_be_a_directory(void **state)
{
    (void)state;
    struct tree tree;
    scratch_write("file", "1");
    assert_int_equal(holding_open_tree(scratch_path("file"), true, &holding, &tree),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(holding_open_tree(scratch_path("none"), true, &holding, &tree),
                     RATS_ERROR_NOT_FOUND);
    assert_int_equal(holding_open_tree(scratch_path("."), true, &holding, &tree), RATS_SUCCESS);
    assert_int_equal(tree.total_files, 1);
    tree_fini(&tree);
}

static void a_relative_path_is_of_this_moment(void **state)
{
    (void)state;
    char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(scratch_path(".")), 0);
    char *here = getcwd(NULL, 0);
    char *path = path_absolute("a/b");
    assert_int_equal(chdir(before), 0);
    assert_memory_equal(path, here, strlen(here));
    assert_string_equal(path + strlen(here), "/a/b");
    char *same = path_absolute("/a");
    assert_string_equal(same, "/a");
    free(same);
    free(path);
    free(here);
    free(before);
}

static void a_received_file_gets_its_directories(void **state)
{
    (void)state;
    assert_int_equal(holding_make_file(scratch_path("new/sub/file"), &holding), RATS_SUCCESS);
    const int fd = holding_share(holding);
    assert_int_equal(write(fd, "text", 4), 4);
    (void)close(fd);
    assert_string_equal(scratch_read("new/sub/file"), "(none)");
    assert_int_equal(holding_place(holding, 0, problem), 0);
    assert_string_equal(scratch_read("new/sub/file"), "text");
    assert_int_equal(holding_place(holding, 0, problem), -EINVAL); /* only once */
    assert_int_equal(scratch_count("new/sub"), 1);
}

static void a_target_that_cannot_be_is_refused_at_once(void **state)
{
    (void)state;
    scratch_write("file", "1");
    static const char *const targets[] = {".", "new/", "..", "file/below"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(holding_make_file(scratch_path(targets[i]), &holding),
                         RATS_ERROR_OPERATION_FAILED);
    }
    assert_int_equal(holding_make_tree(scratch_path("file"), &holding),
                     RATS_ERROR_OPERATION_FAILED);
    assert_null(holding);
    assert_string_equal(scratch_read("file"), "1");
}

/* Wants files 0 to count - 1 of those names. */
static void want(const char *const *paths, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(holding_want(holding, i, paths[i]), 0);
    }
}

static const char *const paths[] = {"one", "sub/two", "sub/three", "sub/deep/four"};

static void files_of_a_tree_are_opened_in_order_and_in_parts(void **state)
{
    (void)state;
    struct tree tree;
    assert_int_equal(mkdir(scratch_path("sub"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("sub/deep"), 0755), 0);
    for (size_t i = 0; i < 4; i++) {
        scratch_write(paths[i], paths[i]);
    }
    assert_int_equal(holding_open_tree(scratch_path("."), true, &holding, &tree), RATS_SUCCESS);
    tree_fini(&tree);
    want(paths, 4);
    int fds[4];
    uint32_t first = 9;
    assert_int_equal(holding_open_wanted(holding, 3, fds, &first, problem), 3);
    assert_int_equal(first, 0);
    assert_int_equal(holding_open_wanted(holding, 3, fds + 3, &first, problem), 1);
    assert_int_equal(first, 3);
    assert_int_equal(holding_open_wanted(holding, 3, fds, &first, problem), 0);
    assert_false(holding_is_wanted(holding));
    for (size_t i = 0; i < 4; i++) {
        char text[32] = "";
        assert_true(read(fds[i], text, sizeof text - 1) > 0);
        assert_string_equal(text, paths[i]);
        assert_string_equal(holding_first(holding)->path, paths[i]);
        holding_drop_first(holding);
        (void)close(fds[i]);
    }
    assert_null(holding_first(holding));
}

static void what_became_a_link_or_a_pipe_is_not_sent(void **state)
{
    (void)state;
    struct tree tree;
    int fd = -1;
    uint32_t first = 0;
    scratch_write("secret", "secret");
    assert_int_equal(mkdir(scratch_path("src"), 0755), 0);
    assert_int_equal(holding_open_tree(scratch_path("src"), true, &holding, &tree), RATS_SUCCESS);
    tree_fini(&tree);
    assert_int_equal(symlink("../secret", scratch_path("src/link")), 0);
    assert_int_equal(mkfifo(scratch_path("src/pipe"), 0644), 0);
    static const char *const hostile[] = {"link", "pipe", "../secret", "", "/etc/passwd", "none"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        assert_int_equal(holding_want(holding, 0, hostile[i]), 0);
        assert_true(holding_open_wanted(holding, 1, &fd, &first, problem) < 0);
        holding_want_nothing(holding);
    }
}

static void a_received_tree_is_put_in_place_file_by_file(void **state)
{
    (void)state;
    int fds[4];
    uint32_t first = 0;
    assert_int_equal(holding_make_tree(scratch_path("a/in"), &holding), RATS_SUCCESS);
    want(paths, 4);
    assert_int_equal(holding_open_wanted(holding, 16, fds, &first, problem), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(write(fds[i], paths[i], strlen(paths[i])), strlen(paths[i]));
        (void)close(fds[i]);
    }
    assert_int_equal(holding_place(holding, 1, problem), -EINVAL); /* not its turn */
    assert_int_equal(holding_place(holding, 0, problem), 0);
    holding_drop_first(holding);
    assert_int_equal(holding_place(holding, 1, problem), 0);
    holding_drop_first(holding);
    assert_string_equal(scratch_read("a/in/one"), "one");
    assert_string_equal(scratch_read("a/in/sub/two"), "sub/two");
    holding_free(holding); /* nothing is left of the other two */
    holding = NULL;
    assert_int_equal(scratch_count("a/in/sub"), 1);
}

static void a_tree_of_which_nothing_arrived_leaves_nothing(void **state)
{
    (void)state;
    int fds[4];
    uint32_t first = 0;
    assert_int_equal(holding_make_tree(scratch_path("in"), &holding), RATS_SUCCESS);
    want(paths, 4);
    assert_int_equal(holding_open_wanted(holding, 4, fds, &first, problem), 4);
    for (size_t i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
    assert_int_equal(access(scratch_path("in/sub/deep"), F_OK), 0);
    holding_free(holding);
    holding = NULL;
    assert_int_equal(scratch_count("."), 0);
}

static void a_hostile_path_makes_nothing_outside(void **state)
{
    (void)state;
    int fd = -1;
    uint32_t first = 0;
    assert_int_equal(mkdir(scratch_path("in"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("other"), 0755), 0);
    assert_int_equal(symlink("../other", scratch_path("in/link")), 0);
    assert_int_equal(holding_make_tree(scratch_path("in"), &holding), RATS_SUCCESS);
    static const char *const hostile[] = {"../other/x", "link/x", "/x",   "a/../../other/x",
                                          "..",         "",       "a//x", "a/"};
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        assert_int_equal(holding_want(holding, 0, hostile[i]), 0);
        assert_true(holding_open_wanted(holding, 1, &fd, &first, problem) < 0);
        holding_want_nothing(holding);
    }
    assert_int_equal(scratch_count("other"), 0);
    assert_int_equal(scratch_count("."), 2);
}

/* reliability V10: of whatever got past the daemon, nothing gets out of the directory. */
static void no_hostile_name_leaves_the_directory(void **state)
{
    (void)state;
    struct vectors *vectors = vectors_open(directory, "hostile_names.json");
    json_t *names = vectors_array(vectors_root(vectors), "names");
    assert_true(json_array_size(names) >= 500);
    assert_int_equal(mkdir(scratch_path("in"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("other"), 0755), 0);
    assert_int_equal(symlink("../other", scratch_path("in/x")), 0); /* many begin so */
    assert_int_equal(holding_make_tree(scratch_path("in"), &holding), RATS_SUCCESS);
    size_t i;
    json_t *row;
    json_array_foreach(names, i, row)
    {
        const struct bytes name = vectors_hex(vectors, row, "hex");
        char *path = calloc(1, name.size + 1); /* it ends at a NUL within */
        assert_non_null(path);
        memcpy(path, name.size == 0 ? (const uint8_t *)"" : name.data, name.size);
        int fd = -1;
        uint32_t first = 0;
        assert_int_equal(holding_want(holding, 7, path), 0);
        if (holding_open_wanted(holding, 1, &fd, &first, problem) == 1) {
            (void)close(fd);
            (void)holding_place(holding, 7, problem);
            holding_drop_first(holding);
        }
        holding_want_nothing(holding);
        free(path);
    }
    vectors_close(vectors);
    assert_int_equal(scratch_count("other"), 0);
    assert_int_equal(scratch_count("."), 2);
}

static void without_descriptors_the_rest_stays_wanted(void **state)
{
    (void)state;
    struct rlimit before;
    int fds[4];
    uint32_t first = 0;
    assert_int_equal(holding_make_tree(scratch_path("in"), &holding), RATS_SUCCESS);
    want(paths, 4);
    const int highest = dup(0);
    (void)close(highest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit few = {.rlim_cur = (rlim_t)highest + 6, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int opened = holding_open_wanted(holding, 4, fds, &first, problem);
    assert_in_range(opened, 1, 3);
    assert_int_equal(holding_open_wanted(holding, 4, fds + opened, &first, problem), -EMFILE);
    assert_true(holding_is_wanted(holding));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(holding_open_wanted(holding, 4, fds + opened, &first, problem), 4 - opened);
    assert_int_equal(first, opened);
    for (size_t i = 0; i < 4; i++) {
        (void)close(fds[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_OLD(name)                                                                             \
    {                                                                                              \
#name "_without_tmpfile", name, set_up_old, tear_down, NULL                                \
    }

int main(int argc, char **argv)
{
    assert_int_equal(argc, 2);
    directory = argv[1];
    const struct CMUnitTest tests[] = {
        TEST(a_file_to_send_must_be_one),
        TEST(a_tree_to_send_must_be_a_directory),
        TEST(a_relative_path_is_of_this_moment),
        TEST(a_received_file_gets_its_directories),
        TEST_OLD(a_received_file_gets_its_directories),
        TEST(a_target_that_cannot_be_is_refused_at_once),
        TEST(files_of_a_tree_are_opened_in_order_and_in_parts),
        TEST(what_became_a_link_or_a_pipe_is_not_sent),
        TEST(a_received_tree_is_put_in_place_file_by_file),
        TEST_OLD(a_received_tree_is_put_in_place_file_by_file),
        TEST(a_tree_of_which_nothing_arrived_leaves_nothing),
        TEST_OLD(a_tree_of_which_nothing_arrived_leaves_nothing),
        TEST(a_hostile_path_makes_nothing_outside),
        TEST_OLD(a_hostile_path_makes_nothing_outside),
        TEST(no_hostile_name_leaves_the_directory),
        TEST_OLD(no_hostile_name_leaves_the_directory),
        TEST(without_descriptors_the_rest_stays_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
