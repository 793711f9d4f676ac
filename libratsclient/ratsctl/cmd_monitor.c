/* ratsctl monitor: the events of a session, one line each (usability C8). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/events.h"
#include "ratsctl/commands.h"
#include "ratsctl/stream.h"

struct monitor {
    const struct ctl *ctl;
    const char *filter; /* NULL: every event */
    uint64_t left;      /* events until the end; 0: no end */
};

static void print_field(const char *name, const json_t *value)
{
    char *text = NULL;
    if (json_is_string(value)) {
        text = escape_new(json_string_value(value), json_string_length(value));
    } else {
        char *json = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        text = json == NULL ? NULL : escape_new(json, strlen(json));
        free(json);
    }
    char *shown = escape_new(name, strlen(name));
    (void)printf(" %s=%s", shown, text == NULL ? "" : text);
    free(shown);
    free(text);
}

/* "12 peer.connected peer=... ip=..."; what was lost reads "13 lost 57 ...". */
static void print_line(const struct monitor *monitor, uint64_t sequence, const char *event,
                       json_t *fields)
{
    const bool colored = monitor->ctl->output.colored;
    char *name = escape_new(event, strlen(event));
    (void)printf("%" PRIu64 " %s%s%s", sequence, colored ? "\033[1m" : "", name,
                 colored ? "\033[0m" : "");
    free(name);
    if (strcmp(event, proto_events[EV_LOST].name) == 0) {
        (void)printf(" %lld", (long long)member_number(fields, "total"));
    }
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(fields, key, value)
    {
        print_field(key, value);
    }
    (void)putchar('\n');
}

static void show(const struct monitor *monitor, uint64_t sequence, const char *event,
                 json_t *fields)
{
    if (monitor->ctl->output.json != JSON_NONE) {
        output_line(json_pack("{s:I, s:s, s:O?}", "sequence", (json_int_t)sequence, "event", event,
                              "fields", fields));
    } else {
        print_line(monitor, sequence, event, fields);
    }
}

static int on_event(void *self, uint64_t sequence, const char *event, json_t *fields)
{
    struct monitor *monitor = self;
    const struct options *options = monitor->ctl->options;
    const bool lost = strcmp(event, proto_events[EV_LOST].name) == 0; /* never hidden */
    if (!lost && monitor->filter != NULL && !pattern_matches(monitor->filter, event)) {
        return STREAM_GO_ON;
    }
    if (options_have(options, OPT_SINCE) && sequence <= options->since) {
        return STREAM_GO_ON;
    }
    show(monitor, sequence, event, fields);
    if (options->until != NULL && pattern_matches(options->until, event)) {
        return EXIT_DONE;
    }
    if (monitor->left > 0 && --monitor->left == 0) {
        return EXIT_DONE;
    }
    return STREAM_GO_ON;
}

/* What the numbers say is missing, in the words of the daemon's own event. It has no number. */
static int on_gap(void *self, uint64_t missing)
{
    json_t *fields = json_pack("{s:I}", "total", (json_int_t)missing);
    show(self, 0, proto_events[EV_LOST].name, fields);
    json_decref(fields);
    return STREAM_GO_ON;
}

/* The names of all events that are only sent to who asks for them. */
static json_t *watch_params(void)
{
    json_t *names = json_array();
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        if (proto_events[i].watched) {
            (void)json_array_append_new(names, json_string(proto_events[i].name));
        }
    }
    return json_pack("{s:o}", "events", names);
}

enum exit_code run_monitor(struct ctl *ctl, char **arguments, int count)
{
    const struct options *options = ctl->options;
    struct monitor monitor = {
        .ctl = ctl, .filter = count > 0 ? arguments[0] : NULL, .left = options->count};
    const struct stream_handler handler = {
        .self = &monitor, .on_event = on_event, .on_gap = on_gap};
    json_t *result = NULL;
    session_set_timeout(ctl, true);
    enum exit_code code = session_open(ctl, true);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_SESSION_WATCH, watch_params(), &result);
        json_decref(result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = stream_run(ctl, &handler, options->timeout_ms);
    const bool goal = options->until != NULL || options->count > 0;
    if (code == EXIT_TIMEOUT && !goal) {
        return EXIT_DONE; /* that time was all that was asked for */
    }
    if (code == EXIT_TIMEOUT) {
        return report(code, "monitor: what it waited for did not happen in time");
    }
    return code;
}
