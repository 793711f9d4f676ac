/* Talks to the service manager (sd_notify) when there is one; otherwise does nothing. */
#ifndef RATSD_CORE_NOTIFY_H
#define RATSD_CORE_NOTIFY_H

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

#endif
