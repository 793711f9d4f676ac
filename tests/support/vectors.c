#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/hex.h"

/* One allocation handed out; they form a chain for vectors_close(). */
struct piece {
    struct piece *next;
    uint8_t data[];
};

struct vectors {
    json_t *root;
    struct piece *pieces;
};

struct vectors *vectors_open(const char *directory, const char *name)
{
    char path[4096];
    json_error_t error;
    assert_non_null(directory);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    struct vectors *vectors = calloc(1, sizeof *vectors);
    assert_non_null(vectors);
    vectors->root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (vectors->root == NULL) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    return vectors;
}

void vectors_close(struct vectors *vectors)
{
    while (vectors->pieces != NULL) {
        struct piece *next = vectors->pieces->next;
        free(vectors->pieces);
        vectors->pieces = next;
    }
    json_decref(vectors->root);
    free(vectors);
}

json_t *vectors_root(struct vectors *vectors)
{
    return vectors->root;
}

static json_t *field_of(json_t *object, const char *field)
{
    json_t *value = json_object_get(object, field);
    if (value == NULL) {
        fail_msg("the vector has no field %s", field);
    }
    return value;
}

json_t *vectors_array(json_t *object, const char *field)
{
    json_t *array = field_of(object, field);
    assert_true(json_is_array(array));
    assert_true(json_array_size(array) > 0);
    return array;
}

bool vectors_has(json_t *object, const char *field)
{
    json_t *value = json_object_get(object, field);
    return value != NULL && !json_is_null(value);
}

uint8_t *vectors_copy(struct vectors *vectors, struct bytes from)
{
    struct piece *piece = malloc(sizeof *piece + from.size + 1);
    assert_non_null(piece);
    piece->next = vectors->pieces;
    vectors->pieces = piece;
    if (from.size > 0) {
        memcpy(piece->data, from.data, from.size);
    }
    return piece->data;
}

struct bytes vectors_hex(struct vectors *vectors, json_t *object, const char *field)
{
    struct bytes text = vectors_text_bytes(object, field);
    uint8_t *data = vectors_copy(vectors, text);
    if (text.size % 2 != 0 || hex_parse((const char *)text.data, data, text.size / 2) != 0) {
        fail_msg("%s is not hexadecimal", field);
    }
    return bytes_make(data, text.size / 2);
}

const uint8_t *vectors_hex_of(struct vectors *vectors, json_t *object, const char *field,
                              size_t size)
{
    struct bytes bytes = vectors_hex(vectors, object, field);
    assert_int_equal(bytes.size, size);
    return bytes.data;
}

const char *vectors_text(json_t *object, const char *field)
{
    json_t *value = field_of(object, field);
    assert_true(json_is_string(value));
    return json_string_value(value);
}

struct bytes vectors_text_bytes(json_t *object, const char *field)
{
    const char *text = vectors_text(object, field);
    return bytes_make(text, json_string_length(json_object_get(object, field)));
}

uint64_t vectors_uint(json_t *object, const char *field)
{
    json_t *value = field_of(object, field);
    assert_true(json_is_integer(value));
    return (uint64_t)json_integer_value(value);
}

bool vectors_bool(json_t *object, const char *field)
{
    json_t *value = field_of(object, field);
    assert_true(json_is_boolean(value));
    return json_is_true(value);
}
