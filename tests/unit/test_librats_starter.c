/* libratsclient/starter: what a daemon is started with, and what comes of one that does not start.
 * Shell scripts stand for ratsd. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "starter.h"

#define PATIENCE_MS 20000

static char directory[64];
static char program[80];
static char error[ERROR_TEXT_SIZE];
static int log_fd;

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/librats-starter-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(program, sizeof program, "%s/ratsd", directory);
    assert_int_equal(setenv("RATSD", program, 1), 0);
    assert_int_equal(setenv("OUT", directory, 1), 0);
    error[0] = '\0';
    log_fd = -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    if (log_fd >= 0) {
        (void)close(log_fd);
    }
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("LISTEN_FDS");
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

static void play(const char *script)
{
    FILE *file = fopen(program, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(program, 0700), 0);
}

static int start_with(struct starter_options options)
{
    options.runtime = directory;
    options.socket = "/nowhere/x.sock";
    options.name = "unit";
    if (options.deadline_ms == 0) {
        options.deadline_ms = clock_deadline(PATIENCE_MS);
    }
    return starter_run(&options, &log_fd, error);
}

static int start(void)
{
    return start_with((struct starter_options){.is_private = true, .security = -1});
}

/* What the script wrote into a file of that name. Static. */
static const char *written(const char *name)
{
    static char text[8192];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    const size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

static void a_private_instance_is_told_everything_it_is_to_be(void **state)
{
    (void)state;
    play("printf '%s\n' \"$@\" > $OUT/words; echo ready x >&3");
    assert_int_equal(start_with((struct starter_options){.is_private = true,
                                                         .state_dir = "/state",
                                                         .port = 8080,
                                                         .bind_address = "127.0.0.1",
                                                         .protocol = "game/7",
                                                         .security = 0}),
                     RATS_SUCCESS);
    char expected[512];
    snprintf(expected, sizeof expected,
             "--background\n--ready-fd\n3\n--instance\nunit\n--runtime-dir\n%s\n--socket\n"
             "/nowhere/x.sock\n--state-dir\n/state\n--private\n--set\nnetwork.port=8080\n--set\n"
             "network.listen=127.0.0.1\n--set\nnetwork.protocol=game/7\n--set\n"
             "network.security=plaintext\n",
             directory);
    assert_string_equal(written("words"), expected);
    assert_true(log_fd >= 0);
}

static void a_default_instance_is_as_configured_and_has_a_log_file(void **state)
{
    (void)state;
    play("printf '%s\n' \"$@\" > $OUT/words; echo said >&2; echo ready x >&3");
    assert_int_equal(start_with((struct starter_options){.security = -1}), RATS_SUCCESS);
    assert_int_equal(log_fd, -1);
    assert_non_null(strstr(written("words"), "--exit-idle\n60\n"));
    assert_null(strstr(written("words"), "--set"));
    assert_null(strstr(written("words"), "--private"));
    assert_string_equal(written("unit.log"), "said\n");
}

static void a_key_comes_through_a_descriptor_and_nothing_else(void **state)
{
    (void)state;
    uint8_t key[KEY_SIZE];
    memset(key, 'k', sizeof key);
    play("printf '%s\n' \"$@\" > $OUT/words; env > $OUT/env; cat <&4 > $OUT/key; echo ready x >&3");
    assert_int_equal(
        start_with((struct starter_options){.is_private = true, .security = -1, .key = key}),
        RATS_SUCCESS);
    assert_non_null(strstr(written("words"), "--identity-fd\n4\n"));
    assert_null(strstr(written("words"), "kkkk"));
    assert_null(strstr(written("env"), "kkkk"));
    assert_int_equal(strlen(written("key")), KEY_SIZE);
    assert_memory_equal(written("key"), key, KEY_SIZE);
}

static void it_gets_no_descriptor_of_ours(void **state)
{
    (void)state;
    const int ours[] = {7, 50}; /* not even such that are not closed on exec */
    assert_int_equal(dup2(0, ours[0]), ours[0]);
    assert_int_equal(dup2(0, ours[1]), ours[1]);
    play("for fd in 4 7 50; do [ -e /proc/$$/fd/$fd ] && echo $fd; done > $OUT/fds\n"
         "echo ready x >&3");
    assert_int_equal(start(), RATS_SUCCESS);
    assert_string_equal(written("fds"), "");
    (void)close(ours[0]);
    (void)close(ours[1]);
}

static void what_a_service_manager_told_us_is_not_passed_on(void **state)
{
    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/run/x", 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", "1", 1), 0);
    play("env > $OUT/env; pwd > $OUT/pwd; echo ready x >&3");
    assert_int_equal(start(), RATS_SUCCESS);
    assert_null(strstr(written("env"), "NOTIFY_SOCKET"));
    assert_null(strstr(written("env"), "LISTEN_FDS"));
    assert_non_null(strstr(written("env"), "OUT="));
    assert_string_equal(written("pwd"), "/\n");
}

static void the_log_of_a_private_instance_is_ours_to_read(void **state)
{
    (void)state;
    char line[32] = "";
    play("echo hello >&2; echo ready x >&3");
    assert_int_equal(start(), RATS_SUCCESS);
    assert_int_equal(read(log_fd, line, sizeof line - 1), 6);
    assert_string_equal(line, "hello\n");
}

static void the_daemons_own_sentence_is_passed_on(void **state)
{
    (void)state;
    play("echo 'failed 1 no room on the disk' >&3");
    assert_int_equal(start(), RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(error, "no room on the disk"));
    assert_int_equal(log_fd, -1);
}

static void one_that_finds_its_place_taken_is_busy(void **state)
{
    (void)state;
    play("echo 'failed 3 another ratsd is there' >&3");
    assert_int_equal(start(), RATS_ERROR_BUSY);
    assert_non_null(strstr(error, "another ratsd is there"));
}

static void a_program_that_ends_without_a_word_is_no_ratsd(void **state)
{
    (void)state;
    play("exit 0");
    assert_int_equal(start(), RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(error, "ended before it was ready"));
    play("echo nonsense >&3");
    assert_int_equal(start(), RATS_ERROR_OPERATION_FAILED);
}

static void one_that_does_not_get_ready_is_given_up(void **state)
{
    (void)state;
    play("sleep 1 &");
    assert_int_equal(
        start_with((struct starter_options){.security = -1, .deadline_ms = clock_deadline(20)}),
        RATS_ERROR_TIMEOUT);
    assert_non_null(strstr(error, "did not get ready"));
}

/* Were it waited for, this would not end. */
static void one_that_stays_is_ended_and_leaves_no_child(void **state)
{
    (void)state;
    play("exec sleep 600");
    assert_int_equal(
        start_with((struct starter_options){.security = -1, .deadline_ms = clock_deadline(20)}),
        RATS_ERROR_TIMEOUT);
    play("echo nonsense >&3; exec sleep 600");
    assert_int_equal(start(), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_program_that_is_not_there_is_named(void **state)
{
    (void)state;
    assert_int_equal(setenv("RATSD", "/nowhere/ratsd", 1), 0);
    assert_int_equal(start(), RATS_ERROR_NO_DAEMON);
    assert_non_null(strstr(error, "RATSD"));
    play("exit 0");
    assert_int_equal(setenv("RATSD", program, 1), 0);
    assert_int_equal(chmod(program, 0600), 0);
    assert_int_equal(start(), RATS_ERROR_NO_DAEMON);
}

static void a_name_without_a_slash_is_looked_for_in_path(void **state)
{
    (void)state;
    char path[256];
    const char *before = getenv("PATH");
    char *kept = strdup(before == NULL ? "" : before);
    snprintf(path, sizeof path, "relative:%s:/bin:/usr/bin", directory);
    play("echo ready x >&3");
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(setenv("RATSD", "ratsd", 1), 0);
    assert_int_equal(start(), RATS_SUCCESS);
    assert_int_equal(setenv("PATH", kept, 1), 0);
    free(kept);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_private_instance_is_told_everything_it_is_to_be),
        CASE(a_default_instance_is_as_configured_and_has_a_log_file),
        CASE(a_key_comes_through_a_descriptor_and_nothing_else),
        CASE(it_gets_no_descriptor_of_ours),
        CASE(what_a_service_manager_told_us_is_not_passed_on),
        CASE(the_log_of_a_private_instance_is_ours_to_read),
        CASE(the_daemons_own_sentence_is_passed_on),
        CASE(one_that_finds_its_place_taken_is_busy),
        CASE(a_program_that_ends_without_a_word_is_no_ratsd),
        CASE(one_that_does_not_get_ready_is_given_up),
        CASE(one_that_stays_is_ended_and_leaves_no_child),
        CASE(a_program_that_is_not_there_is_named),
        CASE(a_name_without_a_slash_is_looked_for_in_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
