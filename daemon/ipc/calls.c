/* Calls: from a CALL frame through the method table to a handler, and the one answer back. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/session.h"
#include "proto/json_head.h"
#include "proto/validate.h"
#include "service/request.h"
#include "service/service.h"
#include "util/alloc.h"
#include "util/text.h"

#define TEXT_SIZE 512

struct request {
    struct list node; /* in session.calls while deferred */
    struct session *session;
    uint64_t id;
    enum method_id method;
    json_t *params;
    struct bytes body;      /* while the handler runs */
    int fds[FRAME_MAX_FDS]; /* from next_fd on nobody has taken them */
    size_t fd_count;
    size_t next_fd;
    void (*on_cancel)(void *arg);
    void *arg;
};

static void request_free(struct request *request)
{
    if (list_is_linked(&request->node)) {
        list_remove(&request->node);
        request->session->call_count--;
    }
    for (size_t i = request->next_fd; i < request->fd_count; i++) {
        (void)close(request->fds[i]);
    }
    json_decref(request->params);
    free(request);
}

const json_t *request_params(const struct request *request)
{
    return request->params;
}

struct bytes request_body(const struct request *request)
{
    return request->body;
}

int request_take_fd(struct request *request)
{
    return request->next_fd < request->fd_count ? request->fds[request->next_fd++] : -1;
}

size_t request_fds(const struct request *request)
{
    return request->fd_count - request->next_fd;
}

uint64_t request_session(const struct request *request)
{
    return request->session->number;
}

bool request_may_control(const struct request *request)
{
    return request->session->credentials.control;
}

void request_reply(struct request *request, json_t *result)
{
    session_send_json(request->session, FRAME_REPLY, request->id,
                      result == NULL ? json_object() : result);
    request_free(request);
}

int request_reply_body(struct request *request, json_t *result, struct bytes body)
{
    int code = session_send_body(request->session, request->id, result, body);
    if (code == 0) {
        request_free(request);
    }
    return code;
}

void request_reply_text(struct request *request, struct bytes text)
{
    session_send_text(request->session, FRAME_REPLY, request->id, text);
    request_free(request);
}

json_t *fail_head(enum proto_error error, const char *text, json_t *details)
{
    char safe[TEXT_SIZE];
    if (!text_is_utf8(bytes_from_string(text))) { /* a sentence that was cut within a character */
        text = text_escape(bytes_from_string(text), safe, sizeof(safe));
    }
    return json_pack("{s:s, s:i, s:s, s:o}", "e", proto_errors[error].name, "code",
                     proto_errors[error].code, "text", text, "d",
                     details == NULL ? json_object() : details);
}

static void send_fail(struct session *session, uint64_t id, enum proto_error error,
                      const char *text, json_t *details)
{
    session_send_json(session, FRAME_FAIL, id, fail_head(error, text, details));
}

static void fail_with(struct request *request, enum proto_error error, json_t *details,
                      const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

static void fail_with(struct request *request, enum proto_error error, json_t *details,
                      const char *format, va_list arguments)
{
    char text[TEXT_SIZE];
    (void)vsnprintf(text, sizeof(text), format, arguments);
    send_fail(request->session, request->id, error, text, details);
    request_free(request);
}

void request_fail(struct request *request, enum proto_error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(request, error, NULL, format, arguments);
    va_end(arguments);
}

void request_fail_details(struct request *request, enum proto_error error, json_t *details,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(request, error, details, format, arguments);
    va_end(arguments);
}

void request_fail_errno(struct request *request, int negative_errno, const char *text)
{
    request_fail(request, proto_error_from_errno(negative_errno), "%s", text);
}

void request_defer(struct request *request, void (*on_cancel)(void *arg), void *arg)
{
    request->body = bytes_make(NULL, 0); /* a view of what the session read */
    request->on_cancel = on_cancel;
    request->arg = arg;
    list_append(&request->session->calls, &request->node);
    request->session->call_count++;
}

/* The work stops first; the request is answered only while somebody can hear it. */
static void request_cancel(struct request *request)
{
    request->on_cancel(request->arg);
    request_fail(request, E_CANCELLED, "the call was cancelled");
}

void session_cancel_calls(struct session *session)
{
    LIST_EACH(&session->calls, node)
    {
        request_cancel(CONTAINER_OF(node, struct request, node));
    }
}

static struct request *find_call(struct session *session, uint64_t id)
{
    LIST_EACH(&session->calls, node)
    {
        struct request *request = CONTAINER_OF(node, struct request, node);
        if (request->id == id) {
            return request;
        }
    }
    return NULL;
}

void session_on_cancel(struct session *session, const struct frame *frame)
{
    if (session->state != SESSION_READY) {
        session_reject(session, E_MALFORMED, "the first frame must be the call 'hello'");
        return;
    }
    struct request *request = find_call(session, frame->id);
    if (request != NULL) { /* otherwise its answer is on the way already */
        request_cancel(request);
    }
}

/* Row, permission and parameters; false after the call was failed. */
static bool may_run(struct request *request, const struct method_row *row)
{
    struct session *session = request->session;
    if (row->permission == PERMISSION_CONTROL && !session->credentials.control) {
        request_fail(request, E_NOT_PERMITTED,
                     "'%s' needs control permission: run as root, as the daemon's user (uid %ld), "
                     "or as a member of the control group",
                     row->name, (long)geteuid());
        return false;
    }
    if (!json_is_object(request->params)) {
        request_fail(request, E_INVALID_PARAMETER,
                     "the member 'p' of a call must be an object of parameters");
        return false;
    }
    char text[TEXT_SIZE];
    const char *field = NULL;
    if (validate_fields(row->params, request->params, &field, text, sizeof(text)) < 0) {
        json_t *details = field == NULL ? NULL : json_pack("{s:s}", "field", field);
        send_fail(session, request->id, E_INVALID_PARAMETER, text, details);
        request_free(request);
        return false;
    }
    return true;
}

static void run_method(struct request *request, enum method_id method)
{
    struct session *session = request->session;
    request->method = method;
    if (!may_run(request, &proto_methods[method])) {
        return;
    }
    session_method_fn own = session_method_find(method);
    if (own != NULL) {
        own(session, request);
    } else if (!host_call(session->ipc->host, method, request)) {
        request_fail(request, E_NOT_SUPPORTED, "'%s' is not enabled on this instance",
                     proto_methods[method].name);
    }
}

static void unknown_method(struct request *request, const char *name, size_t size)
{
    char shown[128];
    request_fail(
        request, E_UNKNOWN_METHOD,
        "there is no method '%s'; 'protocol.describe' lists those of this daemon (" RATS_VERSION
        ")",
        text_escape(bytes_make(name, size), shown, sizeof(shown)));
}

static struct request *make_request(struct session *session, const struct frame *frame,
                                    json_t *head, const int *fds)
{
    json_t *params = json_object_get(head, "p");
    struct request *request = xalloc(sizeof(*request));
    list_init(&request->node);
    request->session = session;
    request->id = frame->id;
    request->body = bytes_make(frame->body, frame->body_size);
    request->params = params == NULL ? json_object() : json_incref(params);
    request->fd_count = frame->fds;
    memcpy(request->fds, fds, frame->fds * sizeof(int));
    return request;
}

static void on_greeting_call(struct session *session, struct request *request,
                             enum method_id method)
{
    if (method != M_HELLO) {
        request_fail(request, E_MALFORMED, "the first call must be 'hello'");
    } else {
        run_method(request, method);
    }
    if (session->state == SESSION_GREETING) { /* one reply, then the end */
        session->ipc->greeting_count--;
        session->state = SESSION_CLOSING;
        session_update_reading(session);
    }
}

/* The call's head, or NULL after the session was rejected. */
static json_t *parse_call(struct session *session, const struct frame *frame)
{
    char text[TEXT_SIZE];
    if (frame->id == 0 || find_call(session, frame->id) != NULL) {
        session_reject(session, E_MALFORMED,
                       frame->id == 0 ? "a call needs an id that is not 0"
                                      : "the id of a call in progress was used again");
        return NULL;
    }
    json_t *head = json_head_parse(frame->head, frame->head_size, text, sizeof(text));
    if (head == NULL || !json_is_string(json_object_get(head, "m"))) {
        session_reject(session, E_MALFORMED,
                       head == NULL ? text : "the head of a call needs the member 'm', its method");
        json_decref(head);
        return NULL;
    }
    return head;
}

void session_on_call(struct session *session, const struct frame *frame, const int *fds)
{
    json_t *head = parse_call(session, frame);
    if (head == NULL) {
        for (size_t i = 0; i < frame->fds; i++) {
            (void)close(fds[i]);
        }
        return;
    }
    const json_t *name = json_object_get(head, "m");
    session->ipc->values.calls++;
    struct request *request = make_request(session, frame, head, fds);
    enum method_id method = method_find(json_string_value(name), json_string_length(name));
    if (method != METHOD_COUNT && frame->fds > proto_methods[method].fds) {
        request_free(request);
        session_reject(session, E_MALFORMED,
                       "descriptors came with a call that takes none, or fewer");
    } else if (session->state == SESSION_GREETING) {
        on_greeting_call(session, request, method);
    } else if (method == METHOD_COUNT) {
        unknown_method(request, json_string_value(name), json_string_length(name));
    } else if (session->call_count >= SESSION_MAX_CALLS) {
        request_fail(request, E_LIMIT, "%u calls are in progress already; wait for an answer",
                     SESSION_MAX_CALLS);
    } else {
        run_method(request, method);
    }
    json_decref(head);
}

int session_on_message(struct session *session, const struct frame *frame)
{
    struct message_head head;
    if (session->state != SESSION_READY) {
        session_reject(session, E_MALFORMED, "the first frame must be the call 'hello'");
        return 0;
    }
    if (message_head_decode(frame->head, frame->head_size, &head) < 0) {
        session_reject(session, E_MALFORMED,
                       "the head of a MESSAGE is short, of an unknown plane, or names too much");
        return 0;
    }
    struct client_message message = {
        .session = session->number,
        .plane = head.plane,
        .flags = head.flags,
        .name = bytes_make(head.name, head.name_size),
        .payload = bytes_make(frame->body, frame->body_size),
        .broadcast = &session->broadcast,
    };
    memcpy(message.peer.bytes, head.peer, PEER_ID_SIZE);
    char text[TEXT_SIZE] = "";
    size_t peers = 0;
    int result = host_client_message(session->ipc->host, &message, &peers, text, sizeof(text));
    if (result == -EAGAIN) {
        return -EAGAIN;
    }
    session->wait_ticket = 0;
    peer_set_fini(&session->broadcast.owed);
    session->broadcast = (struct broadcast){0};
    if (frame->id != 0 && result == 0) {
        session_send_json(session, FRAME_REPLY, frame->id,
                          json_pack("{s:I}", "peers", (json_int_t)peers));
    } else if (frame->id != 0) {
        send_fail(session, frame->id, proto_error_from_errno(result), text, NULL);
    }
    return 0;
}
