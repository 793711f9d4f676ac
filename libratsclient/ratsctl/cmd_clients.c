/* ratsctl clients: the programs attached to the daemon. */
#include <stdio.h>

#include "ratsctl/commands.h"

/* The columns of --format=tab are frozen: new ones are added behind them, if ever. */
static const char *const headings[] = {"SESSION", "PID",  "UID",      "GID",    "ROLE",
                                       "STARTED", "AGE",  "CHANNELS", "QUEUED", "LOST",
                                       "CALLS",   "NAME", "AGENT",    NULL};

static void add_number(struct table *table, const json_t *client, const char *name)
{
    table_add_format(table, "%lld", (long long)member_number(client, name));
}

static void add_client(struct table *table, const json_t *client, bool tab)
{
    char age[AGE_SIZE];
    add_number(table, client, "session");
    add_number(table, client, "pid");
    add_number(table, client, "uid");
    add_number(table, client, "gid");
    table_add(table, member_text(client, "role"));
    table_add(table, member_true(client, "started") ? "yes" : "no");
    if (tab) {
        add_number(table, client, "age_seconds");
    } else {
        table_add(table, age_format((uint64_t)member_number(client, "age_seconds"), age));
    }
    add_number(table, client, "channels");
    add_number(table, client, "queued_bytes");
    add_number(table, client, "lost");
    add_number(table, client, "calls");
    table_add(table, member_text(client, "name"));
    table_add(table, member_text(client, "agent"));
}

enum exit_code run_clients(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_SESSION_LIST, NULL, &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    output_rows(&ctl->output, "clients", headings, json_object_get(result, "sessions"), add_client);
    json_decref(result);
    return EXIT_DONE;
}
