/* File transfers of librats, with the test as the daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files_fixture.h"

static void be_sending_a_file(void)
{
    static struct arguments arguments;
    scratch_write("file", "content");
    be_started(false);
    arguments = (struct arguments){.path = keep("file")};
    struct fake_task *task = run_begun(send_file, &arguments);
    struct fake_frame frame =
        expect_call("transfer.send",
                    "{\"kind\":\"file\",\"name\":\"file\",\"peer\":\"" FAKE_BOB "\"}", ID_JSON);
    assert_int_equal(frame.fd_count, 1);
    expect_content(frame.fds[0], "content");
    assert_int_equal(write(frame.fds[0], "x", 1), -1); /* for reading only */
    fake_frame_free(&frame);
    expect_begun(task, &arguments);
}

static void a_file_is_offered_with_its_descriptor(void **state)
{
    (void)state;
    be_sending_a_file();
    expect_seen(1, "0 STARTING\n");
    expect_progress("total_bytes", "7");
    expect_progress("direction", "0");
    changed("file", "sending", "starting", 0, 0); /* nothing new */
    changed("file", "sending", "running", 4, 0);
    changed("file", "sending", "running", 4, 0);
    changed("file", "sending", "paused", 4, 0);
    changed("file", "sending", "resuming", 4, 0);
    changed("file", "sending", "running", 4, 0);
    changed("file", "sending", "completed", 8, 3);
    changed("file", "sending", "failed", 8, 3); /* too late */
    settle();
    expect_seen(5, "50 IN_PROGRESS\n50 PAUSED\n50 RESUMING\n50 IN_PROGRESS\n100 COMPLETED\n");
    expect_progress("status", "4");
    expect_progress("completion_percentage", "100.0");
    assert_int_equal(rats_pause_file_transfer(client, "ffffffffffffffffffffffffffffffff"),
                     RATS_ERROR_OPERATION_FAILED);
}

static void what_cannot_be_sent_asks_nobody(void **state)
{
    (void)state;
    be_started(false);
    scratch_write("file", "1");
    assert_null(rats_send_file(client, FAKE_EVE, scratch_path("file"), NULL));
    assert_int_equal(rats_last_error(client), RATS_ERROR_PEER_NOT_FOUND);
    assert_null(rats_send_file(client, "eve", scratch_path("file"), NULL));
    assert_int_equal(rats_last_error(client), RATS_ERROR_PEER_NOT_FOUND);
    assert_null(rats_send_file(client, FAKE_BOB, scratch_path("none"), NULL));
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_FOUND);
    assert_null(rats_send_file(client, FAKE_BOB, scratch_path("."), NULL));
    assert_int_equal(rats_last_error(client), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_send_file(client, FAKE_BOB, scratch_path("file"), ""));
    assert_int_equal(rats_last_error(client), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_send_file(client, FAKE_BOB, scratch_path("file"), "\xff"));
    assert_int_equal(rats_last_error(client), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_send_directory(client, FAKE_BOB, scratch_path("file"), NULL, 1));
    assert_int_equal(rats_last_error(client), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_send_file(client, NULL, scratch_path("file"), NULL));
    assert_null(rats_send_file(client, FAKE_BOB, NULL, NULL));
    assert_null(rats_request_file(client, FAKE_BOB, "", scratch_path("x")));
    assert_null(rats_request_file(client, FAKE_BOB, "x", scratch_path(".")));
    assert_null(rats_request_file(client, FAKE_BOB, "x", NULL));
    assert_int_equal(rats_accept_file_transfer(client, ID, "x"), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_accept_file_transfer(client, NULL, "x"), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_accept_file_transfer(client, ID, NULL), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_get_file_transfer_progress_json(client, ID));
    assert_true(fake_is_silent(&daemon_side, 50));
}

static void an_unknown_id_comes_before_not_started(void **state)
{
    (void)state;
    attach("");
    assert_null(rats_send_file(client, FAKE_BOB, "/dev/null", NULL));
    assert_int_equal(rats_last_error(client), RATS_ERROR_NOT_RUNNING);
    assert_int_equal(rats_accept_file_transfer(client, ID, "x"), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_accept_directory_transfer(client, ID, "x"), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_reject_file_transfer(client, ID, NULL), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_reject_directory_transfer(client, ID, "x"), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_cancel_file_transfer(client, ID), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_pause_file_transfer(client, ID), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(rats_resume_file_transfer(client, "x"), RATS_ERROR_OPERATION_FAILED);
}

static void a_refused_offer_closes_what_was_opened(void **state)
{
    (void)state;
    scratch_write("file", "content");
    be_started(false);
    const int lowest = dup(0);
    (void)close(lowest);
    struct arguments arguments = {.path = keep("file"), .name = "n"};
    struct fake_task *task = run_begun(send_file, &arguments);
    struct fake_frame frame = fake_expect_frame(&daemon_side, "transfer.send");
    fake_fail(&daemon_side, frame.id, "limit", -13, "too many transfers");
    fake_frame_free(&frame);
    (void)fake_join(task);
    assert_null(arguments.id);
    assert_int_equal(arguments.error, RATS_ERROR_BUSY);
    char *list = rats_get_file_transfers_json(client);
    assert_string_equal(list, "[]");
    rats_string_free(list);
    const int after = dup(0);
    (void)close(after);
    assert_int_equal(after, lowest);
}

static void be_sending_a_directory(void)
{
    static struct arguments arguments;
    assert_int_equal(mkdir(scratch_path("dir"), 0755), 0);
    assert_int_equal(mkdir(scratch_path("dir/sub"), 0755), 0);
    scratch_write("dir/a", "A");
    scratch_write("dir/b", "BB");
    scratch_write("dir/sub/c", "CCC");
    be_started(false);
    arguments = (struct arguments){.path = keep("dir"), .name = "album"};
    struct fake_task *task = run_begun(send_directory, &arguments);
    struct fake_frame frame = expect_call(
        "transfer.send", "{\"kind\":\"directory\",\"name\":\"album\",\"peer\":\"" FAKE_BOB "\"}",
        ID_JSON);
    static const uint8_t list[] = "\1\0\0\0\0\0\0\0\1\0a"
                                  "\2\0\0\0\0\0\0\0\1\0b"
                                  "\3\0\0\0\0\0\0\0\5\0sub/c";
    assert_int_equal(frame.body_size, sizeof list - 1);
    assert_memory_equal(frame.bytes + frame.head_size, list, sizeof list - 1);
    fake_frame_free(&frame);
    expect_begun(task, &arguments);
    expect_seen(1, "0 STARTING\n");
}

static void files_of_a_directory_are_provided_when_they_are_wanted(void **state)
{
    (void)state;
    be_sending_a_directory();
    open_files(0, "[{\"path\":\"a\",\"size_bytes\":1},{\"path\":\"b\",\"size_bytes\":2}]");
    struct fake_frame frame =
        expect_call("transfer.provide", "{\"first\":0,\"transfer\":\"" ID "\"}", "{}");
    assert_int_equal(frame.fd_count, 2);
    expect_content(frame.fds[0], "A");
    expect_content(frame.fds[1], "BB");
    fake_frame_free(&frame);
    changed("directory", "sending", "running", 1, 1);
    /* The link to the peer was lost, and what was provided is wanted again. */
    open_files(1, "[{\"path\":\"b\",\"size_bytes\":2},{\"path\":\"sub/c\",\"size_bytes\":3}]");
    frame = expect_call("transfer.provide", "{\"first\":1,\"transfer\":\"" ID "\"}", "{}");
    assert_int_equal(frame.fd_count, 2);
    expect_content(frame.fds[1], "CCC");
    fake_frame_free(&frame);
    changed("directory", "sending", "completed", 8, 3);
    expect_seen(5, "1/3 a\n12 IN_PROGRESS\n2/3 b\n3/3 sub/c\n100 COMPLETED\n");
}

static void a_file_that_cannot_be_opened_any_more_ends_the_transfer(void **state)
{
    (void)state;
    be_sending_a_directory();
    assert_int_equal(unlink(scratch_path("dir/b")), 0);
    open_files(0, "[{\"path\":\"a\",\"size_bytes\":1},{\"path\":\"b\",\"size_bytes\":2}]");
    struct fake_frame frame =
        expect_call("transfer.provide", "{\"first\":0,\"transfer\":\"" ID "\"}", "{}");
    assert_int_equal(frame.fd_count, 1);
    fake_frame_free(&frame);
    expect_failure("'b': No such file");
    open_files(2, "[{\"path\":\"../file\",\"size_bytes\":1}]");
    expect_failure("'../file'");
}

static void an_offer_is_taken_and_put_in_place(void **state)
{
    (void)state;
    be_started(true);
    offered("file", false);
    expect_seen(1, "file from bob '' 'their name'\n");
    expect_progress("status", "0");
    struct fake_task *task = fake_run(accept_file, keep("in/got"));
    struct fake_frame frame = expect_call("transfer.accept", ID_JSON, "{}");
    assert_int_equal(frame.fd_count, 1);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(accept_file(keep("in/again")), RATS_ERROR_OPERATION_FAILED);
    changed("file", "receiving", "running", 0, 0);
    assert_int_equal(write(frame.fds[0], "received", 8), 8);
    assert_string_equal(scratch_read("in/got"), "(none)");
    verified(0, 1);
    expect_plain("transfer.placed", "{\"count\":1,\"transfer\":\"" ID "\"}");
    assert_string_equal(scratch_read("in/got"), "received");
    changed("file", "receiving", "completed", 8, 1);
    expect_seen(2, "0 IN_PROGRESS\n100 COMPLETED\n");
    fake_frame_free(&frame);
    assert_int_equal(scratch_count("in"), 1);
}

static void an_accept_that_the_daemon_refuses_may_be_tried_again(void **state)
{
    (void)state;
    be_started(true);
    offered("file", false);
    expect_seen(1, "file from bob '' 'their name'\n");
    assert_int_equal(rats_accept_directory_transfer(client, ID, scratch_path("in")),
                     RATS_ERROR_OPERATION_FAILED); /* it is a file */
    assert_int_equal(accept_file(keep(".")), RATS_ERROR_OPERATION_FAILED);
    struct fake_task *task = fake_run(accept_file, keep("in/got"));
    struct fake_frame frame = fake_expect_frame(&daemon_side, "transfer.accept");
    fake_fail(&daemon_side, frame.id, "not_found", -14, "another session has it");
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_ERROR_OPERATION_FAILED);
    assert_int_equal(scratch_count("in"), 0);
    task = fake_run(accept_file, keep("in/got"));
    frame = expect_call("transfer.accept", ID_JSON, "{}");
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

/* Into "in". */
static void take_their_directory(void)
{
    be_started(true);
    offered("directory", false);
    expect_seen(1, "directory from bob '' 'their name'\n");
    struct fake_task *task = fake_run(accept_directory, keep("in"));
    struct fake_frame frame = expect_call("transfer.accept", ID_JSON, "{}");
    struct stat info;
    assert_int_equal(frame.body_size, 0);
    assert_int_equal(frame.fd_count, 1); /* of where it goes, for its disk to be looked at */
    assert_int_equal(fstat(frame.fds[0], &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static void a_directory_is_received_file_by_file(void **state)
{
    (void)state;
    take_their_directory();
    open_files(0, "[{\"path\":\"a\",\"size_bytes\":1},{\"path\":\"s/b\",\"size_bytes\":1},"
                  "{\"path\":\"s/c\",\"size_bytes\":0}]");
    struct fake_frame frame =
        expect_call("transfer.provide", "{\"first\":0,\"transfer\":\"" ID "\"}", "{}");
    assert_int_equal(frame.fd_count, 3);
    assert_int_equal(write(frame.fds[0], "A", 1), 1);
    assert_int_equal(write(frame.fds[1], "B", 1), 1);
    verified(0, 2);
    expect_plain("transfer.placed", "{\"count\":2,\"transfer\":\"" ID "\"}");
    assert_string_equal(scratch_read("in/a"), "A");
    assert_string_equal(scratch_read("in/s/b"), "B");
    assert_string_equal(scratch_read("in/s/c"), "(none)");
    changed("directory", "receiving", "failed", 2, 2);
    expect_seen(3, "1/3 a\n2/3 s/b\n25 FAILED\n");
    settle();
    assert_int_equal(scratch_count("in/s"), 1); /* what arrived stays, what did not is gone */
    fake_frame_free(&frame);
}

static void with_few_descriptors_files_are_provided_in_parts(void **state)
{
    (void)state;
    take_their_directory();
    atomic_store(&unnamed_left, 1);
    open_files(0, "[{\"path\":\"a\",\"size_bytes\":0},{\"path\":\"b\",\"size_bytes\":0},"
                  "{\"path\":\"c\",\"size_bytes\":0}]");
    size_t provided = 0;
    size_t placed = 0;
    while (placed < 3) {
        struct fake_frame frame = fake_receive(&daemon_side);
        const json_t *params = json_object_get(frame.head, "p");
        if (json_object_get(params, "first") != NULL) {
            assert_int_equal(json_integer_value(json_object_get(params, "first")), provided);
            assert_int_equal(frame.fd_count, 1);
            atomic_store(&unnamed_left, 1);
            verified((int)provided, (int)frame.fd_count);
            provided += frame.fd_count;
        } else {
            placed += (size_t)json_integer_value(json_object_get(params, "count"));
        }
        fake_reply(&daemon_side, frame.id, "{}");
        fake_frame_free(&frame);
    }
    atomic_store(&unnamed_left, -1);
    assert_int_equal(scratch_count("in"), 3);
    expect_seen(3, "1/3 a\n2/3 b\n3/3 c\n");
}

static void a_hostile_path_ends_the_transfer(void **state)
{
    (void)state;
    take_their_directory();
    open_files(0, "[{\"path\":\"../evil\",\"size_bytes\":1}]");
    expect_failure("'../evil'");
    open_files(0, "[{\"path\":\"/evil\",\"size_bytes\":1}]");
    expect_failure("'/evil'");
    verified(0, 1);
    expect_failure("Invalid argument");
    assert_int_equal(scratch_count("."), 1);
}

static void rejecting_tells_the_daemon_once(void **state)
{
    (void)state;
    static char reason[] = "no room";
    be_started(true);
    offered("file", false);
    expect_seen(1, "file from bob '' 'their name'\n");
    struct fake_task *task = fake_run(reject_file, reason);
    expect_plain("transfer.reject", "{\"reason\":\"no room\",\"transfer\":\"" ID "\"}");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    assert_int_equal(reject_file(reason), RATS_ERROR_OPERATION_FAILED);
    changed("file", "receiving", "cancelled", 0, 0);
    expect_seen(1, "0 CANCELLED\n");
    char long_reason[600];
    memset(long_reason, 'x', sizeof long_reason - 1);
    long_reason[sizeof long_reason - 1] = '\0';
    assert_int_equal(reject_file(long_reason), RATS_ERROR_INVALID_PARAMETER);
}

static void what_was_asked_for_is_taken_without_asking(void **state)
{
    (void)state;
    be_started(false);
    struct arguments arguments = {.path = keep("in/got"), .name = "docs/file"};
    struct fake_task *task = run_begun(request_file, &arguments);
    struct fake_frame frame = expect_call(
        "transfer.request",
        "{\"depth\":\"tree\",\"kind\":\"file\",\"path\":\"docs/file\",\"peer\":\"" FAKE_BOB "\"}",
        ID_JSON);
    fake_frame_free(&frame);
    expect_begun(task, &arguments);
    expect_progress("request", "true");
    expect_progress("filename", "\"file\"");
    offered("file", true);
    frame = expect_call("transfer.accept", ID_JSON, "{}");
    assert_int_equal(frame.fd_count, 1);
    assert_int_equal(write(frame.fds[0], "pulled", 6), 6);
    verified(0, 1);
    expect_plain("transfer.placed", "{\"count\":1,\"transfer\":\"" ID "\"}");
    assert_string_equal(scratch_read("in/got"), "pulled");
    fake_frame_free(&frame);
    expect_seen(1, "0 STARTING\n");
}

static void a_directory_is_asked_for_flat(void **state)
{
    (void)state;
    be_started(false);
    struct arguments arguments = {.path = keep("in"), .name = "docs"};
    struct fake_task *task = run_begun(request_directory, &arguments);
    struct fake_frame frame = fake_expect_frame(&daemon_side, "transfer.request");
    const json_t *params = json_object_get(frame.head, "p");
    assert_string_equal(json_string_value(json_object_get(params, "depth")), "flat");
    assert_string_equal(json_string_value(json_object_get(params, "kind")), "directory");
    fake_fail(&daemon_side, frame.id, "not_supported", -9, "the peer is no ratsd");
    fake_frame_free(&frame);
    (void)fake_join(task);
    assert_null(arguments.id);
    assert_int_equal(arguments.error, RATS_ERROR_NOT_SUPPORTED);
}

static void a_daemon_that_is_gone_fails_each_transfer_once(void **state)
{
    (void)state;
    be_started(true);
    offered("file", false);
    expect_seen(1, "file from bob '' 'their name'\n");
    struct fake_task *task = fake_run(accept_file, keep("in/got"));
    struct fake_frame frame = expect_call("transfer.accept", ID_JSON, "{}");
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    fake_hang_up(&daemon_side);
    expect_seen(1, "0 FAILED\n");
    expect_progress("error", "\"the daemon is gone\"");
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    expect_plain("transfer.watch", "{\"kinds\":[\"file\",\"directory\"]}");
    fake_grant(&daemon_side, "session.start");
    verified(0, 1); /* of a daemon that confuses its sessions */
    expect_failure("given this transfer up");
    assert_int_equal(scratch_count("in"), 0);
    expect_seen(0, "");
}

static void events_of_unknown_transfers_are_refused_or_ignored(void **state)
{
    (void)state;
    be_started(true);
    changed("file", "receiving", "completed", 8, 1);
    open_files(0, "[{\"path\":\"a\",\"size_bytes\":1}]");
    expect_failure("given this transfer up");
    verified(0, 1);
    expect_failure("given this transfer up");
    offered("file", true); /* nobody asked for it */
    expect_failure("given this transfer up");
    fake_event(&daemon_side, "transfer.offered", "{}");
    fake_event(&daemon_side, "transfer.requested", "{\"transfer\":\"" ID "\"}");
    fake_event(&daemon_side, "transfer.changed", "{}");
    settle();
    char *list = rats_get_file_transfers_json(client);
    assert_string_equal(list, "[]");
    rats_string_free(list);
}

static void cancelling_is_told_by_the_daemon(void **state)
{
    (void)state;
    static char id[] = ID;
    be_sending_a_file();
    struct fake_task *task = fake_run(cancel, id);
    expect_plain("transfer.cancel", ID_JSON);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    changed("file", "sending", "cancelled", 0, 0);
    expect_seen(2, "0 STARTING\n0 CANCELLED\n");
}

static void a_handle_may_end_in_the_middle(void **state)
{
    (void)state;
    be_sending_a_directory();
    open_files(0, "[{\"path\":\"a\",\"size_bytes\":1},{\"path\":\"b\",\"size_bytes\":2}]");
    offered("file", false);
    fake_destroy(&daemon_side, client);
    client = NULL;
}

static void batches_carry_the_librarys_own_events(void **state)
{
    (void)state;
    client = fake_attach(&daemon_side, "", RATS_DISPATCH_BATCHES);
    struct fake_task *task = fake_run(hear_files, NULL);
    fake_grant(&daemon_side, "transfer.watch");
    fake_grant(&daemon_side, "transfer.watch");
    (void)fake_join(task);
    fake_start(&daemon_side, client);
    offered("file", false);
    static const char shown[] = "\"v\":\"transfer.shown\"";
    bool found = false;
    while (!found) {
        size_t size = 0;
        const void *batch = rats_take_batch(client, 20000, &size);
        assert_non_null(batch);
        found = memmem(batch, size, shown, sizeof shown - 1) != NULL;
        rats_release_batch(client, batch);
    }
}

static intptr_t statistics(void *arg)
{
    char **text = arg;
    *text = rats_get_file_transfer_statistics_json(client);
    return 0;
}

static void statistics_are_those_of_version_1(void **state)
{
    (void)state;
    char *text = NULL;
    be_started(false);
    struct fake_task *task = fake_run(statistics, &text);
    fake_reply(&daemon_side, fake_expect_call(&daemon_side, "transfer.statistics", NULL),
               "{\"uptime_seconds\":9,\"sent_bytes\":4000,\"received_bytes\":0,\"sent_files\":2,"
               "\"received_files\":0,\"active\":1,\"completed\":3,\"failed\":1,\"sending_ms\":2000,"
               "\"receiving_ms\":0}");
    (void)fake_join(task);
    assert_string_equal(
        text, "{\"active_transfers\":1,\"average_receive_rate_bps\":0.0,"
              "\"average_send_rate_bps\":2000.0,\"completed_transfers\":4,"
              "\"success_rate\":0.75,\"total_bytes_received\":0,\"total_bytes_sent\":4000,"
              "\"total_files_received\":0,\"total_files_sent\":2,\"uptime_seconds\":9}");
    rats_string_free(text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_is_offered_with_its_descriptor),
        CASE(what_cannot_be_sent_asks_nobody),
        CASE(an_unknown_id_comes_before_not_started),
        CASE(a_refused_offer_closes_what_was_opened),
        CASE(files_of_a_directory_are_provided_when_they_are_wanted),
        CASE(a_file_that_cannot_be_opened_any_more_ends_the_transfer),
        CASE(an_offer_is_taken_and_put_in_place),
        CASE(an_accept_that_the_daemon_refuses_may_be_tried_again),
        CASE(a_directory_is_received_file_by_file),
        CASE(with_few_descriptors_files_are_provided_in_parts),
        CASE(a_hostile_path_ends_the_transfer),
        CASE(rejecting_tells_the_daemon_once),
        CASE(what_was_asked_for_is_taken_without_asking),
        CASE(a_directory_is_asked_for_flat),
        CASE(a_daemon_that_is_gone_fails_each_transfer_once),
        CASE(events_of_unknown_transfers_are_refused_or_ignored),
        CASE(cancelling_is_told_by_the_daemon),
        CASE(a_handle_may_end_in_the_middle),
        CASE(batches_carry_the_librarys_own_events),
        CASE(statistics_are_those_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
