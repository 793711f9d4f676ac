#include "metrics/metrics.h"

#include <stdlib.h>

#include "util/alloc.h"
#include "util/list.h"

struct metric_source {
    struct list node;
    const struct metric_row *rows;
    const void *values;
};

struct metrics {
    struct list sources; /* in the order they were added */
};

struct metrics *metrics_new(void)
{
    struct metrics *metrics = xalloc(sizeof *metrics);
    list_init(&metrics->sources);
    return metrics;
}

static void source_free(struct metric_source *source)
{
    list_remove(&source->node);
    free(source);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    LIST_EACH(&metrics->sources, node)
    {
        source_free(CONTAINER_OF(node, struct metric_source, node));
    }
    free(metrics);
}

void metrics_add(struct metrics *metrics, const struct metric_row *rows, const void *values)
{
    struct metric_source *source = xalloc(sizeof *source);
    source->rows = rows;
    source->values = values;
    list_append(&metrics->sources, &source->node);
}

void metrics_remove(struct metrics *metrics, const void *values)
{
    LIST_EACH(&metrics->sources, node)
    {
        struct metric_source *source = CONTAINER_OF(node, struct metric_source, node);
        if (source->values == values) {
            source_free(source);
        }
    }
}

void metrics_each(const struct metrics *metrics,
                  void (*visit)(void *arg, const struct metric_row *row, uint64_t value), void *arg)
{
    LIST_EACH(&metrics->sources, node)
    {
        const struct metric_source *source = CONTAINER_OF(node, struct metric_source, node);
        for (const struct metric_row *row = source->rows; row->name != NULL; row++) {
            const uint8_t *values = source->values;
            visit(arg, row, *(const uint64_t *)(const void *)(values + row->offset));
        }
    }
}
