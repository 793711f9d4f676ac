#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "storage_fixture.h"

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct storage_op *op = op_get("key");
    storage_run();
    assert_int_equal(op->result, -ENOENT);
    assert_int_equal(put("key", "value"), 0);
    (void)op_remove("key");
    storage_run();
    op = op_get("key");
    storage_run();
    assert_int_equal(op->result, -ENOENT);
}

static void a_value_comes_back_with_its_type_and_origin(void **state)
{
    (void)state;
    static const uint8_t number[8] = {0, 1, 2, 3, 4, 5, 6, 255};
    (void)op_put_bytes("n", ENTRY_INT64, number, sizeof number);
    (void)op_put_bytes("empty", ENTRY_BINARY, NULL, 0);
    storage_run();
    struct storage_op *op = op_get("n");
    struct storage_op *empty = op_get("empty");
    storage_run();
    assert_int_equal(op->found.type, ENTRY_INT64);
    assert_int_equal(op->found.timestamp_ms, NOW);
    assert_true(bytes_equal(op->found.data, bytes_make(number, sizeof number)));
    assert_true(bytes_equal(op->found.origin, bytes_from_string(OURS)));
    assert_int_equal(empty->result, 0);
    assert_int_equal(empty->found.data.size, 0);
}

/* The keys of a listing with a comma behind each. */
static const char *listed(const char *prefix, const char *after, size_t limit, bool more)
{
    static char text[256];
    struct storage_op *op = op_keys(prefix, after, limit);
    storage_run();
    assert_int_equal(op->result, 0);
    assert_int_equal(op->more, more);
    struct bytes keys = buf_view(&op->value);
    assert_true(keys.size < sizeof text);
    memcpy(text, keys.size == 0 ? "" : (const char *)keys.data, keys.size);
    text[keys.size] = '\0';
    for (size_t i = 0; i < keys.size; i++) {
        text[i] = text[i] == '\0' ? ',' : text[i];
    }
    return text;
}

static void keys_are_listed_in_order_by_prefix_and_in_parts(void **state)
{
    (void)state;
    static const char *const keys[] = {"b", "a/2", "a", "a/1", "a/10", "c", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        (void)op_put(keys[i], "x");
    }
    (void)op_remove("c");
    storage_run();
    assert_string_equal(listed("", "", 100, false), "a,a/1,a/10,a/2,b,\xc3\xa9,");
    assert_string_equal(listed("a/", "", 100, false), "a/1,a/10,a/2,");
    assert_string_equal(listed("a/", "", 2, true), "a/1,a/10,");
    assert_string_equal(listed("a/", "a/10", 2, false), "a/2,");
    assert_string_equal(listed("", "a/2", 1, true), "b,");
    assert_string_equal(listed("z", "", 100, false), "");
    assert_string_equal(listed("a", "b", 100, false), "");
}

static void check_entry(struct reader *reader, const char *key, const char *value)
{
    struct entry entry;
    assert_int_equal(entry_decode(reader, &entry), 0);
    assert_true(bytes_equal(entry.key, bytes_from_string(key)));
    assert_int_equal(entry.deleted, value == NULL);
    assert_true(bytes_equal(entry.data, bytes_from_string(value == NULL ? "" : value)));
}

static void a_page_holds_everything_after_a_change_with_tombstones(void **state)
{
    (void)state;
    (void)op_put("a", "1");
    (void)op_put("b", "2");
    (void)op_put("a", "3");
    (void)op_remove("b");
    (void)op_put("c", "4");
    struct storage_op *all = op_page(0);
    struct storage_op *last = op_page(4);
    struct storage_op *nothing = op_page(5);
    storage_run();
    struct store_message message;
    struct reader reader;
    assert_int_equal(store_message_decode(buf_view(&all->value), &message), 0);
    assert_int_equal(message.opcode, STORE_SYNC_RESPONSE);
    assert_int_equal(message.count, 3);
    reader_init(&reader, buf_view(&all->value));
    (void)reader_bytes(&reader, message.offset);
    check_entry(&reader, "a", "3");
    check_entry(&reader, "b", NULL);
    check_entry(&reader, "c", "4");
    assert_int_equal(reader_left(&reader), 0);
    assert_int_equal(all->seq, 5);
    assert_false(all->more);
    assert_int_equal(last->count, 1);
    assert_int_equal(buf_size(&nothing->value), STORE_LIST_HEADER);
    assert_int_equal(nothing->seq, 5);
}

/* One entry of more than a page goes alone; many small ones come in several pages. */
static void pages_are_bounded(void **state)
{
    (void)state;
    uint8_t *large = calloc(1, STORAGE_PAGE_SIZE + 10);
    assert_non_null(large);
    (void)op_put_bytes("large", ENTRY_BINARY, large, STORAGE_PAGE_SIZE + 10);
    for (unsigned i = 0; i < 10; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%u", i);
        (void)op_put_bytes(key, ENTRY_BINARY, large, STORAGE_PAGE_SIZE / 4);
    }
    free(large);
    storage_run();
    uint64_t after = 0;
    unsigned entries = 0;
    unsigned pages = 0;
    bool more = true;
    while (more) {
        struct storage_op *op = op_page(after);
        storage_run();
        assert_int_equal(op->result, 0);
        assert_true(op->count == 1 || buf_size(&op->value) <= STORAGE_PAGE_SIZE);
        assert_true(op->seq > after);
        after = op->seq;
        more = op->more;
        entries += op->count;
        pages++;
    }
    assert_int_equal(after, 11);
    assert_int_equal(entries, 11);
    assert_int_equal(pages, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_not_there_is_not_found),
        CASE(a_value_comes_back_with_its_type_and_origin),
        CASE(keys_are_listed_in_order_by_prefix_and_in_parts),
        CASE(a_page_holds_everything_after_a_change_with_tombstones),
        CASE(pages_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
