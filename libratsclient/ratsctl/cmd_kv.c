/* ratsctl kv: the replicated store (api.md 6.6). */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/events.h"
#include "ratsctl/commands.h"
#include "ratsctl/payload.h"
#include "ratsctl/stream.h"
#include "util/reader.h"
#include "util/text.h"

#define NUMBER_SIZE 8u

static const char *const type_names[] = {"unknown", "binary", "string", "int64", "double", "json"};

#define TYPE_COUNT (sizeof type_names / sizeof type_names[0])

/* A value of the store; a number in this machine's byte order. */
struct value {
    int type;
    struct bytes data;
};

static int type_of(const char *name)
{
    for (size_t type = 1; type < TYPE_COUNT; type++) {
        if (strcmp(name, type_names[type]) == 0) {
            return (int)type;
        }
    }
    return 0;
}

/* What is printed ---------------------------------------------------------------------------- */

/* A number as text that is read back as the same; false when the value is none. */
static bool format_number(const struct value *value, char *text, size_t size)
{
    if (value->data.size != NUMBER_SIZE) {
        return false;
    }
    if (value->type == RATS_STORAGE_INT64) {
        int64_t number;
        memcpy(&number, value->data.data, sizeof number);
        (void)snprintf(text, size, "%" PRId64, number);
    } else if (value->type == RATS_STORAGE_DOUBLE) {
        double number;
        memcpy(&number, value->data.data, sizeof number);
        (void)snprintf(text, size, "%.17g", number);
    } else {
        return false;
    }
    return true;
}

/* "type", "bytes" and one of "text" and "hex"; a number is text. */
static int put_value(json_t *object, const struct value *value)
{
    char number[32];
    struct bytes shown = value->data;
    if (format_number(value, number, sizeof number)) {
        shown = bytes_from_string(number);
    }
    int failed = json_object_set_new(object, "type", json_string(type_names[value->type]));
    failed |= json_object_set_new(object, "bytes", json_integer((json_int_t)value->data.size));
    failed |= payload_put(object, shown);
    return failed;
}

static void print_value(const struct value *value)
{
    char number[32];
    struct bytes shown = value->data;
    if (format_number(value, number, sizeof number)) {
        shown = bytes_from_string(number);
    }
    char *text = escape_new(shown.data, shown.size);
    (void)printf("%s\n", text);
    free(text);
}

/* One key ------------------------------------------------------------------------------------ */

static enum exit_code get(struct ctl *ctl, char **arguments)
{
    struct value value;
    void *data = rats_storage_get(ctl->client, arguments[0], &value.type, &value.data.size);
    if (data == NULL) {
        return session_report(ctl, arguments[0]);
    }
    value.data.data = data;
    if (ctl->output.json != JSON_NONE) {
        json_t *object = json_pack("{s:o}", "key", text_value(arguments[0], strlen(arguments[0])));
        (void)put_value(object, &value);
        output_object(&ctl->output, object);
    } else {
        print_value(&value);
    }
    free(data);
    return EXIT_DONE;
}

/* The argument as eight bytes of a number. */
static enum exit_code parse_number(int type, const char *text, uint8_t ret_number[NUMBER_SIZE])
{
    char *end = NULL;
    errno = 0;
    if (type == RATS_STORAGE_INT64) {
        const int64_t number = strtoll(text, &end, 10);
        memcpy(ret_number, &number, sizeof number);
    } else {
        const double number = strtod(text, &end);
        errno = errno == ERANGE && !isinf(number) ? 0 : errno; /* very small ones are 0, nearly */
        memcpy(ret_number, &number, sizeof number);
    }
    return errno == 0 && end != text && *end == '\0'
               ? EXIT_DONE
               : report(EXIT_USAGE, "'%s' is no %s; --as=string stores it as text", text,
                        type_names[type]);
}

static enum exit_code put(struct ctl *ctl, char **arguments)
{
    const int type = ctl->options->as == NULL ? RATS_STORAGE_STRING : type_of(ctl->options->as);
    uint8_t number[NUMBER_SIZE];
    char *data = NULL;
    size_t size = 0;
    enum exit_code code = payload_get(ctl->options, arguments[1], &data, &size);
    if (code != EXIT_DONE) {
        return code;
    }
    struct bytes value = bytes_make(data, size);
    if (type == RATS_STORAGE_INT64 || type == RATS_STORAGE_DOUBLE) {
        code = parse_number(type, data, number);
        value = bytes_make(number, sizeof number);
    }
    if (code == EXIT_DONE &&
        rats_storage_put(ctl->client, arguments[0], type, value.data, value.size) != RATS_SUCCESS) {
        code = session_report(ctl, "kv put");
    }
    if (code == EXIT_DONE && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output,
                      json_pack("{s:o, s:s, s:I}", "key",
                                text_value(arguments[0], strlen(arguments[0])), "type",
                                type_names[type], "bytes", (json_int_t)value.size));
    }
    free(data);
    return code;
}

static enum exit_code rm(struct ctl *ctl, char **arguments)
{
    if (rats_storage_remove(ctl->client, arguments[0]) != RATS_SUCCESS) {
        return session_report(ctl, arguments[0]);
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output,
                      json_pack("{s:o}", "key", text_value(arguments[0], strlen(arguments[0]))));
    }
    return EXIT_DONE;
}

/* All of them -------------------------------------------------------------------------------- */

static enum exit_code list(struct ctl *ctl, char **arguments)
{
    int count = 0;
    char **keys = rats_storage_keys(ctl->client, arguments[0], &count);
    if (keys == NULL && rats_last_error(ctl->client) != RATS_SUCCESS) {
        return session_report(ctl, "kv keys");
    }
    json_t *words = json_array();
    for (int i = 0; keys != NULL && i < count; i++) {
        if (ctl->output.json == JSON_NONE) {
            output_text(keys[i]);
        } else {
            (void)json_array_append_new(words, json_pack("{s:s}", "key", keys[i]));
        }
    }
    if (ctl->output.json != JSON_NONE) {
        output_list(&ctl->output, "keys", json_incref(words));
    }
    json_decref(words);
    rats_free_array(keys, count);
    return EXIT_DONE;
}

static enum exit_code sync_now(struct ctl *ctl, char **arguments)
{
    (void)arguments;
    json_t *result = NULL;
    const enum exit_code code = session_call(ctl, M_STORAGE_SYNC, NULL, &result);
    if (code == EXIT_DONE && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_incref(result));
    } else if (code == EXIT_DONE) {
        const json_int_t peers = member_number(result, "peers");
        (void)printf("asked %lld %s\n", (long long)peers, peers == 1 ? "peer" : "peers");
    }
    json_decref(result);
    return code;
}

static enum exit_code statistics(struct ctl *ctl, char **arguments)
{
    (void)arguments;
    json_t *result = NULL;
    const enum exit_code code = session_call(ctl, M_STORAGE_STATISTICS, NULL, &result);
    if (code == EXIT_DONE && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_incref(result));
    } else if (code == EXIT_DONE) {
        struct table table;
        const char *name = NULL;
        json_t *number = NULL;
        table_init_plain(&table, 2);
        json_object_foreach(result, name, number)
        {
            table_add(&table, name);
            table_add_format(&table, "%lld", (long long)json_integer_value(number));
        }
        output_table(&ctl->output, &table);
        table_fini(&table);
    }
    json_decref(result);
    return code;
}

/* Watching ----------------------------------------------------------------------------------- */

struct watcher {
    const struct ctl *ctl;
    uint64_t left; /* changes until the end; 0: no end */
};

static void print_change(const struct watcher *watcher, uint64_t sequence, const json_t *fields,
                         const struct value *value)
{
    const char *key = member_text(fields, "key");
    const char *origin = member_text(fields, "origin");
    const bool deleted = member_true(fields, "deleted");
    if (watcher->ctl->output.json != JSON_NONE) {
        json_t *object = json_pack("{s:I, s:o, s:b, s:b, s:s}", "sequence", (json_int_t)sequence,
                                   "key", text_value(key, strlen(key)), "deleted", (int)deleted,
                                   "remote", (int)member_true(fields, "remote"), "origin", origin);
        (void)put_value(object, value);
        output_line(object);
        return;
    }
    char *shown = escape_new(key, strlen(key));
    (void)printf("%.*s %s %s", PEER_SHORT, *origin == '\0' ? "-" : origin, deleted ? "rm" : "put",
                 shown);
    free(shown);
    if (deleted) {
        (void)putchar('\n');
    } else {
        (void)putchar(' ');
        print_value(value);
    }
}

/* A number travels big-endian. */
static struct value value_of(const json_t *fields, struct bytes body, uint64_t *room)
{
    struct value value = {.type = type_of(member_text(fields, "type")), .data = body};
    if ((value.type == RATS_STORAGE_INT64 || value.type == RATS_STORAGE_DOUBLE) &&
        body.size == NUMBER_SIZE) {
        struct reader reader;
        reader_init(&reader, body);
        *room = reader_u64(&reader);
        value.data = bytes_make(room, NUMBER_SIZE);
    }
    return value;
}

static int print_lost(const struct watcher *watcher, uint64_t count)
{
    if (watcher->ctl->output.json != JSON_NONE) {
        output_line(json_pack("{s:I}", "lost", (json_int_t)count));
    } else {
        (void)printf("lost %" PRIu64 "\n", count);
    }
    return STREAM_GO_ON;
}

static int on_gap(void *self, uint64_t missing)
{
    return print_lost(self, missing);
}

static int on_event(void *self, uint64_t sequence, const char *event, json_t *fields,
                    struct bytes body)
{
    struct watcher *watcher = self;
    uint64_t number = 0;
    if (strcmp(event, proto_events[EV_LOST].name) == 0) {
        return print_lost(watcher, (uint64_t)member_number(fields, "total"));
    }
    if (strcmp(event, proto_events[EV_STORAGE_CHANGED].name) != 0) {
        return STREAM_GO_ON;
    }
    const struct value value = value_of(fields, body, &number);
    print_change(watcher, sequence, fields, &value);
    if (watcher->left == 0) {
        return STREAM_GO_ON;
    }
    return --watcher->left == 0 ? EXIT_DONE : STREAM_GO_ON;
}

static enum exit_code watch(struct ctl *ctl, char **arguments)
{
    const struct options *options = ctl->options;
    struct watcher watcher = {.ctl = ctl, .left = options->count};
    const struct stream_handler handler = {
        .self = &watcher, .on_body_event = on_event, .on_gap = on_gap};
    json_t *result = NULL;
    enum exit_code code = session_call(
        ctl, M_STORAGE_WATCH,
        json_pack("{s:s}", "prefix", arguments[0] == NULL ? "" : arguments[0]), &result);
    json_decref(result);
    code = code == EXIT_DONE ? stream_run(ctl, &handler, options->timeout_ms) : code;
    if (code == EXIT_TIMEOUT && watcher.left == 0) {
        return EXIT_DONE; /* that time was all that was asked for */
    }
    if (code == EXIT_TIMEOUT) {
        return report(code, "kv watch: %" PRIu64 " of %" PRIu64 " changes did not come in time",
                      watcher.left, options->count);
    }
    return code;
}

/* The words behind kv ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    const char *arguments;
    int min_arguments;
    int max_arguments;
    bool streaming;
    enum exit_code (*run)(struct ctl *ctl, char **arguments); /* NULL behind the last */
} actions[] = {
    {"get", "KEY", 1, 1, false, get},         {"put", "KEY VALUE|-", 2, 2, false, put},
    {"rm", "KEY", 1, 1, false, rm},           {"keys", "[PREFIX]", 0, 1, false, list},
    {"watch", "[PREFIX]", 0, 1, true, watch}, {"sync", "", 0, 0, false, sync_now},
    {"stats", "", 0, 0, false, statistics},
};

enum exit_code run_kv(struct ctl *ctl, char **arguments, int count)
{
    char *given[3] = {NULL};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(arguments[0], actions[i].name) != 0) {
            continue;
        }
        if (count - 1 < actions[i].min_arguments || count - 1 > actions[i].max_arguments) {
            return report(EXIT_USAGE, "usage: ratsctl kv %s %s", actions[i].name,
                          actions[i].arguments);
        }
        for (int j = 1; j < count; j++) {
            given[j - 1] = arguments[j];
        }
        if (actions[i].streaming) {
            session_set_timeout(ctl, true);
        }
        const enum exit_code code = session_open(ctl, actions[i].streaming);
        return code == EXIT_DONE ? actions[i].run(ctl, given) : code;
    }
    return report(EXIT_USAGE, "kv has no '%s'; it has get, put, rm, keys, watch, sync and stats",
                  arguments[0]);
}
