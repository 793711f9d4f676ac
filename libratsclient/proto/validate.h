/* Checks a JSON object against field rows: the one place parameters are checked.
 *
 * Unknown members are ignored (a newer client may send them). The sentence names the member, what
 * was wrong and what is allowed: "parameter 'port' is 70000; allowed are 1 to 65535". */
#ifndef RATS_PROTO_VALIDATE_H
#define RATS_PROTO_VALIDATE_H

#include <jansson.h>

#include "proto/fields.h"

/* 0, or -1 with the sentence in error and the member's name in *ret_field (borrowed from the row).
 * object may be NULL (no parameters given). */
int validate_fields(const struct field *fields, const json_t *object, const char **ret_field,
                    char *error, size_t error_size);

#endif
