/* json_text_check() has seen the whole text before: what is left here is to build. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "proto/json_head.h"

struct build {
    const char *at;
    const char *end;
    json_t *root;
    json_t
        *open[JSON_HEAD_MAX_DEPTH]; /* borrowed: each is held by the one before, or is the root */
    size_t depth;
    char *scratch; /* as long as the text: the key of a member, with its NUL, then the value */
};

/* Past blanks and what only separates: every other character means something. */
static bool is_at_mark(struct build *build)
{
    while (build->at < build->end && strchr(" \t\r\n,:", *build->at) != NULL) {
        build->at++;
    }
    return build->at < build->end;
}

static unsigned take_unit(struct build *build)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = *build->at++;
        const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
        value = value << 4 | (unsigned)digit;
    }
    return value;
}

/* After \u. The number of bytes written. */
static size_t put_character(struct build *build, char *out)
{
    unsigned c = take_unit(build);
    if (c >= 0xD800 && c <= 0xDBFF) {
        build->at += 2; /* \u of the other half */
        c = 0x10000 + ((c - 0xD800) << 10) + (take_unit(build) - 0xDC00);
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static char unescaped(char c)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char *found = strchr(from, c);
    if (found != NULL) {
        c = to[found - from];
    }
    return c;
}

/* A string into out, where it never becomes longer than in the text. Its size, or -EINVAL for one
 * with U+0000. */
static ssize_t take_string(struct build *build, char *out)
{
    char *to = out;
    build->at++;
    while (*build->at != '"') {
        char c = *build->at++;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        c = *build->at++;
        if (c == 'u') {
            to += put_character(build, to);
        } else {
            *to++ = unescaped(c);
        }
    }
    build->at++;
    *to = '\0';
    return memchr(out, '\0', (size_t)(to - out)) != NULL ? -EINVAL : to - out;
}

/* strtod() of the C locale: the application may have set another. */
static int take_real(const char *digits, json_t **ret_value)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) {
        return -ENOMEM;
    }
    const double number = strtod_l(digits, NULL, plain);
    freelocale(plain);
    if (!isfinite(number)) {
        return -EINVAL;
    }
    *ret_value = json_real(number);
    return 0;
}

static int take_number(struct build *build, char *room, json_t **ret_value)
{
    const char *from = build->at;
    while (build->at < build->end && strchr("+-.eE0123456789", *build->at) != NULL) {
        build->at++;
    }
    const size_t size = (size_t)(build->at - from);
    memcpy(room, from, size);
    room[size] = '\0';
    if (strpbrk(room, ".eE") != NULL) {
        return take_real(room, ret_value);
    }
    errno = 0;
    const long long number = strtoll(room, NULL, 10);
    if (errno == ERANGE) {
        return -EINVAL;
    }
    *ret_value = json_integer(number);
    return 0;
}

/* A scalar, or an array or object that is still empty. NULL in *ret_value: no memory. */
static int take_value(struct build *build, char *room, json_t **ret_value)
{
    ssize_t size;
    switch (*build->at) {
    case '{':
        build->at++;
        *ret_value = json_object();
        return 0;
    case '[':
        build->at++;
        *ret_value = json_array();
        return 0;
    case '"':
        size = take_string(build, room);
        if (size < 0) {
            return (int)size;
        }
        *ret_value = json_stringn_nocheck(room, (size_t)size);
        return 0;
    case 't':
        build->at += strlen("true");
        *ret_value = json_true();
        return 0;
    case 'f':
        build->at += strlen("false");
        *ret_value = json_false();
        return 0;
    case 'n':
        build->at += strlen("null");
        *ret_value = json_null();
        return 0;
    default:
        return take_number(build, room, ret_value);
    }
}

/* Puts a value where it belongs; it is taken in any case. An array or object is filled there. */
static int place(struct build *build, json_t *value)
{
    json_t *outer = build->depth == 0 ? NULL : build->open[build->depth - 1];
    if (value == NULL) {
        return -ENOMEM;
    }
    if (outer == NULL) {
        build->root = value;
    } else if (json_is_array(outer)) {
        return json_array_append_new(outer, value) < 0 ? -ENOMEM : 0;
    } else if (json_object_get(outer, build->scratch) != NULL) {
        json_decref(value);
        return -EEXIST;
    } else {
        return json_object_set_new_nocheck(outer, build->scratch, value) < 0 ? -ENOMEM : 0;
    }
    return 0;
}

/* One value with the key before it, if it has one, or a closing bracket. */
static int take_next(struct build *build)
{
    char *room = build->scratch;
    if (*build->at == '}' || *build->at == ']') {
        build->at++;
        build->depth--;
        return 0;
    }
    if (build->depth > 0 && json_is_object(build->open[build->depth - 1])) {
        const ssize_t size = take_string(build, room);
        if (size < 0) {
            return (int)size;
        }
        room += size + 1;
        (void)is_at_mark(build);
    }
    json_t *value = NULL;
    int result = take_value(build, room, &value);
    if (result == 0) {
        result = place(build, value);
    }
    if (result == 0 && (json_is_object(value) || json_is_array(value))) {
        if (build->depth == JSON_HEAD_MAX_DEPTH) {
            return -EINVAL;
        }
        build->open[build->depth++] = value;
    }
    return result;
}

int json_read(const char *text, size_t size, json_t **ret_value)
{
    if (json_text_check(text, size) < 0) {
        return -EINVAL;
    }
    struct build build = {.at = text, .end = text + size, .scratch = malloc(size + 1)};
    int result = build.scratch == NULL ? -ENOMEM : 0;
    while (result == 0 && is_at_mark(&build)) {
        result = take_next(&build);
    }
    free(build.scratch);
    if (result < 0) {
        json_decref(build.root);
        return result;
    }
    *ret_value = build.root;
    return 0;
}
