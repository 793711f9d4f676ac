/* ratsctl topics, subs, pub and sub: what is published to whoever subscribes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/commands.h"
#include "ratsctl/payload.h"
#include "ratsctl/receive.h"
#include "util/text.h"

#define MOST_TOPICS 10000

/* The columns of --format=tab are frozen: new ones are added behind them, if ever. */
static const char *const topic_headings[] = {"TOPIC", "SESSIONS", "SUBSCRIBERS",
                                             "MESH",  "FANOUT",   NULL};
static const char *const peer_headings[] = {"PEER", "MESH", NULL};

static void add_topic(struct table *table, const json_t *row)
{
    static const char *const numbers[] = {"sessions", "subscribers", "mesh", "fanout"};
    table_add(table, member_text(row, "topic"));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        table_add_format(table, "%lld", (long long)member_number(row, numbers[i]));
    }
}

/* Takes the rows. */
static void print_topics(const struct ctl *ctl, json_t *rows)
{
    if (ctl->output.json != JSON_NONE) {
        output_list(&ctl->output, "topics", rows);
        return;
    }
    struct table table;
    size_t index = 0;
    json_t *row = NULL;
    table_init(&table, topic_headings);
    json_array_foreach(rows, index, row)
    {
        add_topic(&table, row);
    }
    output_table(&ctl->output, &table);
    table_fini(&table);
    json_decref(rows);
}

/* The topics that some session subscribes to, or all of them. */
static enum exit_code list_topics(struct ctl *ctl, bool all)
{
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_TOPIC_ALL, json_pack("{s:i}", "limit", MOST_TOPICS), &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *shown = json_array();
    size_t index = 0;
    json_t *row = NULL;
    json_array_foreach(json_object_get(result, "topics"), index, row)
    {
        if (all || member_number(row, "sessions") > 0) {
            (void)json_array_append(shown, row);
        }
    }
    print_topics(ctl, shown);
    json_decref(result);
    return EXIT_DONE;
}

enum exit_code run_topics(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    return list_topics(ctl, true);
}

static bool contains(const json_t *texts, const char *text)
{
    size_t index = 0;
    json_t *item = NULL;
    json_array_foreach(texts, index, item)
    {
        if (strcmp(json_string_value(item), text) == 0) {
            return true;
        }
    }
    return false;
}

/* The array "peers" of the answer to a method about one topic: a new reference. */
static enum exit_code ask_peers(struct ctl *ctl, enum method_id method, const char *topic,
                                json_t **ret_peers)
{
    json_t *result = NULL;
    const enum exit_code code =
        session_call(ctl, method, json_pack("{s:s}", "topic", topic), &result);
    if (code == EXIT_DONE) {
        *ret_peers = json_incref(json_object_get(result, "peers"));
        json_decref(result);
    }
    return code;
}

static void print_peers(const struct ctl *ctl, const json_t *peers, const json_t *mesh)
{
    json_t *rows = json_array();
    struct table table;
    size_t index = 0;
    json_t *peer = NULL;
    table_init(&table, peer_headings);
    json_array_foreach(peers, index, peer)
    {
        const bool in_mesh = contains(mesh, json_string_value(peer));
        (void)json_array_append_new(rows, json_pack("{s:O, s:b}", "peer", peer, "mesh", in_mesh));
        table_add(&table, json_string_value(peer));
        table_add(&table, in_mesh ? "yes" : "no");
    }
    if (ctl->output.json != JSON_NONE) {
        output_list(&ctl->output, "peers", rows);
    } else {
        output_table(&ctl->output, &table);
        json_decref(rows);
    }
    table_fini(&table);
}

enum exit_code run_subs(struct ctl *ctl, char **arguments, int count)
{
    if (count == 0) {
        return list_topics(ctl, false);
    }
    json_t *peers = NULL;
    json_t *mesh = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = ask_peers(ctl, M_TOPIC_PEERS, arguments[0], &peers);
    }
    if (code == EXIT_DONE) {
        code = ask_peers(ctl, M_TOPIC_MESH, arguments[0], &mesh);
    }
    if (code == EXIT_DONE) {
        print_peers(ctl, peers, mesh);
    }
    json_decref(peers);
    json_decref(mesh);
    return code;
}

static void print_published(const struct ctl *ctl, const char *topic, size_t size, size_t peers)
{
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output,
                      json_pack("{s:o, s:I, s:I}", "topic", text_value(topic, strlen(topic)),
                                "bytes", (json_int_t)size, "subscribers", (json_int_t)peers));
        return;
    }
    char *shown = escape_new(topic, strlen(topic));
    (void)printf("published %zu bytes on %s; %zu %s\n", size, shown, peers,
                 peers == 1 ? "peer subscribes" : "peers subscribe");
    free(shown);
}

enum exit_code run_pub(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    const char *topic = arguments[0];
    char *data = NULL;
    size_t size = 0;
    json_t *peers = NULL;
    enum exit_code code = payload_get(ctl->options, arguments[1], &data, &size);
    if (code == EXIT_DONE) {
        code = session_open(ctl, false);
    }
    if (code == EXIT_DONE && rats_start(ctl->client) != RATS_SUCCESS) {
        code = session_report(ctl, "start of the session");
    }
    if (code == EXIT_DONE &&
        rats_publish_binary_to_topic(ctl->client, topic, data, size, 0) != RATS_SUCCESS) {
        code = session_report(ctl, "pub");
    }
    if (code == EXIT_DONE) {
        code = ask_peers(ctl, M_TOPIC_PEERS, topic, &peers);
    }
    if (code == EXIT_DONE) {
        print_published(ctl, topic, size, json_array_size(peers));
    }
    json_decref(peers);
    free(data);
    return code;
}

enum exit_code run_sub(struct ctl *ctl, char **arguments, int count)
{
    session_set_timeout(ctl, true);
    enum exit_code code = session_open(ctl, true);
    for (int i = 0; code == EXIT_DONE && i < count; i++) {
        if (!rats_is_subscribed_to_topic(ctl->client, arguments[i]) &&
            rats_subscribe_to_topic(ctl->client, arguments[i]) != RATS_SUCCESS) {
            code = session_report(ctl, arguments[i]);
        }
    }
    return code == EXIT_DONE ? receive_run(ctl, "sub") : code;
}
