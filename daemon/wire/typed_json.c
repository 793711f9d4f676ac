#include "wire/typed_json.h"

#include <assert.h>
#include <errno.h>

#include "util/reader.h"
#include "util/writer.h"

int typed_json_decode(struct bytes from, struct typed_json *ret_typed)
{
    struct reader reader;
    reader_init(&reader, from);
    struct typed_json typed = {.type = reader_bytes(&reader, reader_u16(&reader))};
    typed.text = reader_rest(&reader);
    if (!reader_ok(&reader)) {
        return -EPROTO;
    }
    *ret_typed = typed;
    return 0;
}

void typed_json_encode(const struct typed_json *typed, uint8_t *out)
{
    assert(typed->type.size <= TYPED_MAX_TYPE);
    struct writer writer;
    writer_init(&writer, out, typed_json_size(typed));
    writer_u16(&writer, (uint16_t)typed->type.size);
    writer_bytes(&writer, typed->type);
    writer_bytes(&writer, typed->text);
}
