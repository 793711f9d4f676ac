/* What can be asked about topics. */
#include <stdlib.h>

#include "service/topics_private.h"
#include "util/alloc.h"
#include "util/text.h"

#define SHOWN_NAME_SIZE  1024 /* of topics nobody here subscribes to: peers chose their names */
#define STATISTICS_ROWS  1000
#define ALL_DEFAULT_ROWS 1000

/* ---- names of this session's topics ---- */

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_names(const void *a, const void *b)
{
    const struct registration *const *left = a;
    const struct registration *const *right = b;
    return compare_bytes(registration_name(*left), registration_name(*right));
}

void topics_on_list(void *self, struct request *request)
{
    const struct topics *topics = self;
    uint64_t session = request_session(request);
    size_t expected = registry_count(&topics->registry, session);
    const struct registration **mine = xalloc((expected + 1) * sizeof(struct registration *));
    size_t count = 0;
    LIST_EACH(&topics->registry.all, node)
    {
        const struct registration *topic = CONTAINER_OF(node, struct registration, node);
        if (count < expected && registration_has(topic, session)) {
            mine[count++] = topic;
        }
    }
    qsort(mine, count, sizeof(struct registration *), compare_names);
    json_t *names = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(names, json_stringn(mine[i]->name, mine[i]->name_size));
    }
    free(mine);
    request_reply(request, json_pack("{s:o}", "topics", names));
}

/* ---- peers of a topic ---- */

static int compare_ids(const void *a, const void *b)
{
    return peer_id_compare(a, b);
}

json_t *topics_peers_json(const struct topics *topics, struct bytes name, enum gossip_who who)
{
    struct gossip_topic_facts facts = {0};
    (void)gossip_find_topic(topics->gossip, name, &facts);
    struct peer_id *ids = xalloc((facts.members + 1) * sizeof *ids);
    size_t count = gossip_topic_peers(topics->gossip, name, who, ids, facts.members);
    qsort(ids, count, sizeof *ids, compare_ids);
    json_t *peers = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(peers, json_string(peer_id_format(&ids[i]).text));
    }
    free(ids);
    return peers;
}

static void reply_peers(const struct topics *topics, struct request *request, enum gossip_who who)
{
    request_reply(request, json_pack("{s:o}", "peers",
                                     topics_peers_json(topics, topics_requested(request), who)));
}

void topics_on_peers(void *self, struct request *request)
{
    reply_peers(self, request, GOSSIP_SUBSCRIBERS);
}

void topics_on_mesh(void *self, struct request *request)
{
    reply_peers(self, request, GOSSIP_IN_MESH);
}

/* ---- all topics ---- */

struct row {
    struct gossip_topic_facts facts;
    size_t sessions;
};

/* Those of our sessions first, then those with most subscribers. */
static int compare_rows(const void *a, const void *b)
{
    const struct row *left = a;
    const struct row *right = b;
    if ((left->sessions > 0) != (right->sessions > 0)) {
        return left->sessions > 0 ? -1 : 1;
    }
    if (left->facts.subscribers != right->facts.subscribers) {
        return left->facts.subscribers > right->facts.subscribers ? -1 : 1;
    }
    return compare_bytes(left->facts.name, right->facts.name);
}

static json_t *name_json(const struct row *row)
{
    struct bytes name = row->facts.name;
    char shown[SHOWN_NAME_SIZE];
    bool plain = row->sessions > 0 || /* it came as text */
                 (name.size < sizeof(shown) && text_is_utf8(name) &&
                  memchr(name.data, '\0', name.size) == NULL);
    return plain ? json_stringn((const char *)name.data, name.size)
                 : json_string(text_escape(name, shown, sizeof(shown)));
}

static json_t *row_json(const struct row *row)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "topic", name_json(row), "sessions",
                     (json_int_t)row->sessions, "subscribers", (json_int_t)row->facts.subscribers,
                     "mesh", (json_int_t)row->facts.mesh, "fanout", (json_int_t)row->facts.fanout);
}

static json_t *rows_json(const struct topics *topics, size_t limit)
{
    size_t known = (size_t)gossip_counts(topics->gossip)->topics;
    struct row *rows = xalloc((known + 1) * sizeof *rows);
    size_t cursor = 0;
    size_t count = 0;
    while (count < known && gossip_next_topic(topics->gossip, &cursor, &rows[count].facts)) {
        const struct registration *topic = registry_find(&topics->registry, rows[count].facts.name);
        rows[count++].sessions = topic == NULL ? 0 : topic->count;
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    json_t *list = json_array();
    for (size_t i = 0; i < count && i < limit; i++) {
        (void)json_array_append_new(list, row_json(&rows[i]));
    }
    free(rows);
    return list;
}

void topics_on_all(void *self, struct request *request)
{
    const struct topics *topics = self;
    const json_t *limit = json_object_get(request_params(request), "limit");
    size_t rows = limit == NULL ? ALL_DEFAULT_ROWS : (size_t)json_integer_value(limit);
    request_reply(request, json_pack("{s:I, s:o}", "known",
                                     (json_int_t)gossip_counts(topics->gossip)->topics, "topics",
                                     rows_json(topics, rows)));
}

void topics_on_statistics(void *self, struct request *request)
{
    const struct topics *topics = self;
    const struct gossip_counts *counts = gossip_counts(topics->gossip);
    request_reply(
        request,
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "subscribed",
                  (json_int_t)counts->subscribed, "known", (json_int_t)counts->topics, "peers",
                  (json_int_t)counts->peers, "published", (json_int_t)counts->published, "received",
                  (json_int_t)counts->received, "delivered", (json_int_t)topics->values.delivered,
                  "forwarded", (json_int_t)counts->forwarded, "duplicates",
                  (json_int_t)counts->duplicates, "recovered", (json_int_t)counts->recovered,
                  "dropped", (json_int_t)counts->dropped, "cached_bytes",
                  (json_int_t)counts->cached_bytes, "topics", rows_json(topics, STATISTICS_ROWS)));
}
