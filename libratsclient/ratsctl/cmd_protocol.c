/* ratsctl protocol and call: the contract's tables, and any method of them. */
#include <stdio.h>
#include <string.h>

#include "proto/describe.h"
#include "proto/events.h"
#include "ratsctl/commands.h"

static json_t *list_methods(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        const struct method_row *row = &proto_methods[i];
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:s, s:s}", "name", row->name, "permission",
                            row->permission == PERMISSION_CONTROL ? "control" : "use", "summary",
                            row->summary));
    }
    return rows;
}

static json_t *list_events(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        (void)json_array_append_new(rows, json_pack("{s:s, s:b, s:s}", "name", proto_events[i].name,
                                                    "watched", (int)proto_events[i].watched,
                                                    "summary", proto_events[i].summary));
    }
    return rows;
}

static json_t *list_errors(void)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        (void)json_array_append_new(rows, json_pack("{s:s, s:i, s:s}", "name", proto_errors[i].name,
                                                    "code", proto_errors[i].code, "summary",
                                                    proto_errors[i].meaning));
    }
    return rows;
}

static void add_row(struct table *table, const char *kind, const char *name, const char *note,
                    const char *summary)
{
    table_add(table, kind);
    table_add(table, name);
    table_add(table, note);
    table_add(table, summary);
}

static void print_list(const struct ctl *ctl)
{
    static const char *const headings[] = {"KIND", "NAME", "NOTE", "MEANING", NULL};
    struct table table;
    table_init(&table, headings);
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        add_row(&table, "method", proto_methods[i].name,
                proto_methods[i].permission == PERMISSION_CONTROL ? "control" : "",
                proto_methods[i].summary);
    }
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        add_row(&table, "event", proto_events[i].name, proto_events[i].watched ? "watched" : "",
                proto_events[i].summary);
    }
    for (size_t i = 0; i < PROTO_ERROR_COUNT; i++) {
        char code[16];
        (void)snprintf(code, sizeof code, "%d", proto_errors[i].code);
        add_row(&table, "error", proto_errors[i].name, code, proto_errors[i].meaning);
    }
    output_table(&ctl->output, &table);
    table_fini(&table);
}

static enum exit_code run_list(struct ctl *ctl)
{
    if (ctl->output.json == JSON_NONE) {
        print_list(ctl);
        return EXIT_DONE;
    }
    output_object(&ctl->output, json_pack("{s:o, s:o, s:o}", "methods", list_methods(), "events",
                                          list_events(), "errors", list_errors()));
    return EXIT_DONE;
}

static void print_json_fields(const char *title, const json_t *fields)
{
    size_t index = 0;
    json_t *field = NULL;
    struct table table;
    if (json_array_size(fields) == 0) {
        (void)printf("  %s: none\n", title);
        return;
    }
    (void)printf("  %s:\n", title);
    table_init_plain(&table, 3);
    json_array_foreach(fields, index, field)
    {
        const char *fallback = member_text(field, "default");
        table_add_format(&table, "    %s", member_text(field, "name"));
        table_add_format(&table, "%s%s", member_text(field, "type"),
                         member_true(field, "required") ? "" : ", may be absent");
        table_add_format(&table, "%s%s%s%s", member_text(field, "summary"),
                         *fallback == '\0' ? "" : " (default: ", fallback,
                         *fallback == '\0' ? "" : ")");
    }
    table_print_aligned(&table, stdout, false);
    table_fini(&table);
}

static void print_words(const char *title, const json_t *array)
{
    size_t index = 0;
    json_t *word = NULL;
    if (json_array_size(array) > 0) {
        (void)printf("  %s:", title);
        json_array_foreach(array, index, word)
        {
            (void)printf(" %s", json_string_value(word));
        }
        (void)putchar('\n');
    }
}

static void print_method(const json_t *method)
{
    (void)printf("%s  (%s, permission: %s)\n  %s\n", member_text(method, "name"),
                 member_text(method, "stability"), member_text(method, "permission"),
                 member_text(method, "summary"));
    print_json_fields("parameters", json_object_get(method, "params"));
    print_json_fields("result", json_object_get(method, "result"));
    print_words("errors", json_object_get(method, "errors"));
    print_words("C functions", json_object_get(method, "api"));
    (void)putchar('\n');
}

static void print_event(const json_t *event)
{
    (void)printf("%s  (event%s)\n  %s\n", member_text(event, "name"),
                 member_true(event, "watched") ? ", sent on request" : "",
                 member_text(event, "summary"));
    print_json_fields("fields", json_object_get(event, "fields"));
    (void)putchar('\n');
}

/* The tables this ratsctl was built with; `call protocol.describe` asks the daemon for its own. */
static enum exit_code run_describe(struct ctl *ctl, const char *name)
{
    json_t *document = describe_protocol(name);
    if (document == NULL && name != NULL) {
        return report(EXIT_NOT_FOUND, "there is no method '%s'; ratsctl protocol list names them",
                      name);
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, document);
        return EXIT_DONE;
    }
    size_t index = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(document, "methods"), index, row)
    {
        print_method(row);
    }
    json_array_foreach(json_object_get(document, "events"), index, row)
    {
        print_event(row);
    }
    json_array_foreach(json_object_get(document, "errors"), index, row)
    {
        (void)printf("%s  (error %lld)\n  %s\n\n", member_text(row, "name"),
                     (long long)member_number(row, "code"), member_text(row, "meaning"));
    }
    json_decref(document);
    return EXIT_DONE;
}

enum exit_code run_protocol(struct ctl *ctl, char **arguments, int count)
{
    if (strcmp(arguments[0], "list") == 0 && count == 1) {
        return run_list(ctl);
    }
    if (strcmp(arguments[0], "describe") == 0) {
        return run_describe(ctl, count > 1 ? arguments[1] : NULL);
    }
    return report(EXIT_USAGE, "protocol takes list, or describe and perhaps a method; see ratsctl "
                              "protocol --help");
}

/* In place: a terminal's scroll-back and a log of commands are no place for keys. */
static void hide_secrets(const char *method, json_t *result)
{
    enum method_id id = method_find(method, strlen(method));
    const struct field *field = id == METHOD_COUNT ? NO_FIELDS : proto_methods[id].result;
    for (; field->type != T_END; field++) {
        if ((field->flags & FIELD_SECRET) != 0 && json_object_get(result, field->name) != NULL) {
            (void)json_object_set_new(result, field->name,
                                      json_string("(hidden; --show-secrets prints it)"));
        }
    }
}

enum exit_code run_call(struct ctl *ctl, char **arguments, int count)
{
    json_t *params = NULL;
    json_t *result = NULL;
    if (count > 1) {
        json_error_t error;
        params = json_loads(arguments[1], JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
        if (params == NULL) {
            return report(EXIT_USAGE, "the parameters are no JSON: %s (character %d)", error.text,
                          error.position);
        }
        if (!json_is_object(params)) {
            json_decref(params);
            return report(EXIT_USAGE, "the parameters must be a JSON object, as in '{\"peer\": "
                                      "\"...\"}'");
        }
    }
    enum exit_code code = session_open(ctl, false);
    if (code != EXIT_DONE) {
        json_decref(params);
        return code;
    }
    code = session_call_named(ctl, arguments[0], params, ctl->call_timeout_ms, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!options_have(ctl->options, OPT_SHOW_SECRETS)) {
        hide_secrets(arguments[0], result);
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_pack("{s:o}", "result", result));
        return EXIT_DONE;
    }
    output_value(result);
    json_decref(result);
    return EXIT_DONE;
}
