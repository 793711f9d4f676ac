#include <errno.h>

#include "sim_net_private.h"

void sim_node_forget(struct sim_node *node)
{
    LIST_EACH(&node->net->pipes, list_node)
    {
        struct pipe *pipe = CONTAINER_OF(list_node, struct pipe, node);
        for (int side = 0; side < 2; side++) {
            struct half *half = &pipe->ends[side];
            if (half->node == node) {
                half->forgotten = true;
                half->open = false;
                deferred_cancel(&half->ready);
            }
        }
    }
}

void sim_node_break(struct sim_node *node)
{
    LIST_EACH(&node->net->pipes, list_node)
    {
        struct pipe *pipe = CONTAINER_OF(list_node, struct pipe, node);
        if (pipe->ends[0].node != node && pipe->ends[1].node != node) {
            continue;
        }
        for (int side = 0; side < 2; side++) {
            struct half *half = &pipe->ends[side];
            if (half->open) {
                half->error = -ECONNRESET;
                deferred_schedule(&half->ready);
            }
        }
    }
}

size_t sim_node_links(const struct sim_node *node)
{
    size_t count = 0;
    LIST_EACH(&node->net->pipes, list_node)
    {
        const struct pipe *pipe = CONTAINER_OF(list_node, struct pipe, node);
        count += pipe->ends[0].node == node && pipe->ends[0].open ? 1u : 0u;
        count += pipe->ends[1].node == node && pipe->ends[1].open ? 1u : 0u;
    }
    return count;
}

unsigned sim_node_dials(const struct sim_node *node)
{
    return node->dials;
}
