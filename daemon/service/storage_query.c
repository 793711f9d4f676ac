#include <assert.h>
#include <errno.h>

#include "service/storage_file_private.h"

static int get(struct storage_file *file, struct storage_op *op)
{
    sqlite3_stmt *statement = file->statements[STATEMENT_READ];
    statement_bind_bytes(statement, 1, buf_view(&op->key));
    int result = statement_step(file, statement);
    if (result > 0) {
        op->found.type = (enum entry_type)sqlite3_column_int(statement, 0);
        op->found.timestamp_ms = statement_number(statement, 1);
        op->found.origin = statement_copy_origin(op->found_origin, statement_bytes(statement, 2));
        result = buf_append(&op->value, statement_bytes(statement, 3));
        op->found.data = buf_view(&op->value);
    } else if (result == 0) {
        result = -ENOENT;
    }
    statement_done(statement);
    return result;
}

static int list_keys(struct storage_file *file, struct storage_op *op)
{
    sqlite3_stmt *statement = file->statements[STATEMENT_LIST];
    struct bytes prefix = buf_view(&op->key);
    size_t count = 0;
    int result;
    statement_bind_bytes(statement, 1, prefix);
    statement_bind_bytes(statement, 2, buf_view(&op->after));
    while ((result = statement_step(file, statement)) > 0) {
        struct bytes key = statement_bytes(statement, 0);
        if (!bytes_begin_with(key, prefix)) {
            result = 0;
            break;
        }
        if (count == op->limit || buf_size(&op->value) > STORAGE_KEYS_SIZE) {
            op->more = true;
            result = 0;
            break;
        }
        count++;
        result = buf_append(&op->value, key);
        result = result == 0 ? buf_append(&op->value, bytes_make("", 1)) : result;
        if (result < 0) {
            break;
        }
    }
    statement_done(statement);
    return result;
}

/* Appends the row's entry to the list; 0, 1 when the list is full, or -ENOMEM. */
static int add_to_page(struct storage_op *op, sqlite3_stmt *row, uint32_t count)
{
    struct entry entry = {
        .key = statement_bytes(row, 1),
        .type = (enum entry_type)sqlite3_column_int(row, 2),
        .deleted = sqlite3_column_int(row, 3) != 0,
        .timestamp_ms = statement_number(row, 4),
        .origin = statement_bytes(row, 5),
        .data = statement_bytes(row, 6),
    };
    size_t size = entry_size(&entry);
    uint8_t *room = NULL;
    if (count > 0 && buf_size(&op->value) + size > STORAGE_PAGE_SIZE) {
        return 1;
    }
    int result = buf_reserve(&op->value, size, &room);
    if (result == 0) {
        struct writer writer;
        writer_init(&writer, room, size);
        entry_encode(&entry, &writer);
        assert(writer_ok(&writer));
        buf_commit(&op->value, size);
        op->seq = statement_number(row, 0);
    }
    return result;
}

static int read_page(struct storage_file *file, struct storage_op *op)
{
    static const uint8_t header[STORE_LIST_HEADER] = {STORE_SYNC_RESPONSE};
    sqlite3_stmt *statement = file->statements[STATEMENT_AFTER];
    uint32_t count = 0;
    int result = buf_append(&op->value, bytes_make(header, sizeof(header)));
    statement_bind_number(statement, 1, op->after_seq);
    while (result == 0 && (result = statement_step(file, statement)) > 0) {
        result = add_to_page(op, statement, count);
        if (result > 0) {
            op->more = true;
            result = 0;
            break;
        }
        count += result == 0 ? 1 : 0;
    }
    statement_done(statement);
    if (result == 0) {
        struct writer writer;
        writer_init(&writer, op->value.data + op->value.start, sizeof(header));
        writer_u8(&writer, STORE_SYNC_RESPONSE);
        writer_u32(&writer, count);
        op->seq = op->more ? op->seq : file->head;
        op->count = count;
    }
    return result;
}

int storage_query_run(struct storage_file *file, struct storage_op *op)
{
    switch (op->kind) {
    case STORAGE_GET:
        return get(file, op);
    case STORAGE_KEYS:
        return list_keys(file, op);
    case STORAGE_PAGE:
        return read_page(file, op);
    case STORAGE_LOOK:
        return 0;
    case STORAGE_PUT:
    case STORAGE_REMOVE:
    case STORAGE_MERGE:
    case STORAGE_COLLECT:
    default:
        return -EINVAL;
    }
}
