/* The reconnect service's methods: reconnect.* about targets, known.* about the address book. */
#include <errno.h>
#include <stdio.h>

#include "service/reconnect_private.h"

static const char *text_of(const struct request *request, const char *member)
{
    return json_string_value(json_object_get(request_params(request), member));
}

static uint64_t number_of(const struct request *request, const char *member, uint64_t otherwise)
{
    const json_t *value = json_object_get(request_params(request), member);
    return value == NULL ? otherwise : (uint64_t)json_integer_value(value);
}

int reconnect_add(struct reconnect *reconnect, const struct target_spec *spec)
{
    struct target *target = NULL;
    int64_t now_ms = reconnect_now_ms(reconnect);
    int result = targets_add(reconnect->targets, spec, now_ms, &target);
    if (result == -EEXIST) {
        if (spec->has_expected) {
            target->has_expected = true;
            target->expected = spec->expected;
        }
        target_ask(target, now_ms);
    }
    return result;
}

/* ---- reconnect.* ---- */

static struct target *find_target(const struct reconnect *reconnect, const struct request *request)
{
    return targets_find(reconnect->targets, text_of(request, "host"),
                        (uint16_t)number_of(request, "port", 0));
}

/* As it is kept: a literal in its one form, a name as it was first written. */
static struct book_file_target row_of(const struct request *request, const struct target *known)
{
    struct book_file_target row = {.port = (uint16_t)number_of(request, "port", 0)};
    const char *host = text_of(request, "host");
    const char *peer = text_of(request, "peer");
    struct endpoint endpoint;
    if (known != NULL) {
        (void)snprintf(row.host, sizeof(row.host), "%s", known->host);
    } else if (endpoint_parse_ip(host, row.port, &endpoint) == 0) {
        (void)snprintf(row.host, sizeof(row.host), "%s", endpoint_format_ip(&endpoint).text);
    } else {
        (void)snprintf(row.host, sizeof(row.host), "%s", host);
    }
    row.has_expected = peer != NULL && peer_id_parse(peer, &row.expected) == 0;
    return row;
}

static void on_add(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    const struct target *known = find_target(reconnect, request);
    const bool already = known != NULL && known->origin != TARGET_LEARNED;
    if (!already && !targets_have_room(reconnect->targets)) {
        request_fail(request, E_LIMIT,
                     "there are %zu targets already: remove some, or raise max_targets in "
                     "[reconnect]",
                     targets_count(reconnect->targets));
        return;
    }
    struct book_file_target row = row_of(request, known);
    if (known != NULL && known->origin == TARGET_CONFIGURED && !row.has_expected) {
        /* The configuration keeps it. */
        struct target_spec spec = {.host = row.host, .port = row.port, .origin = TARGET_ADDED};
        (void)reconnect_add(reconnect, &spec);
        reconnect_dial(reconnect);
        request_reply(request, json_pack("{s:b}", "already", 1));
        return;
    }
    reconnect_write(reconnect, request, json_pack("{s:b}", "already", (int)already), &row);
}

static void on_remove(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    struct target *target = find_target(reconnect, request);
    if (target == NULL) {
        request_fail(request, E_NOT_FOUND,
                     "%s port %d is no target; 'reconnect.list' shows them all",
                     text_of(request, "host"), (int)number_of(request, "port", 0));
        return;
    }
    if (target->origin == TARGET_CONFIGURED) {
        request_fail(request, E_BUSY,
                     "%s port %d is in the configuration: remove it from targets in [reconnect]",
                     target->host, (int)target->port);
        return;
    }
    struct book_file_target row = row_of(request, target);
    row.removed = true;
    reconnect_write(reconnect, request, NULL, &row);
}

static const char *state_of(const struct target *target, int64_t now_ms)
{
    switch (target->state) {
    case TARGET_CONNECTED:
        return "connected";
    case TARGET_DIALING:
        return "dialing";
    case TARGET_WAITING:
        break;
    }
    return target->held_until_ms > now_ms ? "held" : "waiting";
}

static json_t *describe_target(const struct target *target, int64_t now_ms)
{
    static const char *const origins[] = {"learned", "added", "configured"};
    char address[TARGETS_ADDRESS_SIZE];
    int64_t due_ms =
        target->held_until_ms > target->due_ms ? target->held_until_ms : target->due_ms;
    const bool waits = target->state == TARGET_WAITING && due_ms > now_ms;
    const struct peer_id *peer = target->state == TARGET_CONNECTED ? &target->peer
                                 : target->has_expected            ? &target->expected
                                                                   : NULL;
    return json_pack(
        "{s:s, s:s, s:i, s:s, s:s, s:b, s:s*, s:I, s:I, s:s*}", "address",
        target_format(target, address), "host", target->host, "port", (int)target->port, "origin",
        origins[target->origin], "state", state_of(target, now_ms), "connected",
        (int)(target->state == TARGET_CONNECTED), "peer",
        peer == NULL ? NULL : peer_id_format(peer).text, "attempts",
        target->state == TARGET_CONNECTED ? (json_int_t)0 : (json_int_t)target->attempts,
        "next_attempt_seconds", waits ? (json_int_t)((due_ms - now_ms + 999) / 1000) : 0, "error",
        target->error);
}

static void on_list(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    struct list *cursor = NULL;
    json_t *rows = json_array();
    for (const struct target *target;
         (target = targets_next(reconnect->targets, &cursor)) != NULL;) {
        (void)json_array_append_new(rows, describe_target(target, reconnect_now_ms(reconnect)));
    }
    request_reply(request, json_pack("{s:o}", "targets", rows));
}

/* ---- known.* ---- */

static json_t *describe_record(struct mesh *mesh, const struct book_record *record)
{
    return json_pack(
        "{s:s, s:s, s:i, s:s*, s:b, s:I, s:I, s:I, s:I, s:I}", "address",
        endpoint_format(&record->endpoint).text, "host", endpoint_format_ip(&record->endpoint).text,
        "port", (int)record->endpoint.port, "peer",
        record->has_id ? peer_id_format(&record->id).text : NULL, "connected",
        (int)(record->has_id && mesh_find(mesh, &record->id) != NULL), "first_seen_unix_s",
        (json_int_t)record->first_seen_s, "last_seen_unix_s", (json_int_t)record->last_seen_s,
        "last_connected_unix_s", (json_int_t)record->last_connected_s, "connect_count",
        (json_int_t)record->connect_count, "fail_streak", (json_int_t)record->fail_streak);
}

static void on_known_list(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    const struct book_record *best[BOOK_MAX_RECORDS];
    size_t count =
        book_best(reconnect->book, best, (size_t)number_of(request, "limit", BOOK_MAX_RECORDS));
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(rows, describe_record(host_mesh(reconnect->host), best[i]));
    }
    request_reply(request, json_pack("{s:I, s:o}", "count", (json_int_t)book_count(reconnect->book),
                                     "peers", rows));
}

static void on_known_clear(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    const json_int_t removed = (json_int_t)book_count(reconnect->book);
    book_clear(reconnect->book);
    reconnect_drop_unknown(reconnect);
    log_info(RECONNECT_TOPIC, "address book cleared, %lld addresses", (long long)removed);
    reconnect_write(reconnect, request, json_pack("{s:I}", "removed", removed), NULL);
}

static void on_known_connect(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    if (!reconnect->is_open) {
        request_fail(request, E_NOT_RUNNING, "the instance has no network: start a session");
        return;
    }
    size_t dials = reconnect_dial_known(reconnect, (size_t)number_of(request, "limit", 32));
    request_reply(request, json_pack("{s:I}", "dials", (json_int_t)dials));
}

static void on_known_save(void *self, struct request *request)
{
    struct reconnect *reconnect = self;
    if (!reconnect->write_failed && !book_file_is_busy(reconnect->file) &&
        !book_is_changed(reconnect->book) && !reconnect->targets_dirty) {
        request_reply(request, NULL);
        return;
    }
    reconnect_write(reconnect, request, NULL, NULL);
}

const struct method_handler reconnect_methods[] = {
    {M_RECONNECT_ADD, on_add},       {M_RECONNECT_REMOVE, on_remove},
    {M_RECONNECT_LIST, on_list},     {M_KNOWN_LIST, on_known_list},
    {M_KNOWN_CLEAR, on_known_clear}, {M_KNOWN_CONNECT, on_known_connect},
    {M_KNOWN_SAVE, on_known_save},   {0},
};
