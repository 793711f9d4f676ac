/* A token bucket: how often something may happen. Pure; the time is an argument.
 *
 * It holds up to `burst` tokens and gains `per_s` a second. bucket_take() is for what is refused
 * when there is no token; bucket_spend() for what cannot be undone: the bucket may then owe, and
 * bucket_wait_ms() says until when. Tokens are counted in thousandths, so a millisecond's gain is
 * a whole number. Easy to break: a bucket is full when it is made, and a clock that stands still
 * fills nothing. */
#ifndef RATSD_UTIL_BUCKET_H
#define RATSD_UTIL_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_TOKEN INT64_C(1000)
/* Rates and bursts beyond this are cut, so that no product overflows. */
#define BUCKET_MAX (INT64_C(1) << 40)

struct bucket {
    int64_t tokens; /* thousandths; negative when it owes */
    int64_t burst;
    int64_t per_s;
    int64_t filled_ms;
};

static inline int64_t bucket_cap(int64_t value)
{
    return value > BUCKET_MAX ? BUCKET_MAX : value;
}

static inline void bucket_init(struct bucket *bucket, int64_t per_s, int64_t burst, int64_t now_ms)
{
    bucket->per_s = bucket_cap(per_s);
    bucket->burst = bucket_cap(burst);
    bucket->tokens = bucket->burst * BUCKET_TOKEN;
    bucket->filled_ms = now_ms;
}

static inline void bucket_fill(struct bucket *bucket, int64_t now_ms)
{
    int64_t elapsed_ms = now_ms - bucket->filled_ms;
    int64_t missing = bucket->burst * BUCKET_TOKEN - bucket->tokens;
    if (elapsed_ms <= 0 || bucket->per_s <= 0) {
        return;
    }
    bucket->filled_ms = now_ms;
    if (elapsed_ms > missing / bucket->per_s) {
        bucket->tokens += missing;
    } else {
        bucket->tokens += elapsed_ms * bucket->per_s;
    }
}

/* True when there was a token; it is gone then. */
static inline bool bucket_take(struct bucket *bucket, int64_t now_ms)
{
    bucket_fill(bucket, now_ms);
    if (bucket->tokens < BUCKET_TOKEN) {
        return false;
    }
    bucket->tokens -= BUCKET_TOKEN;
    return true;
}

static inline void bucket_spend(struct bucket *bucket, int64_t count, int64_t now_ms)
{
    bucket_fill(bucket, now_ms);
    bucket->tokens -= bucket_cap(count) * BUCKET_TOKEN;
}

/* How long until there is a token again; 0 = there is one. */
static inline int64_t bucket_wait_ms(struct bucket *bucket, int64_t now_ms)
{
    bucket_fill(bucket, now_ms);
    if (bucket->tokens >= BUCKET_TOKEN || bucket->per_s <= 0) {
        return 0;
    }
    return (BUCKET_TOKEN - bucket->tokens + bucket->per_s - 1) / bucket->per_s;
}

#endif
