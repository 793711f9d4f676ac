#include "peer/duplicate.h"

bool duplicate_new_wins(const struct peer_id *self, const struct peer_id *remote,
                        struct duplicate_side current, struct duplicate_side newcomer)
{
    if (current.outgoing != newcomer.outgoing) {
        /* Cross-connect: the one dialed by the smaller id. */
        bool keep_outgoing = peer_id_compare(self, remote) < 0;
        return newcomer.outgoing == keep_outgoing;
    }
    if (current.kind != newcomer.kind) {
        /* A dial race in which both finished. */
        return newcomer.kind == TRANSPORT_UDP;
    }
    return true; /* a reconnect: the old one is the one that may be dead */
}
