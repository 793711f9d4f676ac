/* libratsclient/move: settings that lead a handle to another instance, and those that do not. The
 * test plays every daemon; a shell script stands for the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_daemon.h"

#define KEY  "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
#define GAME "{\"shared\":true,\"protocol\":\"game/1.0\"}"

static char directory[64];
static struct fake_daemon home;  /* the user's default instance */
static struct fake_daemon guest; /* the same for a second connection */
static struct fake_daemon other; /* found through by-port/ only */
static rats_client_t client;

static void write_program(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/program", directory);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, "#!/bin/sh\necho 'failed 1 no room on the disk' >&3\n") > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(setenv("RATSD", path, 1), 0);
}

static int set_up(void **state)
{
    (void)state;
    char path[128];
    char link[128];
    strcpy(directory, "/tmp/librats-move-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/ratsd", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/ratsd/by-port", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/ratsd/default.sock", directory);
    fake_open_at(&home, path);
    guest = (struct fake_daemon){.listen_fd = home.listen_fd, .fd = -1};
    snprintf(path, sizeof path, "%s/other.sock", directory);
    fake_open_at(&other, path);
    snprintf(link, sizeof link, "%s/ratsd/by-port/5", directory);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", directory, 1), 0);
    (void)unsetenv("RATS_SOCKET");
    write_program();
    client = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    guest.listen_fd = -1;
    fake_hang_up(&guest);
    fake_close(&home);
    fake_close(&other);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command) == 0 ? 0 : -1;
}

static intptr_t create(void *arg)
{
    (void)arg;
    client = rats_create(0);
    return client != NULL;
}

static void attach(const char *policy, const char *hello)
{
    assert_int_equal(setenv("RATS_CREATE", policy, 1), 0);
    struct fake_task *task = fake_run(create, NULL);
    fake_accept(&home);
    fake_answer_hello_as(&home, hello);
    assert_true(fake_join(task));
}

/* One setter on a thread of its own. The last error is that thread's. */
struct setting {
    rats_error_t (*set)(struct setting *setting);
    const char *text;
    int number;
    rats_error_t code;
    int fine;
    char error[1024];
};

static intptr_t do_set(void *arg)
{
    struct setting *setting = arg;
    setting->code = setting->set(setting);
    setting->fine = rats_last_error(client);
    snprintf(setting->error, sizeof setting->error, "%s", rats_last_error_message(client));
    return 0;
}

static rats_error_t set_name(struct setting *setting)
{
    return rats_set_protocol_name(client, setting->text);
}

static rats_error_t set_key(struct setting *setting)
{
    return rats_set_encryption_key(client, setting->text);
}

static rats_error_t set_encryption(struct setting *setting)
{
    return rats_set_encryption_enabled(client, setting->number);
}

static void expect_name(const char *expected)
{
    char *name = rats_get_protocol_name(client);
    assert_non_null(name);
    assert_string_equal(name, expected);
    rats_string_free(name);
}

/* The look at the default instance that comes before any other. */
static void answer_look(void)
{
    fake_accept(&guest);
    fake_answer_hello_as(&guest, "{\"shared\":true}");
    fake_expect_end(&guest);
}

/* A move to the other one. */
static void join_other(const char *policy)
{
    attach(policy, "{\"shared\":true}");
    struct setting setting = {.set = set_name, .text = "game"};
    struct fake_task *task = fake_run(do_set, &setting);
    answer_look();
    fake_accept(&other);
    fake_answer_hello_as(&other, GAME);
    fake_expect_end(&home);
    fake_hang_up(&home);
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_SUCCESS);
    expect_name("game");
}

static void on_string(void *user_data, const char *peer_id, const char *text)
{
    (void)user_data;
    fail_msg("%s sent '%s'", peer_id, text);
}

static intptr_t set_string_callback(void *arg)
{
    (void)arg;
    rats_set_string_callback(client, on_string, NULL);
    return 0;
}

static void a_handle_joins_the_instance_that_has_its_protocol(void **state)
{
    (void)state;
    join_other("auto");
    char *path = rats_get_socket_path(client);
    assert_string_equal(path, other.path);
    rats_string_free(path);
    fake_start(&other, client);
    fake_destroy(&other, client);
}

static void what_was_registered_goes_along(void **state)
{
    (void)state;
    attach("shared", "{\"shared\":true}");
    struct fake_task *task = fake_run(set_string_callback, NULL);
    fake_reply(&home, fake_expect_call(&home, "channel.on", NULL), "{\"id\":1}");
    (void)fake_join(task);
    struct setting setting = {.set = set_name, .text = "game"};
    task = fake_run(do_set, &setting);
    answer_look();
    fake_accept(&other);
    fake_answer_hello_as(&other, GAME);
    fake_expect_end(&home);
    fake_hang_up(&home);
    json_t *params = NULL;
    fake_reply(&other, fake_expect_call(&other, "channel.on", &params), "{\"id\":1}");
    assert_string_equal(json_string_value(json_object_get(params, "channel")), "rats.string");
    json_decref(params);
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_SUCCESS);
    fake_destroy(&other, client);
}

static void where_nobody_has_it_and_nothing_may_be_started_nothing_changes(void **state)
{
    (void)state;
    attach("shared", "{\"shared\":true}");
    struct setting setting = {.set = set_name, .text = "game"};
    struct fake_task *task = fake_run(do_set, &setting);
    answer_look();
    fake_accept(&other);
    fake_answer_hello_as(&other, "{\"shared\":true,\"protocol\":\"chess/1\"}");
    fake_expect_end(&other);
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(setting.error, "game/1.0"));
    expect_name("rats");
    assert_true(rats_is_attached(client));
    fake_destroy(&home, client);
}

static void the_programs_sentence_is_the_reason(void **state)
{
    (void)state;
    attach("auto", "{\"shared\":true}");
    struct setting setting = {.set = set_key, .text = KEY};
    struct fake_task *task = fake_run(do_set, &setting);
    fake_fail(&home, fake_expect_call(&home, "instance.get_key", NULL), "not_permitted", -8, "no");
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(setting.error, "no room on the disk"));
    assert_true(rats_is_attached(client));
    fake_start(&home, client);
    fake_destroy(&home, client);
}

static void a_key_the_instance_has_is_no_change(void **state)
{
    (void)state;
    attach("auto", "{\"shared\":false}");
    fake_start(&home, client); /* not even while it is started */
    struct setting setting = {.set = set_key, .text = KEY};
    struct fake_task *task = fake_run(do_set, &setting);
    fake_reply(&home, fake_expect_call(&home, "instance.get_key", NULL), "{\"key\":\"" KEY "\"}");
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_SUCCESS);
    assert_int_equal(setting.fine, RATS_SUCCESS);
    fake_destroy(&home, client);
}

static void a_started_handle_stays_where_it_is(void **state)
{
    (void)state;
    attach("auto", "{\"shared\":true}");
    fake_start(&home, client);
    struct setting setting = {.set = set_name, .text = "game"};
    (void)do_set(&setting);
    assert_int_equal(setting.code, RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(setting.error, "started"));
    setting = (struct setting){.set = set_encryption, .number = 0};
    (void)do_set(&setting);
    assert_int_equal(setting.code, RATS_ERROR_OPERATION_FAILED);
    setting = (struct setting){.set = set_key, .text = KEY};
    struct fake_task *task = fake_run(do_set, &setting);
    fake_fail(&home, fake_expect_call(&home, "instance.get_key", NULL), "not_permitted", -8, "no");
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_ERROR_OPERATION_FAILED);
    assert_non_null(strstr(setting.error, "started"));
    fake_destroy(&home, client);
}

static void a_private_instance_is_switched_where_it_is(void **state)
{
    (void)state;
    attach("auto", "{\"shared\":false}");
    fake_start(&home, client);
    struct setting setting = {.set = set_encryption, .number = 0};
    struct fake_task *task = fake_run(do_set, &setting);
    json_t *params = NULL;
    fake_reply(&home, fake_expect_call(&home, "instance.set_security", &params), "{}");
    assert_string_equal(json_string_value(json_object_get(params, "security")), "plaintext");
    json_decref(params);
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_SUCCESS);
    assert_false(rats_is_encryption_enabled(client));
    (void)do_set(&setting); /* it is so already: nobody is asked */
    assert_int_equal(setting.code, RATS_SUCCESS);
    setting.number = 1;
    task = fake_run(do_set, &setting);
    fake_fail(&home, fake_expect_call(&home, "instance.set_security", NULL), "busy", -13, "others");
    (void)fake_join(task);
    assert_int_equal(setting.code, RATS_ERROR_OPERATION_FAILED); /* and it is started */
    assert_false(rats_is_encryption_enabled(client));
    fake_destroy(&home, client);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_handle_joins_the_instance_that_has_its_protocol),
        CASE(what_was_registered_goes_along),
        CASE(where_nobody_has_it_and_nothing_may_be_started_nothing_changes),
        CASE(the_programs_sentence_is_the_reason),
        CASE(a_key_the_instance_has_is_no_change),
        CASE(a_started_handle_stays_where_it_is),
        CASE(a_private_instance_is_switched_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
