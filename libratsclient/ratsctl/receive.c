#include "ratsctl/receive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/events.h"
#include "proto/message_head.h"
#include "ratsctl/payload.h"
#include "ratsctl/stream.h"
#include "util/hex.h"

struct receiver {
    const struct ctl *ctl;
    uint64_t left; /* messages until the end; 0: no end */
};

/* What its name is called, by plane. */
static const char *const name_keys[] = {
    [PLANE_CHANNEL] = "channel", [PLANE_TYPED] = "type", [PLANE_TOPIC] = "topic"};

static int put_forwarder(json_t *object, const struct message_head *head)
{
    char forwarder[PEER_DIGITS + 1];
    if (head->plane != PLANE_TOPIC || head->forwarder == NULL) {
        return 0;
    }
    hex_format(bytes_make(head->forwarder, MESSAGE_PEER_SIZE), forwarder);
    return json_object_set_new(object, "forwarder", json_string(forwarder)) == 0 &&
                   json_object_set_new(object, "local",
                                       json_boolean((head->flags & MESSAGE_FLAG_LOCAL) != 0)) == 0
               ? 0
               : -1;
}

static void print_message(const struct receiver *receiver, const struct frame *frame,
                          const struct message_head *head)
{
    char peer[PEER_DIGITS + 1];
    const struct bytes body = bytes_make(frame->body, frame->body_size);
    hex_format(bytes_make(head->peer, MESSAGE_PEER_SIZE), peer);
    if (receiver->ctl->output.json != JSON_NONE) {
        json_t *object =
            json_pack("{s:I, s:s, s:o, s:I}", "sequence", (json_int_t)frame->id, "peer", peer,
                      name_keys[head->plane], text_value(head->name, head->name_size), "bytes",
                      (json_int_t)body.size);
        if (object != NULL && put_forwarder(object, head) == 0 && payload_put(object, body) == 0) {
            output_line(object);
        }
    } else {
        char *name = escape_new(head->name, head->name_size);
        char *text = escape_new(body.data, body.size);
        (void)printf("%.*s %s %s\n", PEER_SHORT, peer, name, text);
        free(text);
        free(name);
    }
}

static int on_message(void *self, const struct frame *frame)
{
    struct receiver *receiver = self;
    struct message_head head;
    if (message_head_decode(frame->head, frame->head_size, &head) != 0) {
        return (int)report(EXIT_FAILED, "a message cannot be read: its head is malformed");
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

enum exit_code receive_run(struct ctl *ctl, const char *command)
{
    const struct options *options = ctl->options;
    struct receiver receiver = {.ctl = ctl, .left = options->count};
    const struct stream_handler handler = {
        .self = &receiver, .on_event = on_event, .on_message = on_message, .on_gap = on_gap};
    const enum exit_code code = stream_run(ctl, &handler, options->timeout_ms);
    if (code == EXIT_TIMEOUT && receiver.left == 0) {
        return EXIT_DONE; /* no number was asked for: that time was all that was asked for */
    }
    if (code == EXIT_TIMEOUT) {
        return report(code, "%s: %" PRIu64 " of %" PRIu64 " messages did not come in time", command,
                      receiver.left, options->count);
    }
    return code;
}
