/* What the local side itself answers: hello, session.* and protocol.*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "ipc/session.h"
#include "proto/describe.h"
#include "service/life.h"
#include "service/request.h"
#include "util/text.h"

/* The highest version in the client's list that we speak, or false. */
static bool pick_version(const json_t *versions, int *ret_minor)
{
    int best = -1;
    size_t index;
    const json_t *pair;
    json_array_foreach(versions, index, pair)
    {
        const json_t *major = json_array_get(pair, 0);
        const json_t *minor = json_array_get(pair, 1);
        if (json_is_integer(major) && json_is_integer(minor) &&
            json_integer_value(major) == PROTO_MAJOR && json_integer_value(minor) >= 0) {
            /* Minors only add: a newer client can speak our older one. */
            json_int_t common = json_integer_value(minor);
            int usable = common > PROTO_MINOR ? PROTO_MINOR : (int)common;
            best = usable > best ? usable : best;
        }
    }
    *ret_minor = best;
    return best >= 0;
}

static void copy_text(char out[SESSION_NAME_SIZE], const json_t *value)
{
    (void)snprintf(out, SESSION_NAME_SIZE, "%s", value == NULL ? "" : json_string_value(value));
}

/* A client that does not name itself is shown by its program's name. */
static void name_after_program(struct session *session)
{
    char program[PROGRAM_NAME_SIZE];
    credentials_program_name(session->fd, session->credentials.pid, program);
    if (text_is_utf8(bytes_from_string(program))) {
        (void)snprintf(session->name, sizeof(session->name), "%s", program);
    }
}

static enum slow_policy parse_slow(const json_t *value)
{
    const char *word = value == NULL ? "stall" : json_string_value(value);
    if (strcmp(word, "drop") == 0) {
        return SLOW_DROP;
    }
    return strcmp(word, "close") == 0 ? SLOW_CLOSE : SLOW_STALL;
}

static const char *role_name(const struct session *session)
{
    return session->credentials.control ? "control" : "use";
}

static json_t *hello_result(struct session *session, int minor)
{
    struct ipc *ipc = session->ipc;
    json_t *result = json_pack(
        "{s:[ii], s:s, s:s, s:I, s:{s:I, s:I, s:I}, s:o}", "version", PROTO_MAJOR, minor, "daemon",
        RATS_VERSION, "role", role_name(session), "session", (json_int_t)session->number, "limits",
        "message_bytes", (json_int_t)WIRE_MAX_PAYLOAD, "queue_bytes", (json_int_t)ipc->queue_limit,
        "calls", (json_int_t)SESSION_MAX_CALLS, "services", host_service_names(ipc->host));
    host_hello(ipc->host, result);
    return result;
}

static void announce(struct session *session)
{
    host_emit(session->ipc->host, EV_SESSION_ATTACHED,
              json_pack("{s:I, s:I, s:I, s:s}", "session", (json_int_t)session->number, "pid",
                        (json_int_t)session->credentials.pid, "uid",
                        (json_int_t)session->credentials.uid, "name", session->name),
              NULL);
}

static void on_hello(struct session *session, struct request *request)
{
    const json_t *params = request_params(request);
    int minor = -1;
    if (session->state != SESSION_GREETING) {
        request_fail(request, E_MALFORMED, "hello was said already");
        return;
    }
    if (!pick_version(json_object_get(params, "versions"), &minor)) {
        char *theirs = json_dumps(json_object_get(params, "versions"), JSON_COMPACT);
        request_fail_details(
            request, E_VERSION, json_pack("{s:[[i,i]]}", "versions", PROTO_MAJOR, PROTO_MINOR),
            "this daemon (" RATS_VERSION ") speaks versions %d.0 to %d.%d, the client "
            "offers %.200s; update the older of the two",
            PROTO_MAJOR, PROTO_MAJOR, PROTO_MINOR, theirs == NULL ? "none" : theirs);
        free(theirs);
        return;
    }
    copy_text(session->name, json_object_get(params, "name"));
    if (session->name[0] == '\0') {
        name_after_program(session);
    }
    copy_text(session->agent, json_object_get(params, "agent"));
    session->slow = parse_slow(json_object_get(params, "slow"));
    announce(session); /* before it is ready itself: nobody hears of their own arrival */
    session->state = SESSION_READY;
    session->announced = true;
    session->ipc->greeting_count--;
    session->attached = true;
    life_attached(host_life(session->ipc->host));
    timer_stop(&session->deadline);
    request_reply(request, hello_result(session, minor));
}

/* The whole of it is a hundred times the work of another call, and always the same. */
static void describe_everything(struct ipc *ipc, struct request *request)
{
    if (ipc->description == NULL) {
        json_t *document = describe_protocol(NULL);
        ipc->description = json_dumps(document, JSON_COMPACT);
        json_decref(document);
    }
    request_reply_text(request, bytes_from_string(ipc->description));
}

static void on_describe(struct session *session, struct request *request)
{
    const json_t *method = json_object_get(request_params(request), "method");
    if (method == NULL) {
        describe_everything(session->ipc, request);
        return;
    }
    json_t *document = describe_protocol(json_string_value(method));
    if (document == NULL) {
        request_fail(request, E_NOT_FOUND, "there is no method of that name");
        return;
    }
    request_reply(request, document);
}

static void on_start(struct session *session, struct request *request)
{
    char error[512];
    if (!session->started && life_begin(host_life(session->ipc->host), error, sizeof(error)) < 0) {
        request_fail(request, E_OPERATION_FAILED, "%s", error);
        return;
    }
    session->started = true;
    request_reply(request, NULL);
}

static void on_stop(struct session *session, struct request *request)
{
    if (!session->started) {
        request_reply(request, NULL);
        return;
    }
    session->started = false;
    host_session_stopped(session->ipc->host, session->number);
    life_end(host_life(session->ipc->host), request);
}

static json_t *session_row(struct ipc *ipc, struct session *session)
{
    int64_t age_ms = loop_now_ms(ipc->loop) - session->attached_ms;
    json_t *row =
        json_pack("{s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "session",
                  (json_int_t)session->number, "pid", (json_int_t)session->credentials.pid, "uid",
                  (json_int_t)session->credentials.uid, "gid", (json_int_t)session->credentials.gid,
                  "name", session->name, "agent", session->agent, "role", role_name(session),
                  "started", (int)session->started, "age_seconds", (json_int_t)(age_ms / 1000),
                  "queued_bytes", (json_int_t)backlog_size(&session->out), "lost",
                  (json_int_t)session->lost_total, "calls", (json_int_t)session->call_count);
    host_describe_session(ipc->host, session->number, row);
    return row;
}

static void on_list(struct session *session, struct request *request)
{
    json_t *rows = json_array();
    LIST_EACH(&session->ipc->sessions, node)
    {
        struct session *other = CONTAINER_OF(node, struct session, node);
        if (session_is_ready(other)) {
            (void)json_array_append_new(rows, session_row(session->ipc, other));
        }
    }
    request_reply(request, json_pack("{s:o}", "sessions", rows));
}

static void on_watch(struct session *session, struct request *request)
{
    uint32_t watched = 0;
    size_t index;
    const json_t *word;
    json_array_foreach(json_object_get(request_params(request), "events"), index, word)
    {
        watched |= 1u << event_find(json_string_value(word), json_string_length(word));
    }
    session->watched = watched;
    request_reply(request, NULL);
}

static void on_demand_peers(struct session *session, struct request *request)
{
    const json_t *wanted = json_object_get(request_params(request), "max_peers");
    session->peers_demand = (size_t)json_integer_value(wanted);
    size_t effective = ipc_apply_demand(session->ipc);
    request_reply(request, json_pack("{s:I}", "max_peers", (json_int_t)effective));
}

session_method_fn session_method_find(enum method_id method)
{
    switch (method) {
    case M_HELLO:
        return on_hello;
    case M_PROTOCOL_DESCRIBE:
        return on_describe;
    case M_SESSION_START:
        return on_start;
    case M_SESSION_STOP:
        return on_stop;
    case M_SESSION_LIST:
        return on_list;
    case M_SESSION_WATCH:
        return on_watch;
    case M_SESSION_DEMAND_PEERS:
        return on_demand_peers;
    default:
        return NULL;
    }
}
