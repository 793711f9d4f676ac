/* ratsctl status, version and log-level: the instance itself. */
#include <stdio.h>
#include <stdlib.h>

#include "ratsctl/commands.h"

static void add_row(struct table *table, const char *name, const char *text)
{
    table_add(table, name);
    table_add(table, text);
}

static void print_status(const struct ctl *ctl, const json_t *status)
{
    struct table table;
    char age[AGE_SIZE];
    char *transports = member_words(status, "transports");
    const json_int_t port = member_number(status, "listen_port");
    const json_int_t limit = member_number(status, "max_peers");
    table_init_plain(&table, 2);
    table_add(&table, "ratsd");
    table_add_format(&table, "%s, instance %s, pid %lld, up %s", member_text(status, "version"),
                     member_text(status, "name"), (long long)member_number(status, "pid"),
                     age_format((uint64_t)member_number(status, "uptime_seconds"), age));
    add_row(&table, "peer id", member_text(status, "peer_id"));
    table_add(&table, "protocol");
    table_add_format(&table, "%s, %s", member_text(status, "protocol"),
                     member_text(status, "security"));
    table_add(&table, "listening");
    if (port != 0) {
        table_add_format(&table, "port %lld (%s)", (long long)port, transports);
    } else {
        table_add(&table, "no");
    }
    table_add(&table, "peers");
    if (limit != 0) {
        table_add_format(&table, "%lld of %lld", (long long)member_number(status, "peers"),
                         (long long)limit);
    } else {
        table_add_format(&table, "%lld", (long long)member_number(status, "peers"));
    }
    table_add(&table, "programs");
    table_add_format(&table, "%lld", (long long)member_number(status, "sessions"));
    add_row(&table, "socket", member_text(status, "socket"));
    if (*member_text(status, "data_directory") != '\0') {
        add_row(&table, "state", member_text(status, "data_directory"));
    }
    output_table(&ctl->output, &table);
    table_fini(&table);
    free(transports);
}

enum exit_code run_status(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    json_t *status = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE) {
        code = session_call(ctl, M_INSTANCE_GET, NULL, &status);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, status);
        return EXIT_DONE;
    }
    print_status(ctl, status);
    json_decref(status);
    return EXIT_DONE;
}

enum exit_code run_log_level(struct ctl *ctl, char **arguments, int count)
{
    json_t *result = NULL;
    enum exit_code code = session_open(ctl, false);
    if (code == EXIT_DONE && count > 0) {
        code =
            session_call(ctl, M_LOG_SET_LEVEL, json_pack("{s:s}", "level", arguments[0]), &result);
    } else if (code == EXIT_DONE) {
        code = session_call(ctl, M_LOG_GET_LEVEL, NULL, &result);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, result);
        return EXIT_DONE;
    }
    output_text(member_text(result, "level"));
    json_decref(result);
    return EXIT_DONE;
}

static void print_version(const struct ctl *ctl, const char *protocol, const char *daemon)
{
    struct table table;
    table_init_plain(&table, 2);
    add_row(&table, "ratsctl", RATS_VERSION);
    add_row(&table, "librats", rats_get_version_string());
    add_row(&table, "protocol", protocol);
    add_row(&table, "ratsd", *daemon == '\0' ? "not reached" : daemon);
    output_table(&ctl->output, &table);
    table_fini(&table);
}

/* A daemon that cannot be reached is no error here: its version is just not known. */
enum exit_code run_version(struct ctl *ctl, char **arguments, int count)
{
    (void)arguments;
    (void)count;
    char protocol[16];
    json_t *status = NULL;
    (void)snprintf(protocol, sizeof protocol, "%d.%d", PROTO_MAJOR, PROTO_MINOR);
    const enum exit_code code = session_try(ctl, false);
    if (code == EXIT_VERSION) {
        return code;
    }
    if (code == EXIT_DONE) {
        status = session_ask(ctl, M_INSTANCE_GET, NULL);
    }
    const char *daemon = member_text(status, "version");
    if (ctl->output.json != JSON_NONE) {
        output_object(&ctl->output, json_pack("{s:s, s:s, s:s, s:s?}", "ratsctl", RATS_VERSION,
                                              "librats", rats_get_version_string(), "protocol",
                                              protocol, "ratsd", *daemon == '\0' ? NULL : daemon));
    } else {
        print_version(ctl, protocol, daemon);
    }
    json_decref(status);
    return EXIT_DONE;
}
