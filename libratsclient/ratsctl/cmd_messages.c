/* ratsctl send and recv: messages on channels, the untyped kinds among them (api.md 7.1). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/events.h"
#include "proto/json_head.h"
#include "proto/message_head.h"
#include "ratsctl/commands.h"
#include "ratsctl/stream.h"
#include "util/alloc.h"
#include "util/hex.h"
#include "util/text.h"

#define EVERYBODY  "all"
#define FROM_STDIN "-"
#define READ_STEP  65536u

static const struct {
    const char *kind; /* of --as */
    const char *channel;
} untyped[] = {
    {"string", "rats.string"},
    {"binary", "rats.binary"},
    {"json", "rats.json"},
};

#define UNTYPED_COUNT (sizeof untyped / sizeof untyped[0])

static const char *channel_of(const struct options *options)
{
    if (options->channel_count > 0) {
        return options->channels[0];
    }
    for (size_t i = 0; options->as != NULL && i < UNTYPED_COUNT; i++) {
        if (strcmp(options->as, untyped[i].kind) == 0) {
            return untyped[i].channel;
        }
    }
    return untyped[0].channel;
}

/* Everything on standard input, as far as one message may be long. */
static enum exit_code read_input(char **ret_data, size_t *ret_size)
{
    char *data = NULL;
    size_t size = 0;
    size_t capacity = 0;
    for (;;) {
        if (size == capacity) {
            capacity = capacity == 0 ? READ_STEP : capacity * 2;
            data = xrealloc(data, capacity);
        }
        const size_t got = fread(data + size, 1, capacity - size, stdin);
        size += got;
        if (size > RATS_MAX_PAYLOAD || got == 0) {
            break;
        }
    }
    if (size > RATS_MAX_PAYLOAD) {
        free(data);
        return report(EXIT_FAILED, "the message is too long; at most %" PRIu64 " bytes are allowed",
                      (uint64_t)RATS_MAX_PAYLOAD);
    }
    if (ferror(stdin)) {
        free(data);
        return report(EXIT_FAILED, "cannot read standard input");
    }
    *ret_data = data;
    *ret_size = size;
    return EXIT_DONE;
}

static enum exit_code get_payload(const struct options *options, const char *text, char **ret_data,
                                  size_t *ret_size)
{
    char *data = NULL;
    size_t size = 0;
    if (strcmp(text, FROM_STDIN) != 0) {
        data = xstrdup(text);
        size = strlen(text);
    } else {
        const enum exit_code code = read_input(&data, &size);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    if (options->as != NULL && strcmp(options->as, "json") == 0 &&
        json_text_check(data, size) != 0) {
        free(data);
        return report(EXIT_USAGE, "the message is no JSON text; --as=string sends it as it is");
    }
    *ret_data = data;
    *ret_size = size;
    return EXIT_DONE;
}

/* ret_peers: how many it went to. */
static enum exit_code send_payload(struct ctl *ctl, const char *whom, const char *data, size_t size,
                                   int *ret_peers)
{
    const char *channel = channel_of(ctl->options);
    char id[PEER_DIGITS + 1];
    if (strcmp(whom, EVERYBODY) == 0) {
        const int peers = rats_channel_broadcast(ctl->client, channel, data, size);
        if (peers < 0) {
            return session_report(ctl, "send");
        }
        if (peers == 0) {
            return report(EXIT_NOT_FOUND, "no peer is connected; ratsctl connect HOST:PORT dials "
                                          "one");
        }
        *ret_peers = peers;
        return EXIT_DONE;
    }
    const enum exit_code code = session_find_peer(ctl, whom, id);
    if (code != EXIT_DONE) {
        return code;
    }
    if (rats_channel_send(ctl->client, id, channel, data, size) != RATS_SUCCESS) {
        return session_report(ctl, "send");
    }
    *ret_peers = 1;
    return EXIT_DONE;
}

static void print_sent(const struct ctl *ctl, size_t size, int peers)
{
    const char *channel = channel_of(ctl->options);
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output,
                      json_pack("{s:o, s:I, s:i}", "channel", text_value(channel, strlen(channel)),
                                "bytes", (json_int_t)size, "peers", peers));
        return;
    }
    char *shown = escape_new(channel, strlen(channel));
    (void)printf("sent %zu bytes on %s to %d %s\n", size, shown, peers,
                 peers == 1 ? "peer" : "peers");
    free(shown);
}

enum exit_code run_send(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    char *data = NULL;
    size_t size = 0;
    int peers = 0;
    if (ctl->options->channel_count > 1) {
        return report(EXIT_USAGE, "send takes one --channel");
    }
    enum exit_code code = get_payload(ctl->options, arguments[1], &data, &size);
    if (code == EXIT_DONE) {
        code = session_open(ctl, false);
    }
    if (code == EXIT_DONE && rats_start(ctl->client) != RATS_SUCCESS) {
        code = session_report(ctl, "start of the session");
    }
    if (code == EXIT_DONE) {
        code = send_payload(ctl, arguments[0], data, size, &peers);
    }
    if (code == EXIT_DONE) {
        print_sent(ctl, size, peers);
    }
    free(data);
    return code;
}

struct receiver {
    const struct ctl *ctl;
    uint64_t left; /* messages until the end; 0: no end */
};

/* "text" when the bytes are that, else "hex": JSON has no bytes. */
static int put_payload(json_t *object, struct bytes body)
{
    if (text_is_utf8(body)) {
        return json_object_set_new(object, "text",
                                   json_stringn((const char *)body.data, body.size));
    }
    char *hex = xalloc(body.size * 2 + 1);
    hex_format(body, hex);
    const int result = json_object_set_new(object, "hex", json_stringn(hex, body.size * 2));
    free(hex);
    return result;
}

static void print_message(const struct receiver *receiver, const struct frame *frame,
                          const struct message_head *head)
{
    char peer[PEER_DIGITS + 1];
    const struct bytes body = bytes_make(frame->body, frame->body_size);
    hex_format(bytes_make(head->peer, MESSAGE_PEER_SIZE), peer);
    if (receiver->ctl->output.json != JSON_NONE) {
        json_t *object = json_pack("{s:I, s:s, s:o, s:I}", "sequence", (json_int_t)frame->id,
                                   "peer", peer, "channel", text_value(head->name, head->name_size),
                                   "bytes", (json_int_t)body.size);
        if (object != NULL && put_payload(object, body) == 0) {
            output_line(object);
        }
    } else {
        char *channel = escape_new(head->name, head->name_size);
        char *text = escape_new(body.data, body.size);
        (void)printf("%.*s %s %s\n", PEER_SHORT, peer, channel, text);
        free(text);
        free(channel);
    }
}

static int on_message(void *self, const struct frame *frame)
{
    struct receiver *receiver = self;
    struct message_head head;
    if (message_head_decode(frame->head, frame->head_size, &head) != 0) {
        return (int)report(EXIT_FAILED, "a message cannot be read: its head is malformed");
    }
    if (head.plane != PLANE_CHANNEL) {
        return STREAM_GO_ON;
    }
    print_message(receiver, frame, &head);
    if (receiver->left == 0) {
        return STREAM_GO_ON;
    }
    return --receiver->left == 0 ? EXIT_DONE : STREAM_GO_ON;
}

static void print_lost(const struct receiver *receiver, uint64_t count)
{
    if (receiver->ctl->output.json != JSON_NONE) {
        output_line(json_pack("{s:I}", "lost", (json_int_t)count));
    } else {
        (void)printf("lost %" PRIu64 "\n", count);
    }
}

static int on_gap(void *self, uint64_t missing)
{
    print_lost(self, missing);
    return STREAM_GO_ON;
}

static int on_event(void *self, uint64_t sequence, const char *event, json_t *fields)
{
    (void)sequence;
    if (strcmp(event, proto_events[EV_LOST].name) == 0) {
        print_lost(self, (uint64_t)member_number(fields, "total"));
    }
    return STREAM_GO_ON;
}

enum exit_code run_recv(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    const struct options *options = ctl->options;
    struct receiver receiver = {.ctl = ctl, .left = options->count};
    const struct stream_handler handler = {
        .self = &receiver, .on_event = on_event, .on_message = on_message, .on_gap = on_gap};
    session_set_timeout(ctl, true);
    enum exit_code code = session_open(ctl, true);
    const size_t channels = options->channel_count > 0 ? options->channel_count : UNTYPED_COUNT;
    for (size_t i = 0; code == EXIT_DONE && i < channels; i++) {
        const char *channel =
            options->channel_count > 0 ? options->channels[i] : untyped[i].channel;
        if (rats_channel_on(ctl->client, channel, NULL, NULL) != RATS_SUCCESS) {
            code = session_report(ctl, channel);
        }
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = stream_run(ctl, &handler, options->timeout_ms);
    if (code == EXIT_TIMEOUT && receiver.left == 0) {
        return EXIT_DONE; /* no number was asked for: that time was all that was asked for */
    }
    if (code == EXIT_TIMEOUT) {
        return report(code, "recv: %" PRIu64 " of %" PRIu64 " messages did not come in time",
                      receiver.left, options->count);
    }
    return code;
}
