/* A timer that fails a test which waits on the real clock when nothing happens any more. The test
 * starts and stops it. */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/loop.h"

static inline void guard_on_end(void *arg)
{
    (void)arg;
    fail_msg("nothing happened any more");
}

static inline void guard_init(struct timer *guard, struct loop *loop)
{
    timer_init(guard, loop, guard_on_end, NULL);
}

#endif
