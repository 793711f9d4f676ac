#include "clock.h"

#include <limits.h>
#include <time.h>

int64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_deadline(int timeout_ms)
{
    return timeout_ms < 0 ? CLOCK_FOR_EVER : clock_now_ms() + timeout_ms;
}

int clock_left_ms(int64_t deadline_ms)
{
    if (deadline_ms == CLOCK_FOR_EVER) {
        return -1;
    }
    const int64_t left = deadline_ms - clock_now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int rc = pthread_condattr_init(&attributes);
    if (rc != 0) {
        return -rc;
    }
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    rc = pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return -rc;
}

int condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms)
{
    if (deadline_ms == CLOCK_FOR_EVER) {
        return -pthread_cond_wait(condition, lock);
    }
    const struct timespec until = {
        .tv_sec = (time_t)(deadline_ms / 1000),
        .tv_nsec = (long)(deadline_ms % 1000) * 1000000,
    };
    return -pthread_cond_timedwait(condition, lock, &until);
}
