#include "proto/describe.h"

#include <string.h>

#include "proto/events.h"
#include "proto/methods.h"

static json_t *describe_fields(const struct field *fields);

/* Takes the value. 0 or -1, also when value is NULL: so a row is built without a test per line. */
static int put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value);
}

static int put_text(json_t *object, const char *key, const char *text)
{
    return text == NULL ? 0 : put(object, key, json_string(text));
}

/* "a|b" as ["a","b"]. */
static json_t *describe_words(const char *words, const char *separators)
{
    json_t *array = json_array();
    while (array != NULL && *words != '\0') {
        const size_t size = strcspn(words, separators);
        if (json_array_append_new(array, json_stringn(words, size)) != 0) {
            json_decref(array);
            return NULL;
        }
        words += size;
        words += *words == '\0' ? 0 : 1;
    }
    return array;
}

static const char *type_name(enum field_type type)
{
    static const char *const names[] = {
        [T_BOOL] = "bool",     [T_UINT] = "uint",     [T_INT] = "int",         [T_REAL] = "real",
        [T_TEXT] = "text",     [T_CHOICE] = "choice", [T_PEER_ID] = "peer_id", [T_WORDS] = "words",
        [T_OBJECT] = "object", [T_ARRAY] = "array",
    };
    return type > T_END && type <= T_ARRAY ? names[type] : "unknown";
}

static json_t *describe_field(const struct field *field)
{
    json_t *row = json_object();
    int failed = row == NULL;
    failed |= put_text(row, "name", field->name);
    failed |= put_text(row, "type", type_name(field->type));
    failed |= put(row, "required", json_boolean(field->flags & FIELD_REQUIRED));
    failed |= put_text(row, "summary", field->summary);
    if (field->flags & FIELD_NULLABLE) {
        failed |= put(row, "nullable", json_true());
    }
    if (field->flags & FIELD_SECRET) {
        failed |= put(row, "secret", json_true());
    }
    if (field->min != 0 || field->max != 0) {
        failed |= put(row, "min", json_integer(field->min));
        if (field->max != 0) {
            failed |= put(row, "max", json_integer(field->max));
        }
    }
    if (field->choices != NULL) {
        failed |= put(row, "choices", describe_words(field->choices, "|"));
    }
    failed |= put_text(row, "default", field->default_text);
    if (field->fields != NULL) {
        failed |= put(row, "fields", describe_fields(field->fields));
    }
    if (failed) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static json_t *describe_fields(const struct field *fields)
{
    json_t *array = json_array();
    for (; array != NULL && fields->type != T_END; fields++) {
        if (json_array_append_new(array, describe_field(fields)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The row's own errors and those every method may give. */
static json_t *describe_method_errors(const struct method_row *method)
{
    static const enum proto_error always[] = {E_INVALID_PARAMETER, E_MALFORMED, E_LIMIT,
                                              E_CANCELLED};
    json_t *array = json_array();
    int failed = array == NULL;
    for (const enum proto_error *error = method->errors; *error != PROTO_ERROR_COUNT; error++) {
        failed |= json_array_append_new(array, json_string(proto_errors[*error].name));
    }
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++) {
        failed |= json_array_append_new(array, json_string(proto_errors[always[i]].name));
    }
    if (failed) {
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *describe_since(unsigned minor)
{
    return json_pack("[i,i]", PROTO_MAJOR, (int)minor);
}

static json_t *describe_method(const struct method_row *method)
{
    json_t *row = json_object();
    int failed = row == NULL;
    failed |= put_text(row, "name", method->name);
    failed |= put(row, "since", describe_since(method->since));
    failed |= put_text(row, "stability", method->stability);
    failed |=
        put_text(row, "permission", method->permission == PERMISSION_CONTROL ? "control" : "use");
    failed |= put_text(row, "summary", method->summary);
    failed |= put(row, "params", describe_fields(method->params));
    failed |= put(row, "result", describe_fields(method->result));
    failed |= put_text(row, "body", method->body);
    failed |= put_text(row, "reply_body", method->reply_body);
    if (method->fds > 0) {
        failed |= put(row, "fds", json_integer(method->fds));
    }
    failed |= put(row, "errors", describe_method_errors(method));
    failed |= put(row, "api", describe_words(method->api == NULL ? "" : method->api, " "));
    failed |= put_text(row, "ctl", method->ctl);
    if (failed) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static json_t *describe_event(const struct event_row *event)
{
    json_t *row = json_object();
    int failed = row == NULL;
    failed |= put_text(row, "name", event->name);
    failed |= put(row, "since", describe_since(event->since));
    failed |= put_text(row, "summary", event->summary);
    failed |= put(row, "fields", describe_fields(event->fields));
    failed |= put_text(row, "body", event->body);
    failed |= put(row, "watched", json_boolean(event->watched));
    failed |= put_text(row, "callback", event->callback);
    if (failed) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static json_t *describe_error(const struct proto_error_row *error)
{
    json_t *row = json_object();
    int failed = row == NULL;
    failed |= put_text(row, "name", error->name);
    failed |= put(row, "code", json_integer(error->code));
    failed |= put_text(row, "exception", error->exception);
    failed |= put_text(row, "meaning", error->meaning);
    if (failed) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static json_t *describe_methods(size_t from, size_t end)
{
    json_t *array = json_array();
    for (size_t i = from; array != NULL && i < end; i++) {
        if (json_array_append_new(array, describe_method(&proto_methods[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *describe_events(void)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < EVENT_COUNT; i++) {
        if (json_array_append_new(array, describe_event(&proto_events[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *describe_errors(void)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < PROTO_ERROR_COUNT; i++) {
        if (json_array_append_new(array, describe_error(&proto_errors[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *describe_protocol(const char *method)
{
    size_t from = 0;
    size_t end = METHOD_COUNT;
    if (method != NULL) {
        from = method_find(method, strlen(method));
        if (from == METHOD_COUNT) {
            return NULL;
        }
        end = from + 1;
    }
    json_t *document = json_object();
    int failed = document == NULL;
    failed |= put(document, "version", json_pack("[i,i]", PROTO_MAJOR, PROTO_MINOR));
    failed |= put(document, "methods", describe_methods(from, end));
    if (method == NULL) {
        failed |= put(document, "events", describe_events());
        failed |= put(document, "errors", describe_errors());
    }
    if (failed) {
        json_decref(document);
        return NULL;
    }
    return document;
}
