/* What two ratsd tell each other about transfers (transfers.h): what each can, and how one goes on
 * whose link was lost. Nothing in a message is trusted: it counts for the peer it came from, on the
 * link it came by. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "service/ctl.h"
#include "service/transfers_private.h"

#define ALIVE_MS 500 /* between two signs of life */

void ctl_say(const struct transfers *transfers, const struct peer_id *to, json_t *message)
{
    (void)ctl_send(host_mesh(transfers->host), to, message);
}

void ctl_greet(struct transfers *transfers, const struct peer_id *to)
{
    ctl_say(transfers, to,
            json_pack("{s:s, s:i, s:s, s:[sss]}", "op", "hello", "v", 1, "agent",
                      "ratsd/" RATS_VERSION, "caps", "pull", "reason", "resume"));
}

bool ctl_parse_offer(const json_t *message, uint64_t *ret_id)
{
    const char *text = ctl_text(message, "offer", CTL_OFFER_SIZE - 1);
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

/* ---- after a lost link ---- */

void ctl_resume(struct errand *errand)
{
    struct transfers *transfers = errand->transfers;
    struct transfer *transfer = errand->transfer;
    const struct transfer_peer *peer = transfers_peer(transfers, &transfer->peer);
    char offer[CTL_OFFER_SIZE];
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
    char offer[CTL_OFFER_SIZE];
    if (peer == NULL || (peer->caps & CAP_RESUME) == 0) {
        return; /* the time it has to come back runs on */
    }
    transfer_touch(transfer, now_ms);
    if (now_ms - errand->alive_told_ms >= ALIVE_MS) {
        errand->alive_told_ms = now_ms;
        (void)snprintf(offer, sizeof offer, "%" PRIu64, transfer->id);
        ctl_say(transfers, &transfer->peer, json_pack("{s:s, s:s}", "op", "alive", "offer", offer));
    }
}

/* The peer hashes again what it has of it. */
static void on_alive(struct transfers *transfers, const struct peer_id *from, const json_t *message)
{
    uint64_t id = 0;
    if (!ctl_parse_offer(message, &id)) {
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
    if (!ctl_parse_offer(message, &id) ||
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
    char offer[CTL_OFFER_SIZE];
    (void)snprintf(offer, sizeof offer, "%" PRIu64, transfer->id);
    ctl_say(transfers, &transfer->peer, json_pack("{s:s, s:s}", "op", "waits", "offer", offer));
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
    if (!ctl_parse_offer(message, &id) || !json_is_integer(file) || !json_is_integer(offset) ||
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
    } else if (is_id(id)) {
        pull_on_control(transfers, &peer, op, id, message);
    }
}
