/* The store's functions of librats, with the test as the daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "librats_fixture.h"

/* What may block: in a thread of its own while the test answers. */
struct put_arguments {
    const char *key;
    int type;
    const void *data;
    size_t size;
};

static intptr_t put(void *arguments)
{
    const struct put_arguments *put = arguments;
    return rats_storage_put(client, put->key, put->type, put->data, put->size);
}

struct got {
    const char *key;
    void *data;
    int type;
    size_t size;
    int error;
};

static intptr_t get(void *arguments)
{
    struct got *got = arguments;
    got->data = rats_storage_get(client, got->key, &got->type, &got->size);
    got->error = rats_last_error(client);
    return 0;
}

static intptr_t list(void *arguments)
{
    int count = 0;
    char **keys = rats_storage_keys(client, arguments, &count);
    for (int i = 0; i < count; i++) {
        note("%s\n", keys[i]);
    }
    rats_free_array(keys, count);
    return count;
}

static void on_change(void *user_data, const char *key, int type, const void *data, size_t size,
                      int deleted, const char *origin, int is_remote)
{
    if (type == RATS_STORAGE_INT64 && size == sizeof(int64_t)) {
        int64_t number;
        memcpy(&number, data, sizeof number);
        note("%s %s=%lld\n", (const char *)user_data, key, (long long)number);
        return;
    }
    note("%s %s=%.*s type %d%s%s from '%.2s'\n", (const char *)user_data, key, (int)size,
         (const char *)data, type, deleted ? " deleted" : "", is_remote ? " remote" : "", origin);
}

static char prefix_a[] = "a/";

static intptr_t watch(void *prefix)
{
    rats_set_storage_callback(client, prefix, on_change, prefix);
    return rats_last_error(client);
}

static intptr_t unwatch(void *prefix)
{
    rats_set_storage_callback(client, prefix, NULL, NULL);
    return rats_last_error(client);
}

static void send_change(const char *fields, const char *body, size_t size)
{
    char head[512];
    (void)snprintf(head, sizeof head, "{\"v\":\"storage.changed\",\"p\":%s}", fields);
    fake_send_frame(&daemon_side, FRAME_EVENT, ++daemon_side.sequence, head, strlen(head), body,
                    size);
}

static void a_put_carries_its_value_as_body(void **state)
{
    (void)state;
    attach("");
    struct put_arguments arguments = {"k", RATS_STORAGE_STRING, "value", 5};
    struct fake_task *task = fake_run(put, &arguments);
    struct fake_frame frame = fake_receive(&daemon_side);
    const json_t *params = json_object_get(frame.head, "p");
    assert_string_equal(json_string_value(json_object_get(frame.head, "m")), "storage.put");
    assert_string_equal(json_string_value(json_object_get(params, "key")), "k");
    assert_string_equal(json_string_value(json_object_get(params, "type")), "string");
    assert_int_equal(frame.body_size, 5);
    assert_memory_equal(frame.bytes + frame.head_size, "value", 5);
    fake_reply(&daemon_side, frame.id, "{\"timestamp_ms\":1}");
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_SUCCESS);
}

static void numbers_cross_big_endian(void **state)
{
    (void)state;
    static const uint8_t wire[8] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};
    const int64_t number = 0x0102030405060708;
    attach("");
    struct put_arguments arguments = {"n", RATS_STORAGE_INT64, &number, sizeof number};
    struct fake_task *task = fake_run(put, &arguments);
    struct fake_frame frame = fake_receive(&daemon_side);
    assert_memory_equal(frame.bytes + frame.head_size, wire, sizeof wire);
    fake_reply(&daemon_side, frame.id, "{\"timestamp_ms\":1}");
    fake_frame_free(&frame);
    assert_int_equal(fake_join(task), RATS_SUCCESS);

    struct got got = {.key = "n"};
    task = fake_run(get, &got);
    uint64_t id = fake_expect_call(&daemon_side, "storage.get", NULL);
    fake_send_frame(&daemon_side, FRAME_REPLY, id, "{\"type\":\"int64\"}", 16, wire, sizeof wire);
    (void)fake_join(task);
    assert_int_equal(got.type, RATS_STORAGE_INT64);
    assert_int_equal(got.size, sizeof number);
    assert_memory_equal(got.data, &number, sizeof number);
    free(got.data);
}

static void a_value_comes_with_a_nul_behind_it(void **state)
{
    (void)state;
    attach("");
    struct got got = {.key = "k"};
    struct fake_task *task = fake_run(get, &got);
    uint64_t id = fake_expect_call(&daemon_side, "storage.get", NULL);
    fake_send_frame(&daemon_side, FRAME_REPLY, id, "{\"type\":\"string\"}", 17, "text", 4);
    (void)fake_join(task);
    assert_int_equal(got.size, 4);
    assert_string_equal(got.data, "text");
    free(got.data);

    task = fake_run(get, &got);
    id = fake_expect_call(&daemon_side, "storage.get", NULL);
    fake_send_frame(&daemon_side, FRAME_REPLY, id, "{\"type\":\"binary\"}", 17, NULL, 0);
    (void)fake_join(task);
    assert_non_null(got.data); /* an empty value is one */
    assert_int_equal(got.size, 0);
    free(got.data);
}

static void what_is_not_there_is_null_and_says_so(void **state)
{
    (void)state;
    attach("");
    struct got got = {.key = "k"};
    struct fake_task *task = fake_run(get, &got);
    uint64_t id = fake_expect_call(&daemon_side, "storage.get", NULL);
    fake_fail(&daemon_side, id, "not_found", -14, "key 'k' has no value");
    (void)fake_join(task);
    assert_null(got.data);
    assert_int_equal(got.error, RATS_ERROR_NOT_FOUND);
}

static void bad_arguments_ask_nobody(void **state)
{
    (void)state;
    int count = 7;
    attach("");
    assert_int_equal(rats_storage_put(client, NULL, 1, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "", 1, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "\xff", 1, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "k", 0, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "k", 6, "x", 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "k", 1, NULL, 1), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "k", 3, "1234567", 7), RATS_ERROR_INVALID_PARAMETER);
    assert_int_equal(rats_storage_put(client, "k", 5, "{", 1), RATS_ERROR_JSON_PARSE);
    assert_null(rats_storage_get(client, NULL, NULL, NULL));
    assert_int_equal(rats_storage_remove(client, ""), RATS_ERROR_INVALID_PARAMETER);
    assert_null(rats_storage_keys(client, "\xff", &count));
    assert_int_equal(count, 0);
    assert_null(rats_storage_keys(client, NULL, NULL));
    static char no_text[] = "\xff";
    assert_int_equal(watch(no_text), RATS_ERROR_INVALID_PARAMETER);
    assert_true(fake_is_silent(&daemon_side, 50));
}

static void keys_are_asked_for_part_by_part(void **state)
{
    (void)state;
    json_t *params = NULL;
    attach("");
    struct fake_task *task = fake_run(list, prefix_a);
    uint64_t id = fake_expect_call(&daemon_side, "storage.keys", &params);
    assert_string_equal(json_string_value(json_object_get(params, "prefix")), "a/");
    assert_string_equal(json_string_value(json_object_get(params, "after")), "");
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"keys\":[\"a/1\",\"a/2\"],\"more\":true}");
    id = fake_expect_call(&daemon_side, "storage.keys", &params);
    assert_string_equal(json_string_value(json_object_get(params, "after")), "a/2");
    json_decref(params);
    fake_reply(&daemon_side, id, "{\"keys\":[\"a/3\"],\"more\":false}");
    assert_int_equal(fake_join(task), 3);
    expect_seen(3, "a/1\na/2\na/3\n");
}

static void each_callback_whose_prefix_fits_hears_of_a_change(void **state)
{
    (void)state;
    static char all[] = "";
    attach("");
    struct fake_task *task = fake_run(watch, prefix_a);
    fake_grant(&daemon_side, "storage.watch");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    task = fake_run(watch, all);
    fake_grant(&daemon_side, "storage.watch");
    assert_int_equal(fake_join(task), RATS_SUCCESS);
    fake_start(&daemon_side, client);
    send_change("{\"key\":\"a/k\",\"type\":\"string\",\"deleted\":false,\"remote\":true,"
                "\"timestamp_ms\":1,\"origin\":\"" FAKE_BOB "\"}",
                "text", 4);
    expect_seen(2, "a/ a/k=text type 2 remote from '00'\n a/k=text type 2 remote from '00'\n");
    send_change("{\"key\":\"b\",\"type\":\"int64\",\"deleted\":false,\"remote\":false,"
                "\"timestamp_ms\":1}",
                "\0\0\0\0\0\0\1\0", 8);
    expect_seen(1, " b=256\n");
    task = fake_run(unwatch, all);
    fake_grant(&daemon_side, "storage.unwatch");
    (void)fake_join(task);
    send_change("{\"key\":\"b\",\"type\":\"json\",\"deleted\":false,\"remote\":false,"
                "\"timestamp_ms\":2}",
                "1", 1);
    send_change("{\"key\":\"a/\",\"type\":\"json\",\"deleted\":true,\"remote\":false,"
                "\"timestamp_ms\":3}",
                NULL, 0);
    expect_seen(1, "a/ a/= type 5 deleted from ''\n");
}

static void a_refused_prefix_is_forgotten(void **state)
{
    (void)state;
    attach("");
    struct fake_task *task = fake_run(watch, prefix_a);
    uint64_t id = fake_expect_call(&daemon_side, "storage.watch", NULL);
    fake_fail(&daemon_side, id, "limit", -13, "too many");
    assert_int_equal(fake_join(task), RATS_ERROR_BUSY);
    (void)unwatch(prefix_a); /* there is nothing to tell the daemon */
    assert_true(fake_is_silent(&daemon_side, 50));
}

static void prefixes_are_watched_again_after_reattaching(void **state)
{
    (void)state;
    json_t *params = NULL;
    attach("");
    struct fake_task *task = fake_run(watch, prefix_a);
    fake_grant(&daemon_side, "storage.watch");
    (void)fake_join(task);
    fake_hang_up(&daemon_side);
    fake_accept(&daemon_side);
    fake_answer_hello(&daemon_side, "");
    uint64_t id = fake_expect_call(&daemon_side, "storage.watch", &params);
    assert_string_equal(json_string_value(json_object_get(params, "prefix")), "a/");
    json_decref(params);
    fake_reply(&daemon_side, id, "{}");
}

static void a_daemon_that_goes_away_ends_a_put(void **state)
{
    (void)state;
    attach("");
    static char large[4 << 20];
    struct put_arguments arguments = {"k", RATS_STORAGE_BINARY, large, sizeof large};
    struct fake_task *task = fake_run(put, &arguments);
    struct fake_frame frame = fake_receive(&daemon_side);
    assert_int_equal(frame.body_size, sizeof large);
    fake_frame_free(&frame);
    fake_unlisten(&daemon_side);
    fake_hang_up(&daemon_side);
    assert_int_equal(fake_join(task), RATS_ERROR_NOT_RUNNING);
    rats_destroy(client);
    client = NULL;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_put_carries_its_value_as_body),
        CASE(numbers_cross_big_endian),
        CASE(a_value_comes_with_a_nul_behind_it),
        CASE(what_is_not_there_is_null_and_says_so),
        CASE(bad_arguments_ask_nobody),
        CASE(keys_are_asked_for_part_by_part),
        CASE(each_callback_whose_prefix_fits_hears_of_a_change),
        CASE(a_refused_prefix_is_forgotten),
        CASE(prefixes_are_watched_again_after_reattaching),
        CASE(a_daemon_that_goes_away_ends_a_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
