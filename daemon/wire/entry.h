/* An entry of the replicated store on the wire, and the messages that carry entries (wire-services
 * 7, message type 6).
 *
 *     01 || entry                      a change
 *     02                               send me everything
 *     03 || u32 count || count entries a part of everything
 *
 *     entry: u32 total_len || u32 key_len || key || u8 type || u8 deleted || u64 timestamp_ms ||
 *            u32 origin_len || origin || u32 data_len || data || u32 crc32
 *
 * Views of a decoded entry point into the message. What can be told from the bytes alone is
 * checked here; what depends on the clock or on limits is service/lww.h's. */
#ifndef RATSD_WIRE_ENTRY_H
#define RATSD_WIRE_ENTRY_H

#include "util/reader.h"
#include "util/writer.h"

#define ENTRY_FIXED_SIZE  30u /* an entry with empty key, origin and data */
#define ENTRY_ORIGIN_SIZE 64u

#define STORE_ENTRY         1u
#define STORE_SYNC_REQUEST  2u
#define STORE_SYNC_RESPONSE 3u
#define STORE_LIST_HEADER   5u /* of a SYNC_RESPONSE: opcode and count */

enum entry_type {
    ENTRY_BINARY = 1,
    ENTRY_STRING = 2,
    ENTRY_INT64 = 3,  /* 8 bytes, two's complement, big-endian */
    ENTRY_DOUBLE = 4, /* 8 bytes, IEEE 754, big-endian */
    ENTRY_JSON = 5,
};

struct entry {
    struct bytes key;
    enum entry_type type; /* a tombstone keeps that of the value */
    bool deleted;
    uint64_t timestamp_ms; /* since 1970 */
    struct bytes origin;   /* 64 lower-case hexadecimal digits, or empty */
    struct bytes data;     /* empty when deleted */
};

/* Whether the type's values can have that size. */
bool entry_fits_type(enum entry_type type, size_t size);

/* Bytes entry_encode() writes. */
size_t entry_size(const struct entry *entry);
void entry_encode(const struct entry *entry, struct writer *writer);
/* 0; -EPROTO: this is no entry, and nothing after it can be found; -EBADMSG: its checksum is wrong;
 * -EINVAL: it is whole, but not one that a node can have written (no such type, an origin that is
 * no id, a key that is not text, a tombstone with a value). After the latter two the next can be
 * read. */
int entry_decode(struct reader *reader, struct entry *ret_entry);

/* A message taken apart: the opcode, and where its entries begin. */
struct store_message {
    uint8_t opcode;
    uint32_t count; /* entries it says it has */
    size_t offset;  /* of the first within the payload */
};

/* 0, or -EPROTO: ignore it. */
int store_message_decode(struct bytes payload, struct store_message *ret_message);

#endif
