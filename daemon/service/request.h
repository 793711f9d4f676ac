/* One call of a client in progress. Made by ipc/, answered by a service, exactly once. */
#ifndef RATSD_SERVICE_REQUEST_H
#define RATSD_SERVICE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "proto/errors.h"
#include "util/bytes.h"

struct request;

/* The parameters, checked against the method's row; an object, maybe empty. Borrowed. */
const json_t *request_params(const struct request *request);
/* The raw bytes that came with the call, mostly none. Borrowed until the handler returns, also when
 * the request is deferred. */
struct bytes request_body(const struct request *request);
/* The next of the descriptors that came with the call, which is the caller's now; -1 when there is
 * none left. Those that nobody takes are closed with the request. */
int request_take_fd(struct request *request);
size_t request_fds(const struct request *request); /* how many are left */
uint64_t request_session(const struct request *request);
bool request_may_control(const struct request *request);

/* result is taken; NULL stands for an empty object. The request is gone afterwards. */
void request_reply(struct request *request, json_t *result);
/* The same with raw bytes behind the result (copied). 0; -EAGAIN when the client has left so much
 * unread that these must wait: the request is not answered, try again in a moment. result is taken
 * either way and is never NULL. */
int request_reply_body(struct request *request, json_t *result, struct bytes body);
void request_fail(struct request *request, enum proto_error error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with members that a program can read; details is taken. */
void request_fail_details(struct request *request, enum proto_error error, json_t *details,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The same with the error that a negative errno means. */
void request_fail_errno(struct request *request, int negative_errno, const char *text);

/* Keeps the request beyond the handler. on_cancel runs when the client gives up or ends: stop the
 * work; the request is answered and gone when on_cancel returns. */
void request_defer(struct request *request, void (*on_cancel)(void *arg), void *arg);

#endif
