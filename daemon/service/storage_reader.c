#include "service/storage_reader.h"

#include <errno.h>
#include <stdlib.h>

#include "service/request.h"
#include "service/storage_answer.h"
#include "util/alloc.h"

#define FIRST_PAUSE_MS 10
#define LAST_PAUSE_MS  640

struct storage_reader {
    struct storage_queue *queue;
    storage_fail_fn fail;
    void *arg;
    struct list unread; /* whose values there was no room for, in the order of asking */
    struct timer timer;
    int64_t pause_ms;
};

static void read_again(struct storage_reader *reader, struct storage_op *op)
{
    list_remove(&op->node);
    storage_queue_add(reader->queue, STORAGE_LOCAL, op);
}

static struct storage_op *first_of(const struct storage_reader *reader, uint64_t session)
{
    LIST_EACH(&reader->unread, node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        if (op->session == session) {
            return op;
        }
    }
    return NULL;
}

/* The first of each session. */
static void on_timer(void *arg)
{
    struct storage_reader *reader = arg;
    struct list chosen;
    list_init(&chosen);
    LIST_EACH(&reader->unread, node)
    {
        struct storage_op *op = CONTAINER_OF(node, struct storage_op, node);
        bool first = true;
        LIST_EACH(&chosen, other)
        {
            first = first && CONTAINER_OF(other, struct storage_op, node)->session != op->session;
        }
        if (first) {
            list_remove(node);
            list_append(&chosen, node);
        }
    }
    LIST_EACH(&chosen, node)
    {
        read_again(reader, CONTAINER_OF(node, struct storage_op, node));
    }
    reader->pause_ms = reader->pause_ms * 2 > LAST_PAUSE_MS ? LAST_PAUSE_MS : reader->pause_ms * 2;
}

static void set_unread(struct storage_reader *reader, struct storage_op *op)
{
    buf_fini(&op->value);
    op->found = (struct entry){0};
    list_append(&reader->unread, &op->node);
    if (!timer_is_running(&reader->timer)) {
        timer_start(&reader->timer, reader->pause_ms);
    }
}

void storage_reader_on_got(void *arg, struct storage_op *op)
{
    struct storage_reader *reader = arg;
    uint64_t session = op->session;
    if (op->request != NULL && op->result == -EAGAIN) { /* the batch had read enough */
        storage_queue_add(reader->queue, STORAGE_LOCAL, op);
        return;
    }
    if (op->request != NULL && op->result == 0 &&
        request_reply_body(op->request, storage_value_json(&op->found), op->found.data) < 0) {
        set_unread(reader, op);
        return;
    }
    if (op->request != NULL && op->result < 0) {
        reader->fail(reader->arg, op);
    }
    storage_op_free(op);
    struct storage_op *next = first_of(reader, session);
    if (next != NULL) {
        reader->pause_ms = FIRST_PAUSE_MS;
        read_again(reader, next);
    }
}

struct storage_reader *storage_reader_new(struct loop *loop, struct storage_queue *queue,
                                          storage_fail_fn fail, void *arg)
{
    struct storage_reader *reader = xalloc(sizeof(*reader));
    reader->queue = queue;
    reader->fail = fail;
    reader->arg = arg;
    reader->pause_ms = FIRST_PAUSE_MS;
    list_init(&reader->unread);
    timer_init(&reader->timer, loop, on_timer, reader);
    return reader;
}

void storage_reader_free(struct storage_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    timer_stop(&reader->timer);
    LIST_EACH(&reader->unread, node)
    {
        list_remove(node);
        storage_op_free(CONTAINER_OF(node, struct storage_op, node));
    }
    free(reader);
}
