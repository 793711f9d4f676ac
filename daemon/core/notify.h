/* Talks to the service manager (sd_notify) when there is one; otherwise does nothing. Each status
 * is one line for people. */
#ifndef RATSD_CORE_NOTIFY_H
#define RATSD_CORE_NOTIFY_H

#include <stdint.h>

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);
/* Milliseconds of silence after which the service manager takes us for hung; 0 = it does not
 * watch. */
int64_t notify_watchdog_ms(void);
void notify_alive(const char *status); /* not hung, and how we are */

#endif
