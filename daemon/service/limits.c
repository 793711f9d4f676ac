#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/log.h"
#include "service/guard_private.h"
#include "service/peer_json.h"
#include "util/alloc.h"

static struct bytes id_view(const struct peer_id *id)
{
    return bytes_make(id->bytes, sizeof(id->bytes));
}

static struct kept_limit *find(const struct guard *guard, const struct peer_id *id)
{
    return map_find(&guard->limits, id_view(id));
}

/* 0 or -ENOMEM. */
static int keep(struct guard *guard, const struct peer_id *id, const struct peer_limit *limit)
{
    struct kept_limit *kept = find(guard, id);
    if (kept == NULL) {
        kept = try_alloc(sizeof(*kept));
        if (kept == NULL) {
            return -ENOMEM;
        }
        kept->peer = *id;
        if (map_insert(&guard->limits, id_view(&kept->peer), kept) != 0) {
            free(kept);
            return -ENOMEM;
        }
    }
    kept->limit = *limit;
    return 0;
}

void limits_restore(struct guard *guard, const struct guard_write *row)
{
    struct peer_id id;
    const struct peer_limit limit = {
        .messages_per_s = row->messages_per_s,
        .bytes_per_s = row->bytes_per_s,
    };
    if (peer_id_parse(row->subject, &id) != 0 || keep(guard, &id, &limit) != 0) {
        log_warn(GUARD_TOPIC, "a limit of '%s' was kept, which is no peer id", row->subject);
    }
}

void limits_on_peer_up(struct guard *guard, struct peer *peer)
{
    const struct kept_limit *kept = find(guard, peer_id_of(peer));
    if (kept != NULL) {
        peer_set_limit(peer, &kept->limit);
    }
}

void limits_fini(struct guard *guard)
{
    size_t cursor = 0;
    for (struct kept_limit *kept; (kept = map_next(&guard->limits, &cursor)) != NULL;) {
        free(kept);
    }
    map_fini(&guard->limits);
}

static json_t *describe(const struct peer_id *id, const struct peer_limit *limit)
{
    return json_pack("{s:s, s:I, s:I}", "peer", peer_id_format(id).text, "messages_per_second",
                     (json_int_t)limit->messages_per_s, "bytes_per_second",
                     (json_int_t)limit->bytes_per_s);
}

/* Clients know the limits of peers from what they are told of peers. */
static void change(struct guard *guard, struct peer *peer, const struct peer_limit *limit)
{
    peer_set_limit(peer, limit);
    host_emit(guard->host, EV_PEER_UPDATED, peer_json(peer, loop_now_ms(host_loop(guard->host))),
              NULL);
}

void limits_on_set(void *self, struct request *request)
{
    struct guard *guard = self;
    const json_t *params = request_params(request);
    struct peer_id id = peer_param(request);
    struct peer *peer = mesh_find(host_mesh(guard->host), &id);
    struct peer_limit limit = {
        .messages_per_s =
            (uint64_t)json_integer_value(json_object_get(params, "messages_per_second")),
        .bytes_per_s = (uint64_t)json_integer_value(json_object_get(params, "bytes_per_second")),
    };
    if (limit.bytes_per_s > 0 && limit.bytes_per_s < PEER_LIMIT_MIN_BYTES) {
        request_fail(request, E_INVALID_PARAMETER,
                     "bytes_per_second is %llu; it is 0 for no limit, or at least %d",
                     (unsigned long long)limit.bytes_per_s, PEER_LIMIT_MIN_BYTES);
        return;
    }
    if (find(guard, &id) == NULL && map_count(&guard->limits) >= guard->max_limits) {
        request_fail(request, E_LIMIT,
                     "%zu peers have limits of their own already: clear some, or raise "
                     "guard.max_limits",
                     map_count(&guard->limits));
        return;
    }
    if (keep(guard, &id, &limit) != 0) {
        request_fail(request, E_OUT_OF_MEMORY, "out of memory");
        return;
    }
    if (peer != NULL) {
        change(guard, peer, &limit);
    }
    struct guard_write write = {
        .kind = GUARD_LIMIT,
        .messages_per_s = limit.messages_per_s,
        .bytes_per_s = limit.bytes_per_s,
    };
    (void)snprintf(write.subject, sizeof(write.subject), "%s", peer_id_format(&id).text);
    guard_save(guard, &write, request, describe(&id, &limit));
}

void limits_on_clear(void *self, struct request *request)
{
    struct guard *guard = self;
    struct peer_id id = peer_param(request);
    struct peer *peer = mesh_find(host_mesh(guard->host), &id);
    struct kept_limit *kept = map_remove(&guard->limits, id_view(&id));
    bool cleared = kept != NULL;
    struct guard_write write = {.kind = GUARD_LIMIT, .remove = true};
    free(kept);
    if (peer != NULL && cleared) {
        change(guard, peer, NULL);
    }
    (void)snprintf(write.subject, sizeof(write.subject), "%s", peer_id_format(&id).text);
    guard_save(guard, &write, request,
               json_pack("{s:s, s:b}", "peer", write.subject, "cleared", (int)cleared));
}

void limits_on_list(void *self, struct request *request)
{
    struct guard *guard = self;
    struct peer_limit configured = mesh_limit(host_mesh(guard->host));
    json_t *rows = json_array();
    size_t cursor = 0;
    for (const struct kept_limit *kept; (kept = map_next(&guard->limits, &cursor)) != NULL;) {
        (void)json_array_append_new(rows, describe(&kept->peer, &kept->limit));
    }
    request_reply(request, json_pack("{s:o, s:I, s:I}", "limits", rows, "messages_per_second",
                                     (json_int_t)configured.messages_per_s, "bytes_per_second",
                                     (json_int_t)configured.bytes_per_s));
}
