/* Writes big-endian fields into a caller's buffer of fixed capacity.
 *
 * The mirror of reader.h: a write that does not fit marks the writer failed and writes nothing;
 * writer_ok() is asked once at the end. */
#ifndef RATSD_UTIL_WRITER_H
#define RATSD_UTIL_WRITER_H

#include "util/bytes.h"

struct writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

static inline void writer_init(struct writer *writer, uint8_t *data, size_t capacity)
{
    *writer = (struct writer){.data = data, .capacity = capacity};
}

static inline bool writer_ok(const struct writer *writer)
{
    return !writer->failed;
}

static inline void writer_bytes(struct writer *writer, struct bytes from)
{
    if (writer->failed || writer->capacity - writer->size < from.size) {
        writer->failed = true;
        return;
    }
    if (from.size > 0) {
        memcpy(writer->data + writer->size, from.data, from.size);
        writer->size += from.size;
    }
}

static inline void writer_uint(struct writer *writer, uint64_t value, size_t width)
{
    uint8_t encoded[8];
    for (size_t i = 0; i < width; i++) {
        encoded[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
    writer_bytes(writer, bytes_make(encoded, width));
}

static inline void writer_u8(struct writer *writer, uint8_t value)
{
    writer_uint(writer, value, 1);
}

static inline void writer_u16(struct writer *writer, uint16_t value)
{
    writer_uint(writer, value, 2);
}

static inline void writer_u32(struct writer *writer, uint32_t value)
{
    writer_uint(writer, value, 4);
}

static inline void writer_u64(struct writer *writer, uint64_t value)
{
    writer_uint(writer, value, 8);
}

static inline struct bytes writer_view(const struct writer *writer)
{
    return bytes_make(writer->data, writer->size);
}

#endif
