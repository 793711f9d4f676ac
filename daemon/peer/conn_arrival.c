/* Large messages on their way in: what all of them together may take of memory. */
#include "peer/conn_private.h"
#include "wire/block.h"

#define LARGEST ((size_t)BLOCK_PREFIX_SIZE + BLOCK_MAX_BODY)

static struct conn *conn_of(struct list *node)
{
    return CONTAINER_OF(node, struct conn, arrival);
}

static bool has_room(const struct conn_arrivals *arrivals, size_t size)
{
    return arrivals->bytes == 0 || arrivals->bytes + size <= CONN_ARRIVALS_LARGEST * LARGEST;
}

static void admit(struct conn_arrivals *arrivals, struct conn *conn)
{
    conn->arrival_has_room = true;
    conn->arrival_looked_at = false;
    arrivals->bytes += conn->arrival_size;
    list_append(&arrivals->arriving, &conn->arrival);
}

/* In the order of asking: otherwise small ones would keep a large one out for ever. */
static void admit_next(struct conn_arrivals *arrivals)
{
    for (struct list *node; (node = list_first(&arrivals->waiting)) != NULL;) {
        struct conn *conn = conn_of(node);
        if (!has_room(arrivals, conn->arrival_size)) {
            return;
        }
        list_remove(node);
        admit(arrivals, conn);
        conn_release(conn);
    }
    timer_stop(&arrivals->watch);
}

/* Took too little since it was last looked at. While it is held, that is our doing. */
static bool stands_still(struct conn *conn)
{
    size_t before = conn->arrival_seen;
    bool looked_at = conn->arrival_looked_at && conn->holds == 0;
    conn->arrival_seen = intake_size(&conn->in);
    conn->arrival_looked_at = true;
    return looked_at && conn->arrival_seen - before < CONN_LARGE_STEP;
}

static void on_watch(void *arg)
{
    struct conn_arrivals *arrivals = arg;
    struct list found;
    list_init(&found);
    LIST_EACH(&arrivals->arriving, node)
    {
        if (stands_still(conn_of(node))) {
            list_remove(node);
            list_append(&found, node);
        }
    }
    /* One after another from the front: who hears of an end may end others. */
    for (struct list *node; (node = list_first(&found)) != NULL;) {
        conn_close(conn_of(node), CONN_CLOSED_HALF, false);
    }
    if (!list_is_empty(&arrivals->waiting)) {
        timer_start(&arrivals->watch, CONN_STALL_MS);
    }
}

void conn_arrivals_init(struct conn_arrivals *arrivals, struct loop *loop)
{
    arrivals->bytes = 0;
    list_init(&arrivals->arriving);
    list_init(&arrivals->waiting);
    timer_init(&arrivals->watch, loop, on_watch, arrivals);
}

void conn_arrivals_fini(struct conn_arrivals *arrivals)
{
    timer_stop(&arrivals->watch);
}

void conn_arrival_begin(struct conn *conn, size_t size)
{
    struct conn_arrivals *arrivals = conn->context->arrivals;
    if (size <= CONN_READ_BUDGET || conn->arrival_size > 0) {
        return;
    }
    conn->arrival_size = size;
    if (list_is_empty(&arrivals->waiting) && has_room(arrivals, size)) {
        admit(arrivals, conn);
        return;
    }
    conn->arrival_has_room = false;
    list_append(&arrivals->waiting, &conn->arrival);
    conn_hold(conn);
    if (!timer_is_running(&arrivals->watch)) {
        timer_start(&arrivals->watch, CONN_STALL_MS);
    }
}

void conn_arrival_end(struct conn *conn)
{
    struct conn_arrivals *arrivals = conn->context->arrivals;
    if (conn->arrival_size == 0) {
        return;
    }
    list_remove(&conn->arrival);
    arrivals->bytes -= conn->arrival_has_room ? conn->arrival_size : 0;
    conn->arrival_size = 0;
    admit_next(arrivals);
}
