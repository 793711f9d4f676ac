/* The functions for transfers: what they open is opened by the caller's thread and with its rights,
 * what happens afterwards is the files thread's. */
#include <stdlib.h>
#include <string.h>

#include "beneath.h"
#include "client.h"
#include "holding.h"
#include "util/text.h"

#define SEND_TIMEOUT_MS 30000 /* the daemon may have a long list to check */
#define NAME_MAX_SIZE   4096u
#define REASON_MAX_SIZE 512u

/* Arguments --------------------------------------------------------------------------------- */

static int check_text(const char *what, const char *text, size_t least, size_t most)
{
    const size_t size = strlen(text);
    if (size < least || size > most || !text_is_utf8(bytes_make(text, size))) {
        return error_set(RATS_ERROR_INVALID_PARAMETER, "%s has %zu to %zu bytes of UTF-8", what,
                         least, most);
    }
    return RATS_SUCCESS;
}

static int check_given(const char *what, const void *pointer)
{
    return pointer != NULL ? RATS_SUCCESS
                           : error_set(RATS_ERROR_INVALID_PARAMETER, "%s is NULL", what);
}

/* What the peer is shown: `given`, or the last part of path. free(); NULL with the last error set.
 */
static char *choose_name(const char *given, const char *path)
{
    char *name = NULL;
    if (given != NULL) {
        name = strdup(given);
    } else {
        size_t size = strlen(path);
        while (size > 1 && path[size - 1] == '/') {
            size--;
        }
        char *trimmed = strndup(path, size);
        const char *base = trimmed == NULL ? "" : beneath_base(trimmed);
        if (trimmed != NULL && (strcmp(base, ".") == 0 || strcmp(base, "..") == 0)) {
            /* Where that leads has a name. */
            char *real = realpath(path, NULL);
            free(trimmed);
            trimmed = real == NULL ? strdup("directory") : real;
            base = trimmed == NULL ? "" : beneath_base(trimmed);
        }
        name = trimmed == NULL ? NULL : strdup(*base == '\0' ? "root" : base);
        free(trimmed);
    }
    if (name == NULL) {
        (void)error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    } else if (check_text("the name the peer is shown", name, 1, NAME_MAX_SIZE) != RATS_SUCCESS) {
        free(name);
        name = NULL;
    }
    return name;
}

/* Beginning --------------------------------------------------------------------------------- */

static int start_thread(struct client *client)
{
    client_lock(client);
    const int code = files_start(client);
    client_unlock(client);
    return code;
}

/* Calls with a grant. What the grant holds is the files thread's, or gone. RATS_SUCCESS and, if
 * wanted, the id of the transfer, or a code with the last error set. */
static int call_granted(struct client *client, struct body_call *call, char **ret_id)
{
    struct grant *grant = call->grant;
    int code = request_call_body(client, call);
    if (code == RATS_SUCCESS && !grant->taken) {
        code = error_set(RATS_ERROR_OPERATION_FAILED, "the transfer has ended meanwhile");
    }
    if (code == RATS_SUCCESS && ret_id != NULL) {
        const char *id = json_string_value(json_object_get(call->result, "transfer"));
        *ret_id = strdup(id == NULL ? "" : id);
        code = *ret_id == NULL ? error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory") : code;
    }
    if (!grant->taken) {
        transfer_free(grant->transfer);
        holding_free(grant->holding);
    }
    json_decref(call->result);
    free(call->reply);
    return code;
}

/* Offers what is held. The row, the holding and, if not -1, the descriptor are taken. The id; NULL
 * with the last error set. */
static char *offer(struct client *client, json_t *row, struct holding *holding, int fd,
                   struct bytes list)
{
    struct grant grant = {.transfer = transfer_new(row), .holding = holding};
    char *id = NULL;
    if (grant.transfer == NULL) {
        /* Said in the same way by the call, which has no parameters then. */
        row = NULL;
    }
    struct body_call call = {
        .method = M_TRANSFER_SEND,
        .params = row == NULL ? NULL
                              : json_pack("{s:O, s:O, s:O}", "peer", json_object_get(row, "peer"),
                                          "kind", json_object_get(row, "kind"), "name",
                                          json_object_get(row, "name")),
        .cargo = {.body = list, .fds = &fd, .fd_count = fd < 0 ? 0 : 1},
        .grant = &grant,
        .timeout_ms = SEND_TIMEOUT_MS,
    };
    (void)call_granted(client, &call, &id);
    return id;
}

/* The row of a transfer of one or many files; NULL without memory. */
static json_t *sized_row(const struct peer_id *peer, const char *kind, const char *name,
                         uint64_t bytes, uint64_t files)
{
    json_t *row = transfer_row(peer_id_format(peer).text, kind, true, false, name);
    if (row != NULL &&
        (json_object_set_new(row, "total_bytes", json_integer((json_int_t)bytes)) < 0 ||
         json_object_set_new(row, "total_files", json_integer((json_int_t)files)) < 0)) {
        json_decref(row);
        row = NULL;
    }
    return row;
}

/* RATS_SUCCESS and the peer, or a code with the last error set. */
static int check_beginning(struct client *client, const char *peer_id, const char *what,
                           const char *path, struct peer_id *ret_peer)
{
    int code = check_given("the peer's id", peer_id);
    code = code == RATS_SUCCESS ? check_given(what, path) : code;
    code = code == RATS_SUCCESS ? check_peer(client, peer_id, ret_peer) : code;
    return code == RATS_SUCCESS ? start_thread(client) : code;
}

char *rats_send_file(rats_client_t handle, const char *peer_id, const char *file_path,
                     const char *remote_filename)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id peer;
    if (client == NULL ||
        check_beginning(client, peer_id, "the file's path", file_path, &peer) != RATS_SUCCESS) {
        return NULL;
    }
    char *name = choose_name(remote_filename, file_path);
    struct holding *holding = NULL;
    uint64_t size = 0;
    int fd = -1;
    char *id = NULL;
    if (name != NULL && holding_open_file(file_path, &holding, &fd, &size) == RATS_SUCCESS) {
        id = offer(client, sized_row(&peer, "file", name, size, 1), holding, fd,
                   bytes_make(NULL, 0));
    }
    free(name);
    return id;
}

char *rats_send_directory(rats_client_t handle, const char *peer_id, const char *directory_path,
                          const char *remote_directory_name, int recursive)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id peer;
    if (client == NULL || check_beginning(client, peer_id, "the directory's path", directory_path,
                                          &peer) != RATS_SUCCESS) {
        return NULL;
    }
    char *name = choose_name(remote_directory_name, directory_path);
    struct holding *holding = NULL;
    struct tree tree;
    char *id = NULL;
    if (name != NULL &&
        holding_open_tree(directory_path, recursive != 0, &holding, &tree) == RATS_SUCCESS) {
        id = offer(client, sized_row(&peer, "directory", name, tree.total_bytes, tree.total_files),
                   holding, -1, buf_view(&tree.list));
        tree_fini(&tree);
    }
    free(name);
    return id;
}

/* Asks for a file or directory that is to go into what is held, which is taken. The id; NULL with
 * the last error set. */
static char *request(struct client *client, const struct peer_id *peer, const char *path,
                     struct holding *holding, bool flat)
{
    const char *kind = holding->role == TARGET_FILE ? "file" : "directory";
    json_t *row = transfer_row(peer_id_format(peer).text, kind, false, true, beneath_base(path));
    struct grant grant = {.transfer = transfer_new(row), .holding = holding};
    char *id = NULL;
    struct body_call call = {
        .method = M_TRANSFER_REQUEST,
        .params = grant.transfer == NULL
                      ? NULL
                      : json_pack("{s:s, s:s, s:s, s:s}", "peer", peer_id_format(peer).text, "kind",
                                  kind, "path", path, "depth", flat ? "flat" : "tree"),
        .grant = &grant,
        .timeout_ms = CALL_TIMEOUT_MS,
    };
    (void)call_granted(client, &call, &id);
    return id;
}

char *rats_request_file(rats_client_t handle, const char *peer_id, const char *remote_path,
                        const char *local_path)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id peer;
    struct holding *holding = NULL;
    if (client == NULL || check_given("the local path", local_path) != RATS_SUCCESS ||
        check_beginning(client, peer_id, "the remote path", remote_path, &peer) != RATS_SUCCESS ||
        check_text("the remote path", remote_path, 1, NAME_MAX_SIZE) != RATS_SUCCESS ||
        holding_make_file(local_path, &holding) != RATS_SUCCESS) {
        return NULL;
    }
    return request(client, &peer, remote_path, holding, false);
}

char *rats_request_directory(rats_client_t handle, const char *peer_id, const char *remote_path,
                             const char *local_path, int recursive)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    struct peer_id peer;
    struct holding *holding = NULL;
    if (client == NULL || check_given("the local path", local_path) != RATS_SUCCESS ||
        check_beginning(client, peer_id, "the remote path", remote_path, &peer) != RATS_SUCCESS ||
        check_text("the remote path", remote_path, 1, NAME_MAX_SIZE) != RATS_SUCCESS ||
        holding_make_tree(local_path, &holding) != RATS_SUCCESS) {
        return NULL;
    }
    return request(client, &peer, remote_path, holding, recursive == 0);
}

/* Answering --------------------------------------------------------------------------------- */

static int unknown(void)
{
    return error_set(RATS_ERROR_OPERATION_FAILED, "this session has no transfer of that id");
}

/* (locked) One that this session was shown and may answer now; NULL with the last error set. */
static struct transfer *find_unanswered(const struct client *client, const char *id, bool directory)
{
    struct transfer *transfer = transfers_find(&client->files.transfers, id);
    if (transfer == NULL) {
        (void)unknown();
    } else if (transfer_is_directory(transfer) != directory) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "that transfer is of a %s",
                        directory ? "file" : "directory");
        transfer = NULL;
    } else if (transfer->ended_ms != 0) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "that transfer has ended");
        transfer = NULL;
    } else if (transfer->status != RATS_TRANSFER_PENDING || transfer->holding != NULL ||
               transfer->answering) {
        (void)error_set(RATS_ERROR_OPERATION_FAILED, "that transfer was answered before");
        transfer = NULL;
    }
    return transfer;
}

/* What is to be known of a transfer while it is answered. */
struct answer {
    char id[TRANSFER_ID_SIZE + 1];
    bool sending;
    bool directory;
    bool flat;
};

/* RATS_SUCCESS, and nobody else answers it meanwhile; or a code with the last error set. */
static int begin_answer(struct client *client, const char *id, bool directory,
                        struct answer *ret_answer)
{
    client_lock(client);
    struct transfer *transfer = find_unanswered(client, id, directory);
    int code = transfer == NULL ? error_code() : check_may_send(client, NULL);
    if (code == RATS_SUCCESS) {
        transfer->answering = true;
        *ret_answer = (struct answer){.sending = transfer_is_sending(transfer),
                                      .directory = directory,
                                      .flat = transfer->flat};
        memcpy(ret_answer->id, transfer->id, sizeof transfer->id);
    }
    client_unlock(client);
    return code;
}

static void end_answer(struct client *client, const struct answer *answer)
{
    client_lock(client);
    struct transfer *transfer = transfers_find(&client->files.transfers, answer->id);
    if (transfer != NULL) {
        transfer->answering = false;
    }
    client_unlock(client);
}

/* Opens what is to be sent, or where it is to go. RATS_SUCCESS or a code with the last error set.
 */
static int open_for(const struct answer *answer, const char *path, struct holding **ret_holding,
                    int *ret_fd, struct tree *ret_tree)
{
    uint64_t size = 0;
    if (answer->sending && answer->directory) {
        return holding_open_tree(path, !answer->flat, ret_holding, ret_tree);
    }
    if (answer->sending) {
        return holding_open_file(path, ret_holding, ret_fd, &size);
    }
    int code = answer->directory ? holding_make_tree(path, ret_holding)
                                 : holding_make_file(path, ret_holding);
    if (code == RATS_SUCCESS) {
        const int fd = holding_share(*ret_holding);
        if (fd < 0 && answer->directory) {
            *ret_fd = -1; /* then its disk is looked at when its first file is opened */
        } else if (fd < 0) {
            holding_free(*ret_holding);
            code = error_set(RATS_ERROR_OPERATION_FAILED, "%s", strerror(-fd));
        } else {
            *ret_fd = fd;
        }
    }
    return code;
}

static int accept_transfer(struct client *client, const char *id, const char *path, bool directory)
{
    struct answer answer;
    int code = check_given("the transfer's id", id);
    code = code == RATS_SUCCESS ? check_given("the local path", path) : code;
    code = code == RATS_SUCCESS ? begin_answer(client, id, directory, &answer) : code;
    if (code != RATS_SUCCESS) {
        return code;
    }
    struct grant grant = {.id = answer.id};
    struct tree tree = {0};
    int fd = -1;
    code = open_for(&answer, path, &grant.holding, &fd, &tree);
    if (code == RATS_SUCCESS) {
        struct body_call call = {
            .method = M_TRANSFER_ACCEPT,
            .params = json_pack("{s:s}", "transfer", answer.id),
            .cargo = {.body = buf_view(&tree.list), .fds = &fd, .fd_count = fd < 0 ? 0 : 1},
            .grant = &grant,
            .timeout_ms = SEND_TIMEOUT_MS,
        };
        code = call_granted(client, &call, NULL);
        tree_fini(&tree);
    }
    end_answer(client, &answer);
    return code;
}

rats_error_t rats_accept_file_transfer(rats_client_t handle, const char *transfer_id,
                                       const char *local_path)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    return error_v1(client == NULL ? error_code()
                                   : accept_transfer(client, transfer_id, local_path, false));
}

rats_error_t rats_accept_directory_transfer(rats_client_t handle, const char *transfer_id,
                                            const char *local_path)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    return error_v1(client == NULL ? error_code()
                                   : accept_transfer(client, transfer_id, local_path, true));
}

static int reject_transfer(struct client *client, const char *id, const char *reason,
                           bool directory)
{
    struct answer answer;
    reason = reason == NULL ? "" : reason;
    int code = check_given("the transfer's id", id);
    code = code == RATS_SUCCESS ? check_text("the reason", reason, 0, REASON_MAX_SIZE) : code;
    code = code == RATS_SUCCESS ? begin_answer(client, id, directory, &answer) : code;
    if (code != RATS_SUCCESS) {
        return code;
    }
    code = request_call(client, M_TRANSFER_REJECT,
                        json_pack("{s:s, s:s}", "transfer", answer.id, "reason", reason),
                        CALL_TIMEOUT_MS, NULL);
    if (code != RATS_SUCCESS) {
        end_answer(client, &answer);
    }
    return code;
}

rats_error_t rats_reject_file_transfer(rats_client_t handle, const char *transfer_id,
                                       const char *reason)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    return error_v1(client == NULL ? error_code()
                                   : reject_transfer(client, transfer_id, reason, false));
}

rats_error_t rats_reject_directory_transfer(rats_client_t handle, const char *transfer_id,
                                            const char *reason)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    return error_v1(client == NULL ? error_code()
                                   : reject_transfer(client, transfer_id, reason, true));
}

/* Steering ---------------------------------------------------------------------------------- */

/* One call about a transfer of this session. */
static rats_error_t steer(rats_client_t handle, enum method_id method, const char *id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL || check_given("the transfer's id", id) != RATS_SUCCESS) {
        return error_v1(error_code());
    }
    client_lock(client);
    int code = transfers_find(&client->files.transfers, id) == NULL ? unknown()
                                                                    : check_may_send(client, NULL);
    client_unlock(client);
    if (code == RATS_SUCCESS) {
        code =
            request_call(client, method, json_pack("{s:s}", "transfer", id), CALL_TIMEOUT_MS, NULL);
    }
    return error_v1(code);
}

rats_error_t rats_cancel_file_transfer(rats_client_t handle, const char *transfer_id)
{
    return steer(handle, M_TRANSFER_CANCEL, transfer_id);
}

rats_error_t rats_pause_file_transfer(rats_client_t handle, const char *transfer_id)
{
    return steer(handle, M_TRANSFER_PAUSE, transfer_id);
}

rats_error_t rats_resume_file_transfer(rats_client_t handle, const char *transfer_id)
{
    return steer(handle, M_TRANSFER_RESUME, transfer_id);
}

/* Asking ------------------------------------------------------------------------------------ */

char *rats_get_file_transfer_progress_json(rats_client_t handle, const char *transfer_id)
{
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL || check_given("the transfer's id", transfer_id) != RATS_SUCCESS) {
        return NULL;
    }
    client_lock(client);
    const struct transfer *transfer = transfers_find(&client->files.transfers, transfer_id);
    json_t *document = transfer == NULL ? NULL : transfer_document(transfer);
    client_unlock(client);
    if (transfer == NULL) {
        (void)error_set(RATS_ERROR_NOT_FOUND, "this session has no transfer of that id");
        return NULL;
    }
    return document_print(document);
}

char *rats_get_file_transfers_json(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    if (client == NULL) {
        return NULL;
    }
    json_t *list = json_array();
    client_lock(client);
    LIST_EACH(&client->files.transfers.all, node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, link);
        if (json_array_append_new(list, transfer_document(transfer)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    client_unlock(client);
    return document_print(list);
}

static json_int_t number_of(const json_t *fields, const char *key)
{
    return json_integer_value(json_object_get(fields, key));
}

static double per_second(const json_t *sums, const char *bytes, const char *ms)
{
    const json_int_t duration_ms = number_of(sums, ms);
    return duration_ms == 0 ? 0.0 : 1000.0 * (double)number_of(sums, bytes) / (double)duration_ms;
}

/* The object of api.md 4.4. */
static json_t *statistics_document(const json_t *sums)
{
    const json_int_t completed = number_of(sums, "completed");
    const json_int_t ended = completed + number_of(sums, "failed");
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "uptime_seconds",
        number_of(sums, "uptime_seconds"), "total_bytes_sent", number_of(sums, "sent_bytes"),
        "total_bytes_received", number_of(sums, "received_bytes"), "total_files_sent",
        number_of(sums, "sent_files"), "total_files_received", number_of(sums, "received_files"),
        "active_transfers", number_of(sums, "active"), "completed_transfers", ended, "success_rate",
        ended == 0 ? 0.0 : (double)completed / (double)ended, "average_send_rate_bps",
        per_second(sums, "sent_bytes", "sending_ms"), "average_receive_rate_bps",
        per_second(sums, "received_bytes", "receiving_ms"));
}

char *rats_get_file_transfer_statistics_json(rats_client_t handle)
{
    ENTER(client, handle, RATS_ERROR_INVALID_HANDLE);
    json_t *sums = NULL;
    if (client == NULL || request_call(client, M_TRANSFER_STATISTICS, json_object(),
                                       CALL_TIMEOUT_MS, &sums) != RATS_SUCCESS) {
        return NULL;
    }
    json_t *document = statistics_document(sums);
    json_decref(sums);
    return document_print(document);
}
