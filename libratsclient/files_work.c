/* What the files thread does for each event of a transfer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "beneath.h"
#include "client.h"
#include "clock.h"
#include "holding.h"
#include "proto/frame.h"
#include "shares.h"

#define TOLD_AT_ONCE ((size_t)16 * 1024) /* bytes of paths in one event of the library's own */

/* Fields of an event -------------------------------------------------------------------------- */

static const char *text_of(const json_t *fields, const char *key)
{
    const char *text = json_string_value(json_object_get(fields, key));
    return text == NULL ? "" : text;
}

static uint32_t number_of(const json_t *fields, const char *key)
{
    const json_int_t number = json_integer_value(json_object_get(fields, key));
    return number < 0 ? 0 : number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

/* What the daemon and the application are told --------------------------------------------------
 */

/* A call that nobody waits for. params is taken. */
static void post(struct client *client, enum method_id method, json_t *params)
{
    client_lock(client);
    request_post(client, method, params, CALL_STEP);
    client_unlock(client);
}

/* The daemon ends the transfer, and says so in transfer.changed. */
void files_fail(struct client *client, const char *id, const char *problem)
{
    post(client, M_TRANSFER_FAIL, json_pack("{s:s, s:s}", "transfer", id, "error", problem));
}

static void reject(struct client *client, const char *id, const char *reason)
{
    post(client, M_TRANSFER_REJECT, json_pack("{s:s, s:s}", "transfer", id, "reason", reason));
}

/* (locked) */
static void announce(struct client *client, const char *event, json_t *params)
{
    announce_event(client, event, params);
    reading_interrupt(client);
}

/* (locked) */
static void tell_progress(struct client *client, const struct transfer *transfer)
{
    announce(client, EVENT_TRANSFER_PROGRESSED, transfer_document(transfer));
}

/* Files of a directory that have become whole, gathered into as few events as their size allows. */
struct told {
    struct client *client;
    const struct transfer *transfer;
    uint32_t first;
    json_t *paths; /* NULL while there are none */
    size_t size;
};

static void tell_files(struct told *told)
{
    struct client *client = told->client;
    if (told->paths == NULL) {
        return;
    }
    client_lock(client);
    if (client->callbacks.directory_progress != NULL) {
        announce(client, EVENT_TRANSFER_FILES,
                 json_pack("{s:s, s:I, s:O, s:O}", "transfer_id", told->transfer->id, "first",
                           (json_int_t)told->first, "total_files",
                           json_object_get(told->transfer->row, "total_files"), "files",
                           told->paths));
    }
    client_unlock(client);
    json_decref(told->paths);
    told->paths = NULL;
    told->size = 0;
}

static void add_told(struct told *told, const struct held_file *held)
{
    if (told->paths == NULL) {
        told->paths = json_array();
        told->first = held->number;
    }
    (void)json_array_append_new(told->paths, json_string(held->path));
    told->size += strlen(held->path);
    if (told->size >= TOLD_AT_ONCE) {
        tell_files(told);
    }
}

/* Transfers ----------------------------------------------------------------------------------- */

/* The transfer, while it has not ended; NULL. Only this thread ends and removes them. */
static struct transfer *find_live(struct client *client, const char *id)
{
    client_lock(client);
    struct transfer *transfer = transfers_find(&client->files.transfers, id);
    client_unlock(client);
    return transfer == NULL || transfer->ended_ms != 0 ? NULL : transfer;
}

/* What the reader may be giving it now; once it is there nobody else takes it away. */
static struct holding *holding_of(struct client *client, const struct transfer *transfer)
{
    client_lock(client);
    struct holding *holding = transfer->holding;
    client_unlock(client);
    return holding;
}

/* The transfer, if this process holds something for it; otherwise the daemon hears that it does
 * not, as when the call that began it was given up before it was answered. */
static struct transfer *find_held(struct client *client, const json_t *fields)
{
    const char *id = text_of(fields, "transfer");
    struct transfer *transfer = find_live(client, id);
    if (transfer == NULL || holding_of(client, transfer) == NULL) {
        files_fail(client, id, "the program has given this transfer up");
        return NULL;
    }
    return transfer;
}

/* What is held is let go of, without the lock. */
static void close_ended(struct client *client, struct transfer *transfer)
{
    if (transfer->ended_ms != 0) {
        if (transfer->holding != NULL && transfer->holding->role == TARGET_TREE) {
            client->files.open_targets -= holding_count(transfer->holding);
        }
        if (transfer->holding != NULL && transfer->status == RATS_TRANSFER_COMPLETED) {
            transfer->holding->made = false; /* an empty directory is also what was sent */
        }
        holding_free(transfer->holding);
        transfer->holding = NULL;
    }
}

static void end_locally(struct client *client, struct transfer *transfer,
                        rats_transfer_status_t status, const char *error)
{
    client_lock(client);
    if (transfer_end(&client->files.transfers, transfer, status, error, clock_now_ms())) {
        tell_progress(client, transfer);
    }
    client_unlock(client);
    close_ended(client, transfer);
}

/* Adds what a peer offers or asks for. The row is taken. NULL: it is known already, or without
 * memory. */
static struct transfer *add_shown(struct client *client, const json_t *fields, json_t *row)
{
    struct transfer *transfer = transfer_new(row);
    if (transfer == NULL) {
        return NULL;
    }
    client_lock(client);
    transfer->connection = client->files.connection;
    const int rc = transfers_add(&client->files.transfers, transfer, text_of(fields, "transfer"));
    client_unlock(client);
    if (rc < 0) {
        transfer_free(transfer);
        return NULL;
    }
    return transfer;
}

/* Asks the application, or refuses when it has no callback. */
static void show(struct client *client, const struct transfer *transfer, const char *path,
                 const char *name)
{
    const bool directory = transfer_is_directory(transfer);
    client_lock(client);
    const bool wanted = directory ? client->callbacks.directory_request != NULL
                                  : client->callbacks.file_request != NULL;
    if (wanted) {
        announce(client, EVENT_TRANSFER_SHOWN,
                 json_pack("{s:s, s:O, s:O, s:s, s:s}", "transfer_id", transfer->id, "peer_id",
                           json_object_get(transfer->row, "peer"), "kind",
                           json_object_get(transfer->row, "kind"), "remote_path", path, "name",
                           name));
    }
    client_unlock(client);
    if (!wanted) {
        reject(client, transfer->id, *path == '\0' ? "nobody takes files here" : "not shared");
    }
}

/* Receiving ----------------------------------------------------------------------------------- */

/* What this session asked for is taken without asking anybody. */
static void accept_wanted(struct client *client, struct transfer *transfer)
{
    const int fd = holding_share(transfer->holding);
    if (fd < 0 && transfer->holding->role == TARGET_FILE) {
        files_fail(client, transfer->id, strerror(-fd));
        return;
    }
    struct body_call call = {
        .method = M_TRANSFER_ACCEPT,
        .params = json_pack("{s:s}", "transfer", transfer->id),
        .cargo = {.fds = &fd, .fd_count = fd < 0 ? 0 : 1},
        .timeout_ms = CALL_TIMEOUT_MS,
    };
    if (request_call_body(client, &call) != RATS_SUCCESS) {
        files_fail(client, transfer->id, rats_last_error_message(NULL));
    }
    json_decref(call.result);
    free(call.reply);
}

static json_t *offered_row(const json_t *fields)
{
    return json_pack("{s:O, s:O, s:s, s:O, s:O, s:s, s:b, s:O, s:O}", "peer",
                     json_object_get(fields, "peer"), "kind", json_object_get(fields, "kind"),
                     "direction", "receiving", "request", json_object_get(fields, "request"),
                     "name", json_object_get(fields, "name"), "state", "pending", "waiting", 0,
                     "total_bytes", json_object_get(fields, "total_bytes"), "total_files",
                     json_object_get(fields, "total_files"));
}

static void on_offered(struct client *client, const json_t *fields)
{
    if (json_is_true(json_object_get(fields, "request"))) {
        struct transfer *transfer = find_held(client, fields);
        if (transfer != NULL) {
            accept_wanted(client, transfer);
        }
        return;
    }
    const struct transfer *transfer = add_shown(client, fields, offered_row(fields));
    if (transfer != NULL) {
        show(client, transfer, "", text_of(fields, "name"));
    }
}

static void on_verified(struct client *client, const json_t *fields)
{
    struct transfer *transfer = find_held(client, fields);
    if (transfer == NULL) {
        return;
    }
    struct holding *holding = transfer->holding;
    struct told told = {.client = client, .transfer = transfer};
    char problem[HOLDING_PROBLEM_SIZE];
    const uint32_t first = number_of(fields, "first");
    const uint32_t count = number_of(fields, "count");
    uint32_t placed = 0;
    int rc = 0;
    for (; rc == 0 && placed < count; placed += rc == 0 ? 1 : 0) {
        rc = holding_place(holding, first + placed, problem);
        if (rc == 0 && holding->role == TARGET_TREE) {
            add_told(&told, holding_first(holding));
            holding_drop_first(holding);
            client->files.open_targets--;
        }
    }
    if (placed > 0) {
        post(client, M_TRANSFER_PLACED,
             json_pack("{s:s, s:I}", "transfer", transfer->id, "count", (json_int_t)placed));
    }
    tell_files(&told);
    if (rc < 0) {
        files_fail(client, transfer->id, problem);
    }
}

/* Descriptors -----------------------------------------------------------------------------------
 */

static void on_open(struct client *client, const json_t *fields)
{
    struct transfer *transfer = find_held(client, fields);
    if (transfer == NULL) {
        return;
    }
    const json_t *files = json_object_get(fields, "files");
    const uint32_t first = number_of(fields, "first");
    int rc = transfer->holding->dir_fd < 0 ? -EINVAL : 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(files); i++) {
        const char *path = text_of(json_array_get(files, i), "path");
        rc = holding_want(transfer->holding, first + (uint32_t)i, path);
    }
    if (rc < 0) {
        files_fail(client, transfer->id, strerror(-rc));
    } else {
        files_provide(client, transfer);
    }
}

/* Progress --------------------------------------------------------------------------------------
 */

/* A sender learns which files are whole by their number. */
static void tell_sent(struct client *client, struct transfer *transfer, uint32_t done_files)
{
    struct holding *holding = holding_of(client, transfer);
    if (holding == NULL || holding->role != SOURCE_TREE) {
        return;
    }
    struct told told = {.client = client, .transfer = transfer};
    const struct held_file *held = holding_first(holding);
    while (held != NULL && held->number < done_files) {
        /* Some are asked for again after the link to the peer was lost. */
        if (held->number >= holding->told) {
            add_told(&told, held);
            holding->told = held->number + 1;
        }
        holding_drop_first(holding);
        held = holding_first(holding);
    }
    tell_files(&told);
}

static void on_changed(struct client *client, json_t *fields)
{
    struct transfer *transfer = find_live(client, text_of(fields, "transfer"));
    if (transfer == NULL) {
        return;
    }
    tell_sent(client, transfer, number_of(fields, "done_files"));
    client_lock(client);
    if (transfer_update(&client->files.transfers, transfer, fields, clock_now_ms())) {
        tell_progress(client, transfer);
    }
    client_unlock(client);
    close_ended(client, transfer);
}

/* Requests of peers -----------------------------------------------------------------------------
 */

/* What is served, on its way to the daemon. */
struct serving {
    struct holding *holding;
    struct tree tree;
    int fd;
};

/* 0 or a negative errno. */
static int open_shared(struct client *client, const struct transfer *transfer, const char *wanted,
                       struct serving *ret_serving)
{
    char problem[HOLDING_PROBLEM_SIZE];
    char *path = NULL;
    const bool directory = transfer_is_directory(transfer);
    int rc = shares_open(client, wanted, directory, &path);
    if (rc < 0) {
        return rc;
    }
    *ret_serving = (struct serving){.fd = -1};
    if (directory) {
        rc = holding_take_tree(rc, path, !transfer->flat, &ret_serving->holding, &ret_serving->tree,
                               problem);
    } else {
        uint64_t size = 0;
        ret_serving->fd = rc;
        rc = holding_take_file(rc, path, &ret_serving->holding, &size);
    }
    free(path);
    return rc;
}

/* Whether it lies in a share root, and so is answered. */
static bool serve(struct client *client, const struct transfer *transfer, const char *wanted)
{
    struct serving serving;
    if (open_shared(client, transfer, wanted, &serving) < 0) {
        return false;
    }
    const bool is_file = serving.holding->role == SOURCE_FILE;
    struct grant grant = {.id = transfer->id, .holding = serving.holding};
    struct body_call call = {
        .method = M_TRANSFER_ACCEPT,
        .params = json_pack("{s:s, s:s}", "transfer", transfer->id, "name",
                            beneath_base(serving.holding->path)),
        .cargo = {.body = buf_view(&serving.tree.list),
                  .fds = &serving.fd,
                  .fd_count = is_file ? 1 : 0},
        .grant = &grant,
        .timeout_ms = CALL_TIMEOUT_MS,
    };
    if (request_call_body(client, &call) != RATS_SUCCESS) {
        reject(client, transfer->id, "it cannot be sent");
    }
    if (!grant.taken) {
        holding_free(serving.holding);
    }
    tree_fini(&serving.tree);
    json_decref(call.result);
    free(call.reply);
    return true;
}

static json_t *requested_row(const json_t *fields)
{
    return json_pack("{s:O, s:O, s:s, s:b, s:s, s:s, s:b}", "peer", json_object_get(fields, "peer"),
                     "kind", json_object_get(fields, "kind"), "direction", "sending", "request", 1,
                     "name", beneath_base(text_of(fields, "path")), "state", "pending", "waiting",
                     0);
}

static void on_requested(struct client *client, const json_t *fields)
{
    struct transfer *transfer = add_shown(client, fields, requested_row(fields));
    if (transfer == NULL) {
        return;
    }
    transfer->flat = strcmp(text_of(fields, "depth"), "flat") == 0;
    const char *path = text_of(fields, "path");
    if (!serve(client, transfer, path)) {
        show(client, transfer, path, "");
    }
}

/* Jobs ------------------------------------------------------------------------------------------
 */

static void on_event(struct client *client, const struct job *job)
{
    switch (job->event) {
    case EV_TRANSFER_OFFERED:
        on_offered(client, job->fields);
        break;
    case EV_TRANSFER_REQUESTED:
        on_requested(client, job->fields);
        break;
    case EV_TRANSFER_OPEN:
        on_open(client, job->fields);
        break;
    case EV_TRANSFER_VERIFIED:
        on_verified(client, job->fields);
        break;
    case EV_TRANSFER_CHANGED:
        on_changed(client, job->fields);
        break;
    default:
        break;
    }
}

/* A transfer of that connection or an earlier one that has not ended; NULL. */
static struct transfer *next_lost(struct client *client, unsigned connection)
{
    struct transfer *lost = NULL;
    client_lock(client);
    LIST_EACH(&client->files.transfers.all, node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, link);
        if (lost == NULL && transfer->ended_ms == 0 && transfer->connection <= connection) {
            lost = transfer;
        }
    }
    client_unlock(client);
    return lost;
}

static void on_lost(struct client *client, unsigned connection)
{
    for (struct transfer *transfer = next_lost(client, connection); transfer != NULL;
         transfer = next_lost(client, connection)) {
        end_locally(client, transfer, RATS_TRANSFER_FAILED, "the daemon is gone");
    }
}

static void forget_stale(struct client *client)
{
    struct transfer *stale = NULL;
    do {
        client_lock(client);
        stale = transfers_take_stale(&client->files.transfers, clock_now_ms());
        client_unlock(client);
        transfer_free(stale);
    } while (stale != NULL);
}

void files_work(struct client *client, struct job *job)
{
    struct transfer *transfer = NULL;
    switch (job->kind) {
    case JOB_EVENT:
        on_event(client, job);
        break;
    case JOB_NEW:
        transfer = find_live(client, job->id);
        if (transfer != NULL) {
            client_lock(client);
            tell_progress(client, transfer);
            client_unlock(client);
        }
        break;
    case JOB_LOST:
        on_lost(client, job->connection);
        break;
    default:
        break;
    }
    if (client->files.starved) {
        files_try_starved(client);
    }
    forget_stale(client);
}
