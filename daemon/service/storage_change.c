#include <errno.h>
#include <stdlib.h>

#include "core/database.h"
#include "service/storage_file_private.h"
#include "util/alloc.h"

#define COLLECT_STEP 1000u

/* The known entry of a key, with memory for its origin. */
struct known {
    struct lww_known known;
    enum entry_type type;
    uint8_t origin[ENTRY_ORIGIN_SIZE];
};

/* 1 and what is known of the key; 0: nothing; or a negative errno. */
static int find(struct storage_file *file, struct bytes key, struct known *ret_known)
{
    sqlite3_stmt *statement = file->statements[STATEMENT_FIND];
    statement_bind_bytes(statement, 1, key);
    int result = statement_step(file, statement);
    if (result > 0) {
        ret_known->known.deleted = sqlite3_column_int(statement, 0) != 0;
        ret_known->known.timestamp_ms = statement_number(statement, 1);
        ret_known->known.origin =
            statement_copy_origin(ret_known->origin, statement_bytes(statement, 2));
        ret_known->known.size = (size_t)statement_number(statement, 3);
        ret_known->type = (enum entry_type)sqlite3_column_int(statement, 4);
    }
    statement_done(statement);
    return result;
}

/* The transaction begins with the first change. */
static int begin(struct storage_file *file)
{
    if (file->in_transaction) {
        return 0;
    }
    int result = storage_disk_errno(database_run(file->db, "BEGIN IMMEDIATE"));
    file->in_transaction = result == 0;
    return result;
}

/* Puts the entry in the place of what is known; NULL: nothing is. */
static int replace(struct storage_file *file, const struct entry *entry,
                   const struct lww_known *known, struct storage_change *ret_change)
{
    sqlite3_stmt *statement = file->statements[STATEMENT_REPLACE];
    int result = begin(file);
    if (result < 0) {
        return result;
    }
    statement_bind_number(statement, 1, file->head + 1);
    statement_bind_bytes(statement, 2, entry->key);
    statement_bind_number(statement, 3, (uint64_t)entry->type);
    statement_bind_number(statement, 4, entry->deleted ? 1 : 0);
    statement_bind_number(statement, 5, entry->timestamp_ms);
    statement_bind_bytes(statement, 6, entry->origin);
    statement_bind_bytes(statement, 7, entry->data);
    result = statement_step(file, statement);
    statement_done(statement);
    if (result < 0) {
        return result;
    }
    file->head++;
    lww_account(&file->totals, entry, known);
    *ret_change = (struct storage_change){.seq = file->head, .entry = *entry};
    return 0;
}

/* ---- changes ---- */

static int take_room(struct storage_op *op, size_t count)
{
    free(op->changes);
    op->change_count = 0;
    op->changes = try_alloc(count * sizeof(*op->changes));
    return op->changes == NULL ? -ENOMEM : 0;
}

/* A put or a removal. */
static int change_locally(struct storage_file *file, const struct storage_batch *batch,
                          struct storage_op *op)
{
    struct known found;
    struct entry entry = {
        .key = buf_view(&op->key),
        .deleted = op->kind == STORAGE_REMOVE,
        .origin = statement_copy_origin(op->found_origin, bytes_from_string(batch->origin)),
        .data = buf_view(&op->data),
    };
    int result = find(file, entry.key, &found);
    const struct lww_known *known = result > 0 ? &found.known : NULL;
    if (result < 0) {
        return result;
    }
    if (entry.deleted && (known == NULL || known->deleted)) {
        return -ENOENT;
    }
    entry.type = entry.deleted ? found.type : op->type; /* a tombstone keeps the value's */
    entry.timestamp_ms = lww_stamp(known, batch->now_ms);
    op->verdict =
        entry.deleted ? LWW_WINS : lww_judge_local(&batch->limits, &file->totals, &entry, known);
    if (op->verdict != LWW_WINS) {
        bool large = op->verdict == LWW_KEY_SIZE || op->verdict == LWW_VALUE_SIZE;
        return large ? -EMSGSIZE : -EDQUOT;
    }
    result = take_room(op, 1);
    if (result == 0) {
        result = replace(file, &entry, known, &op->changes[0]);
    }
    op->change_count = result == 0 ? 1 : 0;
    return result;
}
static int merge_entry(struct storage_file *file, const struct storage_batch *batch,
                       struct storage_op *op, const struct entry *entry)
{
    struct known found;
    int result = find(file, entry->key, &found);
    if (result < 0) {
        return result;
    }
    const struct lww_known *known = result > 0 ? &found.known : NULL;
    enum lww_verdict verdict =
        lww_judge(&batch->limits, &file->totals, entry, known, batch->now_ms);
    if (verdict != LWW_WINS) {
        op->refused[verdict]++;
        return 0;
    }
    result = replace(file, entry, known, &op->changes[op->change_count]);
    op->change_count += result == 0 ? 1 : 0;
    return result;
}

/* A damaged entry is passed over, after something that is none nothing can be found. */
static int merge(struct storage_file *file, const struct storage_batch *batch,
                 struct storage_op *op)
{
    struct bytes message = buf_view(&op->data);
    struct reader reader;
    reader_init(&reader, bytes_make(message.data + op->offset, message.size - op->offset));
    size_t most = op->count < STORAGE_STEP ? op->count : STORAGE_STEP;
    int result = most == 0 ? 0 : take_room(op, most);
    for (size_t i = 0; i < most && result == 0; i++) {
        struct entry entry;
        int rc = entry_decode(&reader, &entry);
        op->count--;
        if (rc == 0) {
            result = merge_entry(file, batch, op, &entry);
        } else {
            op->malformed++;
            op->count = rc == -EPROTO ? 0 : op->count;
        }
        if (rc == -EPROTO) {
            break;
        }
    }
    op->offset = message.size - reader_left(&reader);
    return result;
}

static int collect(struct storage_file *file, const struct storage_batch *batch,
                   struct storage_op *op)
{
    sqlite3_stmt *statement = file->statements[STATEMENT_FORGET];
    int result = begin(file);
    if (result < 0) {
        return result;
    }
    statement_bind_number(statement, 1, lww_forget_before(&batch->limits, batch->now_ms));
    statement_bind_number(statement, 2, COLLECT_STEP);
    op->count = 0;
    while ((result = statement_step(file, statement)) > 0) {
        file->totals.tombstones--;
        file->totals.bytes -= statement_number(statement, 0);
        op->count++;
    }
    statement_done(statement);
    op->more = op->count == COLLECT_STEP;
    return result;
}

int storage_change_run(struct storage_file *file, const struct storage_batch *batch,
                       struct storage_op *op)
{
    switch (op->kind) {
    case STORAGE_PUT:
    case STORAGE_REMOVE:
        return change_locally(file, batch, op);
    case STORAGE_MERGE:
        return merge(file, batch, op);
    case STORAGE_COLLECT:
        return collect(file, batch, op);
    case STORAGE_GET:
    case STORAGE_KEYS:
    case STORAGE_PAGE:
    case STORAGE_LOOK:
    default:
        return -EINVAL;
    }
}
