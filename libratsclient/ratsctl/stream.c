#include "ratsctl/stream.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/json_head.h"
#include "ratsctl/interrupt.h"

#define IDLE_MS 60000 /* one wait; how long all of them take is counted here */

/* Made by the library when its connection ended; part of no table. */
#define DETACHED "daemon.detached"

int64_t stream_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int on_event_frame(struct ctl *ctl, const struct stream_handler *handler,
                          const struct frame *frame)
{
    char error[128];
    json_t *head = json_head_parse(frame->head, frame->head_size, error, sizeof error);
    if (head == NULL) {
        return (int)report(EXIT_FAILED, "an event cannot be read: %s", error);
    }
    const char *event = member_text(head, "v");
    json_t *fields = json_object_get(head, "p");
    int result = handler->on_body_event != NULL
                     ? handler->on_body_event(handler->self, frame->id, event, fields,
                                              bytes_make(frame->body, frame->body_size))
                     : handler->on_event(handler->self, frame->id, event, fields);
    if (result == STREAM_GO_ON && strcmp(event, DETACHED) == 0 && !rats_is_attached(ctl->client)) {
        result = (int)report(EXIT_NO_DAEMON, "the daemon went away; see its log");
    }
    json_decref(head);
    return result;
}

/* *next is the number the next frame must have; 0 as long as none was seen. */
static int check_sequence(const struct stream_handler *handler, uint64_t sequence, uint64_t *next)
{
    int result = STREAM_GO_ON;
    if (sequence == 0) {
        return result;
    }
    if (*next != 0 && sequence > *next) {
        result = handler->on_gap(handler->self, sequence - *next);
    }
    *next = sequence + 1;
    return result;
}

static int on_batch(struct ctl *ctl, const struct stream_handler *handler, const uint8_t *data,
                    size_t size, uint64_t *next)
{
    int result = STREAM_GO_ON;
    while (size > 0 && result == STREAM_GO_ON) {
        struct frame frame;
        size_t taken = 0;
        const enum frame_status status = frame_decode(data, size, &frame, &taken);
        if (status != FRAME_OK) {
            return (int)report(EXIT_FAILED, "a frame cannot be read: %s",
                               status == FRAME_INCOMPLETE ? "it is cut off"
                                                          : frame_status_text(status));
        }
        data += taken;
        size -= taken;
        if (frame.kind != FRAME_EVENT && frame.kind != FRAME_MESSAGE) {
            continue;
        }
        result = check_sequence(handler, frame.id, next);
        if (result == STREAM_GO_ON && frame.kind == FRAME_EVENT) {
            result = on_event_frame(ctl, handler, &frame);
        } else if (result == STREAM_GO_ON && handler->on_message != NULL) {
            result = handler->on_message(handler->self, &frame);
        }
    }
    return result;
}

static enum exit_code start(struct ctl *ctl, const struct stream_handler *handler)
{
    if (rats_start(ctl->client) != RATS_SUCCESS) {
        return session_report(ctl, "start of the session");
    }
    return handler->on_start == NULL ? EXIT_DONE : handler->on_start(handler->self);
}

enum exit_code stream_run(struct ctl *ctl, const struct stream_handler *handler, int timeout_ms)
{
    const enum exit_code code = start(ctl, handler);
    if (code != EXIT_DONE) {
        return code;
    }
    const int64_t deadline = stream_now_ms() + timeout_ms;
    uint64_t next = 0;
    int result = STREAM_GO_ON;
    while (result == STREAM_GO_ON) {
        int64_t wait = timeout_ms < 0 ? IDLE_MS : deadline - stream_now_ms();
        size_t size = 0;
        wait = wait < 0 ? 0 : wait > IDLE_MS ? IDLE_MS : wait;
        if (interrupt_wait(rats_batch_fd(ctl->client), (int)wait)) {
            wait = 0;
        }
        const void *batch = rats_take_batch(ctl->client, (int)wait, &size);
        if (batch != NULL) {
            result = on_batch(ctl, handler, batch, size, &next);
            rats_release_batch(ctl->client, batch);
            if (output_finish() != 0) {
                return report(EXIT_FAILED, "cannot write to standard output");
            }
        }
        if (result == STREAM_GO_ON && interrupt_caught()) {
            return EXIT_INTERRUPTED;
        }
        if (result == STREAM_GO_ON && timeout_ms >= 0 && stream_now_ms() >= deadline) {
            return EXIT_TIMEOUT;
        }
    }
    return (enum exit_code)result;
}
