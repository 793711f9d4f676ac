#include "ratsctl/commands.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ratsctl/table.h"

#define BIT(option) (1u << (option))
#define MOST_TOPICS 512 /* of one session */
#define MOST_ROOTS  64

const struct command commands[] = {
    {"status", "", M_INSTANCE_GET, 0, 0, 0, "what the daemon is and how it is doing", run_status},
    {"peers", "", M_PEER_LIST, 0, 0, BIT(OPT_FORMAT), "the connected peers", run_peers},
    {"peer", "ID", M_PEER_GET, 1, 1, 0, "one connected peer in full", run_peer},
    {"connect", "HOST:PORT", M_PEER_CONNECT, 1, 1, BIT(OPT_PEER),
     "dial an address and wait until its peer is usable", run_connect},
    {"disconnect", "ID", M_PEER_DISCONNECT, 1, 1, 0, "close the link to a peer for everybody",
     run_disconnect},
    {"known", "[list|connect|clear|save]", M_KNOWN_LIST, 0, 1, BIT(OPT_FORMAT),
     "the address book: show it, dial its best, empty it, write it to disk", run_known},
    {"reconnect", "[list|add HOST:PORT|remove HOST:PORT]", M_RECONNECT_LIST, 0, 2,
     BIT(OPT_FORMAT) | BIT(OPT_PEER), "the addresses the daemon stays connected to", run_reconnect},
    {"ping", "ID", M_PING_SEND, 1, 1, BIT(OPT_COUNT), "how long a peer takes to answer", run_ping},
    {"request-peers", "ID", M_PEX_REQUEST, 1, 1, 0, "ask a peer for others, and dial those",
     run_request_peers},
    {"ban", "ID|ADDRESS[/BITS]", M_BAN_ADD, 1, 1, BIT(OPT_FOR) | BIT(OPT_REASON),
     "keep a peer or a network out", run_ban},
    {"unban", "ID|ADDRESS[/BITS]", M_BAN_REMOVE, 1, 1, 0, "lift a ban", run_unban},
    {"bans", "", M_BAN_LIST, 0, 0, BIT(OPT_FORMAT), "who is banned", run_bans},
    {"limit", "[ID]", M_LIMIT_SET, 0, 1, BIT(OPT_MESSAGES) | BIT(OPT_BYTES) | BIT(OPT_CLEAR),
     "show or set what peers may send in a second", run_limit},
    {"send", "ID|all TEXT|-", METHOD_COUNT, 2, 2, BIT(OPT_CHANNEL) | BIT(OPT_AS) | BIT(OPT_TYPE),
     "send a message; - reads it from standard input", run_send},
    {"recv", "", M_CHANNEL_ON, 0, 0, BIT(OPT_CHANNEL) | BIT(OPT_TYPE) | BIT(OPT_COUNT),
     "print messages as they come", run_recv},
    {"topics", "", M_TOPIC_ALL, 0, 0, BIT(OPT_FORMAT), "the topics this instance knows",
     run_topics},
    {"subs", "[TOPIC]", M_TOPIC_PEERS, 0, 1, BIT(OPT_FORMAT),
     "the peers that subscribe to a topic, or the topics programs here subscribe to", run_subs},
    {"pub", "TOPIC TEXT|-", METHOD_COUNT, 2, 2, BIT(OPT_AS),
     "publish a message; - reads it from standard input", run_pub},
    {"sub", "TOPIC...", M_TOPIC_SUBSCRIBE, 1, MOST_TOPICS, BIT(OPT_COUNT),
     "print the messages of topics as they come", run_sub},
    {"clients", "", M_SESSION_LIST, 0, 0, BIT(OPT_FORMAT), "the programs attached to the daemon",
     run_clients},
    {"monitor", "[FILTER]", M_SESSION_WATCH, 0, 1, BIT(OPT_COUNT) | BIT(OPT_UNTIL) | BIT(OPT_SINCE),
     "print events as they happen", run_monitor},
    {"wait", "", METHOD_COUNT, 0, 0, BIT(OPT_PEERS) | BIT(OPT_PEER) | BIT(OPT_ONLINE),
     "return once something is so", run_wait},
    {"kv", "get|put|rm|keys|watch|sync|stats [KEY] [VALUE|-]", M_STORAGE_GET, 1, 3,
     BIT(OPT_AS) | BIT(OPT_COUNT), "values shared with all programs and peers", run_kv},
    {"put", "ID FILE|DIRECTORY", M_TRANSFER_SEND, 2, 2, BIT(OPT_NAME),
     "send a file or a directory to a peer", run_put},
    {"get", "ID PATH [TARGET]", M_TRANSFER_REQUEST, 2, 3, 0,
     "fetch a file or a directory from a peer", run_get},
    {"share", "DIRECTORY...", METHOD_COUNT, 1, MOST_ROOTS, BIT(OPT_COUNT),
     "let peers get what is below directories", run_share},
    {"accept", "DIRECTORY", M_TRANSFER_ACCEPT, 1, 1, BIT(OPT_COUNT) | BIT(OPT_PEER),
     "take what peers send into a directory", run_accept},
    {"transfers", "", M_TRANSFER_LIST, 0, 0, BIT(OPT_FORMAT) | BIT(OPT_ALL),
     "the files and directories on their way", run_transfers},
    {"transfer", "TRANSFER [pause|resume|cancel]", M_TRANSFER_GET, 1, 2, 0,
     "one transfer in full, or what becomes of it", run_transfer},
    {"protocol", "list|describe [METHOD]", M_PROTOCOL_DESCRIBE, 1, 2, 0,
     "the methods, events and errors of the local protocol", run_protocol},
    {"call", "METHOD [JSON]", METHOD_COUNT, 1, 2, BIT(OPT_SHOW_SECRETS),
     "call any method of the daemon", run_call},
    {"log-level", "[error|warn|info|debug]", M_LOG_SET_LEVEL, 0, 1, 0,
     "show or set how much the daemon logs", run_log_level},
    {"version", "", METHOD_COUNT, 0, 0, 0, "the versions of ratsctl, librats and the daemon",
     run_version},
    {.name = NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0) {
            return command;
        }
    }
    return NULL;
}

/* "--json[=lines]", "--socket=PATH". */
static void add_option(struct table *table, const struct option_row *row)
{
    const bool optional = row->value != NULL && row->value[0] == '[';
    table_add_format(table, "  %s%s%s", row->name, row->value == NULL || optional ? "" : "=",
                     row->value == NULL ? "" : row->value);
    table_add(table, row->summary);
}

static void print_options(uint32_t set)
{
    struct table table;
    table_init_plain(&table, 2);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((set & BIT(i)) != 0) {
            add_option(&table, &option_rows[i]);
        }
    }
    table_print_aligned(&table, stdout, false);
    table_fini(&table);
}

static uint32_t global_options(void)
{
    return (BIT(OPT_GLOBAL_COUNT) - 1) & ~BIT(OPT_FORMAT);
}

static void print_command(const struct command *command)
{
    (void)printf("Usage: ratsctl [OPTION]... %s%s%s\n\n%c%s.\n", command->name,
                 *command->arguments == '\0' ? "" : " ", command->arguments,
                 toupper((unsigned char)command->summary[0]), command->summary + 1);
    if (command->options != 0) {
        (void)printf("\nOptions of this command:\n");
        print_options(command->options);
    }
    (void)printf("\nOptions of every command:\n");
    print_options(global_options());
    (void)printf("\nratsctl(1) has the details.\n");
}

static void print_all(void)
{
    (void)printf("Usage: ratsctl [OPTION]... [COMMAND] [ARGUMENT]...\n\n"
                 "Shows and steers ratsd. Without a command: %s.\n\nCommands:\n",
                 commands[0].name);
    struct table table;
    table_init_plain(&table, 2);
    for (const struct command *command = commands; command->name != NULL; command++) {
        table_add_format(&table, "  %s %s", command->name, command->arguments);
        table_add(&table, command->summary);
    }
    table_print_aligned(&table, stdout, false);
    table_fini(&table);

    (void)printf("\nOptions of every command:\n");
    print_options(global_options());
    (void)printf("\nOptions of some commands:\n");
    print_options(~global_options());

    (void)printf("\nExit status:\n");
    table_init_plain(&table, 2);
    for (const struct exit_row *row = exit_rows; row->meaning != NULL; row++) {
        table_add_format(&table, "  %d", (int)row->code);
        table_add(&table, row->meaning);
    }
    table_print_aligned(&table, stdout, false);
    table_fini(&table);
    (void)printf(
        "\nAn ID is a peer's id or its first digits (at least %d) when no other connected\n"
        "peer's begins so. ratsctl(1) has the details.\n",
        PEER_PREFIX_MIN);
}

static json_t *describe_options(uint32_t set)
{
    json_t *names = json_array();
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((set & BIT(i)) != 0) {
            (void)json_array_append_new(names, json_string(option_rows[i].name));
        }
    }
    return names;
}

static json_t *describe_command(const struct command *command)
{
    return json_pack("{s:s, s:s?, s:s, s:s, s:o}", "name", command->name, "method",
                     command->method == METHOD_COUNT ? NULL : proto_methods[command->method].name,
                     "arguments", command->arguments, "summary", command->summary, "options",
                     describe_options(command->options));
}

/* The tables themselves, for the tests that hold the manual page against them. */
static void print_json(const struct output *output, const struct command *only)
{
    json_t *rows = json_array();
    for (const struct command *command = commands; command->name != NULL; command++) {
        if (only == NULL || only == command) {
            (void)json_array_append_new(rows, describe_command(command));
        }
    }
    json_t *codes = json_array();
    for (const struct exit_row *row = exit_rows; row->meaning != NULL; row++) {
        (void)json_array_append_new(
            codes, json_pack("{s:i, s:s}", "code", (int)row->code, "meaning", row->meaning));
    }
    output_object(output, json_pack("{s:o, s:o, s:o}", "commands", rows, "options",
                                    describe_options(global_options()), "exit_codes", codes));
}

void help_print(const struct output *output, const struct command *command)
{
    if (output->json != JSON_NONE) {
        print_json(output, command);
    } else if (command != NULL) {
        print_command(command);
    } else {
        print_all();
    }
}
