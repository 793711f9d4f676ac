/* Reads the JSON head of a frame under the limits of rats-ipc(7): UTF-8, at most 64 KiB, at most
 * 32 levels, no duplicate keys, integers of 64 bits; at most 1,024 members in one object. Depth is
 * checked by an iterative scan before the parser runs, so hostile nesting costs constant stack. */
#ifndef RATS_PROTO_JSON_HEAD_H
#define RATS_PROTO_JSON_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define JSON_HEAD_MAX_DEPTH 32
#define JSON_TEXT_MAX_DEPTH 2048u

/* A new object reference, or NULL with one sentence in error. */
json_t *json_head_parse(const uint8_t *data, size_t size, char *error, size_t error_size);
/* The same: 0, or -ENOMEM, or another negative errno for a head that is at fault itself. */
int json_head_read(const uint8_t *data, size_t size, json_t **ret_head, char *error,
                   size_t error_size);

/* One JSON value of any kind, of any size, at most JSON_HEAD_MAX_DEPTH deep, with integers of 64
 * bits and without U+0000. 0 and a new reference; -EINVAL (not valid JSON, or past those limits),
 * -EEXIST (a key twice in one object), -ENOMEM. jansson's own reader is for programs that may die
 * when memory runs out: it does not look whether the buffer of a token could grow (jansson 2.14,
 * lex_save()) and then runs on past it. */
int json_read(const char *text, size_t size, json_t **ret_value);

/* Call once at start: seeds jansson's hash from the kernel (reliability V28). */
void json_head_init(void);

/* Whether text is one JSON value of any kind, as rats_send_json() requires (api.md D13): big
 * integers and \u0000 are accepted, depth at most JSON_TEXT_MAX_DEPTH. 0 or -1. Does not change the
 * text. */
int json_text_check(const char *text, size_t size);
/* The same with a limit of its own for the depth: 0, -EINVAL, or -E2BIG for what is nested deeper,
 * whatever follows there. */
int json_text_check_depth(const char *text, size_t size, size_t max_depth);

#endif
