#include "service/storage_op.h"

#include <stdlib.h>

#include "util/alloc.h"

struct storage_op *storage_op_new(enum storage_op_kind kind)
{
    struct storage_op *op = xalloc(sizeof(*op));
    op->kind = kind;
    list_init(&op->node);
    buf_init(&op->key);
    buf_init(&op->data);
    buf_init(&op->after);
    buf_init(&op->value);
    return op;
}

void storage_op_free(struct storage_op *op)
{
    if (op == NULL) {
        return;
    }
    buf_fini(&op->key);
    buf_fini(&op->data);
    buf_fini(&op->after);
    buf_fini(&op->value);
    free(op->changes);
    free(op);
}

size_t storage_op_held(const struct storage_op *op)
{
    return sizeof(*op) + op->key.capacity + op->data.capacity + op->after.capacity +
           op->value.capacity;
}

bool storage_op_writes(const struct storage_op *op)
{
    return op->kind == STORAGE_PUT || op->kind == STORAGE_REMOVE || op->kind == STORAGE_MERGE ||
           op->kind == STORAGE_COLLECT;
}
