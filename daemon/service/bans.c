#include <errno.h>
#include <stdio.h>

#include "core/log.h"
#include "service/guard_private.h"

/* Until when on the loop's clock, which the machine's clock cannot move. */
static int64_t end_of(const struct guard *guard, int64_t seconds)
{
    return seconds == 0 ? BAN_FOR_EVER : loop_now_ms(host_loop(guard->host)) + seconds * 1000;
}

void bans_restore(struct guard *guard, const struct guard_write *row)
{
    struct ban_subject subject;
    int64_t seconds = 0;
    if (ban_subject_parse(row->subject, &subject) != 0) {
        log_warn(GUARD_TOPIC, "a ban of '%s' was kept, which is neither peer nor address",
                 row->subject);
        return;
    }
    if (row->until_unix_s != 0) {
        /* Never longer than it was meant to be, should the machine's clock have gone back. */
        int64_t whole = row->until_unix_s - row->added_unix_s;
        seconds = row->until_unix_s - loop_unix_ms(host_loop(guard->host)) / 1000;
        seconds = seconds > whole ? whole : seconds;
        if (seconds <= 0) {
            return;
        }
    }
    (void)ban_list_add(mesh_bans(host_mesh(guard->host)), &subject, end_of(guard, seconds),
                       row->added_unix_s, row->reason);
}

/* True, or the request has failed. */
static bool parse_subject(struct request *request, struct ban_subject *ret_subject)
{
    const char *text = json_string_value(json_object_get(request_params(request), "subject"));
    if (ban_subject_parse(text, ret_subject) == 0) {
        return true;
    }
    request_fail(request, E_INVALID_PARAMETER,
                 "subject is neither a peer id of 64 hexadecimal digits nor an address, as in "
                 "192.0.2.1, 192.0.2.0/24 or 2001:db8::/48");
    return false;
}

/* True, or the request has failed. */
static bool has_room(struct guard *guard, const struct ban_subject *subject,
                     struct request *request)
{
    struct ban_list *bans = mesh_bans(host_mesh(guard->host));
    (void)ban_list_expire(bans, loop_now_ms(host_loop(guard->host)));
    if (ban_list_find(bans, subject) != NULL || ban_list_count(bans) < guard->max_bans) {
        return true;
    }
    request_fail(request, E_LIMIT,
                 "there are %zu bans already: remove some, ban a network instead of its "
                 "addresses, or raise guard.max_bans",
                 ban_list_count(bans));
    return false;
}

void bans_on_add(void *self, struct request *request)
{
    struct guard *guard = self;
    struct mesh *mesh = host_mesh(guard->host);
    const json_t *params = request_params(request);
    const char *reason = json_string_value(json_object_get(params, "reason"));
    int64_t seconds = json_integer_value(json_object_get(params, "seconds"));
    int64_t now_unix_s = loop_unix_ms(host_loop(guard->host)) / 1000;
    struct ban_subject subject;
    struct guard_write write = {.kind = GUARD_BAN, .added_unix_s = now_unix_s};
    if (!parse_subject(request, &subject) || !has_room(guard, &subject, request)) {
        return;
    }
    if (subject.ip_size == 0 && peer_id_equal(&subject.peer, &mesh_identity(mesh)->id)) {
        request_fail(request, E_INVALID_PARAMETER, "that is the id of this instance itself");
        return;
    }
    if (ban_list_add(mesh_bans(mesh), &subject, end_of(guard, seconds), now_unix_s,
                     reason == NULL ? "" : reason) != 0) {
        request_fail(request, E_OUT_OF_MEMORY, "out of memory");
        return;
    }
    (void)snprintf(write.subject, sizeof(write.subject), "%s", ban_subject_format(&subject).text);
    (void)snprintf(write.reason, sizeof(write.reason), "%s",
                   ban_list_find(mesh_bans(mesh), &subject)->reason);
    write.until_unix_s = seconds == 0 ? 0 : now_unix_s + seconds;
    log_info(GUARD_TOPIC, "banned %s", write.subject);
    size_t disconnected = mesh_enforce_bans(mesh);
    guard_save(guard, &write, request,
               json_pack("{s:s, s:I}", "subject", write.subject, "disconnected",
                         (json_int_t)disconnected));
}

void bans_on_remove(void *self, struct request *request)
{
    struct guard *guard = self;
    struct ban_subject subject;
    struct guard_write write = {.kind = GUARD_BAN, .remove = true};
    if (!parse_subject(request, &subject)) {
        return;
    }
    bool removed = ban_list_remove(mesh_bans(host_mesh(guard->host)), &subject,
                                   loop_now_ms(host_loop(guard->host)));
    (void)snprintf(write.subject, sizeof(write.subject), "%s", ban_subject_format(&subject).text);
    if (removed) {
        log_info(GUARD_TOPIC, "lifted the ban of %s", write.subject);
    }
    guard_save(guard, &write, request,
               json_pack("{s:s, s:b}", "subject", write.subject, "removed", (int)removed));
}

static json_t *describe(const struct ban *ban, int64_t now_ms)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:I}", "subject", ban_subject_format(&ban->subject).text, "kind",
                  ban->subject.ip_size == 0 ? "peer" : "address", "reason", ban->reason,
                  "added_unix_s", (json_int_t)ban->added_unix_s);
    if (ban->until_ms != BAN_FOR_EVER) {
        (void)json_object_set_new(row, "left_seconds",
                                  json_integer((ban->until_ms - now_ms + 999) / 1000));
    }
    return row;
}

void bans_on_list(void *self, struct request *request)
{
    struct guard *guard = self;
    struct ban_list *bans = mesh_bans(host_mesh(guard->host));
    int64_t now_ms = loop_now_ms(host_loop(guard->host));
    json_t *rows = json_array();
    (void)ban_list_expire(bans, now_ms);
    LIST_EACH(&bans->order, node)
    {
        (void)json_array_append_new(rows, describe(CONTAINER_OF(node, struct ban, node), now_ms));
    }
    request_reply(request, json_pack("{s:o}", "bans", rows));
}
