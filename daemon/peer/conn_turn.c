#include "peer/conn_private.h"

/* The next turn has as many readers as this one, as far as anybody knows. */
static void on_end(void *arg)
{
    struct conn_turn *turn = arg;
    turn->before = turn->readers;
    turn->readers = 0;
    turn->bytes = 0;
}

void conn_turn_init(struct conn_turn *turn, struct loop *loop)
{
    *turn = (struct conn_turn){0};
    deferred_init(&turn->end, loop, on_end, turn);
}

void conn_turn_fini(struct conn_turn *turn)
{
    deferred_cancel(&turn->end);
}

size_t conn_turn_budget(const struct conn_turn *turn)
{
    size_t share = turn->before == 0 ? CONN_READ_BUDGET : CONN_TURN_BYTES / turn->before;
    if (turn->bytes >= CONN_TURN_BYTES || share < CONN_LEAST_BUDGET) {
        return CONN_LEAST_BUDGET; /* they are more than last time */
    }
    return share < CONN_READ_BUDGET ? share : CONN_READ_BUDGET;
}

void conn_turn_spend(struct conn_turn *turn, size_t size)
{
    turn->bytes += size;
    turn->readers++;
    deferred_schedule(&turn->end);
}
