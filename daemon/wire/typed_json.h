/* A typed JSON message: u16 size of the type, type, JSON text to the end (wire-services 2). The
 * type is any byte string; nobody here looks at the text. */
#ifndef RATSD_WIRE_TYPED_JSON_H
#define RATSD_WIRE_TYPED_JSON_H

#include "util/bytes.h"

#define TYPED_MAX_TYPE 65535u

struct typed_json {
    struct bytes type;
    struct bytes text; /* views into what was decoded */
};

/* 0, or -EPROTO when the type reaches past the end. */
int typed_json_decode(struct bytes from, struct typed_json *ret_typed);
static inline size_t typed_json_size(const struct typed_json *typed)
{
    return 2 + typed->type.size + typed->text.size;
}
/* out has typed_json_size() bytes; the type has at most TYPED_MAX_TYPE. */
void typed_json_encode(const struct typed_json *typed, uint8_t *out);

#endif
