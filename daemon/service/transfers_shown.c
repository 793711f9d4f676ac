/* Who may answer what a peer offers or asks for: every started session that watches such things,
 * and the first to take it has it (api.md D19). */
#include <stdlib.h>

#include "service/transfers_private.h"
#include "util/alloc.h"

static bool watches(const struct transfers *transfers, const struct transfer_client *client,
                    bool directory)
{
    bool wants = directory ? client->watches_directories : client->watches_files;
    return wants && host_session_is_started(transfers->host, client->session);
}

bool shown_is_watched(const struct transfers *transfers, bool directory)
{
    size_t cursor = 0;
    const struct transfer_client *client;
    while ((client = map_next(&transfers->clients, &cursor)) != NULL) {
        if (watches(transfers, client, directory)) {
            return true;
        }
    }
    return false;
}

static void show(struct errand *errand, uint64_t session)
{
    errand->shown = xrealloc(errand->shown, (errand->shown_count + 1) * sizeof *errand->shown);
    errand->shown[errand->shown_count++] = (struct shown){.session = session};
}

bool shown_begin(struct errand *errand, enum event_id event, json_t *fields)
{
    struct transfers *transfers = errand->transfers;
    const struct transfer *transfer = errand->transfer;
    size_t cursor = 0;
    const struct transfer_client *client;
    while ((client = map_next(&transfers->clients, &cursor)) != NULL) {
        bool asked_for_it = transfer->session == client->session;
        if (transfer->session == 0 ? watches(transfers, client, transfer->directory)
                                   : asked_for_it) {
            show(errand, client->session);
        }
    }
    for (size_t i = 0; i < errand->shown_count; i++) {
        host_emit_to(transfers->host, &errand->shown[i].session, 1, event, json_incref(fields),
                     &transfer->peer);
    }
    json_decref(fields);
    transfers_news(transfers, &transfer->peer);
    return errand->shown_count > 0;
}

static struct shown *find(const struct errand *errand, uint64_t session)
{
    for (size_t i = 0; i < errand->shown_count; i++) {
        if (errand->shown[i].session == session) {
            return &errand->shown[i];
        }
    }
    return NULL;
}

bool shown_has(const struct errand *errand, uint64_t session)
{
    return find(errand, session) != NULL;
}

bool shown_is_open(const struct errand *errand, uint64_t session)
{
    const struct shown *shown = find(errand, session);
    return shown != NULL && !shown->is_out;
}

static void tell(const struct errand *errand, uint64_t session)
{
    struct transfers *transfers = errand->transfers;
    host_emit_to(transfers->host, &session, 1, EV_TRANSFER_CHANGED,
                 transfers_json(errand->transfer, session, transfers_now_ms(transfers)),
                 &errand->transfer->peer);
}

bool shown_leave(struct errand *errand, uint64_t session)
{
    struct shown *shown = find(errand, session);
    size_t left = 0;
    if (shown != NULL && !shown->is_out) {
        shown->is_out = true;
        tell(errand, session);
    }
    for (size_t i = 0; i < errand->shown_count; i++) {
        left += !errand->shown[i].is_out;
    }
    return left == 0;
}

void shown_settle(struct errand *errand, uint64_t session)
{
    for (size_t i = 0; i < errand->shown_count; i++) {
        struct shown *shown = &errand->shown[i];
        if (shown->session != session && !shown->is_out) {
            shown->is_out = true;
            tell(errand, shown->session);
        }
    }
}

void shown_tell(const struct errand *errand)
{
    for (size_t i = 0; i < errand->shown_count; i++) {
        if (!errand->shown[i].is_out) {
            tell(errand, errand->shown[i].session);
        }
    }
}
