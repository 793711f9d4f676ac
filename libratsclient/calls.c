#include "calls.h"

#include <stdlib.h>
#include <string.h>

void calls_init(struct calls *calls)
{
    *calls = (struct calls){0};
    list_init(&calls->pending);
}

void calls_add(struct calls *calls, struct call *call)
{
    call->id = ++calls->last_id;
    list_append(&calls->pending, &call->link);
    calls->waiting += call->unattended ? 0 : 1;
}

struct call *calls_find(const struct calls *calls, uint64_t id)
{
    LIST_EACH(&calls->pending, node)
    {
        struct call *call = CONTAINER_OF(node, struct call, link);
        if (call->id == id) {
            return call;
        }
    }
    return NULL;
}

void calls_remove(struct calls *calls, struct call *call)
{
    list_remove(&call->link);
    calls->waiting -= call->unattended ? 0 : 1;
}

static void end(struct calls *calls, struct call *call)
{
    calls_remove(calls, call);
    if (call->unattended) {
        free(call->text);
        free(call);
        return;
    }
    call->done = true;
    (void)pthread_cond_signal(&call->answered);
}

/* With a NUL behind it; NULL when out of memory. */
static uint8_t *copy(struct bytes from)
{
    uint8_t *to = malloc(from.size + 1);
    if (to != NULL) {
        if (from.size > 0) {
            memcpy(to, from.data, from.size);
        }
        to[from.size] = '\0';
    }
    return to;
}

void calls_finish(struct calls *calls, struct call *call, bool failed, struct bytes text,
                  struct bytes body)
{
    call->failed = failed;
    if (!call->unattended) {
        call->text = (char *)copy(text);
        call->text_size = text.size;
        call->body = call->wants_body && !failed ? copy(body) : NULL;
        call->body_size = body.size;
        call->lost = call->text == NULL || (call->wants_body && !failed && call->body == NULL);
        if (call->lost) {
            free(call->text);
            free(call->body);
            call->text = NULL;
            call->body = NULL;
        }
    }
    end(calls, call);
}

void calls_wake_all(struct calls *calls)
{
    LIST_EACH(&calls->pending, node)
    {
        struct call *call = CONTAINER_OF(node, struct call, link);
        if (!call->unattended) {
            (void)pthread_cond_signal(&call->answered);
        }
    }
}

void calls_lose_all(struct calls *calls)
{
    LIST_EACH(&calls->pending, node)
    {
        struct call *call = CONTAINER_OF(node, struct call, link);
        call->lost = true;
        end(calls, call);
    }
}
