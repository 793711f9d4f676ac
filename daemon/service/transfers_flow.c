/* What came from a peer and is not on disk yet is bounded by the window of each transfer, and for
 * all of them, however small the pieces are, by the peer not being read: a slow disk slows its
 * sender, as TCP would. A program
 * that gives no descriptors must not do that to others: its transfers fail. */
#include "service/transfers_private.h"

#define HOLD_BYTES    (16 * (size_t)TRANSFER_WINDOW)
#define RELEASE_BYTES (HOLD_BYTES / 2)
#define STARVE_MS     5000

void flow_add(struct errand *errand, size_t size)
{
    struct transfers *transfers = errand->transfers;
    struct transfer_peer *peer = transfers_peer(transfers, &errand->transfer->peer);
    errand->waiting += size;
    if (peer == NULL) {
        return;
    }
    peer->waiting += size;
    if (peer->waiting > HOLD_BYTES && !peer->held) {
        peer->held = true;
        peer->held_ms = transfers_now_ms(transfers);
        mesh_hold(host_mesh(transfers->host), &peer->id);
    }
}

void flow_sub(struct errand *errand, size_t size)
{
    struct transfers *transfers = errand->transfers;
    struct transfer_peer *peer = transfers_peer(transfers, &errand->transfer->peer);
    size = size < errand->waiting ? size : errand->waiting;
    errand->waiting -= size;
    if (peer == NULL) {
        return;
    }
    peer->waiting -= size < peer->waiting ? size : peer->waiting;
    if (peer->held && peer->waiting < RELEASE_BYTES) {
        peer->held = false;
        mesh_release(host_mesh(transfers->host), &peer->id);
    }
}

void flow_forget(struct errand *errand)
{
    flow_sub(errand, errand->waiting);
}

static bool is_starved(const struct errand *errand, int64_t now_ms)
{
    return errand->waiting > 0 && errand->transfer->directory &&
           errand->provided <= errand->verified && now_ms - errand->provided_ms >= STARVE_MS;
}

static void end_starved(struct transfers *transfers, const struct transfer_peer *peer)
{
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (!transfer_has_ended(transfer) && peer_id_equal(&transfer->peer, &peer->id) &&
            is_starved(errand_of(transfer), transfers_now_ms(transfers))) {
            transfer_fail(transfers->engine, transfer,
                          "the program opened no files for what arrived",
                          transfers_now_ms(transfers));
        }
    }
}

int64_t flow_tick(struct transfers *transfers)
{
    int64_t now_ms = transfers_now_ms(transfers);
    int64_t next_ms = INT64_MAX;
    size_t cursor = 0;
    const struct transfer_peer *peer;
    while ((peer = map_next(&transfers->peers, &cursor)) != NULL) {
        if (peer->held && now_ms - peer->held_ms >= STARVE_MS) {
            end_starved(transfers, peer);
        }
        if (peer->held) {
            next_ms = now_ms + STARVE_MS;
        }
    }
    return next_ms;
}
