/* Long lists of files in peers' offers: a hundred thousand paths take longer to look at than the
 * loop may stand still. A worker does it, and the peer is not read meanwhile, so that what it says
 * next finds the offer there. */
#include <errno.h>
#include <stdlib.h>

#include "service/transfers_private.h"
#include "util/alloc.h"

struct long_list {
    struct transfers *transfers;
    struct peer_id peer;
    struct transfer_frame frame; /* its views are of payload */
    size_t max_files;
    uint64_t seed[2];
    int rc;
    struct transfer_manifest manifest; /* while rc is 0 and nobody has taken it */
    const char *fault;
    struct job *job;
    uint8_t payload[];
};

static void run(void *data)
{
    struct long_list *list = data;
    list->rc = transfer_manifest_from_offer(&list->frame, list->max_files, list->seed,
                                            &list->manifest, &list->fault);
}

static void list_free(void *data)
{
    struct long_list *list = data;
    transfer_manifest_fini(&list->manifest);
    free(list);
}

static void on_done(void *arg, void *data)
{
    struct transfers *transfers = arg;
    struct long_list *list = data;
    struct transfer_peer *peer = transfers_peer(transfers, &list->peer);
    if (peer != NULL) {
        peer->list = NULL;
    }
    mesh_release(host_mesh(transfers->host), &list->peer);
    transfer_engine_receive_offer(transfers->engine, &list->peer, &list->frame, list->rc,
                                  &list->manifest, list->fault, transfers_now_ms(transfers));
    transfers_wake(transfers);
}

bool lists_take(struct transfers *transfers, struct transfer_peer *peer, struct bytes payload)
{
    if (payload.size < TRANSFER_LONG_LIST || payload.data[0] != TRANSFER_OFFER ||
        peer->list != NULL) {
        return false;
    }
    struct long_list *list = try_alloc(sizeof *list + payload.size);
    if (list == NULL) {
        return false;
    }
    memcpy(list->payload, payload.data, payload.size);
    list->transfers = transfers;
    list->peer = peer->id;
    list->max_files = transfers->max_files;
    memcpy(list->seed, transfers->seed, sizeof list->seed);
    if (transfer_frame_decode(bytes_make(list->payload, payload.size), &list->frame) == 0 &&
        list->frame.file_count <= list->max_files) {
        list->job = worker_submit(host_worker(transfers->host), "list of files", run, on_done,
                                  transfers, list, list_free);
    }
    if (list->job == NULL) {
        list_free(list);
        return false;
    }
    peer->list = list;
    mesh_hold(host_mesh(transfers->host), &peer->id);
    return true;
}

void lists_drop(struct transfers *transfers, struct transfer_peer *peer)
{
    if (peer->list != NULL) {
        job_cancel(peer->list->job);
        peer->list = NULL;
        mesh_release(host_mesh(transfers->host), &peer->id);
    }
}
