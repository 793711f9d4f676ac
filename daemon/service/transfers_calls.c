/* What clients call about transfers that are there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "service/transfers_private.h"

/* ---- which transfer is meant ---- */

static struct transfer *find(struct transfers *transfers, const struct request *request)
{
    const json_t *key = json_object_get(request_params(request), "transfer");
    return transfer_engine_find(transfers->engine, json_string_value(key));
}

static struct transfer *none(struct request *request)
{
    request_fail(request, E_NOT_FOUND,
                 "no such transfer of this session; 'transfer.list' shows those there are");
    return NULL;
}

static bool is_own(const struct transfer *transfer, const struct request *request)
{
    return transfer->session == request_session(request);
}

struct transfer *transfers_own(struct transfers *transfers, struct request *request)
{
    struct transfer *transfer = find(transfers, request);
    bool found = transfer != NULL && is_own(transfer, request) && !transfer_has_ended(transfer);
    return found ? transfer : none(request);
}

static struct transfer *governed(struct transfers *transfers, struct request *request)
{
    struct transfer *transfer = find(transfers, request);
    bool found = transfer != NULL && !transfer_has_ended(transfer) &&
                 (is_own(transfer, request) || request_may_control(request));
    return found ? transfer : none(request);
}

static struct transfer *seen(struct transfers *transfers, struct request *request)
{
    struct transfer *transfer = find(transfers, request);
    bool found = transfer != NULL && (is_own(transfer, request) || request_may_control(request) ||
                                      shown_has(errand_of(transfer), request_session(request)));
    return found ? transfer : none(request);
}

/* Whether the session may still answer it. */
static bool may_answer(const struct transfer *transfer, const struct request *request)
{
    return transfer != NULL && transfer->state == TRANSFER_PENDING &&
           (transfer->session == 0 ? shown_is_open(errand_of(transfer), request_session(request))
                                   : is_own(transfer, request));
}

struct transfer *transfers_answerable(struct transfers *transfers, struct request *request)
{
    struct transfer *transfer = find(transfers, request);
    return may_answer(transfer, request) ? transfer : none(request);
}

/* ---- watching ---- */

static bool has_word(const json_t *words, const char *word)
{
    size_t index;
    const json_t *value;
    json_array_foreach(words, index, value)
    {
        if (strcmp(json_string_value(value), word) == 0) {
            return true;
        }
    }
    return false;
}

static void on_watch(void *self, struct request *request)
{
    struct transfers *transfers = self;
    const json_t *kinds = json_object_get(request_params(request), "kinds");
    struct transfer_client *client = transfers_client(transfers, request_session(request));
    if (!transfers->enabled) {
        request_fail(request, E_NOT_SUPPORTED,
                     "this instance takes no files; 'enabled = yes' in [" TRANSFER_SECTION
                     "] of its configuration lets it");
    } else if (client == NULL) {
        request_fail_errno(request, -ENOMEM, "out of memory");
    } else {
        client->watches_files = has_word(kinds, "file");
        client->watches_directories = has_word(kinds, "directory");
        request_reply(request, NULL);
    }
}

/* ---- changing ---- */

/* This session does not want it; the peer is told when nobody is left that might. */
static void decline(struct transfers *transfers, struct transfer *transfer, uint64_t session,
                    const char *reason)
{
    if (shown_leave(errand_of(transfer), session)) {
        transfer_refuse(transfers->engine, transfer, reason, transfers_now_ms(transfers));
    }
}

static void on_reject(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = transfers_answerable(transfers, request);
    char why[TRANSFER_ERROR_SIZE];
    if (transfer == NULL) {
        return;
    }
    const json_t *reason = json_object_get(request_params(request), "reason");
    uint64_t session = request_session(request);
    (void)snprintf(why, sizeof why, "%s", reason == NULL ? "" : json_string_value(reason));
    request_reply(request, NULL);
    decline(transfers, transfer, session, why);
}

static void on_fail(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = transfers_own(transfers, request);
    char why[TRANSFER_ERROR_SIZE];
    if (transfer != NULL) {
        (void)snprintf(why, sizeof why, "%s",
                       json_string_value(json_object_get(request_params(request), "error")));
        request_reply(request, NULL);
        transfer_fail(transfers->engine, transfer, why, transfers_now_ms(transfers));
    }
}

static void on_pause(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = governed(transfers, request);
    if (transfer == NULL) {
        return;
    }
    if (transfer->state != TRANSFER_RUNNING) {
        request_fail(request, E_OPERATION_FAILED, "the transfer does not run");
        return;
    }
    request_reply(request, NULL);
    (void)transfer_pause(transfers->engine, transfer, transfers_now_ms(transfers));
    transfers_wake(transfers);
}

static void on_resume(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = governed(transfers, request);
    if (transfer == NULL) {
        return;
    }
    if (!transfer->paused) {
        request_fail(request, E_OPERATION_FAILED, "the transfer is not paused");
        return;
    }
    request_reply(request, NULL);
    (void)transfer_resume(transfers->engine, transfer, transfers_now_ms(transfers));
    transfers_wake(transfers);
    pump_now(errand_of(transfer));
}

static void on_cancel(void *self, struct request *request)
{
    struct transfers *transfers = self;
    struct transfer *transfer = find(transfers, request);
    uint64_t session = request_session(request);
    if (may_answer(transfer, request) && transfer->session == 0) {
        request_reply(request, NULL);
        decline(transfers, transfer, session, "");
        return;
    }
    transfer = governed(transfers, request);
    if (transfer != NULL && transfer->landed) {
        request_fail(request, E_OPERATION_FAILED,
                     "all of it has arrived and is being put into place");
    } else if (transfer != NULL) {
        bool is_theirs = transfer->session != 0 && !is_own(transfer, request);
        request_reply(request, NULL);
        transfer_cancel(transfers->engine, transfer,
                        is_theirs ? "it was cancelled by another program here" : "",
                        transfers_now_ms(transfers));
        transfers_wake(transfers);
    }
}

/* ---- reading ---- */

static void on_get(void *self, struct request *request)
{
    struct transfers *transfers = self;
    const struct transfer *transfer = seen(transfers, request);
    if (transfer != NULL) {
        request_reply(request, transfers_json(transfer, request_session(request),
                                              transfers_now_ms(transfers)));
    }
}

static void on_list(void *self, struct request *request)
{
    struct transfers *transfers = self;
    const json_t *whose = json_object_get(request_params(request), "whose");
    bool all = whose != NULL && strcmp(json_string_value(whose), "all") == 0;
    uint64_t session = request_session(request);
    if (all && !request_may_control(request)) {
        request_fail(request, E_NOT_PERMITTED,
                     "to see the transfers of other programs control permission is needed");
        return;
    }
    json_t *list = json_array();
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (all || is_own(transfer, request) || shown_has(errand_of(transfer), session)) {
            (void)json_array_append_new(
                list, transfers_json(transfer, all ? 0 : session, transfers_now_ms(transfers)));
        }
    }
    request_reply(request, json_pack("{s:o}", "transfers", list));
}

static void on_statistics(void *self, struct request *request)
{
    struct transfers *transfers = self;
    uint64_t session = request_session(request);
    const struct transfer_client *client = transfers_find_client(transfers, session);
    struct transfer_client nobody = {.session = session};
    request_reply(request, transfers_statistics_json(transfers, client == NULL ? &nobody : client,
                                                     host_session_age_ms(transfers->host, session),
                                                     transfers_now_ms(transfers)));
}

const struct method_handler transfers_methods[] = {
    {M_TRANSFER_WATCH, on_watch},
    {M_TRANSFER_SEND, transfers_on_send},
    {M_TRANSFER_REQUEST, transfers_on_request},
    {M_TRANSFER_ACCEPT, transfers_on_accept},
    {M_TRANSFER_REJECT, on_reject},
    {M_TRANSFER_PROVIDE, transfers_on_provide},
    {M_TRANSFER_PLACED, transfers_on_placed},
    {M_TRANSFER_FAIL, on_fail},
    {M_TRANSFER_PAUSE, on_pause},
    {M_TRANSFER_RESUME, on_resume},
    {M_TRANSFER_CANCEL, on_cancel},
    {M_TRANSFER_GET, on_get},
    {M_TRANSFER_LIST, on_list},
    {M_TRANSFER_STATISTICS, on_statistics},
    {0},
};
