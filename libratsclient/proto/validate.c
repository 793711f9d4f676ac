#include "proto/validate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct check {
    const char **ret_field;
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 3, 4))) static int
refuse(const struct check *check, const struct field *field, const char *format, ...)
{
    int used = snprintf(check->error, check->error_size, "parameter '%s' ", field->name);
    if (used >= 0 && (size_t)used < check->error_size) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(check->error + used, check->error_size - (size_t)used, format, arguments);
        va_end(arguments);
    }
    *check->ret_field = field->name;
    return -1;
}

static const char *value_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static int expect(const struct check *check, const struct field *field, const json_t *value,
                  bool fits, const char *wanted)
{
    return fits ? 0 : refuse(check, field, "is %s; it must be %s", value_kind(value), wanted);
}

static int check_integer(const struct check *check, const struct field *field, const json_t *value)
{
    if (expect(check, field, value, json_is_integer(value), "an integer") < 0) {
        return -1;
    }
    const int64_t number = json_integer_value(value);
    const bool limited = field->max != 0 || field->type == T_UINT || field->min != 0;
    const int64_t low = field->min;
    const int64_t high = field->max != 0 || field->min < 0 ? field->max : INT64_MAX;
    if (!limited || (number >= low && number <= high)) {
        return 0;
    }
    if (high == INT64_MAX) {
        return refuse(check, field, "is %" PRId64 "; allowed are %" PRId64 " and more", number,
                      low);
    }
    return refuse(check, field, "is %" PRId64 "; allowed are %" PRId64 " to %" PRId64, number, low,
                  high);
}

static int check_count(const struct check *check, const struct field *field, size_t count,
                       const char *unit)
{
    if ((int64_t)count < field->min || (field->max != 0 && (int64_t)count > field->max)) {
        if (field->max == 0) {
            return refuse(check, field, "has %zu %s; allowed are %" PRId64 " and more", count, unit,
                          field->min);
        }
        return refuse(check, field, "has %zu %s; allowed are %" PRId64 " to %" PRId64, count, unit,
                      field->min, field->max);
    }
    return 0;
}

static int check_text(const struct check *check, const struct field *field, const json_t *value)
{
    if (expect(check, field, value, json_is_string(value), "text") < 0) {
        return -1;
    }
    const size_t size = json_string_length(value);
    if (memchr(json_string_value(value), '\0', size) != NULL) {
        return refuse(check, field, "contains a NUL character");
    }
    return check_count(check, field, size, "bytes");
}

static int check_peer_id(const struct check *check, const struct field *field, const json_t *value)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) != 64 || strspn(text, digits) != 64) {
        return refuse(check, field, "is not a peer id; it must be 64 hexadecimal digits");
    }
    return 0;
}

static bool is_choice(const char *choices, const char *word)
{
    const size_t size = strlen(word);
    while (size > 0 && *choices != '\0') {
        const size_t span = strcspn(choices, "|");
        if (span == size && memcmp(choices, word, size) == 0) {
            return true;
        }
        choices += span + (choices[span] == '|' ? 1 : 0);
    }
    return false;
}

static int check_word(const struct check *check, const struct field *field, const json_t *value)
{
    if (expect(check, field, value, json_is_string(value), "a word") < 0) {
        return -1;
    }
    if (field->choices != NULL && !is_choice(field->choices, json_string_value(value))) {
        char allowed[192];
        size_t used = 0;
        for (const char *c = field->choices; *c != '\0' && used + 3 < sizeof allowed; c++) {
            allowed[used++] = (char)(*c == '|' ? ',' : *c);
            if (*c == '|') {
                allowed[used++] = ' ';
            }
        }
        allowed[used] = '\0';
        /* The caller's word goes back to it and into logs: a few plain characters suffice. */
        char word[33];
        snprintf(word, sizeof word, "%s", json_string_value(value));
        for (char *c = word; *c != '\0'; c++) {
            *c = (char)(*c >= ' ' && *c <= '~' ? *c : '?');
        }
        return refuse(check, field, "is \"%s\"; allowed are %s", word, allowed);
    }
    return 0;
}

static int check_words(const struct check *check, const struct field *field, const json_t *value)
{
    if (expect(check, field, value, json_is_array(value), "an array of words") < 0 ||
        check_count(check, field, json_array_size(value), "items") < 0) {
        return -1;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (check_word(check, field, json_array_get(value, i)) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check_members(const struct check *check, const struct field *fields,
                         const json_t *object);

static int check_array(const struct check *check, const struct field *field, const json_t *value)
{
    if (expect(check, field, value, json_is_array(value), "an array") < 0 ||
        check_count(check, field, json_array_size(value), "items") < 0) {
        return -1;
    }
    for (size_t i = 0; field->fields != NULL && i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        if (expect(check, field, item, json_is_object(item), "an array of objects") < 0 ||
            check_members(check, field->fields, item) < 0) {
            return -1;
        }
    }
    return 0;
}

static int check_value(const struct check *check, const struct field *field, const json_t *value)
{
    if (json_is_null(value) && (field->flags & FIELD_NULLABLE)) {
        return 0;
    }
    switch (field->type) {
    case T_BOOL:
        return expect(check, field, value, json_is_boolean(value), "true or false");
    case T_UINT:
    case T_INT:
        return check_integer(check, field, value);
    case T_REAL:
        return expect(check, field, value, json_is_number(value), "a number");
    case T_TEXT:
        return check_text(check, field, value);
    case T_PEER_ID:
        return check_peer_id(check, field, value);
    case T_CHOICE:
        return check_word(check, field, value);
    case T_WORDS:
        return check_words(check, field, value);
    case T_OBJECT:
        if (expect(check, field, value, json_is_object(value), "an object") < 0) {
            return -1;
        }
        return field->fields == NULL ? 0 : check_members(check, field->fields, value);
    case T_ARRAY:
        return check_array(check, field, value);
    case T_END:
        break;
    }
    return 0;
}

/* Recursion is as deep as the tables are nested, never as deep as the input. */
static int check_members(const struct check *check, const struct field *fields,
                         const json_t *object)
{
    for (; fields->type != T_END; fields++) {
        const json_t *value = object == NULL ? NULL : json_object_get(object, fields->name);
        if (value == NULL) {
            if (fields->flags & FIELD_REQUIRED) {
                return refuse(check, fields, "is missing");
            }
        } else if (check_value(check, fields, value) < 0) {
            return -1;
        }
    }
    return 0;
}

int validate_fields(const struct field *fields, const json_t *object, const char **ret_field,
                    char *error, size_t error_size)
{
    const struct check check = {ret_field, error, error_size};
    return check_members(&check, fields, object);
}
