/* What is sent, and where what is received goes: a descriptor, or a long list of files, is looked
 * at on a worker before anybody hears of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/transfers_private.h"
#include "util/alloc.h"

/* A call that waits until its descriptor, or its list, was looked at. */
struct check {
    struct transfer_check check; /* with the descriptor, until it is handed on; -1: none */
    struct list_check {
        uint8_t *body; /* of the call; NULL: it is about a descriptor */
        size_t size;
        size_t max_files;
        uint64_t seed[2];
        int rc;
        struct transfer_manifest manifest; /* until it is handed on */
        const char *fault;
    } list;
    struct transfers *transfers;
    struct request *request; /* NULL: given up */
    struct errand *errand; /* of an offer or request that is about to be taken; NULL: to be sent */
    struct job *job;
};

static void check_run(void *data)
{
    struct check *check = data;
    struct list_check *list = &check->list;
    if (list->body == NULL) {
        transfer_check_run(&check->check);
    } else {
        list->rc = transfer_manifest_from_body(bytes_make(list->body, list->size), list->max_files,
                                               list->seed, &list->manifest, &list->fault);
    }
}

static void check_free(void *data)
{
    struct check *check = data;
    if (check->check.fd >= 0) {
        (void)close(check->check.fd);
    }
    transfer_manifest_fini(&check->list.manifest);
    free(check->list.body);
    free(check);
}

static void leave_errand(struct check *check)
{
    if (check->errand != NULL && check->errand->check == check) {
        check->errand->check = NULL;
    }
    check->errand = NULL;
}

/* The list is looked at no more, or only in vain. */
static void settle_list(const struct check *check, uint64_t session)
{
    struct transfer_client *client = transfers_find_client(check->transfers, session);
    if (client != NULL) {
        client->checking -= check->list.size;
    }
}

static void on_cancel(void *arg)
{
    struct check *check = arg;
    leave_errand(check);
    settle_list(check, request_session(check->request));
    check->request = NULL;
    job_cancel(check->job);
}

void check_drop(struct check *check)
{
    if (check != NULL) {
        check->errand->check = NULL;
        check->errand = NULL;
    }
}

bool transfers_is_crowded(const struct transfers *transfers, struct request *request)
{
    const struct transfer_client *client =
        transfers_find_client(transfers, request_session(request));
    if (client == NULL || client->active < transfers->active_per_session) {
        return false;
    }
    request_fail(request, E_LIMIT,
                 "%zu transfers of this session have not ended; wait for one of them, or raise "
                 "'max_active_per_session' in [" TRANSFER_SECTION "] of the configuration",
                 client->active);
    return true;
}

/* What the lists of a session's transfers take, and those that are looked at: false, after the
 * request was failed, when one more of that size would be too much. One alone is always let in. */
static bool has_list_room(const struct transfers *transfers, struct request *request, size_t size)
{
    uint64_t session = request_session(request);
    const struct transfer_client *client = transfers_find_client(transfers, session);
    size_t bytes = client == NULL ? 0 : client->checking;
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        bool counts = transfer->session == session && transfer->sending;
        bytes += counts && !transfer_has_ended(transfer) ? transfer->manifest.size : 0;
    }
    if (bytes == 0 || bytes + size <= transfers->list_bytes) {
        return true;
    }
    request_fail(
        request, E_LIMIT,
        "the lists of files of what this session sends take %zu bytes; wait for one of its "
        "transfers, or raise 'max_list_bytes' in [" TRANSFER_SECTION "] of the configuration",
        bytes);
    return false;
}

/* Why something was not offered, or not asked for. */
void transfers_fail_offer(struct request *request, const struct peer_id *peer, int rc)
{
    switch (rc) {
    case -ENOTCONN:
        fail_not_connected(request, peer);
        break;
    case -EDQUOT:
        request_fail(request, E_LIMIT,
                     "too many transfers with that peer have not ended; wait for one of them");
        break;
    case -ENOBUFS:
        request_fail(request, E_LIMIT, "too much is queued to that peer; try again in a moment");
        break;
    case -EMSGSIZE:
        request_fail(request, E_TOO_LARGE,
                     "the list of files is larger than a message can be, or has more files than "
                     "'max_files' in [" TRANSFER_SECTION "] of the configuration allows");
        break;
    case -EFBIG:
        request_fail(request, E_TOO_LARGE, "the files are larger than any file can be");
        break;
    default:
        request_fail_errno(request, rc, "out of memory");
        break;
    }
}

static struct bytes text_param(const struct request *request, const char *name)
{
    const json_t *value = json_object_get(request_params(request), name);
    return bytes_make(json_string_value(value), json_string_length(value));
}

static bool is_directory(const struct request *request)
{
    return bytes_equal(text_param(request, "kind"), bytes_from_string("directory"));
}

/* ---- offering ---- */

/* False after the request was failed for its list. */
static bool is_list_good(struct request *request, int rc, const char *fault)
{
    struct peer_id nobody = {{0}};
    if (rc == -EINVAL) {
        request_fail_details(request, E_INVALID_PARAMETER, json_pack("{s:s}", "field", "body"),
                             "the list of files, or a path in it, %s", fault);
    } else if (rc < 0) {
        transfers_fail_offer(request, &nobody, rc);
    }
    return rc == 0;
}

/* Answers the request; the manifest is taken, and fd (-1: none) as well. */
static void offer(struct transfers *transfers, struct request *request,
                  struct transfer_manifest *manifest, int fd)
{
    struct transfer_offer offer = {
        .peer = peer_param(request),
        .session = request_session(request),
        .name = text_param(request, "name"),
        .directory = is_directory(request),
    };
    struct transfer *transfer = NULL;
    int rc =
        transfer_offer(transfers->engine, &offer, manifest, transfers_now_ms(transfers), &transfer);
    if (rc < 0) {
        transfer_manifest_fini(manifest);
        if (fd >= 0) {
            (void)close(fd);
        }
        transfers_fail_offer(request, &offer.peer, rc);
        return;
    }
    struct errand *errand = errand_new(transfers, transfer);
    errand->fd = fd;
    files_recount(errand);
    errand_give(errand, offer.session);
    request_reply(request, json_pack("{s:s}", "transfer", transfer->key));
}

/* The last part of what the peer asked for, unless the client calls it otherwise. */
static struct bytes served_name(const struct errand *errand, const struct request *request)
{
    const json_t *name = json_object_get(request_params(request), "name");
    const char *asked = name == NULL ? errand->path : json_string_value(name);
    struct bytes text = bytes_from_string(asked);
    for (size_t end = text.size; name == NULL && end > 0; end--) {
        if (text.data[end - 1] == '/' && end < text.size) {
            return bytes_make(text.data + end, text.size - end);
        }
    }
    return text;
}

/* The same for what a peer asked for. */
static void serve(struct errand *errand, struct request *request,
                  struct transfer_manifest *manifest, int fd)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    uint64_t session = request_session(request);
    int rc = pull_tell_offer(errand, transfer_engine_next_id(transfers->engine));
    if (rc == 0) {
        rc = transfer_serve(transfers->engine, transfer, served_name(errand, request), manifest,
                            transfers_now_ms(transfers));
    }
    if (rc < 0) {
        transfer_manifest_fini(manifest);
        if (fd >= 0) {
            (void)close(fd);
        }
        transfers_fail_offer(request, &transfer->peer, rc);
        transfer_fail(transfers->engine, transfer, "it could not be offered",
                      transfers_now_ms(transfers));
        return;
    }
    errand->fd = fd;
    files_recount(errand);
    errand_give(errand, session);
    request_reply(request, NULL);
    shown_settle(errand, session);
}

/* ---- receiving ---- */

/* Answers the request; fd is taken. */
static void receive(struct errand *errand, struct request *request, int fd)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    uint64_t session = request_session(request);
    uint64_t had = transfer->session;
    errand->fd = fd;
    transfer->session = session;
    if (files_begin(errand) < 0) {
        transfer->session = had;
        files_end(errand);
        request_fail_errno(request, -ENOMEM, "out of memory");
        return;
    }
    if (had == 0) {
        errand_give(errand, session);
    }
    request_reply(request, NULL);
    shown_settle(errand, session);
    transfer_accept(transfers->engine, transfer, transfers_now_ms(transfers));
    files_ask(errand);
}

/* ---- descriptors ---- */

static bool is_gone(const struct check *check)
{
    const struct errand *errand = check->errand;
    uint64_t session = request_session(check->request);
    return errand == NULL || errand->transfer->state != TRANSFER_PENDING ||
           (errand->transfer->session != session && !shown_is_open(errand, session));
}

static void go_on_with_list(struct check *check)
{
    struct list_check *list = &check->list;
    if (!is_list_good(check->request, list->rc, list->fault)) {
        return;
    }
    struct transfer_manifest manifest = list->manifest;
    list->manifest = (struct transfer_manifest){0};
    if (check->errand != NULL) {
        serve(check->errand, check->request, &manifest, -1);
    } else {
        offer(check->transfers, check->request, &manifest, -1);
    }
}

static void go_on(struct check *check, bool for_errand)
{
    struct errand *errand = check->errand;
    struct request *request = check->request;
    struct transfer_manifest manifest;
    int fd = check->check.fd;
    struct bytes name =
        for_errand ? bytes_from_string(errand->transfer->name) : text_param(request, "name");
    if (for_errand && !errand->transfer->sending) {
        /* A directory was only looked at: nothing is opened below it here. */
        check->check.fd = check->check.directory ? fd : -1;
        receive(errand, request, check->check.directory ? -1 : fd);
        return;
    }
    int rc = transfer_manifest_single(name, check->check.size, &manifest);
    if (rc < 0) {
        transfers_fail_offer(request, &(struct peer_id){{0}}, rc);
        return;
    }
    check->check.fd = -1;
    if (for_errand) {
        serve(errand, request, &manifest, fd);
    } else {
        offer(check->transfers, request, &manifest, fd);
    }
}

static void on_checked(void *arg, void *data)
{
    struct check *check = data;
    struct request *request = check->request;
    bool for_errand = arg != NULL;
    settle_list(check, request_session(request));
    if (for_errand && is_gone(check)) {
        request_fail(request, E_NOT_FOUND, "the peer took it back, or another session has it");
    } else if (check->check.result < 0) {
        char problem[TRANSFER_CHECK_TEXT_SIZE];
        request_fail(request, E_OPERATION_FAILED, "%s",
                     transfer_check_text(&check->check, problem));
    } else {
        struct errand *errand = check->errand;
        leave_errand(check);
        check->errand = errand;
        if (check->list.body != NULL) {
            go_on_with_list(check);
        } else {
            go_on(check, for_errand);
        }
        return;
    }
    leave_errand(check);
}

/* Goes on in on_checked(). check is taken. */
static void begin_check(struct check *check, struct transfers *transfers, struct request *request,
                        struct errand *errand)
{
    check->transfers = transfers;
    check->request = request;
    check->errand = errand;
    check->job = worker_submit(host_worker(transfers->host), "look at file", check_run, on_checked,
                               errand, check, check_free);
    if (check->job == NULL) {
        check_free(check);
        request_fail(request, E_LIMIT, "too much waits for the disk; try again in a moment");
        return;
    }
    if (errand != NULL) {
        errand->check = check;
    }
    struct transfer_client *client = transfers_find_client(transfers, request_session(request));
    if (client != NULL) {
        client->checking += check->list.size;
    }
    request_defer(request, on_cancel, check);
}

/* Has the descriptor of the request looked at: a file's, or where a directory is to go. */
static void check_descriptor(struct transfers *transfers, struct request *request,
                             struct errand *errand)
{
    struct check *check = xalloc(sizeof *check);
    bool receives = errand != NULL && !errand->transfer->sending;
    check->check.fd = request_take_fd(request);
    check->check.sending = !receives;
    check->check.directory = errand != NULL && errand->transfer->directory;
    check->check.need = receives ? errand->transfer->manifest.total : 0;
    begin_check(check, transfers, request, errand);
}

/* The same with the list of a directory, at once when it is short. */
static void check_list(struct transfers *transfers, struct request *request, struct errand *errand)
{
    struct bytes body = request_body(request);
    if (!has_list_room(transfers, request, body.size)) {
        return;
    }
    struct check *check = xalloc(sizeof *check);
    struct list_check *list = &check->list;
    check->check.fd = -1;
    check->transfers = transfers;
    check->request = request;
    check->errand = errand;
    list->max_files = transfers->max_files;
    memcpy(list->seed, transfers->seed, sizeof list->seed);
    if (body.size < TRANSFER_LONG_LIST) {
        list->rc = transfer_manifest_from_body(body, list->max_files, list->seed, &list->manifest,
                                               &list->fault);
        go_on_with_list(check);
        check_free(check);
        return;
    }
    list->size = body.size;
    list->body = try_alloc(body.size);
    if (list->body == NULL) {
        check_free(check);
        request_fail_errno(request, -ENOMEM, "out of memory");
        return;
    }
    memcpy(list->body, body.data, body.size);
    begin_check(check, transfers, request, errand);
}

/* ---- calls ---- */

void transfers_on_send(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct peer_id peer = peer_param(request);
    bool directory = is_directory(request);
    if (!transfers->enabled) {
        request_fail(request, E_NOT_SUPPORTED,
                     "this instance sends no files; 'enabled = yes' in [" TRANSFER_SECTION
                     "] of its configuration lets it");
    } else if (transfers_client(transfers, request_session(request)) == NULL) {
        request_fail_errno(request, -ENOMEM, "out of memory");
    } else if (transfers_peer(transfers, &peer) == NULL) {
        fail_not_connected(request, &peer);
    } else if (transfers_is_crowded(transfers, request)) {
        return;
    } else if (request_fds(request) != (directory ? 0 : 1)) {
        request_fail(request, E_OPERATION_FAILED,
                     directory ? "a directory is sent as a list of files, without a descriptor"
                               : "the descriptor of the file must come with the call");
    } else if (directory) {
        check_list(transfers, request, NULL);
    } else if (files_has_room(transfers, request)) {
        check_descriptor(transfers, request, NULL);
    }
}

/* False after the request was failed for them. A file comes with its own; what receives a directory
 * may bring that it is to go to, so that its disk is looked at before anything is sent. */
static bool has_right_descriptors(const struct transfer *transfer, struct request *request)
{
    size_t least = transfer->directory ? 0 : 1;
    size_t most = transfer->directory && transfer->sending ? 0 : 1;
    size_t count = request_fds(request);
    if (count >= least && count <= most) {
        return true;
    }
    request_fail(request, E_OPERATION_FAILED,
                 transfer->directory ? "descriptors of a directory's files are asked for later"
                                     : "the descriptor of the file must come with the call");
    return false;
}

void transfers_on_accept(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = transfers_answerable(transfers, request);
    if (transfer == NULL) {
        return;
    }
    struct errand *errand = errand_of(transfer);
    if (errand->check != NULL) {
        request_fail(request, E_NOT_FOUND, "another session is about to take it");
    } else if ((transfer->session == 0 && transfers_is_crowded(transfers, request)) ||
               !has_right_descriptors(transfer, request) ||
               (!transfer->directory && !files_has_room(transfers, request))) {
        return; /* it was answered */
    } else if (transfer->directory && transfer->sending) {
        check_list(transfers, request, errand);
    } else if (request_fds(request) > 0) {
        check_descriptor(transfers, request, errand);
    } else {
        receive(errand, request, -1);
    }
}
