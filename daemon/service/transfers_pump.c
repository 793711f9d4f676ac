/* Frames of transfers onto links.
 *
 * Files must not stand before messages: they go onto a link only while little waits there, and the
 * transfers with one peer take turns, a frame each. What controls a transfer is small and never
 * waits for that; when a link's queue is full altogether it is kept here and follows. */
#include <errno.h>
#include <stdlib.h>

#include "service/transfers_private.h"
#include "util/alloc.h"

#define ROOM_BYTES ((size_t)256 * 1024) /* of a link's queue, for files, at most */
#define MAX_UNSENT 4096u                /* control frames a full link did not take */

/* A control frame that waits. */
struct unsent {
    struct list node;
    size_t size;
    uint8_t data[];
};

/* ---- control ---- */

/* Of the frames that say how far the receiver is only the last counts. */
static bool replaces(const struct unsent *unsent, struct bytes frame)
{
    static const size_t id_end = 1 + sizeof(uint64_t);
    return frame.data[0] == TRANSFER_PROGRESS && unsent->size == frame.size &&
           memcmp(unsent->data, frame.data, id_end) == 0;
}

static int keep(struct transfer_peer *peer, struct bytes frame)
{
    size_t count = 0;
    LIST_EACH(&peer->unsent, node)
    {
        struct unsent *unsent = CONTAINER_OF(node, struct unsent, node);
        if (replaces(unsent, frame)) {
            memcpy(unsent->data, frame.data, frame.size);
            return 0;
        }
        count++;
    }
    struct unsent *unsent = count < MAX_UNSENT ? malloc(sizeof *unsent + frame.size) : NULL;
    if (unsent == NULL) {
        return -ENOMEM;
    }
    unsent->size = frame.size;
    memcpy(unsent->data, frame.data, frame.size);
    list_append(&peer->unsent, &unsent->node);
    return 0;
}

static int send(struct transfers *transfers, const struct peer_id *to, struct bytes frame)
{
    int rc = mesh_send(host_mesh(transfers->host), to, WIRE_FILE_CHUNK, 0, frame);
    return rc > 0 ? 0 : rc;
}

/* False while the link takes no more. */
static bool send_unsent(struct transfers *transfers, struct transfer_peer *peer)
{
    LIST_EACH(&peer->unsent, node)
    {
        struct unsent *unsent = CONTAINER_OF(node, struct unsent, node);
        if (send(transfers, &peer->id, bytes_make(unsent->data, unsent->size)) == -ENOBUFS) {
            return false;
        }
        list_remove(node);
        free(unsent);
    }
    return true;
}

static size_t room_of(const struct peer *peer)
{
    size_t room = peer_bulk_room(peer);
    return room < ROOM_BYTES ? room : ROOM_BYTES;
}

void pump_ask_room(struct transfers *transfers, const struct transfer_peer *peer)
{
    struct peer *mesh_peer = mesh_find(host_mesh(transfers->host), &peer->id);
    if (mesh_peer != NULL) {
        peer_ask_room(mesh_peer, room_of(mesh_peer));
    }
}

int pump_control(struct transfers *transfers, const struct peer_id *to, struct bytes frame)
{
    struct transfer_peer *peer = transfers_peer(transfers, to);
    bool is_offer = frame.data[0] == TRANSFER_OFFER; /* large, and can be refused */
    if (peer == NULL) {
        return -ENOTCONN;
    }
    int rc = list_is_empty(&peer->unsent) || is_offer ? send(transfers, to, frame) : -ENOBUFS;
    if (rc == -ENOBUFS && !is_offer) {
        rc = keep(peer, frame);
        pump_ask_room(transfers, peer);
    }
    return rc;
}

/* ---- data ---- */

static void add(struct errand *errand)
{
    struct transfer_peer *peer = transfers_peer(errand->transfers, &errand->transfer->peer);
    if (peer != NULL && errand->disk != NULL && !list_is_linked(&errand->ready) &&
        transfer_may_send(errand->transfer)) {
        list_append(&peer->ready, &errand->ready);
    }
}

/* One frame of the errand. -EAGAIN when it has none, or may not; else what sending gave. */
static int send_piece(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    const struct transfer_piece *piece =
        transfer_may_send(transfer) ? transfer_disk_piece(errand->disk) : NULL;
    if (piece == NULL) {
        return -EAGAIN;
    }
    int rc = send(transfers, &transfer->peer, piece->frame);
    if (rc < 0) {
        return rc;
    }
    if (piece->is_end) {
        transfer_sent_end(transfer, transfers_now_ms(transfers));
    } else {
        transfer_sent(transfers->engine, transfer, piece->data_size, transfers_now_ms(transfers));
        transfer_disk_set_chunk(errand->disk, transfer_chunk_size(transfer, transfers->chunk_size));
    }
    transfer_disk_consume(errand->disk);
    return 0;
}

void pump_run(struct transfers *transfers, struct transfer_peer *peer)
{
    struct peer *mesh_peer = mesh_find(host_mesh(transfers->host), &peer->id);
    struct list *first;
    if (mesh_peer == NULL || !send_unsent(transfers, peer)) {
        return;
    }
    while ((first = list_first(&peer->ready)) != NULL) {
        if (peer_queued(mesh_peer) >= room_of(mesh_peer)) {
            peer_ask_room(mesh_peer, room_of(mesh_peer));
            return;
        }
        struct errand *errand = CONTAINER_OF(first, struct errand, ready);
        int rc = send_piece(errand);
        list_remove(&errand->ready);
        if (rc != -EAGAIN) {
            list_append(&peer->ready, &errand->ready); /* behind the others */
        }
        if (rc < 0 && rc != -EAGAIN) {
            peer_ask_room(mesh_peer, room_of(mesh_peer));
            return;
        }
    }
}

void pump_now(struct errand *errand)
{
    struct transfer_peer *peer = transfers_peer(errand->transfers, &errand->transfer->peer);
    add(errand);
    if (peer != NULL) {
        pump_run(errand->transfers, peer);
    }
}

void pump_on_room(void *arg, const struct peer_id *id)
{
    struct transfers *transfers = arg;
    struct transfer_peer *peer = transfers_peer(transfers, id);
    if (peer != NULL) {
        pump_run(transfers, peer);
        pull_ask_next(transfers, id);
    }
}

void pump_drop(struct transfer_peer *peer)
{
    LIST_EACH(&peer->ready, ready)
    {
        list_remove(ready);
    }
    LIST_EACH(&peer->unsent, node)
    {
        list_remove(node);
        free(CONTAINER_OF(node, struct unsent, node));
    }
}
