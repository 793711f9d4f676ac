/* Reads tests/vectors for unit tests: JSON files whose byte strings are hexadecimal text.
 *
 * Anything missing or malformed fails the running cmocka test, so callers check nothing. Bytes and
 * texts handed out belong to the struct vectors and live until vectors_close(). */
#ifndef RATSD_TESTS_SUPPORT_VECTORS_H
#define RATSD_TESTS_SUPPORT_VECTORS_H

#include <jansson.h>

#include "util/bytes.h"

struct vectors;

/* directory is argv[1] of every unit test; name is "aead.json". */
struct vectors *vectors_open(const char *directory, const char *name);
void vectors_close(struct vectors *vectors);

/* The whole file, and an array of it. */
json_t *vectors_root(struct vectors *vectors);
json_t *vectors_array(json_t *object, const char *field);

bool vectors_has(json_t *object, const char *field); /* present and not null */
struct bytes vectors_hex(struct vectors *vectors, json_t *object, const char *field);
/* As vectors_hex(), for fields of one known size. */
const uint8_t *vectors_hex_of(struct vectors *vectors, json_t *object, const char *field,
                              size_t size);
const char *vectors_text(json_t *object, const char *field);
struct bytes vectors_text_bytes(json_t *object, const char *field); /* may hold NULs */
uint64_t vectors_uint(json_t *object, const char *field);
bool vectors_bool(json_t *object, const char *field);

/* A copy that the caller may change; lives as long as vectors. */
uint8_t *vectors_copy(struct vectors *vectors, struct bytes from);

#endif
