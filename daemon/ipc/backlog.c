#include "ipc/backlog.h"

#include <stdlib.h>

#include "util/alloc.h"

#define KEEP_BYTES ((size_t)8 * 1024) /* memory an empty backlog may keep */

void backlog_init(struct backlog *backlog)
{
    *backlog = (struct backlog){0};
    buf_init(&backlog->bytes);
}

void backlog_fini(struct backlog *backlog)
{
    buf_fini(&backlog->bytes);
    free(backlog->runs);
    backlog_init(backlog);
}

static struct backlog_run *run_at(const struct backlog *backlog, size_t index)
{
    return &backlog->runs[(backlog->first + index) % backlog->capacity];
}

static void grow_runs(struct backlog *backlog)
{
    size_t capacity = backlog->capacity == 0 ? 8 : backlog->capacity * 2;
    struct backlog_run *runs = xalloc(capacity * sizeof(*runs));
    for (size_t i = 0; i < backlog->count; i++) {
        runs[i] = *run_at(backlog, i);
    }
    free(backlog->runs);
    backlog->runs = runs;
    backlog->first = 0;
    backlog->capacity = capacity;
}

static void note_run(struct backlog *backlog, enum backlog_kind kind, size_t size)
{
    backlog->queued[kind] += size;
    if (backlog->count > 0) {
        struct backlog_run *last = run_at(backlog, backlog->count - 1);
        if (last->kind == kind) {
            last->size += size;
            return;
        }
    }
    if (backlog->count == backlog->capacity) {
        grow_runs(backlog);
    }
    backlog->count++;
    *run_at(backlog, backlog->count - 1) = (struct backlog_run){.size = size, .kind = kind};
}

int backlog_add(struct backlog *backlog, enum backlog_kind kind, size_t size, uint8_t **ret_room)
{
    int result = buf_reserve(&backlog->bytes, size, ret_room);
    if (result < 0) {
        return result;
    }
    buf_commit(&backlog->bytes, size);
    note_run(backlog, kind, size);
    return 0;
}

void backlog_consume(struct backlog *backlog, size_t size)
{
    buf_consume(&backlog->bytes, size);
    while (size > 0) {
        struct backlog_run *run = run_at(backlog, 0);
        size_t part = size < run->size ? size : run->size;
        run->size -= part;
        backlog->queued[run->kind] -= part;
        size -= part;
        if (run->size == 0) {
            backlog->first = (backlog->first + 1) % backlog->capacity;
            backlog->count--;
        }
    }
    if (backlog->count == 0) {
        buf_trim(&backlog->bytes, KEEP_BYTES);
        free(backlog->runs);
        backlog->runs = NULL;
        backlog->first = 0;
        backlog->capacity = 0;
    }
}
