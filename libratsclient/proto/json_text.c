/* json_text_check(): one pass over the text, no allocation, a bit for each open bracket. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "proto/json_head.h"

struct text {
    const uint8_t *at;
    const uint8_t *end;
    size_t depth;
    size_t max_depth;
    bool too_deep;
    uint8_t open[JSON_TEXT_MAX_DEPTH / 8]; /* bit set: an object */
};

static int peek(const struct text *text)
{
    return text->at < text->end ? *text->at : -1;
}

static bool take(struct text *text, int c)
{
    if (peek(text) != c) {
        return false;
    }
    text->at++;
    return true;
}

static void skip_space(struct text *text)
{
    int c = peek(text);
    while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        text->at++;
        c = peek(text);
    }
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool take_digits(struct text *text)
{
    if (!is_digit(peek(text))) {
        return false;
    }
    while (is_digit(peek(text))) {
        text->at++;
    }
    return true;
}

static bool take_number(struct text *text)
{
    (void)take(text, '-');
    if (!take(text, '0') && !take_digits(text)) {
        return false;
    }
    if (take(text, '.') && !take_digits(text)) {
        return false;
    }
    if (take(text, 'e') || take(text, 'E')) {
        if (!take(text, '+')) {
            (void)take(text, '-');
        }
        return take_digits(text);
    }
    return true;
}

static bool take_literal(struct text *text, const char *word)
{
    const size_t size = strlen(word);
    if ((size_t)(text->end - text->at) < size || memcmp(text->at, word, size) != 0) {
        return false;
    }
    text->at += size;
    return true;
}

/* Four hexadecimal digits, or -1. */
static int take_unit(struct text *text)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const int c = peek(text);
        int digit;
        if (is_digit(c)) {
            digit = c - '0';
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f' && c > 0) {
            digit = (c | 0x20) - 'a' + 10;
        } else {
            return -1;
        }
        value = value << 4 | digit;
        text->at++;
    }
    return value;
}

static bool take_escape(struct text *text)
{
    const int c = peek(text);
    if (c <= 0) {
        return false;
    }
    text->at++;
    if (c != 'u') {
        return strchr("\"\\/bfnrt", c) != NULL;
    }
    const int unit = take_unit(text);
    if (unit < 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) {
        return false;
    }
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        if (!take(text, '\\') || !take(text, 'u')) {
            return false;
        }
        const int low = take_unit(text);
        return low >= 0xDC00 && low <= 0xDFFF;
    }
    return true;
}

/* One character above U+007F in well-formed UTF-8 (RFC 3629). */
static bool take_wide(struct text *text)
{
    const uint8_t first = *text->at;
    size_t more;
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF) {
        more = 1;
    } else if (first >= 0xE0 && first <= 0xEF) {
        more = 2;
        low = first == 0xE0 ? 0xA0 : low;
        high = first == 0xED ? 0x9F : high;
    } else if (first >= 0xF0 && first <= 0xF4) {
        more = 3;
        low = first == 0xF0 ? 0x90 : low;
        high = first == 0xF4 ? 0x8F : high;
    } else {
        return false;
    }
    if ((size_t)(text->end - text->at) <= more) {
        return false;
    }
    for (size_t i = 1; i <= more; i++) {
        const uint8_t c = text->at[i];
        if (c < low || c > high) {
            return false;
        }
        low = 0x80;
        high = 0xBF;
    }
    text->at += more + 1;
    return true;
}

static bool take_string(struct text *text)
{
    if (!take(text, '"')) {
        return false;
    }
    for (;;) {
        const int c = peek(text);
        if (c < 0x20) {
            return false; /* control character or end of text */
        }
        if (c >= 0x80) {
            if (!take_wide(text)) {
                return false;
            }
            continue;
        }
        text->at++;
        if (c == '"') {
            return true;
        }
        if (c == '\\' && !take_escape(text)) {
            return false;
        }
    }
}

static bool in_object(const struct text *text)
{
    const size_t top = text->depth - 1;
    return (text->open[top / 8] >> (top % 8) & 1) != 0;
}

/* Whether one more level may be opened. */
static bool may_open(struct text *text)
{
    text->too_deep = text->depth == text->max_depth;
    return !text->too_deep;
}

static bool push(struct text *text, bool object)
{
    if (!may_open(text)) {
        return false;
    }
    const uint8_t bit = (uint8_t)(1u << (text->depth % 8));
    uint8_t *byte = &text->open[text->depth / 8];
    *byte = (uint8_t)(object ? *byte | bit : *byte & ~bit);
    text->depth++;
    return true;
}

static bool take_key(struct text *text)
{
    skip_space(text);
    if (!take_string(text)) {
        return false;
    }
    skip_space(text);
    return take(text, ':');
}

/* A scalar, or an opening bracket with what must follow it. *ret_opened: a value comes next. */
static bool take_value(struct text *text, bool *ret_opened)
{
    *ret_opened = false;
    skip_space(text);
    switch (peek(text)) {
    case '"':
        return take_string(text);
    case 't':
        return take_literal(text, "true");
    case 'f':
        return take_literal(text, "false");
    case 'n':
        return take_literal(text, "null");
    case '{':
    case '[':
        break;
    default:
        return take_number(text);
    }
    const bool object = *text->at++ == '{';
    skip_space(text);
    if (take(text, object ? '}' : ']')) {
        return may_open(text); /* an empty one counts as a level too */
    }
    *ret_opened = true;
    return push(text, object) && (!object || take_key(text));
}

/* After a value: closing brackets and the comma. *ret_more: another value comes next. */
static bool take_after(struct text *text, bool *ret_more)
{
    *ret_more = false;
    while (text->depth > 0) {
        skip_space(text);
        const bool object = in_object(text);
        if (take(text, ',')) {
            *ret_more = true;
            return !object || take_key(text);
        }
        if (!take(text, object ? '}' : ']')) {
            return false;
        }
        text->depth--;
    }
    return true;
}

int json_text_check_depth(const char *data, size_t size, size_t max_depth)
{
    struct text text = {
        .at = (const uint8_t *)data,
        .end = (const uint8_t *)data + size,
        .max_depth = max_depth < JSON_TEXT_MAX_DEPTH ? max_depth : JSON_TEXT_MAX_DEPTH,
    };
    bool more = true;
    while (more) {
        if (!take_value(&text, &more) || (!more && !take_after(&text, &more))) {
            return text.too_deep ? -E2BIG : -EINVAL;
        }
    }
    skip_space(&text);
    return text.at == text.end ? 0 : -EINVAL;
}

int json_text_check(const char *data, size_t size)
{
    return json_text_check_depth(data, size, JSON_TEXT_MAX_DEPTH) == 0 ? 0 : -1;
}
