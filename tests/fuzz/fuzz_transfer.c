/* transfer_frame_decode() and the path rule over arbitrary bytes; what is accepted survives a
 * second round. */
#include <stdlib.h>

#include "util/path_rule.h"
#include "wire/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_files(const struct transfer_frame *frame)
{
    struct reader reader;
    reader_init(&reader, frame->files);
    for (uint32_t i = 0; i < frame->file_count; i++) {
        struct transfer_file file;
        transfer_file_decode(&reader, &file);
        require(reader_ok(&reader));
        if (path_rule_check(file.path) == NULL) {
            require(path_rule_is_safe(file.path));
        }
    }
    require(reader_left(&reader) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct transfer_frame first;
    struct transfer_frame second;
    struct writer writer;
    (void)path_rule_check(bytes_make(data, size));
    if (transfer_frame_decode(bytes_make(data, size), &first) != 0) {
        return 0;
    }
    uint8_t *out = malloc(size + TRANSFER_MAX_CONTROL);
    require(out != NULL);
    writer_init(&writer, out, size + TRANSFER_MAX_CONTROL);
    transfer_frame_encode(&first, &writer);
    writer_bytes(&writer, first.op == TRANSFER_CHUNK ? first.data : first.files);
    require(writer_ok(&writer));
    require(transfer_frame_decode(writer_view(&writer), &second) == 0);
    require(second.op == first.op && second.id == first.id && second.file == first.file);
    require(second.file_count == first.file_count && second.offset == first.offset);
    require(bytes_equal(second.data, first.data) && bytes_equal(second.files, first.files));
    require(bytes_equal(second.name, first.name) && second.received == first.received);
    if (first.op == TRANSFER_OFFER) {
        check_files(&first);
    }
    free(out);
    return 0;
}
