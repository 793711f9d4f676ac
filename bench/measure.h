/* What the programs of bench/ share: the clock, failing, and percentiles. */
#ifndef RATSD_BENCH_MEASURE_H
#define RATSD_BENCH_MEASURE_H

#include <librats.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static inline int fail(rats_client_t client, const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, rats_last_error_message(client));
    return 1;
}

static inline int compare_doubles(const void *a, const void *b)
{
    const double *left = a;
    const double *right = b;
    return (*left > *right) - (*left < *right);
}

/* Sorts them. */
static inline void print_percentiles(double *took_us, unsigned long count)
{
    qsort(took_us, count, sizeof(double), compare_doubles);
    (void)printf("{\"p50_us\": %.1f, \"p99_us\": %.1f}\n", took_us[count / 2],
                 took_us[count * 99 / 100]);
}

#endif
