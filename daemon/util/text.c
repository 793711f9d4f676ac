#include "util/text.h"

#include <assert.h>
#include <stdio.h>

#include "util/reader.h"

#define CUT_MARK  "..."
#define UNIT_SIZE 16 /* the longest escape, "\u{10ffff}", and its NUL */

size_t text_take(struct reader *reader, uint32_t *ret_code)
{
    struct reader ahead = *reader;
    uint8_t lead = reader_u8(&ahead);
    size_t size = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if (size == 0 || lead > 0xf4) {
        return 0;
    }
    uint32_t code = lead & lead_bits[size];
    for (size_t i = 1; i < size; i++) {
        uint8_t next = reader_u8(&ahead);
        if ((next & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (next & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (!reader_ok(&ahead) || code < smallest[size] || code > 0x10ffff || surrogate) {
        return 0;
    }
    *reader = ahead;
    *ret_code = code;
    return size;
}

/* Beyond ASCII: what moves the cursor, ends a line, or reorders what stands around it. */
static bool is_dangerous(uint32_t code)
{
    return (code >= 0x80 && code <= 0x9f) || code == 0x061c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* The next character, or the next byte that is none, in its printable form. */
static size_t escape_next(struct reader *reader, char unit[UNIT_SIZE])
{
    const uint8_t *at = reader->at;
    uint32_t code = 0;
    size_t size = text_take(reader, &code);
    if (size == 0 || code < 0x20 || code == 0x7f) {
        uint8_t byte = size == 0 ? reader_u8(reader) : (uint8_t)code;
        (void)snprintf(unit, UNIT_SIZE, "\\x%02x", byte);
    } else if (code == '\\') {
        (void)snprintf(unit, UNIT_SIZE, "\\\\");
    } else if (is_dangerous(code)) {
        (void)snprintf(unit, UNIT_SIZE, "\\u{%04x}", code);
    } else {
        memcpy(unit, at, size);
        unit[size] = '\0';
    }
    return strlen(unit);
}

char *text_escape(struct bytes from, char *ret_text, size_t capacity)
{
    assert(capacity >= 8);
    struct reader reader;
    reader_init(&reader, from);
    size_t used = 0;
    size_t cut = 0; /* the last boundary that leaves room for the mark */
    ret_text[0] = '\0';
    while (reader_left(&reader) > 0) {
        char unit[UNIT_SIZE];
        size_t size = escape_next(&reader, unit);
        if (used + size >= capacity) {
            memcpy(ret_text + cut, CUT_MARK, sizeof CUT_MARK);
            break;
        }
        memcpy(ret_text + used, unit, size + 1);
        used += size;
        if (used + sizeof CUT_MARK <= capacity) {
            cut = used;
        }
    }
    return ret_text;
}

bool text_is_utf8(struct bytes from)
{
    struct reader reader;
    reader_init(&reader, from);
    uint32_t code = 0;
    while (reader_left(&reader) > 0) {
        if (text_take(&reader, &code) == 0) {
            return false;
        }
    }
    return true;
}
