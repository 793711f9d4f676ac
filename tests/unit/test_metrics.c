#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/metrics.h"

struct link_metrics {
    uint64_t bytes_in;
    uint64_t open;
};

static const struct metric_row link_rows[] = {
    {"link_bytes_in", METRIC_COUNTER, offsetof(struct link_metrics, bytes_in), "Bytes received."},
    {"link_open", METRIC_GAUGE, offsetof(struct link_metrics, open), "Links open now."},
    {NULL, METRIC_COUNTER, 0, NULL},
};

static void print_row(void *arg, const struct metric_row *row, uint64_t value)
{
    char *out = arg;
    size_t used = strlen(out);
    (void)snprintf(out + used, 256 - used, "%s=%llu ", row->name, (unsigned long long)value);
}

static void every_row_is_visited_with_its_current_value(void **state)
{
    (void)state;
    struct link_metrics values = {.bytes_in = 1};
    struct metrics *metrics = metrics_new();
    metrics_add(metrics, link_rows, &values);
    values.bytes_in = UINT64_MAX;
    values.open = 3;
    char out[256] = "";
    metrics_each(metrics, print_row, out);
    assert_string_equal(out, "link_bytes_in=18446744073709551615 link_open=3 ");
    metrics_free(metrics);
}

static void removed_values_are_no_longer_read(void **state)
{
    (void)state;
    struct link_metrics first = {.open = 1};
    struct link_metrics second = {.open = 2};
    struct metrics *metrics = metrics_new();
    metrics_add(metrics, link_rows, &first);
    metrics_add(metrics, link_rows, &second);
    metrics_remove(metrics, &first);
    metrics_remove(metrics, &first);
    char out[256] = "";
    metrics_each(metrics, print_row, out);
    assert_string_equal(out, "link_bytes_in=0 link_open=2 ");
    metrics_free(metrics);
    metrics_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_visited_with_its_current_value),
        cmocka_unit_test(removed_values_are_no_longer_read),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
