#include "wire/transfer.h"

#include <assert.h>
#include <errno.h>

size_t transfer_offer_size(struct bytes name)
{
    return 1 + 8 + 1 + 8 + 2 + name.size + 4;
}

void transfer_file_decode(struct reader *reader, struct transfer_file *ret_file)
{
    uint16_t size = reader_u16(reader);
    ret_file->path = reader_bytes(reader, size);
    ret_file->size = reader_u64(reader);
}

void transfer_file_encode(const struct transfer_file *file, struct writer *writer)
{
    assert(file->path.size <= UINT16_MAX);
    writer_u16(writer, (uint16_t)file->path.size);
    writer_bytes(writer, file->path);
    writer_u64(writer, file->size);
}

/* A count that the rest cannot hold is refused before anything is counted on it. */
static bool decode_offer(struct reader *reader, struct transfer_frame *frame)
{
    frame->is_directory = reader_u8(reader) != 0;
    frame->total = reader_u64(reader);
    uint16_t name_size = reader_u16(reader);
    frame->name = reader_bytes(reader, name_size);
    frame->file_count = reader_u32(reader);
    if (!reader_ok(reader) || frame->file_count > reader_left(reader) / TRANSFER_FILE_FIXED) {
        return false;
    }
    struct reader files = *reader;
    struct transfer_file file;
    for (uint32_t i = 0; i < frame->file_count && reader_ok(reader); i++) {
        transfer_file_decode(reader, &file);
    }
    frame->files = reader_bytes(&files, reader_left(&files) - reader_left(reader));
    return reader_ok(reader);
}

static bool decode_body(struct reader *reader, struct transfer_frame *frame)
{
    switch (frame->op) {
    case TRANSFER_OFFER:
        return decode_offer(reader, frame);
    case TRANSFER_RESPONSE:
        frame->ok = reader_u8(reader) != 0;
        frame->reason = reader_rest(reader);
        if (frame->reason.size > TRANSFER_MAX_REASON) {
            frame->reason.size = TRANSFER_MAX_REASON;
        }
        break;
    case TRANSFER_CHUNK:
        frame->file = reader_u32(reader);
        frame->offset = reader_u64(reader);
        frame->data = reader_rest(reader);
        break;
    case TRANSFER_FILE_END:
        frame->file = reader_u32(reader);
        frame->data = reader_bytes(reader, TRANSFER_HASH_SIZE);
        break;
    case TRANSFER_PROGRESS:
        frame->received = reader_u64(reader);
        break;
    case TRANSFER_COMPLETE:
        frame->ok = reader_u8(reader) != 0;
        break;
    case TRANSFER_CANCEL:
    case TRANSFER_PAUSE:
    case TRANSFER_RESUME:
        break;
    default:
        return false;
    }
    return reader_ok(reader);
}

int transfer_frame_decode(struct bytes from, struct transfer_frame *ret_frame)
{
    struct reader reader;
    struct transfer_frame frame = {0};
    reader_init(&reader, from);
    frame.op = (enum transfer_op)reader_u8(&reader);
    frame.id = reader_u64(&reader);
    if (!reader_ok(&reader) || !decode_body(&reader, &frame)) {
        return -EPROTO;
    }
    *ret_frame = frame;
    return 0;
}

/* The longest beginning of a text that fits and does not end within a character. */
static struct bytes cut_reason(struct bytes reason)
{
    if (reason.size > TRANSFER_MAX_REASON) {
        reason.size = TRANSFER_MAX_REASON;
        while (reason.size > 0 && (reason.data[reason.size] & 0xc0) == 0x80) {
            reason.size--;
        }
    }
    return reason;
}

void transfer_frame_encode(const struct transfer_frame *frame, struct writer *writer)
{
    writer_u8(writer, (uint8_t)frame->op);
    writer_u64(writer, frame->id);
    switch (frame->op) {
    case TRANSFER_OFFER:
        assert(frame->name.size <= UINT16_MAX);
        writer_u8(writer, frame->is_directory);
        writer_u64(writer, frame->total);
        writer_u16(writer, (uint16_t)frame->name.size);
        writer_bytes(writer, frame->name);
        writer_u32(writer, frame->file_count);
        break;
    case TRANSFER_RESPONSE:
        writer_u8(writer, frame->ok);
        writer_bytes(writer, cut_reason(frame->reason));
        break;
    case TRANSFER_CHUNK:
        writer_u32(writer, frame->file);
        writer_u64(writer, frame->offset);
        break;
    case TRANSFER_FILE_END:
        assert(frame->data.size == TRANSFER_HASH_SIZE);
        writer_u32(writer, frame->file);
        writer_bytes(writer, frame->data);
        break;
    case TRANSFER_PROGRESS:
        writer_u64(writer, frame->received);
        break;
    case TRANSFER_COMPLETE:
        writer_u8(writer, frame->ok);
        break;
    case TRANSFER_CANCEL:
    case TRANSFER_PAUSE:
    case TRANSFER_RESUME:
        break;
    }
}
