/* What a session's transfers come to: bytes, files, ends, and for how long something ran. */
#include "service/transfers_private.h"

void sums_measure(struct errand *errand)
{
    const struct transfer *transfer = errand->transfer;
    struct transfer_client *client = transfers_find_client(errand->transfers, transfer->session);
    int64_t now_ms = transfers_now_ms(errand->transfers);
    bool runs = transfer->state == TRANSFER_RUNNING && client != NULL;
    if (runs && errand->span == NULL) {
        errand->span = transfer->sending ? &client->sending : &client->receiving;
        errand->span->since_ms = errand->span->running++ == 0 ? now_ms : errand->span->since_ms;
    } else if (!runs && errand->span != NULL) {
        if (--errand->span->running == 0) {
            errand->span->total_ms += now_ms - errand->span->since_ms;
        }
        errand->span = NULL;
    }
}

void sums_settle(const struct errand *errand)
{
    const struct transfer *transfer = errand->transfer;
    struct transfer_client *client = transfers_find_client(errand->transfers, transfer->session);
    if (client == NULL) {
        return;
    }
    client->active--;
    client->completed += transfer->state == TRANSFER_COMPLETED;
    client->failed += transfer->state != TRANSFER_COMPLETED;
    client->sent_bytes += transfer->sending ? transfer->acked : 0;
    client->sent_files += transfer->sending ? transfer->files_done : 0;
    client->received_bytes += transfer->sending ? 0 : transfer->written;
    client->received_files += transfer->sending ? 0 : transfer->files_done;
}

static int64_t span_ms(const struct span *span, int64_t now_ms)
{
    return span->total_ms + (span->running > 0 ? now_ms - span->since_ms : 0);
}

json_t *transfers_statistics_json(const struct transfers *transfers,
                                  const struct transfer_client *client, int64_t age_ms,
                                  int64_t now_ms)
{
    struct transfer_client sum = *client;
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (transfer->session != client->session || transfer_has_ended(transfer)) {
            continue;
        }
        sum.sent_bytes += transfer->sending ? transfer->acked : 0;
        sum.sent_files += transfer->sending ? transfer->files_done : 0;
        sum.received_bytes += transfer->sending ? 0 : transfer->written;
        sum.received_files += transfer->sending ? 0 : transfer->files_done;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "uptime_seconds",
                     (json_int_t)(age_ms / 1000), "sent_bytes", (json_int_t)sum.sent_bytes,
                     "received_bytes", (json_int_t)sum.received_bytes, "sent_files",
                     (json_int_t)sum.sent_files, "received_files", (json_int_t)sum.received_files,
                     "active", (json_int_t)sum.active, "completed", (json_int_t)sum.completed,
                     "failed", (json_int_t)sum.failed, "sending_ms",
                     (json_int_t)span_ms(&sum.sending, now_ms), "receiving_ms",
                     (json_int_t)span_ms(&sum.receiving, now_ms));
}
