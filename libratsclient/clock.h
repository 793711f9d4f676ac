/* Time for waits: milliseconds of the monotonic clock, and condition variables that use it. */
#ifndef LIBRATS_CLOCK_H
#define LIBRATS_CLOCK_H

#include <pthread.h>
#include <stdint.h>

#define CLOCK_FOR_EVER INT64_MAX

int64_t clock_now_ms(void);
int64_t clock_now_ns(void);
/* A deadline that far from now; negative = for ever. */
int64_t clock_deadline(int timeout_ms);
/* Milliseconds until then for poll(): 0 when past, -1 for ever. */
int clock_left_ms(int64_t deadline_ms);

/* 0 or a negative errno. */
int condition_init(pthread_cond_t *condition);
/* 0 when woken (the caller looks why), -ETIMEDOUT. */
int condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms);

#endif
