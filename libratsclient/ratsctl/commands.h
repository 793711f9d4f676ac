/* The command table: what ratsctl can do. It drives dispatch, --help and the test of the manual
 * page; a command is one row here and one function. */
#ifndef RATSCTL_COMMANDS_H
#define RATSCTL_COMMANDS_H

#include "ratsctl/session.h"

struct command {
    const char *name;
    const char *arguments; /* "ID TEXT", "" */
    enum method_id method; /* the method it is about; METHOD_COUNT when it is about none */
    int min_arguments;
    int max_arguments;
    uint32_t options; /* bit 1 << option_id of the options besides the global ones */
    const char *summary;
    /* arguments are those behind the command's name, count of them within the row's limits. */
    enum exit_code (*run)(struct ctl *ctl, char **arguments, int count);
};

/* Ends with a row whose name is NULL. The first is the default. */
extern const struct command commands[];

/* NULL when there is none of that name. */
const struct command *command_find(const char *name);

/* Prints the help of one command, or of all (NULL). */
void help_print(const struct output *output, const struct command *command);

enum exit_code run_status(struct ctl *ctl, char **arguments, int count);
enum exit_code run_log_level(struct ctl *ctl, char **arguments, int count);
enum exit_code run_version(struct ctl *ctl, char **arguments, int count);
enum exit_code run_peers(struct ctl *ctl, char **arguments, int count);
enum exit_code run_peer(struct ctl *ctl, char **arguments, int count);
enum exit_code run_connect(struct ctl *ctl, char **arguments, int count);
enum exit_code run_disconnect(struct ctl *ctl, char **arguments, int count);
enum exit_code run_known(struct ctl *ctl, char **arguments, int count);
enum exit_code run_reconnect(struct ctl *ctl, char **arguments, int count);
enum exit_code run_ping(struct ctl *ctl, char **arguments, int count);
enum exit_code run_request_peers(struct ctl *ctl, char **arguments, int count);
enum exit_code run_ban(struct ctl *ctl, char **arguments, int count);
enum exit_code run_unban(struct ctl *ctl, char **arguments, int count);
enum exit_code run_bans(struct ctl *ctl, char **arguments, int count);
enum exit_code run_limit(struct ctl *ctl, char **arguments, int count);
enum exit_code run_clients(struct ctl *ctl, char **arguments, int count);
enum exit_code run_send(struct ctl *ctl, char **arguments, int count);
enum exit_code run_recv(struct ctl *ctl, char **arguments, int count);
enum exit_code run_topics(struct ctl *ctl, char **arguments, int count);
enum exit_code run_subs(struct ctl *ctl, char **arguments, int count);
enum exit_code run_pub(struct ctl *ctl, char **arguments, int count);
enum exit_code run_sub(struct ctl *ctl, char **arguments, int count);
enum exit_code run_monitor(struct ctl *ctl, char **arguments, int count);
enum exit_code run_wait(struct ctl *ctl, char **arguments, int count);
enum exit_code run_protocol(struct ctl *ctl, char **arguments, int count);
enum exit_code run_kv(struct ctl *ctl, char **arguments, int count);
enum exit_code run_put(struct ctl *ctl, char **arguments, int count);
enum exit_code run_get(struct ctl *ctl, char **arguments, int count);
enum exit_code run_share(struct ctl *ctl, char **arguments, int count);
enum exit_code run_accept(struct ctl *ctl, char **arguments, int count);
enum exit_code run_transfers(struct ctl *ctl, char **arguments, int count);
enum exit_code run_transfer(struct ctl *ctl, char **arguments, int count);
enum exit_code run_call(struct ctl *ctl, char **arguments, int count);

#endif
