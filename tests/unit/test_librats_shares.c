/* Share roots of librats, with the test as the daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files_fixture.h"

static void be_sharing(bool hear)
{
    assert_int_equal(mkdir(scratch_path("shared"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("shared/docs"), 0755), 0);
    scratch_write("shared/docs/file", "shared");
    scratch_write("secret", "secret");
    assert_int_equal(symlink("../secret", scratch_path("shared/out")), 0);
    be_started(hear);
    struct fake_task *task = fake_run(share, keep("shared"));
    if (!hear) {
        expect_plain("transfer.watch", "{\"kinds\":[\"file\",\"directory\"]}");
    }
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(share(keep("shared/.")), RATS_SUCCESS); /* is shared already */
}

static void a_shared_file_is_served(void **state)
{
    (void)state;
    be_sharing(true);
    requested("file", "docs/file");
    struct fake_frame frame =
        expect_call("transfer.accept", "{\"name\":\"file\",\"transfer\":\"" ID "\"}", "{}");
    assert_int_equal(frame.fd_count, 1);
    expect_content(frame.fds[0], "shared");
    fake_frame_free(&frame);
    expect_progress("direction", "0");
    expect_seen(0, ""); /* the callback was not asked */
}

static void a_shared_directory_is_served_with_its_list(void **state)
{
    (void)state;
    be_sharing(false);
    requested("directory", ".");
    struct fake_frame frame =
        expect_call("transfer.accept", "{\"name\":\"shared\",\"transfer\":\"" ID "\"}", "{}");
    static const uint8_t list[] = "\6\0\0\0\0\0\0\0\11\0docs/file";
    assert_int_equal(frame.body_size, sizeof list - 1);
    assert_memory_equal(frame.bytes + frame.head_size, list, sizeof list - 1);
    fake_frame_free(&frame);
    open_files(0, "[{\"path\":\"docs/file\",\"size_bytes\":6}]");
    frame = expect_call("transfer.provide", "{\"first\":0,\"transfer\":\"" ID "\"}", "{}");
    expect_content(frame.fds[0], "shared");
    fake_frame_free(&frame);
}

static void what_is_not_shared_is_asked_about(void **state)
{
    (void)state;
    be_sharing(true);
    requested("file", "out");
    expect_seen(1, "file from bob 'out' ''\n");
    struct fake_task *task = fake_run(accept_file, keep("secret"));
    struct fake_frame frame = expect_call("transfer.accept", ID_JSON, "{}");
    expect_content(frame.fds[0], "secret"); /* the program's own choice */
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static void without_a_callback_the_rest_is_refused(void **state)
{
    (void)state;
    static const char *const hostile[] = {"out",  "../secret", "docs/../../secret", "/etc/passwd",
                                          "docs", "none",      "docs//file"};
    be_sharing(false);
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        char fields[512];
        (void)snprintf(fields, sizeof fields,
                       "{\"transfer\":\"%032zu\",\"peer\":\"" FAKE_BOB
                       "\",\"kind\":\"file\",\"path\":\"%s\",\"depth\":\"tree\"}",
                       i, hostile[i]);
        fake_event(&daemon_side, "transfer.requested", fields);
        json_t *params = NULL;
        const uint64_t id = fake_expect_call(&daemon_side, "transfer.reject", &params);
        assert_string_equal(json_string_value(json_object_get(params, "reason")), "not shared");
        json_decref(params);
        fake_reply(&daemon_side, id, "{}");
    }
    offered("file", false);
    expect_plain("transfer.reject",
                 "{\"reason\":\"nobody takes files here\",\"transfer\":\"" ID "\"}");
}

static void sharing_ends(void **state)
{
    (void)state;
    be_sharing(false);
    assert_int_equal(rats_add_share_root(client, scratch_path("none")), RATS_ERROR_NOT_FOUND);
    assert_int_equal(rats_add_share_root(client, scratch_path("secret")),
                     RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_add_share_root(client, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_remove_share_root(client, scratch_path("shared/docs")),
                     RATS_ERROR_NOT_FOUND);
    assert_int_equal(rename(scratch_path("shared"), scratch_path("moved")), 0);
    struct fake_task *task = fake_run(share_no_more, keep("shared")); /* as it was given */
    expect_plain("transfer.watch", "{\"kinds\":[]}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static void a_daemon_that_takes_no_files_undoes_the_sharing(void **state)
{
    (void)state;
    be_started(false);
    struct fake_task *task = fake_run(share, keep("."));
    uint64_t id = fake_expect_call(&daemon_side, "transfer.watch", NULL);
    fake_fail(&daemon_side, id, "not_supported", -9, "no files here");
    assert_int_equal(fake_join(task), RATS_ERROR_NOT_SUPPORTED);
    assert_int_equal(share_no_more(keep(".")), RATS_ERROR_NOT_FOUND);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_shared_file_is_served),
        CASE(a_shared_directory_is_served_with_its_list),
        CASE(what_is_not_shared_is_asked_about),
        CASE(without_a_callback_the_rest_is_refused),
        CASE(sharing_ends),
        CASE(a_daemon_that_takes_no_files_undoes_the_sharing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
