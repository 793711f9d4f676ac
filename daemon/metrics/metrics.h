/* Counters and gauges: one struct of plain uint64_t per module, one registry that reads them.
 *
 * A module increments its own members and never looks anything up. Rows name each member once;
 * what reads the registry (instance.get, later an exporter) sees current values, no copies are
 * kept. One thread only. */
#ifndef RATSD_METRICS_METRICS_H
#define RATSD_METRICS_METRICS_H

#include <stddef.h>
#include <stdint.h>

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric_row {
    const char *name; /* "peer_messages_in"; NULL ends an array */
    enum metric_kind kind;
    size_t offset; /* of a uint64_t in the module's struct */
    const char *help;
};

struct metrics;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* rows and values are borrowed until metrics_free() or metrics_remove(). */
void metrics_add(struct metrics *metrics, const struct metric_row *rows, const void *values);
void metrics_remove(struct metrics *metrics, const void *values);
void metrics_each(const struct metrics *metrics,
                  void (*visit)(void *arg, const struct metric_row *row, uint64_t value),
                  void *arg);

#endif
