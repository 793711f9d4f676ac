#include "files_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int begin(void **state)
{
    (void)scratch_make();
    return set_up(state);
}

int end(void **state)
{
    const int rc = tear_down(state);
    scratch_remove();
    return rc;
}

static void on_file(void *user_data, const char *peer_id, const char *transfer_id,
                    const char *remote_path, const char *filename)
{
    (void)user_data;
    assert_string_equal(transfer_id, ID);
    note("file from %s '%s' '%s'\n", who(peer_id), remote_path, filename);
}

static void on_directory(void *user_data, const char *peer_id, const char *transfer_id,
                         const char *remote_path, const char *name)
{
    (void)user_data;
    assert_string_equal(transfer_id, ID);
    note("directory from %s '%s' '%s'\n", who(peer_id), remote_path, name);
}

static void on_progress(void *user_data, const char *transfer_id, int percent, const char *status)
{
    (void)user_data;
    assert_string_equal(transfer_id, ID);
    note("%d %s\n", percent, status);
}

static void on_each(void *user_data, const char *transfer_id, int done, int total, const char *path)
{
    (void)user_data;
    assert_string_equal(transfer_id, ID);
    note("%d/%d %s\n", done, total, path);
}

intptr_t hear_files(void *arg)
{
    (void)arg;
    rats_set_file_request_callback(client, on_file, NULL);
    rats_set_directory_request_callback(client, on_directory, NULL);
    return rats_last_error(client);
}

void be_started(bool hear)
{
    client =
        fake_attach(&daemon_side, fake_peer(FAKE_BOB, "192.0.2.1", 1), RATS_DISPATCH_CALLBACKS);
    rats_set_file_progress_callback(client, on_progress, NULL);
    rats_set_directory_progress_callback(client, on_each, NULL);
    if (hear) {
        struct fake_task *task = fake_run(hear_files, NULL);
        fake_grant(&daemon_side, "transfer.watch");
        fake_grant(&daemon_side, "transfer.watch");
        assert_int_equal(fake_join(task), RATS_SUCCESS);
    }
    fake_start(&daemon_side, client);
}

void changed(const char *kind, const char *way, const char *state, int bytes, int files)
{
    char fields[1024];
    (void)snprintf(fields, sizeof fields,
                   "{\"transfer\":\"" ID "\",\"peer\":\"" FAKE_BOB "\",\"kind\":\"%s\","
                   "\"direction\":\"%s\",\"request\":false,\"name\":\"n\",\"state\":\"%s\","
                   "\"waiting\":false,\"done_bytes\":%d,\"total_bytes\":8,\"done_files\":%d,"
                   "\"total_files\":3,\"rate\":0,\"age_seconds\":0}",
                   kind, way, state, bytes, files);
    fake_event(&daemon_side, "transfer.changed", fields);
}

void offered(const char *kind, bool request)
{
    char fields[512];
    (void)snprintf(fields, sizeof fields,
                   "{\"transfer\":\"" ID "\",\"peer\":\"" FAKE_BOB "\",\"kind\":\"%s\","
                   "\"name\":\"their name\",\"total_bytes\":8,\"total_files\":3,\"request\":%s}",
                   kind, request ? "true" : "false");
    fake_event(&daemon_side, "transfer.offered", fields);
}

void requested(const char *kind, const char *path)
{
    char fields[1024];
    (void)snprintf(fields, sizeof fields,
                   "{\"transfer\":\"" ID "\",\"peer\":\"" FAKE_BOB "\",\"kind\":\"%s\","
                   "\"path\":\"%s\",\"depth\":\"tree\"}",
                   kind, path);
    fake_event(&daemon_side, "transfer.requested", fields);
}

void open_files(int first, const char *paths_json)
{
    char fields[1024];
    (void)snprintf(fields, sizeof fields, "{\"transfer\":\"" ID "\",\"first\":%d,\"files\":%s}",
                   first, paths_json);
    fake_event(&daemon_side, "transfer.open", fields);
}

void verified(int first, int count)
{
    char fields[128];
    (void)snprintf(fields, sizeof fields, "{\"transfer\":\"" ID "\",\"first\":%d,\"count\":%d}",
                   first, count);
    fake_event(&daemon_side, "transfer.verified", fields);
}

struct fake_frame expect_call(const char *method, const char *params, const char *reply)
{
    struct fake_frame frame = fake_expect_frame(&daemon_side, method);
    char *text = json_dumps(json_object_get(frame.head, "p"), JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, params);
    free(text);
    if (reply != NULL) {
        fake_reply(&daemon_side, frame.id, reply);
    }
    return frame;
}

void expect_plain(const char *method, const char *params)
{
    struct fake_frame frame = expect_call(method, params, "{}");
    assert_int_equal(frame.fd_count, 0);
    fake_frame_free(&frame);
}

void expect_failure(const char *part)
{
    struct fake_frame frame = fake_expect_frame(&daemon_side, "transfer.fail");
    const json_t *params = json_object_get(frame.head, "p");
    assert_string_equal(json_string_value(json_object_get(params, "transfer")), ID);
    assert_non_null(strstr(json_string_value(json_object_get(params, "error")), part));
    fake_reply(&daemon_side, frame.id, "{}");
    fake_frame_free(&frame);
}

void settle(void)
{
    fake_event(&daemon_side, "transfer.open",
               "{\"transfer\":\"ffffffffffffffffffffffffffffffff\",\"first\":0,\"files\":[]}");
    const uint64_t id = fake_expect_call(&daemon_side, "transfer.fail", NULL);
    fake_reply(&daemon_side, id, "{}");
}

void expect_content(int fd, const char *text)
{
    char got[64] = "";
    assert_true(pread(fd, got, sizeof got - 1, 0) >= 0);
    assert_string_equal(got, text);
}

void expect_progress(const char *member, const char *value)
{
    char *text = rats_get_file_transfer_progress_json(client, ID);
    assert_non_null(text);
    json_t *document = json_loads(text, JSON_DECODE_ANY, NULL);
    char *found = json_dumps(json_object_get(document, member), JSON_ENCODE_ANY | JSON_COMPACT);
    assert_string_equal(found, value);
    free(found);
    json_decref(document);
    rats_string_free(text);
}

intptr_t send_file(void *arg)
{
    struct arguments *arguments = arg;
    arguments->id = rats_send_file(client, FAKE_BOB, arguments->path, arguments->name);
    arguments->error = rats_last_error(client);
    return 0;
}

intptr_t send_directory(void *arg)
{
    struct arguments *arguments = arg;
    arguments->id = rats_send_directory(client, FAKE_BOB, arguments->path, arguments->name, 1);
    arguments->error = rats_last_error(client);
    return 0;
}

intptr_t request_file(void *arg)
{
    struct arguments *arguments = arg;
    arguments->id = rats_request_file(client, FAKE_BOB, arguments->name, arguments->path);
    arguments->error = rats_last_error(client);
    return 0;
}

intptr_t request_directory(void *arg)
{
    struct arguments *arguments = arg;
    arguments->id = rats_request_directory(client, FAKE_BOB, arguments->name, arguments->path, 0);
    arguments->error = rats_last_error(client);
    return 0;
}

intptr_t accept_file(void *path)
{
    return rats_accept_file_transfer(client, ID, path);
}

intptr_t accept_directory(void *path)
{
    return rats_accept_directory_transfer(client, ID, path);
}

intptr_t reject_file(void *reason)
{
    return rats_reject_file_transfer(client, ID, reason);
}

intptr_t cancel(void *id)
{
    return rats_cancel_file_transfer(client, id);
}

intptr_t share(void *directory)
{
    return rats_add_share_root(client, directory);
}

intptr_t share_no_more(void *directory)
{
    return rats_remove_share_root(client, directory);
}

char *keep(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s", scratch_path(name));
    return path;
}

struct fake_task *run_begun(intptr_t (*function)(void *arg), struct arguments *arguments)
{
    arguments->id = NULL;
    return fake_run(function, arguments);
}

void expect_begun(struct fake_task *task, struct arguments *arguments)
{
    (void)fake_join(task);
    assert_non_null(arguments->id);
    assert_string_equal(arguments->id, ID);
    rats_string_free(arguments->id);
}
