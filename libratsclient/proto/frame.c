#include "proto/frame.h"

#include <string.h>

static uint64_t load_little(const uint8_t *from, size_t width)
{
    uint64_t value = 0;
    for (size_t i = width; i > 0; i--) {
        value = value << 8 | from[i - 1];
    }
    return value;
}

static void store_little(uint8_t *to, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

enum frame_status frame_decode(const uint8_t *data, size_t size, struct frame *ret_frame,
                               size_t *ret_size)
{
    if (size < FRAME_HEADER_SIZE) {
        *ret_size = 0;
        return FRAME_INCOMPLETE;
    }
    const size_t rest = (size_t)load_little(data, 4);
    const size_t head_size = (size_t)load_little(data + 4, 2);
    const uint8_t kind = data[6];
    if (kind < FRAME_CALL || kind > FRAME_CANCEL) {
        return FRAME_BAD_KIND;
    }
    if (rest > FRAME_MAX_SIZE) {
        return FRAME_TOO_LARGE;
    }
    if (head_size > rest || (kind == FRAME_CANCEL && rest != 0)) {
        return FRAME_BAD_HEAD;
    }
    if (data[7] > FRAME_MAX_FDS) {
        return FRAME_BAD_FDS;
    }
    *ret_size = FRAME_HEADER_SIZE + rest;
    if (size - FRAME_HEADER_SIZE < rest) {
        return FRAME_INCOMPLETE;
    }
    *ret_frame = (struct frame){
        .kind = (enum frame_kind)kind,
        .fds = data[7],
        .id = load_little(data + 8, 8),
        .head = data + FRAME_HEADER_SIZE,
        .head_size = head_size,
        .body = data + FRAME_HEADER_SIZE + head_size,
        .body_size = rest - head_size,
    };
    return FRAME_OK;
}

const char *frame_status_text(enum frame_status status)
{
    switch (status) {
    case FRAME_OK:
        return "the frame is whole";
    case FRAME_INCOMPLETE:
        return "the frame is not complete yet";
    case FRAME_TOO_LARGE:
        return "the frame is larger than 64 MiB and 64 KiB";
    case FRAME_BAD_HEAD:
        return "the frame's head is larger than the frame, or a CANCEL carries bytes";
    case FRAME_BAD_KIND:
        return "the frame is of no known kind";
    case FRAME_BAD_FDS:
        return "the frame announces more than 16 descriptors";
    }
    return "the frame is malformed";
}

void frame_encode_header(uint8_t out[FRAME_HEADER_SIZE], enum frame_kind kind, uint8_t fds,
                         uint64_t id, size_t head_size, size_t body_size)
{
    store_little(out, head_size + body_size, 4);
    store_little(out + 4, head_size, 2);
    out[6] = (uint8_t)kind;
    out[7] = fds;
    store_little(out + 8, id, 8);
}
