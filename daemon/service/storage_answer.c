#include "service/storage_answer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "service/request.h"
#include "util/text.h"

#define SHOWN_KEY_SIZE 128

static const char *const type_names[] = {
    [ENTRY_BINARY] = "binary", [ENTRY_STRING] = "string", [ENTRY_INT64] = "int64",
    [ENTRY_DOUBLE] = "double", [ENTRY_JSON] = "json",
};

const char *storage_type_name(enum entry_type type)
{
    assert(type >= ENTRY_BINARY && type <= ENTRY_JSON);
    return type_names[type];
}

enum entry_type storage_type_find(const json_t *word)
{
    for (int type = ENTRY_BINARY; word != NULL && type <= ENTRY_JSON; type++) {
        if (strcmp(json_string_value(word), type_names[type]) == 0) {
            return (enum entry_type)type;
        }
    }
    return ENTRY_BINARY;
}

static void add_origin(json_t *object, const struct entry *entry)
{
    if (entry->origin.size > 0) {
        (void)json_object_set_new(
            object, "origin", json_stringn((const char *)entry->origin.data, entry->origin.size));
    }
}

json_t *storage_value_json(const struct entry *entry)
{
    json_t *object = json_pack("{s:s, s:I}", "type", storage_type_name(entry->type), "timestamp_ms",
                               (json_int_t)entry->timestamp_ms);
    add_origin(object, entry);
    return object;
}

json_t *storage_change_json(const struct entry *entry, bool remote)
{
    json_t *object = json_pack("{s:s%, s:s, s:b, s:b, s:I}", "key", (const char *)entry->key.data,
                               entry->key.size, "type", storage_type_name(entry->type), "deleted",
                               (int)entry->deleted, "remote", (int)remote, "timestamp_ms",
                               (json_int_t)entry->timestamp_ms);
    add_origin(object, entry);
    return object;
}

json_t *storage_keys_json(struct bytes keys, bool more)
{
    json_t *list = json_array();
    for (size_t at = 0; at < keys.size;) {
        const char *key = (const char *)keys.data + at;
        (void)json_array_append_new(list, json_string(key));
        at += strlen(key) + 1;
    }
    return json_pack("{s:o, s:b}", "keys", list, "more", (int)more);
}

json_t *storage_limits_json(const struct lww_totals *totals, const struct lww_limits *limits)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "keys", (json_int_t)totals->keys,
                     "tombstones", (json_int_t)totals->tombstones, "total_bytes",
                     (json_int_t)totals->bytes, "max_keys", (json_int_t)limits->max_keys,
                     "max_total_bytes", (json_int_t)limits->max_total, "max_key_bytes",
                     (json_int_t)limits->max_key, "max_value_bytes", (json_int_t)limits->max_value);
}

void storage_answer_sizes(struct storage_op *op, const struct lww_limits *limits, size_t key_size,
                          size_t value_size)
{
    if (op->verdict == LWW_KEY_SIZE) {
        request_fail_details(op->request, E_TOO_LARGE, json_pack("{s:s}", "field", "key"),
                             "the key has %zu bytes; at most %zu are allowed: shorten it, or raise "
                             "max_key in [storage]",
                             key_size, limits->max_key);
    } else {
        request_fail_details(op->request, E_TOO_LARGE, json_pack("{s:s}", "field", "body"),
                             "the value has %zu bytes; at most %zu are allowed: divide it among "
                             "several keys, or raise max_value in [storage]",
                             value_size, limits->max_value);
    }
}

static void fail_by_verdict(struct storage_op *op, const struct lww_limits *limits)
{
    switch (op->verdict) {
    case LWW_FULL_KEYS:
        request_fail(op->request, E_LIMIT,
                     "the store holds %" PRIu64 " keys, tombstones included, which is all it may; "
                     "use fewer keys, or raise max_keys in [storage]",
                     limits->max_keys);
        break;
    case LWW_FULL_BYTES:
        request_fail(op->request, E_LIMIT,
                     "with this value the store would hold more than %" PRIu64 " bytes; remove "
                     "something, or raise max_total in [storage]",
                     limits->max_total);
        break;
    case LWW_KEY_SIZE:
    case LWW_VALUE_SIZE:
    case LWW_WINS:
    case LWW_LOSES:
    case LWW_AHEAD:
    case LWW_VERDICT_COUNT:
    default:
        storage_answer_sizes(op, limits, buf_size(&op->key), buf_size(&op->data));
        break;
    }
}

static void fail_by_disk(struct storage_op *op, bool closed)
{
    if (closed) {
        request_fail(op->request, E_OPERATION_FAILED,
                     "the store cannot be opened (%s); the daemon's log names the file and a "
                     "remedy",
                     strerror(-op->result));
    } else if (op->result == -ENOSPC || op->result == -EDQUOT || op->result == -EFBIG) {
        request_fail(op->request, E_OPERATION_FAILED,
                     "the disk is full: nothing was changed, and what was stored before is safe; "
                     "free some space where the daemon keeps its state");
    } else if (op->result == -ENOMEM) {
        request_fail(op->request, E_OUT_OF_MEMORY, "out of memory");
    } else {
        request_fail(op->request, E_OPERATION_FAILED,
                     "the disk failed: %s; what was stored before is as it was",
                     strerror(-op->result));
    }
}

void storage_answer_fail(struct storage_op *op, const struct lww_limits *limits, bool closed)
{
    char shown[SHOWN_KEY_SIZE];
    if (op->verdict != LWW_WINS) {
        fail_by_verdict(op, limits);
    } else if (op->result == -ENOENT) {
        request_fail(op->request, E_NOT_FOUND, "key '%s' has no value",
                     text_escape(buf_view(&op->key), shown, sizeof(shown)));
    } else {
        fail_by_disk(op, closed);
    }
}
