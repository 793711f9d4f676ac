/* What programs are told by the store: results as JSON, and failures with a remedy. */
#ifndef RATSD_SERVICE_STORAGE_ANSWER_H
#define RATSD_SERVICE_STORAGE_ANSWER_H

#include <jansson.h>

#include "service/storage_op.h"

/* "binary" ...; type must be one. */
const char *storage_type_name(enum entry_type type);
/* word is a type's name, or NULL for binary. */
enum entry_type storage_type_find(const json_t *word);

/* New references. */
json_t *storage_value_json(const struct entry *entry);
json_t *storage_change_json(const struct entry *entry, bool remote);
/* keys: texts, each with its NUL. */
json_t *storage_keys_json(struct bytes keys, bool more);
json_t *storage_limits_json(const struct lww_totals *totals, const struct lww_limits *limits);

/* Fails the operation's request by its result and verdict. closed: the file cannot be opened. */
void storage_answer_fail(struct storage_op *op, const struct lww_limits *limits, bool closed);
/* The same for a verdict about sizes that was found before the operation had them. */
void storage_answer_sizes(struct storage_op *op, const struct lww_limits *limits, size_t key_size,
                          size_t value_size);

#endif
