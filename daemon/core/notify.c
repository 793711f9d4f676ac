#include "core/notify.h"

#ifdef HAVE_SYSTEMD

#include <inttypes.h>
#include <stdint.h>
#include <time.h>

#include <systemd/sd-daemon.h>

void notify_ready(const char *status)
{
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_reloading(void)
{
    /* sd_notify(3): the time tells this reload from an earlier one. */
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_us);
}

void notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

int64_t notify_watchdog_ms(void)
{
    uint64_t silence_us = 0;
    if (sd_watchdog_enabled(0, &silence_us) <= 0 || silence_us / 1000 > INT64_MAX) {
        return 0;
    }
    return (int64_t)(silence_us / 1000);
}

void notify_alive(const char *status)
{
    (void)sd_notifyf(0, "WATCHDOG=1\nSTATUS=%s", status);
}

#else

void notify_ready(const char *status)
{
    (void)status;
}

void notify_reloading(void)
{
}

void notify_stopping(void)
{
}

int64_t notify_watchdog_ms(void)
{
    return 0;
}

void notify_alive(const char *status)
{
    (void)status;
}

#endif
