/* How often addresses may be dialed (reliability V25).
 *
 * Whoever names them, peers, the DHT, the local network or the address book: at most 4 attempts to
 * one address and 16 to one network (IPv4 /24, IPv6 /48) in any 60 s; and what somebody else named
 * not at the same port within 5 min. So nobody can make us attack a victim. Pure: the time is an
 * argument. Easy to break: what others make us remember is bounded, and an address that is still
 * counted is never forgotten to make room; when there is no room, nothing is dialed. */
#ifndef RATSD_PEER_DIAL_BUDGET_H
#define RATSD_PEER_DIAL_BUDGET_H

#include "util/endpoint.h"

#define DIAL_BUDGET_PER_ADDRESS 4
#define DIAL_BUDGET_PER_NETWORK 16
#define DIAL_BUDGET_WINDOW_MS   60000
#define DIAL_BUDGET_AGAIN_MS    300000
#define DIAL_BUDGET_REMEMBERED  4096 /* addresses, networks, and endpoints */

struct dial_budget;

struct dial_budget *dial_budget_new(const uint64_t seed[2]);
void dial_budget_free(struct dial_budget *budget);
/* 0: dial, it is counted. Else it is not counted: -EALREADY it was dialed within 5 min; -EBUSY
 * enough attempts to this address; -EDQUOT enough to its network; -ENOSPC more places are dialed
 * than can be counted; -ENOMEM. */
int dial_budget_take(struct dial_budget *budget, const struct endpoint *to, int64_t now_ms);
/* When an attempt is within what a minute allows: now_ms, or the time to wait for. */
int64_t dial_budget_opens_ms(struct dial_budget *budget, const struct endpoint *to, int64_t now_ms);
/* Counts an attempt that is made in any case. */
void dial_budget_count(struct dial_budget *budget, const struct endpoint *to, int64_t now_ms);

#endif
