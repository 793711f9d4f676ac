#include "wire/entry.h"

#include <errno.h>

#include "util/crc32.h"
#include "util/text.h"

#define NUMBER_SIZE   8u
#define SIZE_OF_TOTAL 4u

bool entry_fits_type(enum entry_type type, size_t size)
{
    return (type != ENTRY_INT64 && type != ENTRY_DOUBLE) || size == NUMBER_SIZE;
}

size_t entry_size(const struct entry *entry)
{
    return ENTRY_FIXED_SIZE + entry->key.size + entry->origin.size + entry->data.size;
}

/* Over the fields in an order of its own, without their lengths. */
static uint32_t checksum(const struct entry *entry)
{
    uint8_t stamp[NUMBER_SIZE];
    const uint8_t type = (uint8_t)entry->type;
    const uint8_t deleted = entry->deleted ? 1 : 0;
    struct writer writer;
    writer_init(&writer, stamp, sizeof(stamp));
    writer_u64(&writer, entry->timestamp_ms);
    uint32_t crc = crc32_add(0, entry->key);
    crc = crc32_add(crc, bytes_make(&type, 1));
    crc = crc32_add(crc, entry->data);
    crc = crc32_add(crc, writer_view(&writer));
    crc = crc32_add(crc, entry->origin);
    return crc32_add(crc, bytes_make(&deleted, 1));
}

static void write_sized(struct writer *writer, struct bytes field)
{
    writer_u32(writer, (uint32_t)field.size);
    writer_bytes(writer, field);
}

void entry_encode(const struct entry *entry, struct writer *writer)
{
    writer_u32(writer, (uint32_t)(entry_size(entry) - SIZE_OF_TOTAL));
    write_sized(writer, entry->key);
    writer_u8(writer, (uint8_t)entry->type);
    writer_u8(writer, entry->deleted ? 1 : 0);
    writer_u64(writer, entry->timestamp_ms);
    write_sized(writer, entry->origin);
    write_sized(writer, entry->data);
    writer_u32(writer, checksum(entry));
}

static struct bytes read_sized(struct reader *reader)
{
    return reader_bytes(reader, reader_u32(reader));
}

static bool is_origin(struct bytes origin)
{
    for (size_t i = 0; i < origin.size; i++) {
        uint8_t c = origin.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
    }
    return origin.size == 0 || origin.size == ENTRY_ORIGIN_SIZE;
}

/* Keys go to programs as C strings. */
static bool is_text(struct bytes key)
{
    return key.size > 0 && memchr(key.data, '\0', key.size) == NULL && text_is_utf8(key);
}

/* Whether a node can have written it. */
static bool is_sound(const struct entry *entry)
{
    return entry->type >= ENTRY_BINARY && entry->type <= ENTRY_JSON && is_text(entry->key) &&
           is_origin(entry->origin) &&
           (entry->deleted ? entry->data.size == 0
                           : entry_fits_type(entry->type, entry->data.size));
}

int entry_decode(struct reader *reader, struct entry *ret_entry)
{
    struct entry entry = {0};
    uint32_t total = reader_u32(reader);
    size_t left = reader_left(reader);
    entry.key = read_sized(reader);
    entry.type = (enum entry_type)reader_u8(reader);
    uint8_t deleted = reader_u8(reader);
    entry.deleted = deleted != 0;
    entry.timestamp_ms = reader_u64(reader);
    entry.origin = read_sized(reader);
    entry.data = read_sized(reader);
    uint32_t crc = reader_u32(reader);
    if (!reader_ok(reader) || left - reader_left(reader) != total) {
        return -EPROTO;
    }
    if (deleted > 1) { /* the checksum knows 0 and 1 only */
        return -EINVAL;
    }
    if (crc != checksum(&entry)) {
        return -EBADMSG;
    }
    if (!is_sound(&entry)) {
        return -EINVAL;
    }
    *ret_entry = entry;
    return 0;
}

int store_message_decode(struct bytes payload, struct store_message *ret_message)
{
    struct reader reader;
    reader_init(&reader, payload);
    struct store_message message = {.opcode = reader_u8(&reader)};
    switch (message.opcode) {
    case STORE_ENTRY:
        message.count = 1;
        message.offset = 1;
        break;
    case STORE_SYNC_REQUEST:
        message.offset = payload.size;
        break;
    case STORE_SYNC_RESPONSE:
        message.count = reader_u32(&reader);
        message.offset = STORE_LIST_HEADER;
        break;
    default:
        return -EPROTO;
    }
    if (!reader_ok(&reader)) {
        return -EPROTO;
    }
    *ret_message = message;
    return 0;
}
