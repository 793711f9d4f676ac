/* Reads the JSON head of a frame under the limits of rats-ipc(7): UTF-8, at most 64 KiB, at most
 * 32 levels, no duplicate keys, integers of 64 bits; at most 1,024 members in one object. Depth is
 * checked by an iterative scan before the parser runs, so hostile nesting costs constant stack. */
#ifndef RATS_PROTO_JSON_HEAD_H
#define RATS_PROTO_JSON_HEAD_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define JSON_HEAD_MAX_DEPTH 32

/* A new object reference, or NULL with one sentence in error. */
json_t *json_head_parse(const uint8_t *data, size_t size, char *error, size_t error_size);

/* Call once at start: seeds jansson's hash from the kernel (reliability V28). */
void json_head_init(void);

/* Whether text is one JSON value of any kind, as rats_send_json() requires (api.md D13): big
 * integers and \u0000 are accepted, depth at most 2,048. 0 or -1. Does not change the text. */
int json_text_check(const char *text, size_t size);

#endif
