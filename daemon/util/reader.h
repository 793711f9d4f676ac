/* The one way to read bytes that came from outside: a cursor that cannot leave its view.
 *
 * Every read_*() either returns the value and advances, or marks the reader failed and returns
 * zero (an empty view for reader_bytes). A failed reader stays failed, so a decoder reads all its
 * fields in order and asks reader_ok() once before it believes any of them. Integers are
 * big-endian, as on the wire (wire-core, Conventions). */
#ifndef RATSD_UTIL_READER_H
#define RATSD_UTIL_READER_H

#include "util/bytes.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline void reader_init(struct reader *reader, struct bytes from)
{
    reader->at = from.data;
    reader->end = from.size == 0 ? from.data : from.data + from.size;
    reader->failed = false;
}

static inline bool reader_ok(const struct reader *reader)
{
    return !reader->failed;
}

static inline size_t reader_left(const struct reader *reader)
{
    return reader->failed || reader->at == NULL ? 0 : (size_t)(reader->end - reader->at);
}

/* The next size bytes as a view into the original, or an empty view and failure. */
static inline struct bytes reader_bytes(struct reader *reader, size_t size)
{
    if (reader_left(reader) < size) {
        reader->failed = true;
    }
    if (reader->failed || size == 0) {
        return bytes_make(NULL, 0);
    }
    struct bytes taken = bytes_make(reader->at, size);
    reader->at += size;
    return taken;
}

static inline uint64_t reader_uint(struct reader *reader, size_t width)
{
    struct bytes taken = reader_bytes(reader, width);
    uint64_t value = 0;
    for (size_t i = 0; i < taken.size; i++) {
        value = value << 8 | taken.data[i];
    }
    return value;
}

static inline uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)reader_uint(reader, 1);
}

static inline uint16_t reader_u16(struct reader *reader)
{
    return (uint16_t)reader_uint(reader, 2);
}

static inline uint32_t reader_u32(struct reader *reader)
{
    return (uint32_t)reader_uint(reader, 4);
}

static inline uint64_t reader_u64(struct reader *reader)
{
    return reader_uint(reader, 8);
}

/* Everything that is left; the reader is then at its end. */
static inline struct bytes reader_rest(struct reader *reader)
{
    return reader_bytes(reader, reader_left(reader));
}

#endif
