/* Tells when the machine's addresses change: rtnetlink, debounced for 2 s (wire-core 15). */
#ifndef RATSD_CORE_NETWATCH_H
#define RATSD_CORE_NETWATCH_H

#include "core/loop.h"

struct netwatch;

/* 0 or negative errno; a machine without netlink can go on without. */
int netwatch_new(struct loop *loop, void (*on_change)(void *arg), void *arg,
                 struct netwatch **ret_netwatch);
void netwatch_free(struct netwatch *netwatch);

#endif
