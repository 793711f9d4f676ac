/* Transfers as clients see them. */
#include <string.h>

#include "service/transfers_private.h"

static const char *const state_names[] = {
    [TRANSFER_PENDING] = "pending",     [TRANSFER_STARTING] = "starting",
    [TRANSFER_RUNNING] = "running",     [TRANSFER_PAUSED] = "paused",
    [TRANSFER_COMPLETED] = "completed", [TRANSFER_FAILED] = "failed",
    [TRANSFER_CANCELLED] = "cancelled", [TRANSFER_RESUMING] = "resuming",
};

static const char *kind_name(const struct transfer *transfer)
{
    return transfer->directory ? "directory" : "file";
}

static json_t *peer_text(const struct transfer *transfer)
{
    return json_string(peer_id_format(&transfer->peer).text);
}

/* Whoever was too late, or did not want it, sees that it is over. */
static bool is_over_for(const struct transfer *transfer, uint64_t viewer)
{
    const struct errand *errand = errand_of(transfer);
    for (size_t i = 0; i < errand->shown_count; i++) {
        if (errand->shown[i].session == viewer) {
            return errand->shown[i].is_out;
        }
    }
    return false;
}

json_t *transfers_json(const struct transfer *transfer, uint64_t viewer, int64_t now_ms)
{
    bool is_over = is_over_for(transfer, viewer);
    uint64_t done = is_over ? 0 : transfer->sending ? transfer->acked : transfer->written;
    const char *state = state_names[is_over ? TRANSFER_CANCELLED : transfer->state];
    int64_t age_ms = now_ms - transfer->created_ms;
    json_t *object = json_pack(
        "{s:s, s:o, s:s, s:s, s:b, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "transfer",
        transfer->key, "peer", peer_text(transfer), "kind", kind_name(transfer), "direction",
        transfer->sending ? "sending" : "receiving", "request", (int)transfer->pulled, "name",
        transfer->name, "state", state, "waiting",
        (int)(transfer->lost && !is_over && !transfer_has_ended(transfer)), "done_bytes",
        (json_int_t)done, "total_bytes", (json_int_t)transfer->manifest.total, "done_files",
        (json_int_t)(is_over ? 0 : transfer->files_done), "total_files",
        (json_int_t)transfer->manifest.count, "rate",
        (json_int_t)(is_over || transfer->state != TRANSFER_RUNNING ? 0 : transfer->rate),
        "age_seconds", (json_int_t)(age_ms / 1000));
    if (transfer->session != 0 && !is_over) {
        (void)json_object_set_new(object, "session", json_integer((json_int_t)transfer->session));
    }
    if (transfer->error[0] != '\0' && !is_over) {
        (void)json_object_set_new(object, "error", json_string(transfer->error));
    }
    return object;
}

json_t *transfers_offered_json(const struct transfer *transfer)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:b}", "transfer", transfer->key, "peer",
                     peer_text(transfer), "kind", kind_name(transfer), "name", transfer->name,
                     "total_bytes", (json_int_t)transfer->manifest.total, "total_files",
                     (json_int_t)transfer->manifest.count, "request", (int)transfer->pulled);
}

json_t *transfers_requested_json(const struct transfer *transfer, const char *path, bool is_deep)
{
    return json_pack("{s:s, s:o, s:s, s:s, s:s}", "transfer", transfer->key, "peer",
                     peer_text(transfer), "kind", kind_name(transfer), "path", path, "depth",
                     is_deep ? "tree" : "flat");
}

/* Most of a path stands in JSON as it is. */
static size_t size_in_json(struct bytes path)
{
    static const size_t around = sizeof "{\"path\":\"\",\"size_bytes\":9223372036854775807},";
    size_t size = around + path.size;
    for (size_t i = 0; i < path.size; i++) {
        size += path.data[i] < 0x20 ? sizeof "\\u0000" - 2
                                    : path.data[i] == '"' || path.data[i] == '\\';
    }
    return size;
}

json_t *transfers_open_json(const struct transfer *transfer, uint32_t first, size_t most,
                            uint32_t *ret_count)
{
    const struct transfer_manifest *manifest = &transfer->manifest;
    json_t *files = json_array();
    uint32_t count = 0;
    size_t size = 0;
    while (count < most && count < TRANSFER_OPEN_FILES && first + count < manifest->count) {
        const struct transfer_file *file = &manifest->files[first + count];
        size += size_in_json(file->path);
        if (count > 0 && size > TRANSFER_OPEN_BYTES) {
            break;
        }
        (void)json_array_append_new(files, json_pack("{s:s%, s:I}", "path",
                                                     (const char *)file->path.data, file->path.size,
                                                     "size_bytes", (json_int_t)file->size));
        count++;
    }
    *ret_count = count;
    return json_pack("{s:s, s:I, s:o}", "transfer", transfer->key, "first", (json_int_t)first,
                     "files", files);
}
