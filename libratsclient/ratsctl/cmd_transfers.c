/* ratsctl transfers and transfer: those of all programs, and what becomes of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ratsctl/commands.h"
#include "ratsctl/transfer.h"

#define ID_SHORT 8 /* digits shown to people */

static const char *const headings[] = {"TRANSFER", "PEER", "DIRECTION", "STATE", "DONE",
                                       "FILES",    "RATE", "AGE",       "NAME",  NULL};
/* The columns of --format=tab are frozen: new ones are added behind them, if ever. */
static const char *const program_headings[] = {
    "TRANSFER",   "PEER",        "DIRECTION",  "KIND",        "STATE", "WAITING",
    "DONE_BYTES", "TOTAL_BYTES", "DONE_FILES", "TOTAL_FILES", "RATE",  "AGE",
    "SESSION",    "ERROR",       "NAME",       NULL};

static void add_for_programs(struct table *table, const json_t *transfer)
{
    static const char *const numbers[] = {"done_bytes",  "total_bytes", "done_files",
                                          "total_files", "rate",        "age_seconds"};
    static const char *const texts[] = {"transfer", "peer", "direction", "kind", "state"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        table_add(table, member_text(transfer, texts[i]));
    }
    table_add(table, member_true(transfer, "waiting") ? "yes" : "no");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        table_add_format(table, "%lld", (long long)member_number(transfer, numbers[i]));
    }
    if (json_object_get(transfer, "session") == NULL) {
        table_add(table, "");
    } else {
        table_add_format(table, "%lld", (long long)member_number(transfer, "session"));
    }
    table_add(table, member_text(transfer, "error"));
    table_add(table, member_text(transfer, "name"));
}

static void add_bytes(struct table *table, const json_t *transfer)
{
    char done[SIZE_SIZE];
    char total[SIZE_SIZE];
    table_add_format(table, "%s of %s",
                     size_format((uint64_t)member_number(transfer, "done_bytes"), done),
                     size_format((uint64_t)member_number(transfer, "total_bytes"), total));
}

static void add_files(struct table *table, const json_t *transfer)
{
    table_add_format(table, "%lld of %lld", (long long)member_number(transfer, "done_files"),
                     (long long)member_number(transfer, "total_files"));
}

static void add_age(struct table *table, const json_t *transfer)
{
    char age[AGE_SIZE];
    table_add(table, age_format((uint64_t)member_number(transfer, "age_seconds"), age));
}

static void add_rate(struct table *table, const json_t *transfer)
{
    char rate[SIZE_SIZE];
    table_add_format(table, "%s/s", size_format((uint64_t)member_number(transfer, "rate"), rate));
}

static const char *state_of(const json_t *transfer)
{
    return member_true(transfer, "waiting") ? "waiting" : member_text(transfer, "state");
}

static void add_transfer(struct table *table, const json_t *transfer, bool tab)
{
    if (tab) {
        add_for_programs(table, transfer);
        return;
    }
    table_add_format(table, "%.*s", ID_SHORT, member_text(transfer, "transfer"));
    table_add_format(table, "%.*s", PEER_SHORT, member_text(transfer, "peer"));
    table_add(table, member_text(transfer, "direction"));
    table_add(table, state_of(transfer));
    add_bytes(table, transfer);
    add_files(table, transfer);
    add_rate(table, transfer);
    add_age(table, transfer);
    table_add(table, member_text(transfer, "name"));
}

static json_t *without_ended(const json_t *transfers)
{
    json_t *left = json_array();
    size_t index = 0;
    json_t *transfer = NULL;
    json_array_foreach(transfers, index, transfer)
    {
        if (!transfer_has_ended(transfer)) {
            (void)json_array_append(left, transfer);
        }
    }
    return left;
}

/* Everybody's: this session has none. A new reference to the array. */
static enum exit_code list(struct ctl *ctl, json_t **ret_transfers)
{
    json_t *result = NULL;
    const enum exit_code code =
        session_call(ctl, M_TRANSFER_LIST, json_pack("{s:s}", "whose", "all"), &result);
    if (code == EXIT_DONE) {
        *ret_transfers = json_incref(json_object_get(result, "transfers"));
        json_decref(result);
    }
    return code;
}

enum exit_code run_transfers(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    json_t *transfers = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = list(ctl, &transfers);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    json_t *shown =
        options_have(ctl->options, OPT_ALL) ? json_incref(transfers) : without_ended(transfers);
    output_rows(&ctl->output, "transfers", ctl->output.tab ? program_headings : headings, shown,
                add_transfer);
    json_decref(shown);
    json_decref(transfers);
    return EXIT_DONE;
}

/* One of them ---------------------------------------------------------------------------------- */

/* text is an id, or at least four digits that only one transfer's id begins with. */
static enum exit_code find(struct ctl *ctl, const char *text, char ret_id[TRANSFER_ID_SIZE + 1])
{
    char prefix[PEER_DIGITS + 1];
    if (peer_prefix_parse(text, prefix) != 0 || strlen(prefix) > TRANSFER_ID_SIZE) {
        return report(EXIT_USAGE,
                      "'%s' is no transfer; it has %d hexadecimal digits, of which the first %d or "
                      "more may stand for all",
                      text, TRANSFER_ID_SIZE, PEER_PREFIX_MIN);
    }
    if (strlen(prefix) == TRANSFER_ID_SIZE) {
        memcpy(ret_id, prefix, TRANSFER_ID_SIZE + 1);
        return EXIT_DONE;
    }
    json_t *transfers = NULL;
    const enum exit_code code = list(ctl, &transfers);
    if (code != EXIT_DONE) {
        return code;
    }
    const size_t matches =
        member_count_prefixed(transfers, "transfer", prefix, ret_id, TRANSFER_ID_SIZE + 1);
    json_decref(transfers);
    if (matches == 0) {
        return report(EXIT_NOT_FOUND,
                      "no transfer's id begins with %s; `ratsctl transfers --all` lists them",
                      prefix);
    }
    if (matches > 1) {
        return report(EXIT_USAGE, "%zu transfers' ids begin with %s; give more digits", matches,
                      prefix);
    }
    return EXIT_DONE;
}

static void add_row(struct table *table, const char *name, const json_t *transfer,
                    void (*add)(struct table *table, const json_t *transfer))
{
    table_add(table, name);
    add(table, transfer);
}

static void add_state(struct table *table, const json_t *transfer)
{
    table_add_format(table, "%s%s", member_text(transfer, "state"),
                     member_true(transfer, "waiting") ? ", waiting for the peer to come back" : "");
}

static void print_transfer(const struct ctl *ctl, const json_t *transfer)
{
    static const char *const texts[] = {"transfer", "peer", "direction", "kind", "name", "error"};
    struct table table;
    table_init_plain(&table, 2);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (json_object_get(transfer, texts[i]) != NULL) {
            table_add(&table, texts[i]);
            table_add(&table, member_text(transfer, texts[i]));
        }
    }
    add_row(&table, "state", transfer, add_state);
    add_row(&table, "done", transfer, add_bytes);
    add_row(&table, "files", transfer, add_files);
    add_row(&table, "rate", transfer, add_rate);
    add_row(&table, "age", transfer, add_age);
    output_table(&ctl->output, &table);
    table_fini(&table);
}

static enum exit_code show(struct ctl *ctl, const char *id)
{
    json_t *transfer = NULL;
    const enum exit_code code =
        session_call(ctl, M_TRANSFER_GET, json_pack("{s:s}", "transfer", id), &transfer);
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, transfer);
        return EXIT_DONE;
    }
    print_transfer(ctl, transfer);
    json_decref(transfer);
    return EXIT_DONE;
}

static const struct {
    const char *name;
    enum method_id method;
} actions[] = {
    {"pause", M_TRANSFER_PAUSE},
    {"resume", M_TRANSFER_RESUME},
    {"cancel", M_TRANSFER_CANCEL},
};

#define ACTION_COUNT (sizeof actions / sizeof actions[0])

static enum exit_code act(struct ctl *ctl, const char *id, size_t action)
{
    json_t *result = NULL;
    const enum exit_code code =
        session_call(ctl, actions[action].method, json_pack("{s:s}", "transfer", id), &result);
    json_decref(result);
    if (code == EXIT_DONE && ctl->output.json != JSON_NONE) {
        output_object(&ctl->output,
                      json_pack("{s:s, s:s}", "transfer", id, "action", actions[action].name));
    }
    return code;
}

enum exit_code run_transfer(struct ctl *ctl, char **arguments, int count)
{
    char id[TRANSFER_ID_SIZE + 1];
    size_t action = 0;
    while (count > 1 && action < ACTION_COUNT && strcmp(arguments[1], actions[action].name) != 0) {
        action++;
    }
    if (action == ACTION_COUNT) {
        return report(EXIT_USAGE, "a transfer has no '%s'; it has pause, resume and cancel",
                      arguments[1]);
    }
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = find(ctl, arguments[0], id);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    return count > 1 ? act(ctl, id, action) : show(ctl, id);
}
