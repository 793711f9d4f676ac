/* libratsclient/transfers: the table, ends that are final, the document of api.md 4.3. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "transfers.h"

#define PEER "00000000000000000000000000000000000000000000000000000000000000bb"

static struct transfers transfers;

static int set_up(void **state)
{
    (void)state;
    static const uint64_t seed[2] = {1, 2};
    transfers_init(&transfers, seed);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    transfers_fini(&transfers);
    return 0;
}

static const char *id_of(unsigned number)
{
    static char id[TRANSFER_ID_SIZE + 1];
    (void)snprintf(id, sizeof id, "%032x", number);
    return id;
}

static struct transfer *add(unsigned number)
{
    struct transfer *transfer = transfer_new(transfer_row(PEER, "file", true, false, "name"));
    assert_non_null(transfer);
    assert_int_equal(transfers_add(&transfers, transfer, id_of(number)), 0);
    return transfer;
}

static bool update(struct transfer *transfer, const char *state, int done, int64_t now_ms)
{
    json_t *row = json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "peer", PEER,
                            "kind", "file", "direction", "sending", "request", 0, "name", "name",
                            "state", state, "done_bytes", done, "total_bytes", 8, "done_files", 0,
                            "total_files", 1, "rate", 4);
    const bool changed = transfer_update(&transfers, transfer, row, now_ms);
    json_decref(row);
    return changed;
}

static void an_id_is_known_once(void **state)
{
    (void)state;
    struct transfer *transfer = add(1);
    assert_ptr_equal(transfers_find(&transfers, id_of(1)), transfer);
    assert_null(transfers_find(&transfers, id_of(2)));
    assert_null(transfers_find(&transfers, ""));
    assert_null(transfers_find(&transfers, NULL));
    struct transfer *other = transfer_new(transfer_row(PEER, "file", true, false, "x"));
    assert_int_equal(transfers_add(&transfers, other, id_of(1)), -EEXIST);
    assert_int_equal(transfers_add(&transfers, other, "short"), -EINVAL);
    assert_int_equal(transfers_add(&transfers, other, NULL), -EINVAL);
    transfer_free(other);
    transfer_free(NULL);
    assert_null(transfer_new(NULL));
}

static void what_is_not_news_is_not_told(void **state)
{
    (void)state;
    struct transfer *transfer = add(1);
    assert_true(update(transfer, "running", 0, 1));
    assert_false(update(transfer, "running", 0, 2));
    assert_true(update(transfer, "running", 4, 3));
    assert_true(update(transfer, "paused", 4, 4));
    assert_int_equal(transfer->status, RATS_TRANSFER_PAUSED);
    assert_true(update(transfer, "of a newer daemon", 4, 5));
    assert_int_equal(transfer->status, RATS_TRANSFER_IN_PROGRESS);
}

static void an_end_is_final(void **state)
{
    (void)state;
    struct transfer *transfer = add(1);
    assert_true(transfer_end(&transfers, transfer, RATS_TRANSFER_FAILED, "why", 1));
    assert_false(transfer_end(&transfers, transfer, RATS_TRANSFER_CANCELLED, "again", 2));
    assert_false(update(transfer, "completed", 8, 3));
    json_t *document = transfer_document(transfer);
    assert_int_equal(json_integer_value(json_object_get(document, "status")), 5);
    assert_string_equal(json_string_value(json_object_get(document, "error")), "why");
    json_decref(document);
}

static void what_ended_is_kept_for_ten_minutes(void **state)
{
    (void)state;
    struct transfer *running = add(1);
    struct transfer *ended = add(2);
    assert_true(update(running, "running", 0, 1000));
    assert_true(update(ended, "completed", 8, 1000));
    assert_null(transfers_take_stale(&transfers, 1000 + TRANSFERS_KEEP_MS - 1));
    struct transfer *stale = transfers_take_stale(&transfers, 1000 + TRANSFERS_KEEP_MS);
    assert_ptr_equal(stale, ended);
    transfer_free(stale);
    assert_null(transfers_find(&transfers, id_of(2)));
    assert_null(transfers_take_stale(&transfers, INT64_MAX));
    assert_ptr_equal(transfers_find(&transfers, id_of(1)), running);
}

static void of_those_that_ended_the_oldest_make_room(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= TRANSFERS_KEEP_COUNT; i++) {
        assert_true(update(add(i), "cancelled", 0, 1));
    }
    struct transfer *stale = transfers_take_stale(&transfers, 1);
    assert_string_equal(stale->id, id_of(0));
    transfer_free(stale);
    assert_null(transfers_take_stale(&transfers, 1));
}

static void the_document_has_its_keys_and_types(void **state)
{
    (void)state;
    struct transfer *transfer = add(0xabc);
    assert_true(update(transfer, "running", 2, 1));
    transfer->local_path = strdup("/tmp/\xff");
    json_t *document = transfer_document(transfer);
    char *text = json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(
        text,
        "{\"bytes_transferred\":2,\"completion_percentage\":25.0,\"direction\":0,\"error\":\"\","
        "\"filename\":\"name\",\"files_completed\":0,\"kind\":\"file\",\"local_path\":\"/tmp/"
        "\\\\xff\",\"peer_id\":\"" PEER "\",\"rate_bps\":4.0,\"request\":false,\"status\":2,"
        "\"total_bytes\":8,\"total_files\":1,"
        "\"transfer_id\":\"00000000000000000000000000000abc\"}");
    free(text);
    json_decref(document);
}

static void an_empty_transfer_is_whole_when_it_is_complete(void **state)
{
    (void)state;
    struct transfer *transfer = add(1);
    json_t *document = transfer_document(transfer);
    assert_true(json_real_value(json_object_get(document, "completion_percentage")) == 0.0);
    assert_int_equal(json_integer_value(json_object_get(document, "status")), 1);
    json_decref(document);
    json_t *row = json_pack("{s:s}", "state", "completed");
    assert_true(transfer_update(&transfers, transfer, row, 1));
    json_decref(row);
    document = transfer_document(transfer);
    assert_true(json_real_value(json_object_get(document, "completion_percentage")) == 100.0);
    json_decref(document);
}

static void every_status_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(transfer_status_name(RATS_TRANSFER_PENDING), "PENDING");
    assert_string_equal(transfer_status_name(RATS_TRANSFER_IN_PROGRESS), "IN_PROGRESS");
    assert_string_equal(transfer_status_name(RATS_TRANSFER_RESUMING), "RESUMING");
    assert_string_equal(transfer_status_name(8), "UNKNOWN");
    assert_string_equal(transfer_status_name(-1), "UNKNOWN");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_id_is_known_once),
        TEST(what_is_not_news_is_not_told),
        TEST(an_end_is_final),
        TEST(what_ended_is_kept_for_ten_minutes),
        TEST(of_those_that_ended_the_oldest_make_room),
        TEST(the_document_has_its_keys_and_types),
        TEST(an_empty_transfer_is_whole_when_it_is_complete),
        TEST(every_status_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
