/* ratsctl known and reconnect: whom the instance knows, and whom it comes back to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ratsctl/commands.h"

#define STATE_SIZE 64

/* ---- known ---- */

/* The columns of --format=tab are frozen: new ones are added behind them, if ever. */
static void add_known(struct table *table, const json_t *row, bool tab)
{
    char age[AGE_SIZE];
    const char *id = member_text(row, "peer");
    const json_int_t last = member_number(row, "last_connected_unix_s");
    const json_int_t now = (json_int_t)time(NULL);
    if (tab) {
        table_add(table, id);
    } else {
        table_add_format(table, "%.*s", PEER_SHORT, id);
    }
    table_add(table, member_text(row, "address"));
    table_add(table, member_true(row, "connected") ? "yes" : "no");
    if (tab) {
        table_add_format(table, "%lld", (long long)last);
    } else if (last == 0) {
        table_add(table, "never");
    } else {
        table_add_format(table, "%s ago", age_format(now > last ? (uint64_t)(now - last) : 0, age));
    }
    table_add_format(table, "%lld", (long long)member_number(row, "connect_count"));
    table_add_format(table, "%lld", (long long)member_number(row, "fail_streak"));
}

static enum exit_code known_list(struct ctl *ctl)
{
    static const char *const headings[] = {"PEER",     "ADDRESS",  "CONNECTED", "LAST REACHED",
                                           "CONNECTS", "FAILURES", NULL};
    json_t *result = NULL;
    enum exit_code code = session_call(ctl, M_KNOWN_LIST, NULL, &result);
    if (code == EXIT_DONE) {
        output_rows(&ctl->output, "peers", headings, json_object_get(result, "peers"), add_known);
        json_decref(result);
    }
    return code;
}

/* A call whose answer is one number. */
static enum exit_code known_count(struct ctl *ctl, enum method_id method, const char *member,
                                  const char *sentence)
{
    json_t *result = NULL;
    enum exit_code code = session_call(ctl, method, NULL, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    (void)printf("%s: %lld\n", sentence, (long long)member_number(result, member));
    json_decref(result);
    return EXIT_DONE;
}

static enum exit_code known_save(struct ctl *ctl)
{
    json_t *result = NULL;
    enum exit_code code = session_call(ctl, M_KNOWN_SAVE, NULL, &result);
    if (code == EXIT_DONE && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_incref(result));
    }
    json_decref(result);
    return code;
}

enum exit_code run_known(struct ctl *ctl, char **arguments, int count)
{
    const char *verb = count == 0 ? "list" : arguments[0];
    static const char *const verbs[] = {"list", "clear", "connect", "save"};
    size_t chosen = 0;
    while (chosen < 4 && strcmp(verb, verbs[chosen]) != 0) {
        chosen++;
    }
    if (chosen == 4) {
        return report(EXIT_USAGE, "known takes list, clear, connect or save, not '%s'", verb);
    }
    enum exit_code code = session_open(ctl, false);
    if (code != EXIT_DONE) {
        return code;
    }
    switch (chosen) {
    case 1:
        return known_count(ctl, M_KNOWN_CLEAR, "removed", "addresses removed");
    case 2:
        return known_count(ctl, M_KNOWN_CONNECT, "dials", "addresses dialed");
    case 3:
        return known_save(ctl);
    default:
        return known_list(ctl);
    }
}

/* ---- reconnect ---- */

static void add_target(struct table *table, const json_t *row, bool tab)
{
    char age[AGE_SIZE];
    const json_int_t next = member_number(row, "next_attempt_seconds");
    const char *id = member_text(row, "peer");
    table_add(table, member_text(row, "address"));
    table_add(table, member_text(row, "origin"));
    table_add(table, member_text(row, "state"));
    if (tab) {
        table_add(table, id);
        table_add_format(table, "%lld", (long long)member_number(row, "attempts"));
        table_add_format(table, "%lld", (long long)next);
    } else {
        table_add_format(table, "%.*s", PEER_SHORT, id);
        table_add_format(table, "%lld", (long long)member_number(row, "attempts"));
        table_add(table, next == 0 ? "" : age_format((uint64_t)next, age));
    }
    table_add(table, member_text(row, "error"));
}

static enum exit_code reconnect_list(struct ctl *ctl)
{
    static const char *const headings[] = {"ADDRESS",  "ORIGIN", "STATE", "PEER",
                                           "FAILURES", "NEXT",   "ERROR", NULL};
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_RECONNECT_LIST, NULL, &result);
    }
    if (code == EXIT_DONE) {
        output_rows(&ctl->output, "targets", headings, json_object_get(result, "targets"),
                    add_target);
        json_decref(result);
    }
    return code;
}

static enum exit_code make_params(const struct ctl *ctl, const char *address, bool adding,
                                  json_t **ret_params)
{
    if (ctl->options->peer != NULL && !adding) {
        return report(EXIT_USAGE, "--peer is for reconnect add");
    }
    return session_address_params("reconnect", address, ctl->options->peer, ret_params);
}

static enum exit_code reconnect_change(struct ctl *ctl, const char *address, bool adding)
{
    json_t *params = NULL;
    json_t *result = NULL;
    enum exit_code code = make_params(ctl, address, adding, &params);
    if (code != EXIT_DONE) {
        return code;
    }
    code = session_open(ctl, false);
    if (code != EXIT_DONE) {
        json_decref(params);
        return code;
    }
    code = session_call(ctl, adding ? M_RECONNECT_ADD : M_RECONNECT_REMOVE, params, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        (void)json_object_set_new(result, "address", json_string(address));
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    char line[ADDRESS_HOST_SIZE + STATE_SIZE];
    const bool already = member_true(result, "already");
    (void)snprintf(line, sizeof line, "%s %s",
                   !adding   ? "no longer staying connected to"
                   : already ? "already staying connected to"
                             : "staying connected to",
                   address);
    output_text(line);
    json_decref(result);
    return EXIT_DONE;
}

enum exit_code run_reconnect(struct ctl *ctl, char **arguments, int count)
{
    const char *verb = count == 0 ? "list" : arguments[0];
    if (strcmp(verb, "list") == 0 && count <= 1) {
        return reconnect_list(ctl);
    }
    if (count == 2 && (strcmp(verb, "add") == 0 || strcmp(verb, "remove") == 0)) {
        return reconnect_change(ctl, arguments[1], strcmp(verb, "add") == 0);
    }
    return report(EXIT_USAGE, "reconnect takes list, or add or remove and an address; see ratsctl "
                              "reconnect --help");
}
