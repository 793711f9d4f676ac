#include "ipc/backlog.h"

#include <stdlib.h>
#include <string.h>

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
    free(backlog->loans);
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

int backlog_lend(struct backlog *backlog, enum backlog_kind kind, size_t head_size,
                 struct bytes body, uint8_t **ret_head)
{
    if (backlog->loan_count == BACKLOG_MAX_LOANS) {
        int result = backlog_add(backlog, kind, head_size + body.size, ret_head);
        if (result == 0) {
            memcpy(*ret_head + head_size, body.data, body.size);
        }
        return result;
    }
    int result = buf_reserve(&backlog->bytes, head_size, ret_head);
    if (result < 0) {
        return result;
    }
    buf_commit(&backlog->bytes, head_size);
    if (backlog->loans == NULL) {
        backlog->loans = xalloc(BACKLOG_MAX_LOANS * sizeof(*backlog->loans));
    }
    backlog->loans[backlog->loan_count++] =
        (struct backlog_loan){.at = buf_size(&backlog->bytes), .view = body};
    backlog->lent += body.size;
    note_run(backlog, kind, head_size + body.size);
    return 0;
}

static void drop_loans(struct backlog *backlog)
{
    free(backlog->loans);
    backlog->loans = NULL;
    backlog->loan_count = 0;
    backlog->lent = 0;
}

int backlog_keep(struct backlog *backlog)
{
    struct buf whole;
    uint8_t *room = NULL;
    if (backlog->loan_count == 0) {
        drop_loans(backlog);
        return 0;
    }
    buf_init(&whole);
    int result = buf_reserve(&whole, backlog_size(backlog), &room);
    if (result < 0) {
        return result;
    }
    struct iovec parts[BACKLOG_MAX_PARTS];
    size_t count = backlog_parts(backlog, parts);
    for (size_t i = 0; i < count; i++) {
        memcpy(room, parts[i].iov_base, parts[i].iov_len);
        room += parts[i].iov_len;
    }
    buf_commit(&whole, backlog_size(backlog));
    buf_fini(&backlog->bytes);
    backlog->bytes = whole;
    drop_loans(backlog);
    return 0;
}

static size_t add_part(struct iovec *parts, size_t count, struct bytes from)
{
    union {
        const uint8_t *in;
        void *out;
    } cast = {.in = from.data};
    if (from.size > 0) {
        parts[count++] = (struct iovec){.iov_base = cast.out, .iov_len = from.size};
    }
    return count;
}

size_t backlog_parts(const struct backlog *backlog, struct iovec *ret_parts)
{
    struct bytes own = buf_view(&backlog->bytes);
    size_t count = 0;
    size_t at = 0;
    for (size_t i = 0; i < backlog->loan_count; i++) {
        const struct backlog_loan *loan = &backlog->loans[i];
        count = add_part(ret_parts, count, bytes_make(own.data + at, loan->at - at));
        count = add_part(ret_parts, count, loan->view);
        at = loan->at;
    }
    return add_part(ret_parts, count, at == 0 ? own : bytes_make(own.data + at, own.size - at));
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes the first size bytes away, of our own and of those lent. */
static void consume_bytes(struct backlog *backlog, size_t size)
{
    size_t own = 0;
    size_t done = 0;
    while (done < backlog->loan_count && size > 0) {
        struct backlog_loan *loan = &backlog->loans[done];
        size_t part = smaller(size, loan->at - own);
        own += part;
        size -= part;
        part = smaller(size, loan->view.size);
        loan->view = bytes_make(loan->view.data + part, loan->view.size - part);
        backlog->lent -= part;
        size -= part;
        done += loan->view.size == 0 && own == loan->at;
        if (loan->view.size > 0) {
            break;
        }
    }
    buf_consume(&backlog->bytes, own + size);
    backlog->loan_count -= done;
    for (size_t i = 0; i < backlog->loan_count; i++) {
        backlog->loans[i] = backlog->loans[i + done];
        backlog->loans[i].at -= own;
    }
}

void backlog_consume(struct backlog *backlog, size_t size)
{
    consume_bytes(backlog, size);
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
        drop_loans(backlog);
        buf_trim(&backlog->bytes, KEEP_BYTES);
        free(backlog->runs);
        backlog->runs = NULL;
        backlog->first = 0;
        backlog->capacity = 0;
    }
}
