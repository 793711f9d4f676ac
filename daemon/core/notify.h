/* Talks to the service manager when there is one; otherwise does nothing. Each status is one line
 * for people.
 *
 * The protocol is a datagram of NAME=value lines to $NOTIFY_SOCKET; it is stable and meant to be
 * spoken without a library (sd_notify(3), Notes), which here would bring a megabyte of compressors
 * and cryptography into a process that faces the network. */
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
