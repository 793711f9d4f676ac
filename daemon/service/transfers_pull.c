/* Requests: files and directories asked of a peer, and by one (api.md 7.5). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/ctl.h"
#include "service/transfers_private.h"
#include "util/alloc.h"

#define PULLS_AT_ONCE   16u /* that a peer has to decide */
#define MAX_PATH_SIZE   4096u
#define MAX_REASON_SIZE 512u

/* ---- asking a peer ---- */

static bool is_deep(const struct request *request)
{
    const json_t *depth = json_object_get(request_params(request), "depth");
    return depth == NULL || strcmp(json_string_value(depth), "tree") == 0;
}

static bool may_request(struct transfers *transfers, struct request *request,
                        const struct peer_id *id)
{
    const struct transfer_peer *peer = transfers_peer(transfers, id);
    struct transfer_client *client = transfers_client(transfers, request_session(request));
    if (!transfers->enabled) {
        request_fail(request, E_NOT_SUPPORTED,
                     "this instance takes no files; 'enabled = yes' in [" TRANSFER_SECTION
                     "] of its configuration lets it");
    } else if (peer == NULL) {
        fail_not_connected(request, id);
    } else if ((peer->caps & CAP_PULL) == 0) {
        request_fail(request, E_NOT_SUPPORTED,
                     "the peer does not understand requests; it may be another program than ratsd");
    } else if (client == NULL) {
        request_fail_errno(request, -ENOMEM, "out of memory");
    } else if (!transfers_is_crowded(transfers, request)) {
        return true;
    }
    return false;
}

/* The peer has to decide it. */
static bool is_open_request(const struct transfer *transfer)
{
    return transfer->pulled && !transfer->sending && !transfer->offered &&
           transfer->state == TRANSFER_STARTING;
}

/* The oldest request that waits, if the peer is to hear of one more; every one that waits has its
 * time before it. */
static struct errand *next_unasked(const struct transfers *transfers, const struct peer_id *id)
{
    struct errand *next = NULL;
    size_t asked = 0;
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (!is_open_request(transfer) || !peer_id_equal(&transfer->peer, id)) {
            continue;
        }
        struct errand *errand = errand_of(transfer);
        if (!errand->unasked) {
            asked++;
            continue;
        }
        transfer_touch(transfer, transfers_now_ms(transfers));
        next = next == NULL ? errand : next;
    }
    return asked < PULLS_AT_ONCE ? next : NULL;
}

/* False when the link takes nothing at the moment: the request waits on. */
static bool ask(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    int rc = ctl_send(host_mesh(transfers->host), &transfer->peer,
                      json_pack("{s:s, s:s, s:s, s:s, s:b}", "op", "pull", "id", transfer->key,
                                "kind", transfer->directory ? "dir" : "file", "path", errand->path,
                                "recursive", (int)errand->is_deep));
    errand->unasked = rc == -ENOBUFS;
    if (rc < 0 && rc != -ENOBUFS) {
        transfer_fail(transfers->engine, transfer, "the request could not be sent",
                      transfers_now_ms(transfers));
    }
    return rc != -ENOBUFS;
}

void pull_ask_next(struct transfers *transfers, const struct peer_id *id)
{
    const struct transfer_peer *peer = transfers_peer(transfers, id);
    struct errand *errand;
    while (peer != NULL && (peer->caps & CAP_PULL) != 0 && !transfers->stopping &&
           (errand = next_unasked(transfers, id)) != NULL) {
        if (!ask(errand)) {
            pump_ask_room(transfers, peer);
            return;
        }
    }
}

void pull_drop_unasked(struct transfers *transfers, uint64_t session)
{
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (transfer->session == session && is_open_request(transfer) &&
            errand_of(transfer)->unasked) {
            transfer_cancel(transfers->engine, transfer, "the program that had it has ended",
                            transfers_now_ms(transfers));
        }
    }
}

void transfers_on_request(void *self, struct request *request)
{
    struct transfers *transfers = self;
    const json_t *params = request_params(request);
    const char *kind = json_string_value(json_object_get(params, "kind"));
    const char *path = json_string_value(json_object_get(params, "path"));
    struct transfer_offer wish = {
        .peer = peer_param(request),
        .session = request_session(request),
        .name = bytes_from_string(path),
        .directory = strcmp(kind, "directory") == 0,
    };
    struct transfer *transfer = NULL;
    if (!may_request(transfers, request, &wish.peer)) {
        return;
    }
    int rc = transfer_want(transfers->engine, &wish, transfers_now_ms(transfers), &transfer);
    if (rc < 0) {
        transfers_fail_offer(request, &wish.peer, rc);
        return;
    }
    struct errand *errand = errand_new(transfers, transfer);
    errand_give(errand, wish.session);
    errand->path = xstrdup(path);
    errand->is_deep = is_deep(request);
    errand->unasked = true;
    request_reply(request, json_pack("{s:s}", "transfer", transfer->key));
    pull_ask_next(transfers, &wish.peer);
}

/* What this node asked the peer for under that id, and got no offer for yet. */
static struct transfer *find_wanted(const struct transfers *transfers, const struct peer_id *from,
                                    const char *id)
{
    struct transfer *transfer = transfer_engine_find(transfers->engine, id);
    bool fits = transfer != NULL && transfer->state == TRANSFER_STARTING && !transfer->sending &&
                !transfer->offered && peer_id_equal(&transfer->peer, from);
    return fits ? transfer : NULL;
}

/* The offer that answers a request of ours which is over is still to come, and not for anybody
 * else. */
static void expect_unwanted(const struct transfers *transfers, const struct peer_id *from,
                            uint64_t offer)
{
    struct transfer_peer *peer = transfers_peer(transfers, from);
    if (peer != NULL) {
        peer->unwanted = offer;
    }
}

/* The answer to a request of ours that is over crossed our saying so. */
static void turn_away(const struct transfers *transfers, const struct peer_id *from, const char *id,
                      uint64_t offer)
{
    const struct transfer *transfer = transfer_engine_find(transfers->engine, id);
    if (transfer != NULL && transfer->pulled && !transfer->sending &&
        transfer_has_ended(transfer) && peer_id_equal(&transfer->peer, from)) {
        expect_unwanted(transfers, from, offer);
    }
}

bool pull_may_be_shown(const struct transfers *transfers, const struct transfer *transfer)
{
    struct transfer_peer *peer = transfers_peer(transfers, &transfer->peer);
    if (peer == NULL || peer->unwanted == 0 || peer->unwanted != transfer->id) {
        return true;
    }
    peer->unwanted = 0;
    return false;
}

static void on_pull_ok(struct transfers *transfers, const struct peer_id *from,
                       const json_t *message, const char *id)
{
    struct transfer *transfer = find_wanted(transfers, from, id);
    uint64_t offer = 0;
    bool is_number = ctl_parse_offer(message, &offer);
    if (transfer == NULL) {
        turn_away(transfers, from, id, offer);
        return;
    }
    if (!is_number || transfer_expect(transfers->engine, transfer, offer) < 0) {
        transfer_fail(transfers->engine, transfer, "the peer answered in a way that is no answer",
                      transfers_now_ms(transfers));
    }
}

static void on_pull_no(struct transfers *transfers, const struct peer_id *from,
                       const json_t *message, const char *id)
{
    struct transfer *transfer = find_wanted(transfers, from, id);
    const char *reason = ctl_text(message, "reason", MAX_REASON_SIZE);
    if (transfer != NULL) {
        errand_of(transfer)->answered = true;
        transfer_fail(transfers->engine, transfer,
                      reason == NULL || *reason == '\0' ? "the peer refused it" : reason,
                      transfers_now_ms(transfers));
    }
}

/* ---- asked by a peer ---- */

static void refuse(struct transfers *transfers, const struct peer_id *to, const char *id,
                   const char *reason)
{
    ctl_say(transfers, to,
            json_pack("{s:s, s:s, s:s}", "op", "pull_no", "id", id, "reason", reason));
}

static struct transfer *find_asked(const struct transfers *transfers, const struct peer_id *from,
                                   const char *id)
{
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (transfer->sending && transfer->pulled && !transfer_has_ended(transfer) &&
            peer_id_equal(&transfer->peer, from) && strcmp(errand_of(transfer)->pull_id, id) == 0) {
            return transfer;
        }
    }
    return NULL;
}

static void on_pull(struct transfers *transfers, const struct peer_id *from, const json_t *message,
                    const char *id)
{
    const char *kind = ctl_text(message, "kind", 4);
    const char *path = ctl_text(message, "path", MAX_PATH_SIZE);
    bool directory = kind != NULL && strcmp(kind, "dir") == 0;
    struct transfer *transfer = NULL;
    if (kind == NULL || path == NULL || *path == '\0' ||
        (!directory && strcmp(kind, "file") != 0) || find_asked(transfers, from, id) != NULL) {
        return;
    }
    struct transfer_offer wish = {
        .peer = *from, .name = bytes_from_string(path), .directory = directory};
    if (!transfers->enabled || transfers->stopping || !shown_is_watched(transfers, directory)) {
        refuse(transfers, from, id, "no program there serves requests");
        return;
    }
    if (transfer_asked(transfers->engine, &wish, transfers_now_ms(transfers), &transfer) < 0) {
        refuse(transfers, from, id, "too many requests at once");
        return;
    }
    struct errand *errand = errand_new(transfers, transfer);
    (void)snprintf(errand->pull_id, sizeof errand->pull_id, "%s", id);
    errand->path = xstrdup(path);
    json_t *fields = transfers_requested_json(transfer, path,
                                              json_is_true(json_object_get(message, "recursive")));
    (void)shown_begin(errand, EV_TRANSFER_REQUESTED, fields);
}

static void on_pull_cancel(struct transfers *transfers, const struct peer_id *from, const char *id)
{
    struct transfer *transfer = find_asked(transfers, from, id);
    if (transfer != NULL) {
        errand_of(transfer)->answered = true;
        transfer_cancel(transfers->engine, transfer, "the peer lost interest",
                        transfers_now_ms(transfers));
    }
}

int pull_tell_offer(const struct errand *errand, uint64_t id)
{
    char text[CTL_OFFER_SIZE];
    (void)snprintf(text, sizeof text, "%" PRIu64, id);
    return ctl_send(
        host_mesh(errand->transfers->host), &errand->transfer->peer,
        json_pack("{s:s, s:s, s:s}", "op", "pull_ok", "id", errand->pull_id, "offer", text));
}

void pull_tell_end(const struct errand *errand)
{
    const struct transfer *transfer = errand->transfer;
    if (errand->answered || errand->unasked) {
        return;
    }
    if (transfer->sending) {
        refuse(errand->transfers, &transfer->peer, errand->pull_id, transfer->error);
        return;
    }
    if (transfer->id != 0) { /* it was answered: only the offer, which may be long, did not come */
        expect_unwanted(errand->transfers, &transfer->peer, transfer->id);
    }
    ctl_say(errand->transfers, &transfer->peer,
            json_pack("{s:s, s:s}", "op", "pull_cancel", "id", transfer->key));
}

/* ---- what comes ---- */

void pull_on_control(struct transfers *transfers, const struct peer_id *from, const char *op,
                     const char *id, const json_t *message)
{
    if (strcmp(op, "pull") == 0) {
        on_pull(transfers, from, message, id);
    } else if (strcmp(op, "pull_ok") == 0) {
        on_pull_ok(transfers, from, message, id);
    } else if (strcmp(op, "pull_no") == 0) {
        on_pull_no(transfers, from, message, id);
    } else if (strcmp(op, "pull_cancel") == 0) {
        on_pull_cancel(transfers, from, id);
    }
}
