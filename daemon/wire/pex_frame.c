#include "wire/pex_frame.h"

#include <assert.h>
#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

#define VERSION 1

size_t pex_frame_encode(const struct pex_frame *frame, uint8_t *out)
{
    struct writer writer;
    writer_init(&writer, out, PEX_MAX_SIZE);
    writer_u8(&writer, VERSION);
    writer_u8(&writer, (uint8_t)frame->op);
    if (frame->op == PEX_REQUEST) {
        writer_u16(&writer, frame->max);
        return writer.size;
    }
    assert(frame->entry_count <= PEX_MAX_ENTRIES);
    writer_u16(&writer, (uint16_t)frame->entry_count);
    for (size_t i = 0; i < frame->entry_count; i++) {
        const struct pex_entry *entry = &frame->entries[i];
        writer_u8(&writer, entry->address.ip_size);
        writer_bytes(&writer, bytes_make(entry->address.ip, entry->address.ip_size));
        writer_u16(&writer, entry->address.port);
        writer_bytes(&writer, bytes_make(entry->id.bytes, sizeof entry->id.bytes));
    }
    assert(writer_ok(&writer));
    return writer.size;
}

static int read_entry(struct reader *reader, struct pex_entry *ret_entry)
{
    struct pex_entry entry = {0};
    uint8_t ip_size = reader_u8(reader);
    int rc = endpoint_set_ip(&entry.address, reader_bytes(reader, ip_size));
    entry.address.port = reader_u16(reader);
    struct bytes id = reader_bytes(reader, sizeof entry.id.bytes);
    if (rc != 0 || !reader_ok(reader)) {
        return -EPROTO;
    }
    memcpy(entry.id.bytes, id.data, sizeof entry.id.bytes);
    *ret_entry = entry;
    return 0;
}

int pex_frame_decode(struct bytes from, struct pex_frame *ret_frame)
{
    struct reader reader;
    reader_init(&reader, from);
    uint8_t version = reader_u8(&reader);
    uint8_t op = reader_u8(&reader);
    uint16_t number = reader_u16(&reader);
    if (!reader_ok(&reader) || version != VERSION || op > PEX_RESPONSE) {
        return -EPROTO;
    }
    ret_frame->op = (enum pex_op)op;
    ret_frame->max = op == PEX_REQUEST ? number : 0;
    ret_frame->entry_count = 0;
    size_t count = op == PEX_RESPONSE ? number : 0;
    if (count > PEX_MAX_ENTRIES) {
        count = PEX_MAX_ENTRIES;
    }
    while (ret_frame->entry_count < count &&
           read_entry(&reader, &ret_frame->entries[ret_frame->entry_count]) == 0) {
        ret_frame->entry_count++;
    }
    return 0;
}
