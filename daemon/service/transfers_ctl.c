/* What two ratsd tell each other about transfers (transfers.h; api.md 7.5). Nothing in a message is
 * trusted: it counts for the peer it came from, on the link it came by. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/ctl.h"
#include "service/transfers_private.h"
#include "util/alloc.h"

#define PULLS_AT_ONCE   16u /* that a peer has to decide (api.md 7.5) */
#define MAX_PATH_SIZE   4096u
#define MAX_REASON_SIZE 512u
#define OFFER_TEXT_SIZE 21  /* of a number of 64 bits */
#define ALIVE_MS        500 /* between two signs of life */

static void send(struct transfers *transfers, const struct peer_id *to, json_t *message)
{
    (void)ctl_send(host_mesh(transfers->host), to, message);
}

void ctl_greet(struct transfers *transfers, const struct peer_id *to)
{
    send(transfers, to,
         json_pack("{s:s, s:i, s:s, s:[sss]}", "op", "hello", "v", 1, "agent",
                   "ratsd/" RATS_VERSION, "caps", "pull", "reason", "resume"));
}

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

void ctl_ask_next(struct transfers *transfers, const struct peer_id *id)
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

void ctl_drop_unasked(struct transfers *transfers, uint64_t session)
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
    ctl_ask_next(transfers, &wish.peer);
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

/* A number of 64 bits in decimal, no more; false when it is none. */
static bool parse_offer(const json_t *message, uint64_t *ret_id)
{
    const char *text = ctl_text(message, "offer", OFFER_TEXT_SIZE - 1);
    uint64_t id = 0;
    if (text == NULL || *text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (*text < '0' || *text > '9' || id > (UINT64_MAX - digit) / 10) {
            return false;
        }
        id = id * 10 + digit;
    }
    *ret_id = id;
    return true;
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

bool ctl_may_be_shown(const struct transfers *transfers, const struct transfer *transfer)
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
    bool is_number = parse_offer(message, &offer);
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
    send(transfers, to, json_pack("{s:s, s:s, s:s}", "op", "pull_no", "id", id, "reason", reason));
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

int ctl_tell_offer(const struct errand *errand, uint64_t id)
{
    char text[OFFER_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%" PRIu64, id);
    return ctl_send(
        host_mesh(errand->transfers->host), &errand->transfer->peer,
        json_pack("{s:s, s:s, s:s}", "op", "pull_ok", "id", errand->pull_id, "offer", text));
}

void ctl_tell_end(const struct errand *errand)
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
    send(errand->transfers, &transfer->peer,
         json_pack("{s:s, s:s}", "op", "pull_cancel", "id", transfer->key));
}

/* ---- after a lost link ---- */

void ctl_resume(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    const struct transfer_peer *peer = transfers_peer(transfers, &transfer->peer);
    char offer[OFFER_TEXT_SIZE];
    if (!transfer->lost || transfer->sending || !errand->rewound || transfer_has_ended(transfer) ||
        peer == NULL || (peer->caps & CAP_RESUME) == 0) {
        return;
    }
    (void)snprintf(offer, sizeof offer, "%" PRIu64, transfer->id);
    int rc = ctl_send(host_mesh(transfers->host), &transfer->peer,
                      json_pack("{s:s, s:s, s:I, s:I, s:b, s:i}", "op", "resume", "offer", offer,
                                "file", (json_int_t)errand->rewound_file, "offset",
                                (json_int_t)errand->rewound_offset, "paused", (int)transfer->paused,
                                "word", (int)transfer->word));
    if (rc == 0) {
        rc = transfer_go_on(transfers->engine, transfer, errand->rewound_file,
                            errand->rewound_offset, transfers_now_ms(transfers));
    }
    if (rc < 0) {
        transfer_fail(transfers->engine, transfer, "it could not go on after its link was lost",
                      transfers_now_ms(transfers));
    }
    transfers_wake(transfers);
}

void ctl_tell_rehashing(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    const struct transfer_peer *peer = transfers_peer(transfers, &transfer->peer);
    int64_t now_ms = transfers_now_ms(transfers);
    char offer[OFFER_TEXT_SIZE];
    if (peer == NULL || (peer->caps & CAP_RESUME) == 0) {
        return; /* the time it has to come back runs on */
    }
    transfer_touch(transfer, now_ms);
    if (now_ms - errand->alive_told_ms >= ALIVE_MS) {
        errand->alive_told_ms = now_ms;
        (void)snprintf(offer, sizeof offer, "%" PRIu64, transfer->id);
        send(transfers, &transfer->peer, json_pack("{s:s, s:s}", "op", "alive", "offer", offer));
    }
}

/* The peer hashes again what it has of it. */
static void on_alive(struct transfers *transfers, const struct peer_id *from, const json_t *message)
{
    uint64_t id = 0;
    if (!parse_offer(message, &id)) {
        return;
    }
    for (int sending = 0; sending < 2; sending++) {
        struct transfer *transfer =
            transfer_engine_find_wire(transfers->engine, from, id, sending == 1);
        if (transfer != NULL && transfer_is_open(transfer)) {
            transfer_touch(transfer, transfers_now_ms(transfers));
        }
    }
}

/* Of a transfer that is not here, or not any more. */
static void say(struct transfers *transfers, const struct peer_id *to, uint64_t id,
                enum transfer_op op, bool ok)
{
    uint8_t frame[TRANSFER_MAX_CONTROL];
    struct writer writer;
    writer_init(&writer, frame, sizeof frame);
    transfer_frame_encode(&(struct transfer_frame){.op = op, .id = id, .ok = ok}, &writer);
    (void)pump_control(transfers, to, writer_view(&writer));
}

/* Whether the peer only did not hear that we have it. */
static bool has_completed(const struct transfers *transfers, const struct peer_id *from,
                          uint64_t id)
{
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        const struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        if (!transfer->sending && transfer->id == id && transfer->state == TRANSFER_COMPLETED &&
            peer_id_equal(&transfer->peer, from)) {
            return true;
        }
    }
    return false;
}

/* To a receiver: the sender has it still. */
static void on_waits(struct transfers *transfers, const struct peer_id *from, const json_t *message)
{
    uint64_t id = 0;
    if (!parse_offer(message, &id) ||
        transfer_engine_find_wire(transfers->engine, from, id, false) != NULL) {
        return;
    }
    if (has_completed(transfers, from, id)) {
        say(transfers, from, id, TRANSFER_COMPLETE, true);
    } else {
        say(transfers, from, id, TRANSFER_CANCEL, false);
    }
}

static void tell_waits(struct transfers *transfers, const struct transfer *transfer)
{
    char offer[OFFER_TEXT_SIZE];
    (void)snprintf(offer, sizeof offer, "%" PRIu64, transfer->id);
    send(transfers, &transfer->peer, json_pack("{s:s, s:s}", "op", "waits", "offer", offer));
}

static enum transfer_word word_of(const json_t *message)
{
    switch (json_integer_value(json_object_get(message, "word"))) {
    case TRANSFER_WORD_OURS:
        return TRANSFER_WORD_OURS;
    case TRANSFER_WORD_LATER:
        return TRANSFER_WORD_LATER;
    default:
        return TRANSFER_WORD_PEER;
    }
}

/* To a sender. */
static void on_resume(struct transfers *transfers, const struct peer_id *from,
                      const json_t *message)
{
    const json_t *file = json_object_get(message, "file");
    const json_t *offset = json_object_get(message, "offset");
    uint64_t id = 0;
    if (!parse_offer(message, &id) || !json_is_integer(file) || !json_is_integer(offset) ||
        json_integer_value(file) < 0 || json_integer_value(file) > (json_int_t)UINT32_MAX ||
        json_integer_value(offset) < 0) {
        return;
    }
    struct transfer *transfer = transfer_engine_find_wire(transfers->engine, from, id, true);
    uint32_t at = (uint32_t)json_integer_value(file);
    uint64_t byte = (uint64_t)json_integer_value(offset);
    if (transfer == NULL || !transfer_may_go_on(transfer, at, byte) ||
        files_go_back(errand_of(transfer), at, byte) < 0) { /* first: it may send at once */
        say(transfers, from, id, TRANSFER_COMPLETE, false);
        return;
    }
    transfer_hear_word(transfer, json_is_true(json_object_get(message, "paused")),
                       word_of(message));
    (void)transfer_go_on(transfers->engine, transfer, at, byte, transfers_now_ms(transfers));
    transfers_wake(transfers);
}

static void resume_all(struct transfers *transfers, const struct peer_id *from)
{
    LIST_EACH(transfer_engine_all(transfers->engine), node)
    {
        struct transfer *transfer = CONTAINER_OF(node, struct transfer, node);
        bool waits =
            transfer->lost && !transfer_has_ended(transfer) && peer_id_equal(&transfer->peer, from);
        if (waits && transfer->sending) {
            tell_waits(transfers, transfer);
        } else if (waits) {
            ctl_resume(errand_of(transfer));
        }
    }
}

/* ---- what comes ---- */

static void on_hello(struct transfers *transfers, const struct peer_id *from, const json_t *message)
{
    static const struct {
        const char *name;
        unsigned cap;
    } caps[] = {{"pull", CAP_PULL}, {"resume", CAP_RESUME}};
    struct transfer_peer *peer = transfers_peer(transfers, from);
    size_t index;
    const json_t *word;
    if (peer == NULL) {
        return;
    }
    json_array_foreach(json_object_get(message, "caps"), index, word)
    {
        for (size_t i = 0; json_is_string(word) && i < sizeof caps / sizeof caps[0]; i++) {
            if (strcmp(json_string_value(word), caps[i].name) == 0) {
                peer->caps |= caps[i].cap;
            }
        }
    }
    if ((peer->caps & CAP_RESUME) != 0) {
        resume_all(transfers, from);
    }
}

static bool is_id(const char *text)
{
    return text != NULL && strlen(text) == TRANSFER_KEY_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == TRANSFER_KEY_SIZE - 1;
}

void transfers_on_control(void *self, struct peer *from, const json_t *message)
{
    struct transfers *transfers = self;
    struct peer_id peer = *peer_id_of(from);
    const char *op = json_string_value(json_object_get(message, "op"));
    const char *id = ctl_text(message, "id", TRANSFER_KEY_SIZE - 1);
    if (strcmp(op, "hello") == 0) {
        on_hello(transfers, &peer, message);
    } else if (strcmp(op, "waits") == 0) {
        on_waits(transfers, &peer, message);
    } else if (strcmp(op, "alive") == 0) {
        on_alive(transfers, &peer, message);
    } else if (strcmp(op, "resume") == 0) {
        on_resume(transfers, &peer, message);
    } else if (!is_id(id)) {
        return;
    } else if (strcmp(op, "pull") == 0) {
        on_pull(transfers, &peer, message, id);
    } else if (strcmp(op, "pull_ok") == 0) {
        on_pull_ok(transfers, &peer, message, id);
    } else if (strcmp(op, "pull_no") == 0) {
        on_pull_no(transfers, &peer, message, id);
    } else if (strcmp(op, "pull_cancel") == 0) {
        on_pull_cancel(transfers, &peer, id);
    }
}
