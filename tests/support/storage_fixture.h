/* The store's file in a directory of its own, and operations for it in one line each. A cmocka
 * fixture; an operation and its results live until the case ends. */
#ifndef RATSD_TESTS_STORAGE_FIXTURE_H
#define RATSD_TESTS_STORAGE_FIXTURE_H

#include "scratch.h"
#include "service/storage_file.h"

#define NOW        UINT64_C(1700000000000)
#define OURS       "1111111111111111111111111111111111111111111111111111111111111111"
#define THEIRS     "2222222222222222222222222222222222222222222222222222222222222222"
#define CASE(name) cmocka_unit_test_setup_teardown(name, storage_set_up, storage_tear_down)

struct storage_fixture {
    char directory[SCRATCH_SIZE];
    struct storage_file *file;
    struct lww_limits limits;
    struct lww_totals totals;
    uint64_t head;
    uint64_t now_ms;
    struct list waiting; /* for the next batch */
    struct list done;
};

extern struct storage_fixture store;

int storage_set_up(void **state);
int storage_tear_down(void **state);
/* As a daemon that starts again: what was not committed is gone. */
void storage_reopen(void);

/* They wait until storage_run(). */
struct storage_op *op_put(const char *key, const char *value);
struct storage_op *op_put_bytes(const char *key, enum entry_type type, const void *data,
                                size_t size);
struct storage_op *op_remove(const char *key);
struct storage_op *op_get(const char *key);
struct storage_op *op_keys(const char *prefix, const char *after, size_t limit);
struct storage_op *op_page(uint64_t after_seq);
struct storage_op *op_collect(void);
/* A message of entries; add_entry() before storage_run(). */
struct storage_op *op_merge(void);
void add_entry(struct storage_op *op, const char *key, const char *value, uint64_t timestamp_ms,
               const char *origin);
void storage_run(void);

/* One batch with one operation. */
int put(const char *key, const char *value);
int merge_one(const char *key, const char *value, uint64_t timestamp_ms, const char *origin);
/* What the key has, "" for nothing; static text. */
const char *value_of(const char *key);

#endif
