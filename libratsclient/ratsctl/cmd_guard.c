/* ratsctl ban, unban, bans and limit: whom the instance keeps out, and whom it slows down. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/commands.h"

#define NUMBER_SIZE 32

/* An address has a point or a colon in it; anything else should be an id. */
static bool is_address(const char *text)
{
    return strpbrk(text, ".:/") != NULL;
}

/* Whom it is about, as the daemon knows it. The first digits of an id stand for a connected peer's.
 */
static enum exit_code find_subject(struct ctl *ctl, const char *text, json_t **ret_subject)
{
    char id[PEER_DIGITS + 1];
    if (is_address(text)) {
        *ret_subject = text_value(text, strlen(text));
        return EXIT_DONE;
    }
    enum exit_code code = session_find_peer(ctl, text, id);
    if (code == EXIT_DONE) {
        *ret_subject = json_string(id);
    }
    return code;
}

enum exit_code run_ban(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    const struct options *options = ctl->options;
    const char *reason = options->reason == NULL ? "" : options->reason;
    json_t *subject = NULL;
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = find_subject(ctl, arguments[0], &subject);
    }
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_BAN_ADD,
                            json_pack("{s:o, s:I, s:o}", "subject", subject, "seconds",
                                      (json_int_t)options->for_seconds, "reason",
                                      text_value(reason, strlen(reason))),
                            &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    const json_int_t disconnected = member_number(result, "disconnected");
    (void)printf("banned %s", member_text(result, "subject"));
    if (disconnected > 0) {
        (void)printf(", disconnected %lld peer%s", (long long)disconnected,
                     disconnected == 1 ? "" : "s");
    }
    (void)putchar('\n');
    json_decref(result);
    return EXIT_DONE;
}

/* The first digits of an id stand for a banned peer's: it is not connected. */
static enum exit_code find_banned(struct ctl *ctl, const char *text, char ret_id[PEER_DIGITS + 1])
{
    char prefix[PEER_DIGITS + 1];
    json_t *result = NULL;
    json_t *ban = NULL;
    size_t index = 0;
    size_t matches = 0;
    if (peer_prefix_parse(text, prefix) != 0) {
        return report(EXIT_USAGE, "'%s' is neither a peer id nor an address", text);
    }
    enum exit_code code = session_call(ctl, M_BAN_LIST, NULL, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    json_array_foreach(json_object_get(result, "bans"), index, ban)
    {
        const char *subject = member_text(ban, "subject");
        if (strcmp(member_text(ban, "kind"), "peer") == 0 &&
            strncmp(subject, prefix, strlen(prefix)) == 0) {
            matches++;
            (void)snprintf(ret_id, PEER_DIGITS + 1, "%s", subject);
        }
    }
    json_decref(result);
    if (matches == 0) {
        return report(EXIT_NOT_FOUND, "no banned peer's id begins with %s; see ratsctl bans",
                      prefix);
    }
    return matches == 1
               ? EXIT_DONE
               : report(EXIT_USAGE, "%zu banned peers' ids begin with %s; give more digits",
                        matches, prefix);
}

enum exit_code run_unban(struct ctl *ctl, char **arguments, int count)
{
    (void)count;
    char id[PEER_DIGITS + 1];
    const char *subject = arguments[0];
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE && !is_address(subject)) {
        code = find_banned(ctl, subject, id);
        subject = id;
    }
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_BAN_REMOVE,
                            json_pack("{s:o}", "subject", text_value(subject, strlen(subject))),
                            &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (!member_true(result, "removed")) {
        code = report(EXIT_NOT_FOUND, "%s is not banned; see ratsctl bans",
                      member_text(result, "subject"));
    } else if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_incref(result));
    } else {
        (void)printf("lifted the ban of %s\n", member_text(result, "subject"));
    }
    json_decref(result);
    return code;
}

/* The columns of --format=tab are frozen: new ones are added behind them, if ever. */
static void add_ban(struct table *table, const json_t *ban, bool tab)
{
    char age[AGE_SIZE];
    const json_t *left = json_object_get(ban, "left_seconds");
    table_add(table, member_text(ban, "subject"));
    if (left == NULL) {
        table_add(table, tab ? "" : "for ever");
    } else if (tab) {
        table_add_format(table, "%lld", (long long)json_integer_value(left));
    } else {
        table_add(table, age_format((uint64_t)json_integer_value(left), age));
    }
    if (tab) {
        table_add_format(table, "%lld", (long long)member_number(ban, "added_unix_s"));
    }
    table_add(table, member_text(ban, "reason"));
}

enum exit_code run_bans(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    static const char *const headings[] = {"BANNED", "LEFT", "REASON", NULL};
    static const char *const tab_headings[] = {"BANNED", "LEFT", "ADDED", "REASON", NULL};
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_BAN_LIST, NULL, &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *bans = json_object_get(result, "bans");
    if (ctl->output.json != JSON_NONE) {
        output_list(&ctl->output, "bans", json_incref(bans));
    } else {
        struct table table;
        size_t index = 0;
        json_t *ban = NULL;
        table_init(&table, ctl->output.tab ? tab_headings : headings);
        json_array_foreach(bans, index, ban)
        {
            add_ban(&table, ban, ctl->output.tab);
        }
        output_table(&ctl->output, &table);
        table_fini(&table);
    }
    json_decref(result);
    return EXIT_DONE;
}

/* ---- limits ---- */

static void add_number(struct table *table, const json_t *row, const char *member)
{
    if (member_number(row, member) == 0) {
        table_add(table, "any");
    } else {
        table_add_format(table, "%lld", (long long)member_number(row, member));
    }
}

static void add_limit(struct table *table, const char *who, const json_t *row)
{
    table_add(table, who);
    add_number(table, row, "messages_per_second");
    add_number(table, row, "bytes_per_second");
}

static enum exit_code list_limits(struct ctl *ctl)
{
    static const char *const headings[] = {"PEER", "MESSAGES/S", "BYTES/S", NULL};
    json_t *result = NULL;
    enum exit_code code = session_call(ctl, M_LIMIT_LIST, NULL, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    struct table table;
    size_t index = 0;
    json_t *limit = NULL;
    table_init(&table, headings);
    add_limit(&table, "all others", result);
    json_array_foreach(json_object_get(result, "limits"), index, limit)
    {
        add_limit(&table, member_text(limit, "peer"), limit);
    }
    output_table(&ctl->output, &table);
    table_fini(&table);
    json_decref(result);
    return EXIT_DONE;
}

static enum exit_code clear_limit(struct ctl *ctl, const char *id)
{
    json_t *result = NULL;
    enum exit_code code = session_call(ctl, M_LIMIT_CLEAR, json_pack("{s:s}", "peer", id), &result);
    if (code != EXIT_DONE) {
        return code;
    }
    if (!member_true(result, "cleared")) {
        code = report(EXIT_NOT_FOUND, "%.*s has no limits of its own; see ratsctl limit",
                      PEER_SHORT, id);
    } else if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_incref(result));
    } else {
        (void)printf("%s has the limits of all again\n", id);
    }
    json_decref(result);
    return code;
}

/* Takes the limits. */
static void print_limit(const struct ctl *ctl, const char *id, json_t *limit)
{
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, limit);
        return;
    }
    struct table table;
    table_init_plain(&table, 3);
    add_limit(&table, id, limit);
    output_table(&ctl->output, &table);
    table_fini(&table);
    json_decref(limit);
}

static enum exit_code set_limit(struct ctl *ctl, const char *id)
{
    json_t *result = NULL;
    enum exit_code code =
        session_call(ctl, M_LIMIT_SET,
                     json_pack("{s:s, s:I, s:I}", "peer", id, "messages_per_second",
                               (json_int_t)ctl->options->messages, "bytes_per_second",
                               (json_int_t)ctl->options->bytes),
                     &result);
    if (code == EXIT_DONE) {
        print_limit(ctl, id, result);
    }
    return code;
}

/* What holds for the peer: limits of its own, or those of all. */
static enum exit_code show_limit(struct ctl *ctl, const char *id)
{
    json_t *result = NULL;
    const enum exit_code code = session_call(ctl, M_LIMIT_LIST, NULL, &result);
    if (code != EXIT_DONE) {
        return code;
    }
    const json_t *held = result;
    size_t index = 0;
    json_t *limit = NULL;
    json_array_foreach(json_object_get(result, "limits"), index, limit)
    {
        held = strcmp(member_text(limit, "peer"), id) == 0 ? limit : held;
    }
    print_limit(ctl, id,
                json_pack("{s:s, s:b, s:I, s:I}", "peer", id, "own", (int)(held != result),
                          "messages_per_second",
                          (json_int_t)member_number(held, "messages_per_second"),
                          "bytes_per_second", (json_int_t)member_number(held, "bytes_per_second")));
    json_decref(result);
    return EXIT_DONE;
}

enum exit_code run_limit(struct ctl *ctl, char **arguments, int count)
{
    const struct options *options = ctl->options;
    const bool sets = options_have(options, OPT_MESSAGES) || options_have(options, OPT_BYTES);
    const bool clears = options_have(options, OPT_CLEAR);
    char id[PEER_DIGITS + 1];
    if (sets && clears) {
        return report(EXIT_USAGE, "--clear and limits exclude each other");
    }
    if (count == 0 && (sets || clears)) {
        return report(EXIT_USAGE, "say whose limits: ratsctl limit ID --messages=N --bytes=N");
    }
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE && count > 0) {
        code = session_find_peer(ctl, arguments[0], id);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (count == 0) {
        return list_limits(ctl);
    }
    return clears ? clear_limit(ctl, id) : sets ? set_limit(ctl, id) : show_limit(ctl, id);
}
