/* libratsclient/instance: which instance is found, which is taken for the wanted one, and what is
 * said of the others. The test plays every daemon; a shell script stands for the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "error.h"
#include "fake_daemon.h"
#include "instance.h"

#define PATIENCE_MS 20000

static char directory[64];
static struct fake_daemon first;
static struct fake_daemon second;

/* A path in the user's runtime directory. Static, of the last call. */
static const char *in_runtime(const char *name)
{
    static char path[SOCKET_PATH_SIZE];
    assert_true(snprintf(path, sizeof path, "%s/ratsd/%s", directory, name) < (int)sizeof path);
    return path;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/librats-inst-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(mkdir(in_runtime(""), 0700), 0);
    assert_int_equal(mkdir(in_runtime("by-port"), 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    assert_int_equal(setenv("RATSD", "/nowhere/ratsd", 1), 0);
    assert_int_equal(setenv("OUT", directory, 1), 0);
    (void)unsetenv("RATS_CREATE");
    first = (struct fake_daemon){.listen_fd = -1, .fd = -1};
    second = first;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    fake_close(&first);
    fake_close(&second);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

/* A program that fails with that line. */
static void play(const char *line)
{
    char path[128];
    snprintf(path, sizeof path, "%s/program", directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\necho run >> $OUT/runs\necho '%s' >&3\n", line) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(setenv("RATSD", path, 1), 0);
}

static bool was_run(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/runs", directory);
    return access(path, F_OK) == 0;
}

static void link_port(int port, const char *to)
{
    char name[32];
    snprintf(name, sizeof name, "by-port/%d", port);
    assert_int_equal(symlink(to, in_runtime(name)), 0);
}

/* One search, on a thread of its own while the test answers. */
struct search {
    int (*find)(const struct instance_wish *wish, struct instance_found *ret_found);
    struct instance_wish wish;
    struct instance_found found;
    int code;
    char error[ERROR_TEXT_SIZE];
    struct fake_task *task;
};

static intptr_t do_search(void *arg)
{
    struct search *search = arg;
    search->code = search->find(&search->wish, &search->found);
    snprintf(search->error, sizeof search->error, "%s", rats_last_error_message(NULL));
    return 0;
}

static void begin(struct search *search, struct instance_wish wish)
{
    *search = (struct search){.find = instance_find, .wish = wish};
    search->wish.client_name = "test";
    search->wish.slow = "stall";
    search->wish.deadline_ms = clock_deadline(PATIENCE_MS);
}

static void finish(struct search *search, int expected)
{
    (void)fake_join(search->task);
    assert_int_equal(search->code, expected);
    if (search->code == RATS_SUCCESS) {
        json_decref(search->found.hello);
        (void)close(search->found.fd);
    }
}

static void a_policy_is_one_of_three_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum instance_policy policy;
    } known[] = {{"", POLICY_AUTO},
                 {"auto", POLICY_AUTO},
                 {"shared", POLICY_SHARED},
                 {"private", POLICY_PRIVATE}};
    enum instance_policy policy = POLICY_SHARED;
    assert_int_equal(instance_policy_from_environment(&policy), RATS_SUCCESS);
    assert_int_equal(policy, POLICY_AUTO);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(setenv("RATS_CREATE", known[i].word, 1), 0);
        assert_int_equal(instance_policy_from_environment(&policy), RATS_SUCCESS);
        assert_int_equal(policy, known[i].policy);
    }
    assert_int_equal(setenv("RATS_CREATE", "Shared", 1), 0);
    assert_int_equal(instance_policy_from_environment(&policy), RATS_ERROR_INVALID_PARAMETER);
    assert_non_null(strstr(rats_last_error_message(NULL), "Shared"));
}

static void the_default_instance_is_found(void **state)
{
    (void)state;
    struct search search;
    fake_open_at(&first, in_runtime("default.sock"));
    begin(&search, (struct instance_wish){.policy = POLICY_AUTO, .security = -1});
    search.task = fake_run(do_search, &search);
    fake_accept(&first);
    fake_answer_hello(&first, "");
    finish(&search, RATS_SUCCESS);
    assert_string_equal(search.found.path, first.path);
    assert_int_equal(search.found.log_fd, -1);
}

static void a_port_leads_to_the_instance_that_has_it(void **state)
{
    (void)state;
    struct search search;
    char path[128];
    snprintf(path, sizeof path, "%s/elsewhere.sock", directory);
    fake_open_at(&first, path);
    link_port(4711, path);
    begin(&search, (struct instance_wish){.policy = POLICY_SHARED, .port = 4711, .security = -1});
    search.task = fake_run(do_search, &search);
    fake_accept(&first);
    fake_answer_hello(&first, "");
    finish(&search, RATS_SUCCESS);
    assert_string_equal(search.found.path, path);
}

static void a_daemon_of_another_port_is_not_believed(void **state)
{
    (void)state;
    struct search search;
    fake_open_at(&first, in_runtime("x.sock"));
    link_port(1234, first.path);
    begin(&search, (struct instance_wish){.policy = POLICY_SHARED, .port = 1234, .security = -1});
    search.task = fake_run(do_search, &search);
    fake_accept(&first);
    fake_answer_hello(&first, ""); /* which says 4711 */
    finish(&search, RATS_ERROR_NO_DAEMON);
    assert_non_null(strstr(search.error, "port 1234"));
}

static void a_socket_that_was_named_is_the_only_one(void **state)
{
    (void)state;
    struct search search;
    play("failed 1 x");
    begin(&search, (struct instance_wish){.socket_path = "/nowhere/x.sock", .security = -1});
    search.task = fake_run(do_search, &search);
    finish(&search, RATS_ERROR_NO_DAEMON);
    assert_non_null(strstr(search.error, "/nowhere/x.sock"));
    assert_false(was_run());
}

static void what_the_program_says_is_the_reason(void **state)
{
    (void)state;
    struct search search;
    play("failed 1 no room on the disk");
    for (int policy = POLICY_AUTO; policy <= POLICY_PRIVATE; policy++) {
        begin(&search,
              (struct instance_wish){.policy = (enum instance_policy)policy, .security = -1});
        search.task = fake_run(do_search, &search);
        finish(&search,
               policy == POLICY_SHARED ? RATS_ERROR_NO_DAEMON : RATS_ERROR_OPERATION_FAILED);
        assert_int_equal(strstr(search.error, "no room on the disk") != NULL,
                         policy != POLICY_SHARED);
    }
}

static void who_looks_for_a_protocol_takes_the_one_that_has_it(void **state)
{
    (void)state;
    struct search search;
    char path[128];
    snprintf(path, sizeof path, "%s/elsewhere.sock", directory);
    fake_open_at(&first, in_runtime("default.sock"));
    fake_open_at(&second, path);
    link_port(5, path);
    begin(&search, (struct instance_wish){.protocol = "game/7", .security = 1});
    search.find = instance_find_alike;
    search.task = fake_run(do_search, &search);
    fake_accept(&first);
    fake_answer_hello_as(&first, "{\"shared\":true}"); /* librats/1.0 */
    fake_expect_end(&first);
    fake_accept(&second);
    fake_answer_hello_as(&second, "{\"shared\":true,\"protocol\":\"game/7\"}");
    finish(&search, RATS_SUCCESS);
    assert_string_equal(search.found.path, path);
}

/* Plays one daemon with the right protocol to a search for it. */
static void expect_refused(const char *hello)
{
    struct search search;
    begin(&search, (struct instance_wish){.protocol = "game/7", .security = 1});
    search.find = instance_find_alike;
    search.task = fake_run(do_search, &search);
    fake_accept(&first);
    fake_answer_hello_as(&first, hello);
    fake_expect_end(&first);
    finish(&search, RATS_ERROR_NO_DAEMON);
    assert_non_null(strstr(search.error, "game/7"));
    assert_false(was_run());
}

static void one_of_another_mode_or_of_one_program_is_not_taken(void **state)
{
    (void)state;
    play("failed 1 x");
    fake_open_at(&first, in_runtime("default.sock"));
    expect_refused("{\"shared\":false,\"protocol\":\"game/7\"}");
    expect_refused("{\"protocol\":\"game/7\"}");
    expect_refused("{\"shared\":true,\"protocol\":\"game/7\",\"security\":\"plaintext\"}");
    expect_refused("{\"shared\":true,\"protocol\":\"game/70\"}");
}

static int restart(const struct instance_wish *wish, struct instance_found *ret_found)
{
    return instance_restart(wish, in_runtime("default.sock"), ret_found);
}

static void who_misses_the_default_instance_looks_before_it_starts_one(void **state)
{
    (void)state;
    struct search search;
    play("failed 1 x");
    fake_open_at(&first, in_runtime("default.sock"));
    begin(&search, (struct instance_wish){.security = -1});
    search.find = restart;
    search.task = fake_run(do_search, &search);
    fake_accept(&first);
    fake_answer_hello(&first, "");
    finish(&search, RATS_SUCCESS);
    assert_false(was_run());
    fake_close(&first);
    first = (struct fake_daemon){.listen_fd = -1, .fd = -1};
    search.task = fake_run(do_search, &search);
    finish(&search, RATS_ERROR_OPERATION_FAILED);
    assert_true(was_run());
}

static int restart_other(const struct instance_wish *wish, struct instance_found *ret_found)
{
    return instance_restart(wish, in_runtime("other.sock"), ret_found);
}

static void no_other_instance_is_started_again(void **state)
{
    (void)state;
    struct search search;
    play("failed 1 x");
    begin(&search, (struct instance_wish){.security = -1});
    search.find = restart_other;
    search.task = fake_run(do_search, &search);
    finish(&search, RATS_ERROR_NO_DAEMON);
    assert_false(was_run());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_policy_is_one_of_three_words),
        CASE(the_default_instance_is_found),
        CASE(a_port_leads_to_the_instance_that_has_it),
        CASE(a_daemon_of_another_port_is_not_believed),
        CASE(a_socket_that_was_named_is_the_only_one),
        CASE(what_the_program_says_is_the_reason),
        CASE(who_looks_for_a_protocol_takes_the_one_that_has_it),
        CASE(one_of_another_mode_or_of_one_program_is_not_taken),
        CASE(who_misses_the_default_instance_looks_before_it_starts_one),
        CASE(no_other_instance_is_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
