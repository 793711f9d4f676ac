/* Which of two connections to one peer survives (wire-core 7.1). Pure.
 *
 * Both ends evaluate this on their own; if they disagree both connections die, so the rule is
 * exactly the one every librats 2.x node follows and must never be "improved". */
#ifndef RATSD_PEER_DUPLICATE_H
#define RATSD_PEER_DUPLICATE_H

#include "transport/link.h"
#include "util/peer_id.h"

/* A connection as the rule sees it, from our side. */
struct duplicate_side {
    bool outgoing;
    enum transport_kind kind;
};

/* True when the newcomer survives and the current connection is the loser. */
bool duplicate_new_wins(const struct peer_id *self, const struct peer_id *remote,
                        struct duplicate_side current, struct duplicate_side newcomer);

#endif
