/* What is offered to peers, and what is asked of them: transfers until they are answered. */
#include <errno.h>
#include <stdlib.h>

#include "service/transfer_private.h"
#include "util/alloc.h"
#include "util/text.h"

#define SHOWN_NAME_SIZE 1024

/* ---- offering ---- */

uint64_t transfer_engine_next_id(const struct transfer_engine *engine)
{
    return engine->next_id;
}

static int send_offer(struct transfer_engine *engine, const struct transfer *transfer,
                      struct bytes name)
{
    const struct transfer_manifest *manifest = &transfer->manifest;
    size_t size = transfer_offer_size(name) + transfer_manifest_size(manifest);
    uint8_t *out = try_alloc(size);
    struct writer writer;
    if (out == NULL) {
        return -ENOMEM;
    }
    struct transfer_frame frame = {
        .op = TRANSFER_OFFER,
        .id = transfer->id,
        .is_directory = transfer->directory,
        .total = manifest->total,
        .name = name,
        .file_count = manifest->count,
    };
    writer_init(&writer, out, size);
    transfer_frame_encode(&frame, &writer);
    for (uint32_t i = 0; i < manifest->count; i++) {
        transfer_file_encode(&manifest->files[i], &writer);
    }
    int rc = engine->callbacks->send(engine->arg, &transfer->peer, writer_view(&writer));
    free(out);
    return rc;
}

char *transfer_shown_name(struct bytes name)
{
    char shown[SHOWN_NAME_SIZE];
    size_t size = strlen(text_escape(name, shown, sizeof shown)) + 1;
    char *copy = try_alloc(size);
    if (copy != NULL) {
        memcpy(copy, shown, size);
    }
    return copy;
}

/* With what an offer, ours or a peer's, or a request says. NULL when out of memory. */
static struct transfer *make(struct transfer_engine *engine, const struct transfer_offer *offer,
                             bool sending, int64_t now_ms)
{
    struct transfer *transfer = transfer_new(engine, &offer->peer, sending, now_ms);
    if (transfer == NULL) {
        return NULL;
    }
    transfer->directory = offer->directory;
    transfer->pulled = offer->pulled;
    transfer->session = offer->session;
    transfer->name = transfer_shown_name(offer->name);
    if (transfer->name == NULL) {
        transfer_discard(engine, transfer);
        return NULL;
    }
    return transfer;
}

/* The manifest is taken on success. */
static int begin_offer(struct transfer_engine *engine, struct transfer *transfer, struct bytes name,
                       struct transfer_manifest *manifest)
{
    int rc = transfer_put_on_wire(engine, transfer, engine->next_id);
    if (rc == 0) {
        transfer->manifest = *manifest;
        rc = send_offer(engine, transfer, name);
    }
    if (rc < 0) {
        transfer->manifest = (struct transfer_manifest){0};
        transfer_take_off_wire(engine, transfer);
        return rc;
    }
    transfer->state = TRANSFER_STARTING;
    transfer->offered = true;
    engine->next_id++;
    engine->counts.offered++;
    *manifest = (struct transfer_manifest){0};
    return 0;
}

int transfer_offer(struct transfer_engine *engine, const struct transfer_offer *offer,
                   struct transfer_manifest *manifest, int64_t now_ms,
                   struct transfer **ret_transfer)
{
    if (transfer_engine_active(engine, &offer->peer) >= engine->limits.active_per_peer) {
        return -EDQUOT;
    }
    struct transfer *transfer = make(engine, offer, true, now_ms);
    if (transfer == NULL) {
        return -ENOMEM;
    }
    int rc = begin_offer(engine, transfer, offer->name, manifest);
    if (rc < 0) {
        transfer_discard(engine, transfer);
        return rc;
    }
    *ret_transfer = transfer;
    return 0;
}

/* ---- pulling ---- */

size_t transfer_count(const struct transfer_engine *engine, const struct peer_id *peer,
                      enum transfer_state state, bool sending)
{
    size_t count = 0;
    LIST_EACH(&engine->all, node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        count += transfer->state == state && transfer->sending == sending &&
                 peer_id_equal(&transfer->peer, peer);
    }
    return count;
}

static int begin_request(struct transfer_engine *engine, const struct transfer_offer *wish,
                         bool sending, int64_t now_ms, struct transfer **ret_transfer)
{
    enum transfer_state state = sending ? TRANSFER_PENDING : TRANSFER_STARTING;
    const struct transfer_limits *limits = &engine->limits;
    if (transfer_count(engine, &wish->peer, state, sending) >=
            (sending ? limits->asked_per_peer : limits->wanted_per_peer) ||
        transfer_engine_active(engine, &wish->peer) >= limits->active_per_peer) {
        return -EDQUOT;
    }
    struct transfer *transfer = make(engine, wish, sending, now_ms);
    if (transfer == NULL) {
        return -ENOMEM;
    }
    transfer->pulled = true;
    transfer->state = state;
    *ret_transfer = transfer;
    return 0;
}

int transfer_want(struct transfer_engine *engine, const struct transfer_offer *wish, int64_t now_ms,
                  struct transfer **ret_transfer)
{
    return begin_request(engine, wish, false, now_ms, ret_transfer);
}

int transfer_asked(struct transfer_engine *engine, const struct transfer_offer *wish,
                   int64_t now_ms, struct transfer **ret_transfer)
{
    return begin_request(engine, wish, true, now_ms, ret_transfer);
}

int transfer_expect(struct transfer_engine *engine, struct transfer *transfer, uint64_t id)
{
    if (transfer->state != TRANSFER_STARTING || transfer->sending || transfer->on_wire) {
        return -EINVAL;
    }
    return transfer_put_on_wire(engine, transfer, id);
}

int transfer_serve(struct transfer_engine *engine, struct transfer *transfer, struct bytes name,
                   struct transfer_manifest *manifest, int64_t now_ms)
{
    if (transfer->state != TRANSFER_PENDING || !transfer->sending) {
        return -EINVAL;
    }
    char *shown = transfer_shown_name(name);
    int rc = shown == NULL ? -ENOMEM : begin_offer(engine, transfer, name, manifest);
    if (rc < 0) {
        free(shown);
        return rc;
    }
    free(transfer->name);
    transfer->name = shown;
    transfer->created_ms = now_ms;
    transfer_tell(engine, transfer, now_ms);
    return 0;
}
