#include "storage_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/log.h"

struct storage_fixture store;

int storage_set_up(void **state)
{
    (void)state;
    store = (struct storage_fixture){
        .limits = {.max_key = 100,
                   .max_value = 2 * STORAGE_PAGE_SIZE,
                   .max_keys = 100000,
                   .max_total = 100 * STORAGE_PAGE_SIZE,
                   .ahead_ms = 300000,
                   .tombstone_ms = 1000000},
        .now_ms = NOW,
    };
    log_set_level(LOG_LEVEL_ERROR);
    list_init(&store.waiting);
    list_init(&store.done);
    assert_true(scratch_make("ratsd-storage", store.directory));
    store.file = storage_file_new(store.directory);
    return 0;
}

static void free_all(struct list *operations)
{
    LIST_EACH(operations, node)
    {
        list_remove(node);
        storage_op_free(CONTAINER_OF(node, struct storage_op, node));
    }
}

int storage_tear_down(void **state)
{
    (void)state;
    char command[128];
    free_all(&store.waiting);
    free_all(&store.done);
    storage_file_free(store.file);
    (void)snprintf(command, sizeof command, "rm -rf %s", store.directory);
    return system(command);
}

void storage_reopen(void)
{
    storage_file_free(store.file);
    store.file = storage_file_new(store.directory);
}

static struct storage_op *add(enum storage_op_kind kind, const char *key)
{
    struct storage_op *op = storage_op_new(kind);
    assert_int_equal(buf_append(&op->key, bytes_from_string(key)), 0);
    list_append(&store.waiting, &op->node);
    return op;
}

struct storage_op *op_put_bytes(const char *key, enum entry_type type, const void *data,
                                size_t size)
{
    struct storage_op *op = add(STORAGE_PUT, key);
    op->type = type;
    assert_int_equal(buf_append(&op->data, bytes_make(data, size)), 0);
    return op;
}

struct storage_op *op_put(const char *key, const char *value)
{
    return op_put_bytes(key, ENTRY_STRING, value, strlen(value));
}

struct storage_op *op_remove(const char *key)
{
    return add(STORAGE_REMOVE, key);
}

struct storage_op *op_get(const char *key)
{
    return add(STORAGE_GET, key);
}

struct storage_op *op_keys(const char *prefix, const char *after, size_t limit)
{
    struct storage_op *op = add(STORAGE_KEYS, prefix);
    assert_int_equal(buf_append(&op->after, bytes_from_string(after)), 0);
    op->limit = limit;
    return op;
}

struct storage_op *op_page(uint64_t after_seq)
{
    struct storage_op *op = add(STORAGE_PAGE, "");
    op->after_seq = after_seq;
    return op;
}

struct storage_op *op_collect(void)
{
    return add(STORAGE_COLLECT, "");
}

struct storage_op *op_merge(void)
{
    return add(STORAGE_MERGE, "");
}

void add_entry(struct storage_op *op, const char *key, const char *value, uint64_t timestamp_ms,
               const char *origin)
{
    struct entry entry = {
        .key = bytes_from_string(key),
        .type = ENTRY_STRING,
        .deleted = value == NULL,
        .timestamp_ms = timestamp_ms,
        .origin = bytes_from_string(origin),
        .data = bytes_from_string(value == NULL ? "" : value),
    };
    uint8_t *room = NULL;
    struct writer writer;
    assert_int_equal(buf_reserve(&op->data, entry_size(&entry), &room), 0);
    writer_init(&writer, room, entry_size(&entry));
    entry_encode(&entry, &writer);
    buf_commit(&op->data, writer.size);
    op->count++;
}

void storage_run(void)
{
    struct storage_batch batch = {.limits = store.limits, .now_ms = store.now_ms, .origin = OURS};
    list_init(&batch.operations);
    LIST_EACH(&store.waiting, node)
    {
        list_remove(node);
        list_append(&batch.operations, node);
    }
    storage_file_run(store.file, &batch);
    store.totals = batch.totals;
    store.head = batch.head;
    LIST_EACH(&batch.operations, node)
    {
        list_remove(node);
        list_append(&store.done, node);
    }
}

int put(const char *key, const char *value)
{
    struct storage_op *op = op_put(key, value);
    storage_run();
    return op->result;
}

int merge_one(const char *key, const char *value, uint64_t timestamp_ms, const char *origin)
{
    struct storage_op *op = op_merge();
    add_entry(op, key, value, timestamp_ms, origin);
    storage_run();
    assert_int_equal(op->result, 0);
    return (int)op->change_count;
}

const char *value_of(const char *key)
{
    static char text[256];
    struct storage_op *op = op_get(key);
    storage_run();
    (void)snprintf(text, sizeof text, "%.*s", (int)op->found.data.size,
                   op->result == 0 ? (const char *)op->found.data.data : "");
    return text;
}
