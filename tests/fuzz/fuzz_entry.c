/* store_message_decode() and entry_decode() over arbitrary bytes, as a message of a peer; what is
 * accepted is written again byte for byte. */
#include <errno.h>
#include <stdlib.h>

#include "wire/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check(const struct entry *entry, struct bytes from)
{
    require(entry_size(entry) == from.size && entry->key.size > 0);
    require(entry->origin.size == 0 || entry->origin.size == ENTRY_ORIGIN_SIZE);
    require(!entry->deleted || entry->data.size == 0);
    uint8_t *out = malloc(from.size);
    struct writer writer;
    require(out != NULL);
    writer_init(&writer, out, from.size);
    entry_encode(entry, &writer);
    require(writer_ok(&writer) && bytes_equal(writer_view(&writer), from));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_message message;
    if (store_message_decode(bytes_make(data, size), &message) != 0) {
        return 0;
    }
    require(message.offset <= size);
    struct reader reader;
    reader_init(&reader, bytes_make(data + message.offset, size - message.offset));
    for (uint32_t i = 0; i < message.count; i++) {
        struct entry entry;
        size_t left = reader_left(&reader);
        int rc = entry_decode(&reader, &entry);
        if (rc == -EPROTO) {
            break;
        }
        size_t taken = left - reader_left(&reader);
        require(taken >= ENTRY_FIXED_SIZE);
        if (rc == 0) {
            check(&entry, bytes_make(data + (size - left), taken));
        }
    }
    return 0;
}
