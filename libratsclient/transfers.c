#include "transfers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "holding.h"
#include "util/text.h"

/* In the order of rats_transfer_status_t: what callbacks are told, and the protocol's words. */
static const struct {
    const char *name;
    const char *word;
} states[] = {
    {"PENDING", "pending"},     {"STARTING", "starting"},   {"IN_PROGRESS", "running"},
    {"PAUSED", "paused"},       {"COMPLETED", "completed"}, {"FAILED", "failed"},
    {"CANCELLED", "cancelled"}, {"RESUMING", "resuming"},
};

#define STATE_COUNT (sizeof states / sizeof states[0])

const char *transfer_status_name(int status)
{
    return status >= 0 && (size_t)status < STATE_COUNT ? states[status].name : "UNKNOWN";
}

/* A word of a newer daemon is taken for running: the end has its own words. */
static rats_transfer_status_t status_of(const json_t *row)
{
    const char *word = json_string_value(json_object_get(row, "state"));
    for (size_t i = 0; word != NULL && i < STATE_COUNT; i++) {
        if (strcmp(states[i].word, word) == 0) {
            return (rats_transfer_status_t)i;
        }
    }
    return RATS_TRANSFER_IN_PROGRESS;
}

static bool is_end(rats_transfer_status_t status)
{
    return status == RATS_TRANSFER_COMPLETED || status == RATS_TRANSFER_FAILED ||
           status == RATS_TRANSFER_CANCELLED;
}

static json_int_t number_of(const struct transfer *transfer, const char *key)
{
    return json_integer_value(json_object_get(transfer->row, key));
}

static const char *text_of(const struct transfer *transfer, const char *key)
{
    const char *text = json_string_value(json_object_get(transfer->row, key));
    return text == NULL ? "" : text;
}

bool transfer_is_directory(const struct transfer *transfer)
{
    return strcmp(text_of(transfer, "kind"), "directory") == 0;
}

bool transfer_is_sending(const struct transfer *transfer)
{
    return strcmp(text_of(transfer, "direction"), "sending") == 0;
}

/* The table --------------------------------------------------------------------------------- */

void transfers_init(struct transfers *transfers, const uint64_t seed[2])
{
    *transfers = (struct transfers){0};
    map_init(&transfers->by_id, seed);
    list_init(&transfers->all);
}

void transfers_fini(struct transfers *transfers)
{
    LIST_EACH(&transfers->all, node)
    {
        transfer_free(CONTAINER_OF(node, struct transfer, link));
    }
    map_fini(&transfers->by_id);
}

json_t *transfer_row(const char *peer, const char *kind, bool sending, bool request,
                     const char *name)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:b}", "peer", peer, "kind", kind, "direction",
                     sending ? "sending" : "receiving", "request", request ? 1 : 0, "name", name,
                     "state", "starting", "waiting", 0);
}

struct transfer *transfer_new(json_t *row)
{
    struct transfer *transfer = row == NULL ? NULL : calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        json_decref(row);
        return NULL;
    }
    transfer->row = row;
    transfer->status = status_of(row);
    list_init(&transfer->link);
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    if (transfer != NULL) {
        holding_free(transfer->holding);
        json_decref(transfer->row);
        free(transfer->local_path);
        free(transfer);
    }
}

int transfers_add(struct transfers *transfers, struct transfer *transfer, const char *id)
{
    if (id == NULL || strlen(id) != TRANSFER_ID_SIZE) {
        return -EINVAL;
    }
    memcpy(transfer->id, id, TRANSFER_ID_SIZE);
    const int rc =
        map_insert(&transfers->by_id, bytes_make(transfer->id, TRANSFER_ID_SIZE), transfer);
    if (rc == 0) {
        list_append(&transfers->all, &transfer->link);
    }
    return rc;
}

struct transfer *transfers_find(const struct transfers *transfers, const char *id)
{
    return id == NULL ? NULL : map_find(&transfers->by_id, bytes_from_string(id));
}

int transfer_hold(struct transfer *transfer, struct holding *holding)
{
    transfer->local_path = strdup(holding->path);
    if (transfer->local_path == NULL) {
        return -ENOMEM;
    }
    transfer->holding = holding;
    return 0;
}

static void note_end(struct transfers *transfers, struct transfer *transfer, int64_t now_ms)
{
    if (is_end(transfer->status)) {
        transfer->ended_ms = now_ms;
        transfers->ended++;
    }
}

bool transfer_update(struct transfers *transfers, struct transfer *transfer, json_t *row,
                     int64_t now_ms)
{
    if (transfer->ended_ms != 0) {
        return false;
    }
    const rats_transfer_status_t status = status_of(row);
    const bool changed =
        status != transfer->status ||
        json_integer_value(json_object_get(row, "done_bytes")) !=
            number_of(transfer, "done_bytes") ||
        json_integer_value(json_object_get(row, "done_files")) != number_of(transfer, "done_files");
    json_decref(transfer->row);
    transfer->row = json_incref(row);
    transfer->status = status;
    note_end(transfers, transfer, now_ms);
    return changed;
}

bool transfer_end(struct transfers *transfers, struct transfer *transfer,
                  rats_transfer_status_t status, const char *error, int64_t now_ms)
{
    if (transfer->ended_ms != 0) {
        return false;
    }
    /* Without memory for it the end is told without a reason. */
    (void)json_object_set_new(transfer->row, "error", json_string(error));
    (void)json_object_set_new(transfer->row, "rate", json_integer(0));
    transfer->status = status;
    note_end(transfers, transfer, now_ms);
    return true;
}

struct transfer *transfers_take_stale(struct transfers *transfers, int64_t now_ms)
{
    if (transfers->ended == 0) {
        return NULL;
    }
    LIST_EACH(&transfers->all, node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, link);
        if (transfer->ended_ms == 0) {
            continue;
        }
        if (transfers->ended <= TRANSFERS_KEEP_COUNT &&
            now_ms - transfer->ended_ms < TRANSFERS_KEEP_MS) {
            break; /* those behind it began later; they stay a little longer at most */
        }
        list_remove(&transfer->link);
        (void)map_remove(&transfers->by_id, bytes_make(transfer->id, TRANSFER_ID_SIZE));
        transfers->ended--;
        return transfer;
    }
    return NULL;
}

/* Documents --------------------------------------------------------------------------------- */

/* A path is bytes and JSON is text: what is not UTF-8 is shown escaped. */
static json_t *path_text(const char *path)
{
    if (path == NULL || text_is_utf8(bytes_from_string(path))) {
        return json_string(path == NULL ? "" : path);
    }
    const size_t size = strlen(path) * 4 + 8;
    char *shown = malloc(size);
    json_t *text =
        shown == NULL ? NULL : json_string(text_escape(bytes_from_string(path), shown, size));
    free(shown);
    return text;
}

static double percentage(const struct transfer *transfer)
{
    const json_int_t total = number_of(transfer, "total_bytes");
    if (total > 0) {
        return 100.0 * (double)number_of(transfer, "done_bytes") / (double)total;
    }
    return transfer->status == RATS_TRANSFER_COMPLETED ? 100.0 : 0.0;
}

json_t *transfer_document(const struct transfer *transfer)
{
    const json_int_t total_files = number_of(transfer, "total_files");
    return json_pack(
        "{s:s, s:s, s:o, s:s, s:I, s:I, s:f, s:i, s:i, s:s, s:b, s:I, s:I, s:s, s:f}",
        "transfer_id", transfer->id, "filename", text_of(transfer, "name"), "local_path",
        path_text(transfer->local_path), "peer_id", text_of(transfer, "peer"), "bytes_transferred",
        number_of(transfer, "done_bytes"), "total_bytes", number_of(transfer, "total_bytes"),
        "completion_percentage", percentage(transfer), "status", (int)transfer->status, "direction",
        transfer_is_sending(transfer) ? 0 : 1, "kind", text_of(transfer, "kind"), "request",
        json_is_true(json_object_get(transfer->row, "request")) ? 1 : 0, "files_completed",
        number_of(transfer, "done_files"), "total_files", total_files, "error",
        text_of(transfer, "error"), "rate_bps", (double)number_of(transfer, "rate"));
}
