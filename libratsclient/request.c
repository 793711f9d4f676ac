/* Calls to the daemon: one frame out, one answer back. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"
#include "client.h"
#include "clock.h"
#include "proto/frame.h"
#include "proto/json_head.h"

static int explain_begin(int rc)
{
    switch (rc) {
    case -E2BIG:
        return error_set(RATS_ERROR_INVALID_PARAMETER, "the parameters are larger than 64 KiB");
    case -ENOTCONN:
        return error_set(RATS_ERROR_NOT_RUNNING, "the daemon is gone");
    case -ETIMEDOUT:
        return error_set(RATS_ERROR_TIMEOUT, "the daemon took nothing for %d ms",
                         OUTBOX_TIMEOUT_MS);
    default:
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
}

/* (locked) The frame on its way and the call among those that wait, or neither. A body has to wait
 * for room: meanwhile the connection may end, and the call with it. A call that nobody waits for
 * keeps the lock, unless descriptors go with it. */
static int send_call(struct client *client, struct call *call, struct bytes frame,
                     const struct cargo *cargo)
{
    const struct bytes body = cargo->body;
    calls_add(&client->calls, call);
    int rc;
    if (body.size > 0) {
        rc = outbox_send(&client->outbox, frame, body);
    } else if (call->unattended && cargo->fd_count == 0) {
        rc = outbox_queue(&client->outbox, frame);
    } else {
        rc = outbox_post_with(&client->outbox, frame, cargo->fds, cargo->fd_count);
    }
    if (rc < 0 && (body.size == 0 || !call->done)) {
        calls_remove(&client->calls, call);
    }
    return rc;
}

static const struct cargo no_cargo;

static void drop_cargo(const struct cargo *cargo)
{
    for (size_t i = 0; i < cargo->fd_count; i++) {
        (void)close(cargo->fds[i]);
    }
}

/* (locked) */
static int begin_text(struct client *client, struct call *call, const char *method,
                      const char *params, const struct cargo *cargo)
{
    if (!client->attached) {
        drop_cargo(cargo);
        return error_set(RATS_ERROR_NOT_RUNNING,
                         client->socket_path == NULL
                             ? "the handle is not attached: %d is no port"
                             : "the daemon is gone; the library is looking for it",
                         client->requested_port);
    }
    const bool unattended = call->unattended;
    uint8_t *frame = NULL;
    size_t size = 0;
    int rc = call_frame(client->calls.last_id + 1, method, params, (uint8_t)cargo->fd_count,
                        cargo->body.size, &frame, &size);
    if (rc == 0) {
        rc = send_call(client, call, bytes_make(frame, size), cargo);
    } else {
        drop_cargo(cargo);
    }
    free(frame);
    if (rc < 0) {
        return explain_begin(rc);
    }
    if (client->reader_paused && !unattended) {
        client_wake(client); /* the answer stands behind events nobody has taken yet */
    }
    return RATS_SUCCESS;
}

static int begin_attended(struct client *client, struct call *call, const char *method,
                          const char *params, const struct cargo *cargo)
{
    if (condition_init(&call->answered) < 0) {
        drop_cargo(cargo);
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    const int code = begin_text(client, call, method, params, cargo);
    if (code != RATS_SUCCESS) {
        (void)pthread_cond_destroy(&call->answered);
    }
    return code;
}

static char *params_text(json_t *params)
{
    char *text = json_dumps(params, JSON_COMPACT); /* NULL as well when there are no params */
    json_decref(params);
    return text;
}

int request_begin(struct client *client, struct call *call, enum method_id method, json_t *params)
{
    char *text = params_text(params);
    if (text == NULL) {
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    const int code = begin_attended(client, call, proto_methods[method].name, text, &no_cargo);
    free(text);
    return code;
}

/* (locked) Waits for the answer. RATS_SUCCESS: call->text holds it. */
static int wait_answer(struct client *client, struct call *call, int timeout_ms)
{
    const int64_t deadline_ms = clock_deadline(timeout_ms);
    client->waiters++;
    int rc = 0;
    while (!call->done && !client->closing && rc != -ETIMEDOUT) {
        rc = condition_wait(&call->answered, &client->lock, deadline_ms);
    }
    int code = RATS_SUCCESS;
    if (!call->done) {
        calls_remove(&client->calls, call);
        uint8_t cancel[FRAME_HEADER_SIZE];
        frame_encode_header(cancel, FRAME_CANCEL, 0, call->id, 0, 0);
        (void)outbox_post(&client->outbox, bytes_make(cancel, sizeof cancel));
        code = client->closing ? error_set(RATS_ERROR_NOT_RUNNING, "the handle is being destroyed")
                               : error_set(RATS_ERROR_TIMEOUT,
                                           "the daemon did not answer within %d ms", timeout_ms);
    } else if (call->lost) {
        code = error_set(RATS_ERROR_NOT_RUNNING, "the daemon went away during the call");
    }
    (void)pthread_cond_destroy(&call->answered);
    client_leave(client);
    return code;
}

/* The last error, from the text of a FAIL. */
static int explain_failure(const json_t *answer)
{
    const char *name = json_string_value(json_object_get(answer, "e"));
    const char *text = json_string_value(json_object_get(answer, "text"));
    const struct proto_error_row *row =
        &proto_errors[proto_error_from_name(name == NULL ? "" : name)];
    const json_t *number = json_object_get(answer, "code");
    const json_int_t code = json_is_integer(number) ? json_integer_value(number) : row->code;
    return error_set(code < 0 && code > INT_MIN ? (int)code : row->code, "%s",
                     text == NULL ? row->meaning : text);
}

/* Answers up to 64 KiB stand in the head and were bounded there; longer ones in the body. */
static int parse_answer(const struct call *call, json_t **ret_answer)
{
    char problem[128];
    json_t *answer = NULL;
    const int rc = call->text_size <= FRAME_MAX_HEAD
                       ? json_head_read((const uint8_t *)call->text, call->text_size, &answer,
                                        problem, sizeof problem)
                       : json_read(call->text, call->text_size, &answer);
    if (rc == -ENOMEM) {
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    if (!json_is_object(answer)) {
        json_decref(answer);
        return error_set(RATS_ERROR_OPERATION_FAILED, "the daemon's answer is not understood");
    }
    *ret_answer = answer;
    return RATS_SUCCESS;
}

/* Not locked: parsing is the waiting thread's work. */
static int read_answer(struct call *call, json_t **ret_result)
{
    json_t *answer = NULL;
    int code = parse_answer(call, &answer);
    if (call->secret && call->text != NULL) {
        explicit_bzero(call->text, call->text_size);
    }
    free(call->text);
    call->text = NULL;
    if (code != RATS_SUCCESS) {
        return code;
    }
    if (call->failed) {
        code = explain_failure(answer);
        json_decref(answer);
        return code;
    }
    if (ret_result != NULL) {
        *ret_result = answer;
    } else {
        json_decref(answer);
    }
    return RATS_SUCCESS;
}

int request_end(struct client *client, struct call *call, int timeout_ms, json_t **ret_result)
{
    int code = wait_answer(client, call, timeout_ms);
    if (code == RATS_SUCCESS) {
        client->waiters++; /* the handle outlives the parsing */
        client_unlock(client);
        code = read_answer(call, ret_result);
        client_lock(client);
        client_leave(client);
    }
    return code;
}

int request_tell(struct client *client, enum method_id method, json_t *params,
                 enum call_purpose purpose)
{
    struct call call = {.purpose = purpose};
    if (!client->attached) {
        json_decref(params);
        return RATS_SUCCESS;
    }
    int code = request_begin(client, &call, method, params);
    if (code == RATS_SUCCESS) {
        code = request_end(client, &call, CALL_TIMEOUT_MS, NULL);
    }
    if (code == RATS_ERROR_NOT_RUNNING && !client->closing) {
        error_clear();
        code = RATS_SUCCESS;
    }
    return code;
}

int request_call(struct client *client, enum method_id method, json_t *params, int timeout_ms,
                 json_t **ret_result)
{
    struct call call = {0};
    client_lock(client);
    int code = request_begin(client, &call, method, params);
    if (code == RATS_SUCCESS) {
        code = request_end(client, &call, timeout_ms, ret_result);
    }
    client_unlock(client);
    return code;
}

int request_call_body(struct client *client, struct body_call *body_call)
{
    struct call call = {.wants_body = true, .grant = body_call->grant};
    char *text = params_text(body_call->params);
    body_call->params = NULL;
    if (text == NULL) {
        drop_cargo(&body_call->cargo);
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    client_lock(client);
    client->waiters++; /* the handle outlives the wait for room */
    int code = begin_attended(client, &call, proto_methods[body_call->method].name, text,
                              &body_call->cargo);
    if (code == RATS_SUCCESS) {
        code = request_end(client, &call, body_call->timeout_ms, &body_call->result);
    }
    client_leave(client);
    client_unlock(client);
    free(text);
    if (code == RATS_SUCCESS) {
        body_call->reply = call.body;
        body_call->reply_size = call.body_size;
    } else {
        free(call.body);
    }
    return code;
}

void request_post(struct client *client, enum method_id method, json_t *params,
                  enum call_purpose purpose)
{
    request_post_with(client, method, params, purpose, NULL, 0);
}

void request_post_with(struct client *client, enum method_id method, json_t *params,
                       enum call_purpose purpose, const int *fds, size_t count)
{
    const struct cargo cargo = {.fds = fds, .fd_count = count};
    char *text = params_text(params);
    struct call *call = calloc(1, sizeof *call);
    int code = RATS_ERROR_MEMORY_ALLOCATION;
    if (text != NULL && call != NULL) {
        call->unattended = true;
        call->purpose = purpose;
        call->ticket = client->start_ticket;
        code = begin_text(client, call, proto_methods[method].name, text, &cargo);
    } else {
        drop_cargo(&cargo);
    }
    if (code == RATS_ERROR_MEMORY_ALLOCATION && client->attached) {
        log_write(LOG_ERROR, "out of memory; '%s' is said again after attaching again",
                  proto_methods[method].name);
        (void)shutdown(client->fd, SHUT_RDWR);
    }
    if (code != RATS_SUCCESS) {
        free(call);
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the list of calls owns what was begun */
    free(text);
}

/* 0, or -1: names are words joined by dots, so they need no escaping in JSON. */
static int check_method_name(const char *method)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.";
    const size_t size = strlen(method);
    return size >= 1 && size <= 128 && strspn(method, allowed) == size ? 0 : -1;
}

/* RATS_SUCCESS when the text is a JSON object that the daemon will not take for noise. */
static int check_params(const char *params)
{
    char problem[128];
    const size_t size = strlen(params);
    /* One level and the frame's own member come on top. */
    char *whole = malloc(size + 8);
    if (whole == NULL) {
        return error_set(RATS_ERROR_MEMORY_ALLOCATION, "out of memory");
    }
    snprintf(whole, size + 8, "{\"p\":%s}", params);
    json_t *value = json_head_parse((const uint8_t *)whole, strlen(whole), problem, sizeof problem);
    free(whole);
    const bool object = json_is_object(json_object_get(value, "p"));
    const bool alone = json_object_size(value) == 1;
    json_decref(value);
    if (value == NULL) {
        return error_set(RATS_ERROR_JSON_PARSE, "the parameters: %s", problem);
    }
    return object && alone ? RATS_SUCCESS
                           : error_set(RATS_ERROR_JSON_PARSE, "the parameters are no JSON object");
}

/* What session.watch asked for is asked for again after reattaching. */
static void note_watch(struct client *client, const char *method, const char *params)
{
    if (strcmp(method, proto_methods[M_SESSION_WATCH].name) == 0) {
        char *copy = strdup(params);
        if (copy != NULL) {
            free(client->watched);
            client->watched = copy;
        }
    }
}

rats_error_t rats_call(rats_client_t handle, const char *method, const char *params_json,
                       int timeout_ms, char **ret_result)
{
    if (ret_result != NULL) {
        *ret_result = NULL;
    }
    ENTER(client, handle, RATS_ERROR_INVALID_PARAMETER);
    if (client == NULL) {
        return (rats_error_t)error_code();
    }
    if (method == NULL || check_method_name(method) < 0) {
        return (rats_error_t)error_set(RATS_ERROR_INVALID_PARAMETER,
                                       "the method's name is NULL or malformed");
    }
    const char *params = params_json == NULL ? "{}" : params_json;
    int code = check_params(params);
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    struct call call = {0};
    client_lock(client);
    code = begin_attended(client, &call, method, params, &no_cargo);
    if (code == RATS_SUCCESS) {
        code = wait_answer(client, &call, timeout_ms);
    }
    if (code == RATS_SUCCESS && !call.failed) {
        note_watch(client, method, params);
    }
    client_unlock(client);
    if (code != RATS_SUCCESS) {
        return (rats_error_t)code;
    }
    char *text = ret_result == NULL ? NULL : strdup(call.text);
    code = read_answer(&call, NULL);
    if (ret_result != NULL) {
        *ret_result = text;
    }
    return (rats_error_t)code;
}
