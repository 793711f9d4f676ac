/* ratsctl peers, peer, connect and disconnect: who is on the other end of the links. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/commands.h"

#define ADDRESS_SIZE   300
#define CONNECT_MS     15000
#define CALL_MARGIN_MS 2000
#define MAX_CONNECT_MS 600000

/* "1.2.3.4:80", "[::1]:80"; "" when the address is not known. Returns ret_text. */
static char *format_address(const json_t *peer, char ret_text[ADDRESS_SIZE])
{
    const char *ip = member_text(peer, "ip");
    const bool brackets = strchr(ip, ':') != NULL;
    ret_text[0] = '\0';
    if (*ip != '\0') {
        (void)snprintf(ret_text, ADDRESS_SIZE, brackets ? "[%s]:%lld" : "%s:%lld", ip,
                       (long long)member_number(peer, "port"));
    }
    return ret_text;
}

static uint64_t connected_seconds(const json_t *peer)
{
    return (uint64_t)member_number(peer, "connected_ms_ago") / 1000;
}

/* Milliseconds; nothing when they are not known. */
static void add_rtt(struct table *table, const json_t *peer, bool tab)
{
    const json_t *rtt_ms = json_object_get(peer, "rtt_ms");
    if (json_is_number(rtt_ms)) {
        table_add_format(table, tab ? "%.3f" : "%.1f ms", json_number_value(rtt_ms));
    } else {
        table_add(table, tab ? "" : "unknown");
    }
}

static void add_limit(struct table *table, const json_t *peer)
{
    const long long messages = (long long)member_number(peer, "messages_per_second");
    const long long bytes = (long long)member_number(peer, "bytes_per_second");
    table_add(table, "limits");
    if (messages == 0 && bytes == 0) {
        table_add(table, "none");
    } else {
        table_add_format(table,
                         "%lld messages/s, %lld bytes/s (0 is any number), slowed %lld times",
                         messages, bytes, (long long)member_number(peer, "throttled"));
    }
}

/* The columns of --format=tab are frozen: new ones are added behind them, if ever. */
static void add_peer(struct table *table, const json_t *peer, bool tab)
{
    char address[ADDRESS_SIZE];
    char age[AGE_SIZE];
    const char *id = member_text(peer, "peer");
    if (tab) {
        table_add(table, id);
    } else {
        table_add_format(table, "%.*s", PEER_SHORT, id);
    }
    table_add(table, format_address(peer, address));
    table_add(table, member_true(peer, "outgoing") ? "out" : "in");
    table_add(table, member_text(peer, "transport"));
    table_add(table, member_true(peer, "encrypted") ? "yes" : "no");
    if (tab) {
        table_add_format(table, "%llu", (unsigned long long)connected_seconds(peer));
    } else {
        table_add(table, age_format(connected_seconds(peer), age));
    }
    add_rtt(table, peer, tab);
}

enum exit_code run_peers(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    static const char *const headings[] = {"PEER",      "ADDRESS",   "DIR", "TRANSPORT",
                                           "ENCRYPTED", "CONNECTED", "RTT", NULL};
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_PEER_LIST, NULL, &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    output_rows(&ctl->output, "peers", headings, json_object_get(result, "peers"), add_peer);
    json_decref(result);
    return EXIT_DONE;
}

static void add_words(struct table *table, const char *name, const json_t *peer, const char *member)
{
    char *words = member_words(peer, member);
    table_add(table, name);
    table_add(table, *words == '\0' ? "none told" : words);
    free(words);
}

static void print_peer(const struct ctl *ctl, const json_t *peer)
{
    struct table table;
    char address[ADDRESS_SIZE];
    char age[AGE_SIZE];
    const char *key = member_text(peer, "public_key");
    table_init_plain(&table, 2);
    table_add(&table, "peer id");
    table_add(&table, member_text(peer, "peer"));
    table_add(&table, "public key");
    table_add(&table, *key == '\0' ? "none (plaintext mode)" : key);
    table_add(&table, "address");
    table_add(&table, format_address(peer, address));
    table_add(&table, "link");
    table_add_format(&table, "%s, %s, %s", member_text(peer, "transport"),
                     member_true(peer, "outgoing") ? "outgoing" : "incoming",
                     member_true(peer, "encrypted") ? "encrypted" : "not encrypted");
    table_add(&table, "connected");
    table_add(&table, age_format(connected_seconds(peer), age));
    table_add(&table, "round trip");
    add_rtt(&table, peer, false);
    add_limit(&table, peer);
    add_words(&table, "transports", peer, "transports");
    add_words(&table, "addresses", peer, "addresses");
    output_table(&ctl->output, &table);
    table_fini(&table);
}

enum exit_code run_peer(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    char id[PEER_DIGITS + 1];
    json_t *peer = NULL;
    const enum exit_code code = session_call_peer(ctl, M_PEER_GET, arguments[0], id, &peer);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, peer);
        return EXIT_DONE;
    }
    print_peer(ctl, peer);
    json_decref(peer);
    return EXIT_DONE;
}

enum exit_code run_connect(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    int timeout_ms = ctl->options->timeout_ms >= 0 ? ctl->options->timeout_ms : CONNECT_MS;
    json_t *params = NULL;
    json_t *result = NULL;
    timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > MAX_CONNECT_MS ? MAX_CONNECT_MS : timeout_ms;
    enum exit_code code =
        session_address_params("connect", arguments[0], ctl->options->peer, &params);
    if (code != EXIT_DONE) {
        return code;
    }
    (void)json_object_set_new(params, "timeout_ms", json_integer(timeout_ms));
    code = session_open(ctl, false);
    if (code != EXIT_DONE) {
        json_decref(params);
        return code;
    }
    code = session_call_named(ctl, proto_methods[M_PEER_CONNECT].name, params,
                              timeout_ms + CALL_MARGIN_MS, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    char line[128];
    (void)snprintf(line, sizeof line, "%s to %s",
                   member_true(result, "already") ? "already connected" : "connected",
                   member_text(result, "peer"));
    output_text(line);
    json_decref(result);
    return EXIT_DONE;
}

enum exit_code run_disconnect(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    char id[PEER_DIGITS + 1];
    json_t *result = NULL;
    const enum exit_code code =
        session_call_peer(ctl, M_PEER_DISCONNECT, arguments[0], id, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!member_true(result, "disconnected")) {
        json_decref(result);
        return report(EXIT_NOT_FOUND, "%.*s is not connected; %s", PEER_SHORT, id,
                      remedy_of_error(E_PEER_NOT_FOUND));
    }
    (void)json_object_set_new(result, "peer", json_string(id));
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    (void)printf("disconnected from %s\n", id);
    json_decref(result);
    return EXIT_DONE;
}
